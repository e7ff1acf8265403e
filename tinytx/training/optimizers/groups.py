r"""Parameter groups: another learning rate or weight decay for parameters whose path matches a pattern.

    AdamW(model, schedule, weight_decay=0.1, groups=[
        ("body.blocks.0.*", {"lr_factor": 0.0}),         # frozen, with its biases
        ("*.bias", {"weight_decay": 0.0}),               # all other biases
        ("body.token.weight", {"lr_factor": 0.1}),       # a tenth of the schedule's rate
        ("*", {"weight_decay": 0.01}),                   # all remaining parameters, gains too
    ])

A pattern must match the whole path of `named_parameters`. ``*`` matches any characters, dots too, ``?`` one character
and ``[ab]`` one of several (`fnmatch.fnmatchcase`). The first pattern that matches counts. A parameter that two layers
share has one path, that of the layer defined first.

The settings of a group, all optional:

lr            a number, or a function of the step: replaces the optimiser's learning rate
lr_factor     a number, or a function of the step: multiplies the learning rate, so the schedule keeps its shape
weight_decay  a number: applies to gains and biases too, while the optimiser's own applies to matrices only

So ``Adam(model, lr, groups=[("*", {"weight_decay": 1e-4})])`` decays all parameters, as
``torch.optim.Adam(parameters, lr, weight_decay=1e-4)`` does.

The number 0 as ``lr`` or ``lr_factor`` freezes parameters: the optimiser skips them, and their values do not change.
Their gradients are still computed, and count in the norm by which a trainer clips.
"""

import math
import numbers
from collections.abc import Callable
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase


@dataclass(frozen=True)
class Settings:
    """The settings of a group; None means that the group does not change a setting.

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
        """Whether the learning rate is the optimiser's in all steps."""
        return self.lr is None and not callable(self.lr_factor) and self.lr_factor == 1

    def rate(self, lr, step, check):
        """Return the learning rate of a step, 0, 1, ..., given the optimiser's, ``lr``.

        ``check(name, value)`` raises an error if a value cannot be a rate or a factor.
        """
        if self.lr is not None:
            lr = check("lr", _at(self.lr, step))
        return check("lr_factor times lr", check("lr_factor", _at(self.lr_factor, step)) * lr)


def settings_of(place, paths, groups):
    """Return {path: Settings} of the first group whose pattern matches, or the default settings.

    Parameters
    ----------
    place : str
        The calling class, for the message.
    paths : iterable of str
        Of all parameters.
    groups : sequence of (str, dict)

    Raises
    ------
    ValueError
        If a setting is unknown or out of range, or a pattern matches no parameter; the message names the group.
    """
    settings_by_path, left = {}, list(paths)
    for number, group in enumerate(groups):
        pattern, settings = _checked(place, number, group)
        taken = [path for path in left if fnmatchcase(path, pattern)]
        if not taken:
            earlier = [path for path in settings_by_path if fnmatchcase(path, pattern)]
            why = (
                f"matches only parameters of earlier groups ({some(earlier)}): put it before them"
                if earlier
                else f"matches no parameter; their paths are {some(left + list(settings_by_path))}"
            )
            raise ValueError(f"{place}: group {pattern!r} {why}")
        settings_by_path |= dict.fromkeys(taken, settings)
        left = [path for path in left if path not in settings_by_path]
    return {path: settings_by_path.get(path, Settings()) for path in paths}


def _checked(place, number, group):
    """Return the pattern and the Settings of a group that a user wrote."""
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
            raise ValueError(f"{place}: group {pattern!r} sets {name} to {value!r}, expected a finite number from 0")
    return pattern, Settings(**settings)


def _at(value, step):
    return value(step) if callable(value) else value


def some(paths, most=8):
    """Return the first paths as text, and their number if there are more."""
    return ", ".join(paths[:most]) + (f", ... ({len(paths)} in all)" if len(paths) > most else "")
