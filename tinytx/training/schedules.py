"""Learning-rate schedules: functions of the step 0, 1, 2, ..."""

import math

from tinytx.settings import Settings, setting


class WarmupCosine(Settings):
    """A linear warm-up to ``peak``, then half a cosine down to ``floor`` (Loshchilov and Hutter, arXiv:1608.03983)."""

    peak: float = setting(help="the rate at the end of the warm-up", minimum=0)
    warmup: float = setting(help="the number of steps of the warm-up; 0 for none", minimum=0)
    total: float = setting(help="the step at which the rate reaches ``floor``; it stays there", minimum=0)
    floor: float = setting(0.0, "the rate at the end", minimum=0)

    def __call__(self, step):
        if step < self.warmup:
            return self.peak * (step + 1) / (self.warmup + 1)
        done = min(1.0, (step - self.warmup) / max(1, self.total - self.warmup))
        return self.floor + (self.peak - self.floor) * (1 + math.cos(math.pi * done)) / 2


class SlantedTriangular(Settings):
    """A short linear rise to ``peak``, then a long linear fall (Howard and Ruder 2018, arXiv:1801.06146, equation (3)).

    With cut = floor(cut_fraction total), in step t

        p  = t / cut                                before cut,
        p  = 1 - (t - cut) / (total - cut)          from there on,
        lr = peak (1 + p (ratio - 1)) / ratio.

    The paper writes cut (1 / cut_fraction - 1) for total - cut, which is the same where cut_fraction total is whole; else
    its p would fall below 0 before the end.
    """

    peak: float = setting(help="the largest rate, in step cut", minimum=0)
    total: int = setting(help="the step at which the rate reaches its end, peak / ratio; it stays there", minimum=1)
    cut_fraction: float = setting(0.1, "share of the steps in which the rate rises", minimum=0, maximum=1)
    ratio: float = setting(32.0, "how many times smaller than peak the rate is at both ends", minimum=1)

    def __call__(self, step):
        cut = math.floor(self.cut_fraction * self.total)
        p = step / cut if step < cut else max(0.0, 1 - (step - cut) / max(1, self.total - cut))
        return self.peak * (1 + p * (self.ratio - 1)) / self.ratio


class WarmupInverseSqrt(Settings):
    """A linear warm-up, then a decay with the square root of the step (Vaswani et al. 2017, section 5.3).

    With s = step + 1, the paper's step_num, and D the model's width,

        lr = factor D^-0.5 min(s^-0.5, s warmup^-1.5).

    Both terms agree at s = warmup, where the rate is largest: factor / sqrt(D warmup).
    """

    d_model: float = setting(help="D; wider models take smaller steps", minimum=1)
    warmup: float = setting(4000, "the number of steps of the warm-up; 4,000 in the paper", minimum=1)
    factor: float = setting(1.0, "1 in the paper", minimum=0)

    def __call__(self, step):
        s = step + 1
        return self.factor * self.d_model**-0.5 * min(s**-0.5, s * self.warmup**-1.5)
