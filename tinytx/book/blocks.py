"""A model as boxes within boxes: which layers a task calls, in which order, what each returns, and how many weights it has.

Nothing is written by hand: one row runs forward on a tape that notes each call. Layers that follow each other and are alike
are one box, with their number.
"""

import math
from dataclasses import dataclass, field, fields, is_dataclass

import numpy as np

from tinytx.core import Tape

LEFT_OUT = {"Dropout"}  # layers that do nothing but in training
PERIOD = 3  # boxes that repeat together, at most
PLAIN = (bool, int, float, str, type(None))


@dataclass
class Box:
    """A call of a layer, or several that are alike.

    Attributes
    ----------
    kind : str
        The layer's class; "" of a group of boxes that repeats.
    paths : list of str
        The layer's path, or those of all layers that it stands for.
    shapes : list of tuple of (int or None)
        Of what it returns; None where that differs from call to call.
    parameters : list of (id, shape)
        Of all parameters of the layer.
    weights : list of tuple of int
        Shapes of those that belong to no layer called before, or inside.
    is_shared : bool
        Whether it has parameters, and all of them are those of layers called before.
    inside : list of Box
    times : int
        How many calls it stands for.
    is_same : bool
        Whether these calls share their weights.
    sees : boolean array (T, S), or None
        Of a layer with attention: which keys each query of the row may see, in some head.
    settings : tuple
        What tells two layers of a class apart.
    layer : type, or None
        The layer's class.
    """

    kind: str
    paths: list
    shapes: list = field(default_factory=list)
    parameters: list = field(default_factory=list)
    weights: list = field(default_factory=list)
    is_shared: bool = False
    inside: list = field(default_factory=list)
    times: int = 1
    is_same: bool = False
    sees: np.ndarray | None = None
    settings: tuple = ()
    layer: type | None = None

    @property
    def likeness(self):
        """What boxes that are one have in common."""
        shapes = [(len(shape), shape[-1]) if len(shape) == 2 else shape for shape in self.shapes]  # of two, the first may be chosen rows
        return self.kind, shapes, [shape for _, shape in self.parameters], self.settings, self.times, [box.likeness for box in self.inside]

    @property
    def ids(self):
        """The ids of its parameters."""
        return {key for key, _ in self.parameters}.union(*(box.ids for box in self.inside))


class _Watching(Tape):
    """A tape that notes the calls of layers as boxes."""

    def __init__(self, model):
        super().__init__()
        self.paths = {id(layer): path for path, layer in model.named_layers()}
        self.open, self.seen, self.maps = [[]], set(), []

    def call(self, layer, inputs, settings):
        own = [(id(parameter), parameter.data.shape) for parameter in layer.parameters()]
        path = self.paths.get(id(layer), "")
        box = Box(type(layer).__name__, [path], parameters=own, settings=_settings(layer), layer=type(layer))
        box.is_shared = bool(own) and all(key in self.seen for key, _ in own)
        if hasattr(layer, "attention_weights"):
            weights = np.asarray(layer.attention_weights(*inputs, **settings))  # (B, H, T, S)
            box.sees = (weights[0] > 0).any(axis=0)
            self.maps.append((path, box.sees))
        self.open.append(box.inside)
        y = super().call(layer, inputs, settings)
        self.open.pop()
        box.shapes = [part.shape for part in (y if isinstance(y, tuple) else (y,)) if isinstance(part, np.ndarray)]
        box.weights = [shape for key, shape in own if key not in self.seen]
        self.seen |= {key for key, _ in own}
        if box.kind not in LEFT_OUT:
            self.open[-1].append(box)
        return y


def _settings(layer):
    """Return the plain values in a layer, such as an epsilon or the pattern of an attention."""
    return tuple((name, _plain(value)) for name, value in vars(layer).items() if isinstance(value, (*PLAIN, tuple)) or is_dataclass(value))


def _plain(value):
    if is_dataclass(value):
        return type(value).__name__, *(_plain(getattr(value, f.name)) for f in fields(value))
    return tuple(map(_plain, value)) if isinstance(value, tuple) else value if isinstance(value, PLAIN) else type(value).__name__


def boxes_of(task, batch):
    """Return (the boxes of what a task calls for the loss of a batch, in order; where its layers look).

    Parameters
    ----------
    task : Task
    batch : tuple of arrays
        Of one row.

    Returns
    -------
    boxes : list of Box
    maps : list of (str, boolean array (T, S))
        For each call of a layer with attention: its path, and which keys each query may see, in some head.
    """
    watching = _Watching(task)
    task.loss(*batch, tape=watching)
    (boxes,) = watching.open
    rest = [(id(p), p.data.shape) for p in task.parameters() if id(p) not in watching.seen]
    if rest:  # of the task itself
        boxes.append(Box(type(task).__name__, ["the task itself"], [], rest, [shape for _, shape in rest]))
    return merged(boxes), watching.maps


def merged(boxes):
    """Return boxes of which those that follow each other and are alike are one, those inside too."""
    for box in boxes:
        box.inside = merged(box.inside)
    found = []
    while boxes:
        counts = {period: _repeats(boxes, period) for period in range(1, PERIOD + 1)}
        period = next((period for period, n in counts.items() if n > 1), None)
        if period is None:
            found.append(boxes[0])
            boxes = boxes[1:]
        else:
            end = period * counts[period]
            calls, boxes = boxes[:end], boxes[end:]
            found.append(_one([calls[i::period] for i in range(period)]))
    return found


def _repeats(boxes, period):
    """Return how many times the first ``period`` boxes stand there, one time after the other."""
    groups = [boxes[i : i + period] for i in range(0, len(boxes) - period + 1, period)]
    n = 1
    while n < len(groups) and all(a.likeness == b.likeness for a, b in zip(groups[0], groups[n])) and _fit(groups[: n + 1]):
        n += 1
    return n


def _fit(groups):
    """Return whether the weights of all groups are the same, or all others."""
    ids = [set().union(*(box.ids for box in group)) for group in groups]
    return len(set().union(*ids)) in (len(ids[0]), sum(map(len, ids)))


def _one(columns):
    """Return the box that stands for calls that repeat; ``columns`` has a list of the same calls for each place."""
    firsts = []
    for calls in columns:
        firsts.append(calls[0])
        for call in calls[1:]:
            _join(calls[0], call)
    n, is_same = len(columns[0]), len(columns[0]) > 1 and bool(firsts[0].ids) and columns[0][1].ids == firsts[0].ids
    if len(firsts) == 1 and firsts[0].times == 1:
        firsts[0].times, firsts[0].is_same = n, is_same
        return firsts[0]
    return Box("", [], inside=firsts, times=n, is_same=is_same)


def _join(box, other):
    """Make a box stand for another one that is alike, too."""
    box.paths = list(dict.fromkeys([*box.paths, *other.paths]))
    box.shapes = [tuple(a if a == b else None for a, b in zip(*pair)) for pair in zip(box.shapes, other.shapes)]
    for pair in zip(box.inside, other.inside):
        _join(*pair)


def size(box, n_words=None):
    """Return (a, b): a box and those inside have a + b V weights, where V is ``n_words``, the number of words; b is 0 without it.

    >>> size(Box("Linear", [], weights=[(7, 4), (4,)]), n_words=7)
    (4, 4)
    """
    parts = [_split(shape, n_words) for shape in box.weights] + [size(part, n_words) for part in box.inside]
    factor = 1 if box.is_same else box.times
    return tuple(factor * sum(column) for column in zip((0, 0), *parts))


def _split(shape, n_words):
    n = math.prod(shape)
    return (0, n // n_words) if n_words in shape else (n, 0)
