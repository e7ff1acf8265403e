"""The learning rates of a run: worked out from its settings, and what is to be said about them."""

from tinytx.training import WarmupCosine


def cosine(settings, *, peak=None):
    """Return the warm-up and the cosine of a run; without ``--decay-steps`` the cosine ends with the run.

    Parameters
    ----------
    settings : dataclass
        With ``lr``, ``min_lr``, ``warmup``, ``decay_steps`` and ``steps``.
    peak : float, optional
        In place of ``lr``.
    """
    peak = settings.lr if peak is None else peak
    return WarmupCosine(peak, settings.warmup, settings.decay_steps or settings.steps, settings.min_lr)


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


def rate_notes(rate, settings, then=None):
    """Return a line for each of the settings that are fine by themselves and lose their effect beside others.

    Parameters
    ----------
    rate : function (int) -> float
    settings : RunSettings
    then : dict, optional
        The settings of the run that is gone on with.
    """
    steps, warmup, last = settings.steps, settings.warmup, settings.steps - 1
    if warmup >= steps:
        most = f"the largest learning rate is {rate(last):.3g} of --lr {rate(warmup):.3g}"
        return [f"--warmup is {warmup}, and the run ends at step {steps}: {most}"]
    if not isinstance(rate, WarmupCosine) or rate.peak == rate.floor:
        return []
    notes, end, floor = [], rate.total, f"--min-lr {rate.floor:g}"
    if rate.floor > rate.peak:
        notes.append(f"{floor} is above --lr {rate.peak:g}: the learning rate rises to its end")
    if end <= warmup:
        notes.append(f"--decay-steps is {end}, within the --warmup of {warmup}: after it the learning rate is {floor}")
    elif end < steps:
        notes.append(f"--decay-steps is {end}, and the run ends at step {steps}: from {end} on the rate is {floor}")
    elif end > steps:
        reached = f"the learning rate is still {rate(last):.3g} then, not {floor}"
        notes.append(f"--decay-steps is {end}, and the run ends at step {steps}: {reached}")
    if then and settings.decay_steps is None and then.get("decay_steps") is None and then.get("steps") != steps:
        notes.append(f"the cosine of the learning rate ends at step {steps} now; it was to end at {then.get('steps')}")
    return notes
