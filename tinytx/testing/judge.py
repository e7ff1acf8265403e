"""The rule that compares an analytic derivative with a finite difference and gives a verdict."""

import math
from typing import NamedTuple

from tinytx.testing.numeric import Kink
from tinytx.testing.report import FAIL, INCONCLUSIVE, KINK, PASS

WIDE = 1e-6  # an error bar wider than this share of the gradient is too wide to decide
ZERO = 1e-9  # a gradient below this share of its natural size counts as 0
SHORT = 1e-10, 1e-5, 1e-1  # noise between the first two: part of the forward runs in float32; above: in float16


class Judge(NamedTuple):
    """The facts about a tensor that the rule uses.

    Attributes
    ----------
    rtol : float
        The relative difference that is allowed in addition to the error bars.
    noise : float
        The rounding error of the forward, relative to the size of the terms that are added up.
    wobble : float
        The largest change of an entry of the gradient when backward's inputs are rounded differently.
    natural : float
        The size that the gradient would have if the tensor mattered: the forward's size over the tensor's.
    finite : bool
        Whether forward and inputs are finite. If they are not, a gradient of NaN may be right.
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
            The derivative from backward.
        found : Estimate or Kink
            The derivative from finite differences.
        scale : float
            The typical size of such a derivative. For values far below it the quotient does not count.
        root_n : float
            The square root of the number of entries that are moved together.
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
        """Return the reason for a wide error bar; ``raised`` holds the exceptions that the forward raised."""
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
