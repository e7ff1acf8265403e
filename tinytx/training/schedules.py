"""Learning rates that depend on the step: functions of the step 0, 1, 2, ..."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class WarmupCosine:
    """A linear warm-up to ``peak``, then half a cosine down to ``floor`` (Loshchilov and Hutter, arXiv:1608.03983).

    Parameters
    ----------
    peak : float
    warmup : int
        Steps that the way up takes; 0 for none.
    total : int
        The step at which ``floor`` is reached and kept.
    floor : float
    """

    peak: float
    warmup: int
    total: int
    floor: float = 0.0

    def __call__(self, step):
        if step < self.warmup:
            return self.peak * (step + 1) / (self.warmup + 1)
        done = min(1.0, (step - self.warmup) / max(1, self.total - self.warmup))
        return self.floor + (self.peak - self.floor) * (1 + math.cos(math.pi * done)) / 2
