"""Learning-rate schedules: functions of the step 0, 1, 2, ..."""

import math
from dataclasses import dataclass

from tinytx.arguments import check_number


@dataclass(frozen=True)
class WarmupCosine:
    """A linear warm-up to ``peak``, then half a cosine down to ``floor`` (Loshchilov and Hutter, arXiv:1608.03983).

    Parameters
    ----------
    peak : float
    warmup : int
        Number of steps of the warm-up; 0 for none.
    total : int
        The step at which the rate reaches ``floor``; it then stays there.
    floor : float

    Raises
    ------
    TypeError, ValueError
        If one of them is not a finite number of at least 0.
    """

    peak: float
    warmup: int
    total: int
    floor: float = 0.0

    def __post_init__(self):
        _check(self, 0, "peak", "warmup", "total", "floor")

    def __call__(self, step):
        if step < self.warmup:
            return self.peak * (step + 1) / (self.warmup + 1)
        done = min(1.0, (step - self.warmup) / max(1, self.total - self.warmup))
        return self.floor + (self.peak - self.floor) * (1 + math.cos(math.pi * done)) / 2


@dataclass(frozen=True)
class WarmupInverseSqrt:
    """A linear warm-up, then a decay with the square root of the step (Vaswani et al. 2017, section 5.3).

    With s = step + 1, the paper's step_num, and D the model's width,

        lr = factor D^-0.5 min(s^-0.5, s warmup^-1.5).

    Both terms agree at s = warmup, where the rate is largest: factor / sqrt(D warmup).

    Parameters
    ----------
    d_model : int
        D; wider models take smaller steps.
    warmup : int
        Number of steps of the warm-up, at least 1; 4,000 in the paper.
    factor : float
        1 in the paper.

    Raises
    ------
    TypeError, ValueError
        If ``d_model`` or ``warmup`` is not a finite number of at least 1, or ``factor`` not one of at least 0.
    """

    d_model: int
    warmup: int = 4000
    factor: float = 1.0

    def __post_init__(self):
        _check(self, 1, "d_model", "warmup")
        _check(self, 0, "factor")

    def __call__(self, step):
        s = step + 1
        return self.factor * self.d_model**-0.5 * min(s**-0.5, s * self.warmup**-1.5)


def _check(schedule, least, *names):
    """Raise TypeError or ValueError unless these fields are finite numbers of at least ``least``."""
    for name in names:
        expected = f"a finite number of at least {least}"
        check_number(type(schedule).__name__, name, getattr(schedule, name), expected, lambda x: least <= x < math.inf)
