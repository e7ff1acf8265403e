"""The optimiser and the learning rates of a run, made from its settings."""

import dataclasses
import math

from tinytx.settings import Settings, setting
from tinytx.training import SGD, AdaGrad, Adam, AdamW, Averaged, SlantedTriangular, WarmupCosine, WarmupInverseSqrt

COSINE = {"schedule": ("cosine",)}
ENDS = {"schedule": ("cosine", "slanted-triangular")}
WARMS_UP = {"schedule": ("cosine", "constant", "inverse-sqrt")}
ADAM = {"optimizer": ("adam", "adamw")}
MOST_VALIDATIONS = 1000  # that an average waits for
OPTIMIZERS = {"adam": Adam, "adamw": AdamW, "sgd": SGD, "adagrad": AdaGrad}
LEAST_EPS = 1e-30  # smaller ones are 0 in float32, or nearly, and 0 / 0 is NaN


class RateSettings(Settings):
    """The learning rates of a run, which are all that descent example after example has."""

    optimizer, average, weight_decay, decay_all, divide = "sgd", 0, 0.0, False, False  # no settings: `OptimizerSettings` makes them such
    lr: float = setting(1e-3, "largest learning rate", minimum=0)
    schedule: str = setting(
        "cosine", "what follows the warm-up; slanted-triangular has its own, a tenth of the steps",
        choices=("cosine", "constant", "inverse-sqrt", "slanted-triangular"),
    )  # fmt: skip
    min_lr: float = setting(0.0, "learning rate at the end of the cosine", minimum=0, only=COSINE)
    warmup: int = setting(100, "steps of linear warm-up", minimum=0, only=WARMS_UP)
    decay_steps: int | None = setting(
        None, "step at which the rate is smallest; if not given, the last, of a longer run too", minimum=1, only=ENDS
    )


class OptimizerSettings(RateSettings):
    """The optimiser's settings."""

    optimizer: str = setting(
        "adamw", "Adam with weight decay apart from the gradient, or in it; or SGD", choices=("adamw", "adam", "sgd")
    )
    average: int = setting(
        0, "average the weights from the step on after which so many validations in a row were no better than an older one "
        "(NT-ASGD), and use the averages; 0: never", minimum=0, maximum=MOST_VALIDATIONS,
    )  # fmt: skip
    beta1: float = setting(0.9, "Adam's decay of the first moment", minimum=0, below=1, only=ADAM)
    beta2: float = setting(0.999, "Adam's decay of the second moment", minimum=0, below=1, only=ADAM)
    adam_eps: float = setting(1e-8, "Adam's epsilon", minimum=LEAST_EPS, only=ADAM)
    weight_decay: float = setting(0.01, "decay of matrices", minimum=0)
    decay_all: bool = setting(False, "decay gains and biases, too")
    divide: bool = setting(False, "divide the optimiser's memory among the ranks of MPI, which then send each other the weights")


def schedule_of(settings, peak, last):
    """Return the learning rate, a function of the step, that settings describe: ``peak`` at most, and smallest in step ``last``."""
    schedule = WarmupCosine(peak, settings.warmup, last, settings.min_lr)
    if settings.schedule == "constant":
        schedule = dataclasses.replace(schedule, floor=peak)
    elif settings.schedule == "inverse-sqrt":
        schedule = WarmupInverseSqrt(1, settings.warmup, peak * math.sqrt(settings.warmup))
    elif settings.schedule == "slanted-triangular":
        schedule = SlantedTriangular(peak, last)
    return schedule


def make_optimizer(model, settings, *, peak=None, scale=None, schedule=None, groups=()):
    """Return the optimiser that settings describe.

    Parameters
    ----------
    model : Layer
    settings : Settings
        With those of `RateSettings` or `OptimizerSettings`, and ``steps``.
    peak : float, optional
        The largest learning rate, in place of ``lr``.
    scale : function (int) -> float, optional
        Multiplies the learning rate of a step.
    schedule : function (int) -> float, optional
        The learning rate of a step, in place of `schedule_of` all steps.
    groups : list
        The optimiser's groups, before that of ``decay_all``.
    """
    if schedule is None:
        schedule = schedule_of(settings, settings.lr if peak is None else peak, settings.decay_steps or settings.steps)
    rate = schedule if scale is None else lambda step: schedule(step) * scale(step)
    groups = [*groups, *([("*", {"weight_decay": settings.weight_decay})] if settings.decay_all else [])]
    options = {"weight_decay": settings.weight_decay, "groups": groups}
    if settings.optimizer in ADAM["optimizer"]:
        options |= {"betas": (settings.beta1, settings.beta2), "eps": settings.adam_eps}
    optimizer = OPTIMIZERS[settings.optimizer](model, rate, **options)
    optimizer = Averaged(optimizer, patience=settings.average) if settings.average else optimizer
    if settings.divide:
        optimizer.divide()
    return optimizer


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
