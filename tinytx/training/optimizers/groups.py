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
first_step    a number: before this step, 0, 1, ..., the group is frozen

So ``Adam(model, lr, groups=[("*", {"weight_decay": 1e-4})])`` decays all parameters, as
``torch.optim.Adam(parameters, lr, weight_decay=1e-4)`` does.

The number 0 as ``lr`` or ``lr_factor`` freezes parameters in all steps. What is frozen does not change, to the bit; it gets
no gradient, so it has no part in the norm by which a trainer clips; and layers skip what only this gradient needs. With
``first_step`` layers are thawed one after the other (Howard and Ruder 2018, arXiv:1801.06146): `layerwise` gives the groups
of that paper, and a run that goes on finds its place by the step alone. `freeze` freezes whoever trains.
"""

import math
import numbers
import re
from collections.abc import Callable
from dataclasses import dataclass, fields
from fnmatch import fnmatchcase
from functools import cached_property

from tinytx.arguments import INT64, check_whole


@dataclass(frozen=True)
class Settings:
    """The settings of a group; None means that the group does not change a setting.

    Parameters
    ----------
    lr : float or function (int) -> float, optional
    lr_factor : float or function (int) -> float
    weight_decay : float, optional
    first_step : int
    """

    lr: float | Callable | None = None
    lr_factor: float | Callable = 1.0
    weight_decay: float | None = None
    first_step: int = 0

    @cached_property
    def frozen(self):
        """Whether the learning rate is 0 in all steps."""
        return any(not callable(value) and value == 0 for value in (self.lr, self.lr_factor))

    def frozen_at(self, step):
        """Return whether the group is frozen in a step."""
        return self.frozen or step < self.first_step

    @cached_property
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
        if name == "first_step":
            check_whole(f"{place}: group {pattern!r}", name, value, 0, INT64[1])
        function = callable(value) and name not in ("weight_decay", "first_step")
        nothing = value is None and name not in ("lr_factor", "first_step")
        if not (function or nothing or isinstance(value, numbers.Real) and 0 <= value < math.inf):
            raise ValueError(f"{place}: group {pattern!r} sets {name} to {value!r}, expected a finite number from 0")
    return pattern, Settings(**settings)


def _at(value, step):
    return value(step) if callable(value) else value


def freeze(model, *patterns, frozen=True):
    """Freeze the parameters whose paths match one of the patterns; return these paths.

    Backward gives them no gradient, optimisers skip them, and copies of the model for threads know it. To be called before
    an optimiser is made, as its counterpart `thaw` is: moments that have not been collected cannot be made up for.

    Parameters
    ----------
    model : Layer
    *patterns : str
        As in groups.

    Raises
    ------
    ValueError
        If a pattern matches no parameter.
    """
    named, chosen = dict(model.named_parameters()), []
    for pattern in patterns:
        matching = [path for path in named if fnmatchcase(path, pattern)]
        if not matching:
            raise ValueError(f"freeze: {pattern!r} matches no parameter; their paths are {some(list(named))}")
        chosen += matching
    for path in chosen:
        named[path].frozen = frozen
    return list(dict.fromkeys(chosen))


def thaw(model, *patterns):
    """Undo `freeze` for the parameters whose paths match; return these paths."""
    return freeze(model, *patterns, frozen=False)


def by_depth(model):
    """Return the paths of a model's parameters by depth: lists, that of the head first and that of the embeddings last.

    Depth counts from the loss. The head and what else is no part of the body have depth 0, the body's last block and the
    norm behind it 1, and so on; what stands before the first block has the largest.

    Parameters
    ----------
    model : Task
        Its body has one list of blocks or layers.

    Raises
    ------
    ValueError
        If there is no such list in the body, or several.
    """
    paths = [path for path, _ in model.named_parameters()]
    found = {path: match for path in paths if (match := re.match(r"(body\..*?)\.(\d+)\.", path))}
    lists = {match[1] for match in found.values()}
    if len(lists) != 1:
        raise ValueError(f"by_depth: the body of {type(model).__name__} has {len(lists)} lists of blocks, expected one")
    n = 1 + max(int(match[2]) for match in found.values())
    first = next(iter(found))
    depths = [[] for _ in range(n + 2)]
    for path in paths:
        if path in found:
            depth = n - int(found[path][2])
        elif path.startswith("body."):
            depth = n + 1 if paths.index(path) < paths.index(first) else 1
        else:
            depth = 0
        depths[depth].append(path)
    return depths


def layerwise(model, *, factor=2.6, every=0):
    """Return the groups of a fine-tuning: lower layers, which are more general, learn slower and begin later.

    Parameters
    ----------
    model : Task
        See `by_depth`.
    factor : float
        The learning rate at depth d is the optimiser's divided by factor^d; 1 for one rate.
    every : int
        Steps after which one layer more is thawed, the head from the first step on; 0: all learn from there on.

    Returns
    -------
    list of (str, dict)
        ``groups`` of an optimiser, a pattern for each parameter. Others may be put before them.

    Examples
    --------
    >>> from tinytx.models import GPT, GPTConfig
    >>> from tinytx.tasks import NextToken
    >>> model = NextToken(GPT(GPTConfig(9, d_model=4, n_heads=2, n_layers=2), rng=np.random.default_rng(0)))
    >>> [len(paths) for paths in by_depth(model)]
    [0, 18, 16, 2]
    >>> layerwise(model, factor=2.0, every=10)[-1]
    ('body.position.weight', {'lr_factor': 0.125, 'first_step': 30})
    """
    return [
        (path, {"lr_factor": factor**-depth, "first_step": every * depth})
        for depth, paths in enumerate(by_depth(model))
        for path in paths
    ]


def some(paths, most=8):
    """Return the first paths as text, and their number if there are more."""
    return ", ".join(paths[:most]) + (f", ... ({len(paths)} in all)" if len(paths) > most else "")
