"""The result of a gradient check: verdicts, error bars, the worst entry, a hint."""

import math
from dataclasses import asdict, dataclass, field

from tinytx.files import plain

PASS, KINK, INCONCLUSIVE, FAIL = VERDICTS = ("PASS", "KINK", "INCONCLUSIVE", "FAIL")  # from good to bad


class NothingCompared(ValueError):
    """A check had nothing to compare: no float input, or empty arrays."""


@dataclass
class TensorReport:
    """The result for one input or parameter.

    Attributes
    ----------
    name : str
    shape : tuple of int
    verdict : {"PASS", "KINK", "INCONCLUSIVE", "FAIL"}
    reason : str
        The reason, unless the verdict is PASS.
    hint : str
        The likely mistake, guessed from the pattern of the wrong entries.
    checked : int
        The number of entries or directions that were compared.
    norm : float
        The norm of the analytic gradient.
    index : tuple of int, or None
        The worst entry; None if a direction through all entries was compared.
    analytic, numeric, ratio, error : float
        At that entry: backward's value, the finite difference, their quotient, the error bar of the difference.
    """

    name: str
    shape: tuple
    verdict: str = PASS
    reason: str = ""
    hint: str = ""
    checked: int = 0
    norm: float = 0.0
    index: tuple | None = None
    analytic: float = math.nan
    numeric: float = math.nan
    error: float = math.nan

    @property
    def ratio(self):
        return self.analytic / self.numeric if self.numeric else math.nan


@dataclass(repr=False)
class Report:
    """The result of `tinytx.testing.gradcheck`; it is true if every tensor passed.

    Attributes
    ----------
    target : str
        The name of the layer or function.
    mode : str
        "full", "sampled", "directional", or a description of "auto".
    tensors : list of TensorReport
    reason : str
        The reason if the check as a whole has no verdict.
    accept_kinks : bool
        Whether KINK counts as passed.
    """

    target: str
    mode: str
    tensors: list = field(default_factory=list)
    reason: str = ""
    accept_kinks: bool = False

    @property
    def verdict(self):
        """The worst of the tensors' verdicts; INCONCLUSIVE at best where nothing was compared."""
        verdicts = [tensor.verdict for tensor in self.tensors]
        nothing = all(0 in tensor.shape for tensor in self.tensors)
        return max(verdicts + [INCONCLUSIVE] * (nothing or bool(self.reason)), key=VERDICTS.index)

    def __bool__(self):
        return self.verdict == PASS or self.accept_kinks and self.verdict == KINK

    def __getitem__(self, name):
        """Return the `TensorReport` of a tensor by name."""
        for tensor in self.tensors:
            if tensor.name == name:
                return tensor
        raise KeyError(f"{name}: this report has {', '.join(tensor.name for tensor in self.tensors)}")

    def raise_for_failure(self):
        """Raise AssertionError with the whole report unless everything passed."""
        if not self:
            raise AssertionError(str(self))

    def to_dict(self):
        """Return the report in JSON's types; numbers that are not finite become None."""
        facts = {name: getattr(self, name) for name in ("target", "verdict", "mode", "reason")}
        return plain(facts | {"tensors": [asdict(t) | {"ratio": t.ratio} for t in self.tensors]})

    def __repr__(self):
        return str(self)

    def __str__(self):
        head = f"gradcheck of {self.target}: {self.verdict} ({self.mode})"
        header = ("tensor", "shape", "verdict", "checked", "worst at", "analytic", "numeric", "ratio", "error bar")
        rows = [header] + [_row(tensor) for tensor in self.tensors]
        width = [max(len(row[i]) for row in rows) for i in range(len(header))]
        lines = ["  ".join(cell.ljust(w) for cell, w in zip(row, width)).rstrip() for row in rows]
        notes = [f"{t.name}: {part}" for t in self.tensors for part in (t.reason, t.hint and f"hint: {t.hint}") if part]
        return "\n".join([head, *([self.reason] if self.reason else []), *(lines if self.tensors else []), *notes])


def _row(t):
    where = "-" if t.index is None else str(t.index)
    numbers = ("-" if math.isnan(v) else f"{v:.6g}" for v in (t.analytic, t.numeric, t.ratio, t.error))
    return (t.name, str(t.shape), t.verdict, str(t.checked), where, *numbers)
