"""The rule by which a backward's number gets its verdict beside a finite difference."""

import math
from typing import NamedTuple

from tinytx.testing.numeric import Kink
from tinytx.testing.report import FAIL, INCONCLUSIVE, KINK, PASS

WIDE = 1e-6  # an error bar that hides more than this part of a gradient tells nothing
ZERO = 1e-9  # part of what a gradient could be below which it counts as 0
SHORT = 1e-10, 1e-5, 1e-1  # noise from the first to the second: float32 inside; from there to the third: float16


class Judge(NamedTuple):
    """What the rule needs to know of a tensor.

    Attributes
    ----------
    rtol : float
        Relative difference allowed.
    noise : float
        The forward's rounding error, relative to the size of the terms added up.
    wobble : float
        How far any entry of the gradient moves when backward's inputs are rounded anew.
    natural : float
        The size that the gradient would have if the tensor mattered: the forward's over the tensor's.
    finite : bool
        Whether forward and inputs are: where they are not, a gradient of NaN may be right.
    """

    rtol: float
    noise: float
    wobble: float
    natural: float
    finite: bool = True

    def verdict(self, analytic, found, scale, root_n=1.0):
        """Return PASS, FAIL, INCONCLUSIVE or KINK.

        Parameters
        ----------
        analytic : float
            What backward says.
        found : Estimate or Kink
            What finite differences say.
        scale : float
            The typical size of such a number: far below it only the difference counts, not the quotient.
        root_n : float
            The square root of the number of entries that were moved together.
        """
        if not math.isfinite(analytic):
            return FAIL if self.finite else INCONCLUSIVE
        size = max(abs(analytic), scale, *(abs(value) for value in found[:-1] if math.isfinite(value)))
        bar = 3 * found.error + 10 * self.wobble * root_n
        allowed = self.rtol * size + bar
        if isinstance(found, Kink):
            return KINK if min(found[:2]) - allowed <= analytic <= max(found[:2]) + allowed else FAIL
        if math.isfinite(bar) and abs(analytic - found.value) > allowed:
            return FAIL
        return PASS if bar <= max(WIDE * size, ZERO * self.natural) else INCONCLUSIVE

    def why_wide(self, found, raised=()):
        """Return what makes an error bar wide; ``raised`` holds the exceptions of steps at which the forward raised."""
        if not self.finite:
            return "inputs or outputs are not finite, and backward may not be finite beside them"
        if not math.isfinite(found.error):
            first = f": it raised {type(raised[0]).__name__}: {raised[0]}" if raised else ""
            return f"near it the forward is not finite{first}"
        if SHORT[0] < self.noise < SHORT[2]:
            return f"forward is only exact to {self.noise:.0e} (float{32 if self.noise < SHORT[1] else 16} inside?)"
        if 10 * self.wobble > 3 * found.error:
            return f"backward's value moves by {self.wobble:.1e} when its inputs are rounded anew"
        return "the slope changes over steps so small that rounding hides it"
