"""The optimiser and the learning rates of a run, made from its settings."""

import dataclasses
import math

from tinytx.settings import Settings, setting
from tinytx.training import Adam, AdamW, WarmupCosine, WarmupInverseSqrt

COSINE = {"schedule": ("cosine",)}
LEAST_EPS = 1e-30  # smaller ones are 0 in float32, or nearly, and 0 / 0 is NaN


class OptimizerSettings(Settings):
    """The optimiser's settings."""

    optimizer: str = setting("adamw", "weight decay apart from the gradient, or in it", choices=("adamw", "adam"))
    lr: float = setting(1e-3, "largest learning rate", minimum=0)
    schedule: str = setting("cosine", "what follows the warm-up", choices=("cosine", "constant", "inverse-sqrt"))
    min_lr: float = setting(0.0, "learning rate at the end of the cosine", minimum=0, only=COSINE)
    warmup: int = setting(100, "steps of linear warm-up", minimum=0)
    decay_steps: int | None = setting(
        None, "step at which min-lr is reached; if not given, the last, of a longer run too", minimum=1, only=COSINE
    )
    beta1: float = setting(0.9, "Adam's decay of the first moment", minimum=0, below=1)
    beta2: float = setting(0.999, "Adam's decay of the second moment", minimum=0, below=1)
    adam_eps: float = setting(1e-8, "Adam's epsilon", minimum=LEAST_EPS)
    weight_decay: float = setting(0.01, "decay of matrices", minimum=0)
    decay_all: bool = setting(False, "decay gains and biases, too")


def make_optimizer(model, settings, *, peak=None):
    """Return the optimiser that settings describe.

    Parameters
    ----------
    model : Layer
    settings : Settings
        With those of `OptimizerSettings`, and ``steps``.
    peak : float, optional
        The largest learning rate, in place of ``lr``.
    """
    peak = settings.lr if peak is None else peak
    schedule = WarmupCosine(peak, settings.warmup, settings.decay_steps or settings.steps, settings.min_lr)
    if settings.schedule == "constant":
        schedule = dataclasses.replace(schedule, floor=peak)
    elif settings.schedule == "inverse-sqrt":
        schedule = WarmupInverseSqrt(1, settings.warmup, peak * math.sqrt(settings.warmup))
    cls = {"adam": Adam, "adamw": AdamW}[settings.optimizer]
    groups = [("*", {"weight_decay": settings.weight_decay})] if settings.decay_all else []
    betas, decay = (settings.beta1, settings.beta2), settings.weight_decay
    return cls(model, schedule, betas=betas, eps=settings.adam_eps, weight_decay=decay, groups=groups)


def check_rates(rate, settings, t):
    """Raise ValueError where every step from t on would have learning rate 0, so that nothing is learned.

    Parameters
    ----------
    rate : function (int) -> float
        `tinytx.training.schedules`.
    settings : RunSettings
    t : int
        Steps that are taken already.
    """
    if rate(t) == rate(settings.steps - 1) == 0:  # what is 0 at both is 0 between them: a peak of 0, or a cosine's end
        steps = f"all steps from {t + 1} to {settings.steps} would have learning rate 0 and change no weight"
        if rate(settings.warmup) == 0:
            raise ValueError(f"--lr is 0: {steps}; give a larger --lr")
        flags = f"--decay-steps is {settings.decay_steps} and --min-lr 0"
        remedy = f"give a larger --decay-steps, such as {settings.steps}, or a larger --min-lr"
        raise ValueError(f"{flags}: {steps}; {remedy}")


def goes_on_with(rate, settings):
    """Return the flags that let a finished run take as many steps again, with learning rates above 0."""
    steps = 2 * settings.steps
    flags = ["--steps", steps]
    if getattr(settings, "decay_steps", None) and rate(settings.steps) == rate(steps - 1) == 0:
        flags += ["--decay-steps", steps]
    return flags


def rates_in_words(rate, settings, t):
    """Return the learning rates of the next step, of the steps where the schedule turns, and of the last step.

    Parameters
    ----------
    rate, settings, t
        As for `check_rates`.
    """
    last = settings.steps - 1
    turns = sorted({t, settings.warmup, settings.decay_steps or last, last})
    return "Learning rate: " + ", ".join(f"{rate(turn):.3g} in step {turn + 1}" for turn in turns if t <= turn <= last)
