r"""Parameter groups: another learning rate or weight decay for parameters whose path matches a pattern.

    AdamW(model, schedule, weight_decay=0.1, groups=[
        ("blocks.0.*", {"lr_factor": 0.0}),              # frozen, with its biases
        ("*.bias", {"weight_decay": 0.0}),               # all other biases
        ("token.weight", {"lr_factor": 0.1}),            # a tenth of the schedule's rate
        ("*", {"weight_decay": 0.01}),                   # everything that is left, gains too
    ])

A pattern is matched with the whole path, as `named_parameters` gives it; ``*`` stands for any characters, dots
included, ``?`` for one and ``[ab]`` for one of a few (`fnmatch.fnmatchcase`). The first pattern that matches wins, and
the rest of the list is not looked at. A parameter that two layers share has one path, that of the layer defined first.

The settings of a group, each of which may be left out:

lr            a number, or a function of the step: in place of the optimiser's, and not multiplied by it
lr_factor     a number, or a function of the step: multiplies the learning rate, so that a schedule is kept in shape
weight_decay  a number, taken at its word: it holds for gains and biases too, where the optimiser's own is for matrices

So ``Adam(model, lr, groups=[("*", {"weight_decay": 1e-4})])`` decays all parameters, as
``torch.optim.Adam(parameters, lr, weight_decay=1e-4)`` does.

A number 0 as ``lr`` or ``lr_factor`` freezes: such a parameter keeps its bits, whatever its gradient and decay, and the
optimiser passes it over. Its gradient is still computed, and counts in the norm by which a trainer clips.
"""

import math
import numbers
from collections.abc import Callable
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase


@dataclass(frozen=True)
class Settings:
    """What a group says of its parameters; None where it says nothing.

    Parameters
    ----------
    lr : float or function (int) -> float, optional
    lr_factor : float or function (int) -> float
    weight_decay : float, optional
    """

    lr: float | Callable | None = None
    lr_factor: float | Callable = 1.0
    weight_decay: float | None = None

    @property
    def frozen(self):
        """Whether the learning rate is 0 in all steps."""
        return any(not callable(value) and value == 0 for value in (self.lr, self.lr_factor))

    @property
    def plain(self):
        """Whether the learning rate is the optimiser's own in all steps."""
        return self.lr is None and not callable(self.lr_factor) and self.lr_factor == 1

    def rate(self, lr, step, check):
        """Return the learning rate of a step, 0, 1, ..., where the optimiser's is ``lr``.

        ``check(name, value)`` raises an error if a value cannot be a rate or a factor.
        """
        if self.lr is not None:
            lr = check("lr", _at(self.lr, step))
        return check("lr_factor times lr", check("lr_factor", _at(self.lr_factor, step)) * lr)


def settings_of(place, paths, groups):
    """Return {path: Settings}: those of the first group whose pattern matches, or none of its own.

    Parameters
    ----------
    place : str
        Who asks, for the message.
    paths : iterable of str
        Of all parameters.
    groups : sequence of (str, dict)

    Raises
    ------
    ValueError
        If a setting is unknown or out of range, or a pattern takes no parameter: naming the group.
    """
    found, left = {}, list(paths)
    for number, group in enumerate(groups):
        pattern, settings = _checked(place, number, group)
        taken = [path for path in left if fnmatchcase(path, pattern)]
        if not taken:
            earlier = [path for path in found if fnmatchcase(path, pattern)]
            why = (
                f"matches only what earlier groups have taken ({some(earlier)}): put it before them"
                if earlier
                else f"matches no parameter; their paths are {some(left + list(found))}"
            )
            raise ValueError(f"{place}: group {pattern!r} {why}")
        found |= dict.fromkeys(taken, settings)
        left = [path for path in left if path not in found]
    return {path: found.get(path, Settings()) for path in paths}


def _checked(place, number, group):
    """Return the pattern and the Settings of a group as a user writes it."""
    if not (isinstance(group, tuple | list) and len(group) == 2 and isinstance(group[0], str)):
        raise ValueError(f"{place}: groups[{number}] is {group!r}, expected a pair (pattern, settings)")
    pattern, settings = group
    known = [field.name for field in fields(Settings)]
    for name, value in dict(settings).items():
        if name not in known:
            raise ValueError(f"{place}: group {pattern!r} sets {name!r}, expected one of {', '.join(known)}")
        function = callable(value) and name != "weight_decay"
        nothing = value is None and name != "lr_factor"
        if not (function or nothing or isinstance(value, numbers.Real) and 0 <= value < math.inf):
            raise ValueError(f"{place}: group {pattern!r} sets {name} to {value!r}, expected a number from 0 on")
    return pattern, Settings(**settings)


def _at(value, step):
    return value(step) if callable(value) else value


def some(paths, most=8):
    """Return the first few of many paths, as text."""
    return ", ".join(paths[:most]) + (f", ... ({len(paths)} in all)" if len(paths) > most else "")
