"""Cases for the properties: sizes and values drawn, and a forward and a backward over named arrays.

Sizes and values of a case come from a `Drawn` (hypothesis: failures shrink) or a `Seeded` (the same in every run)::

    case = OpCase(ops.linear, ops.linear_backward, {"x": make.array(2, 3), "weight": make.array(3, 5)})
"""

import math

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from tinytx import workers
from tinytx.core import Tape

# ---------------------------------------------------------------------------------------- sizes and values


class Maker:
    """Draws sizes and arrays by one primitive, ``integers(low, high, shape)``, both ends included."""

    def __init__(self, ones=False):
        self._ones = ones  # all sizes 1 or 2: where an axis can be mistaken for a broadcast one
        self._made = 0

    def sizes(self, n, *, but=()):
        """Return n sizes, pairwise distinct, not in ``but`` and above 1, so that no axis can stand in for another."""
        if self._ones:
            return [self.integers(1, 2) for _ in range(n)]
        pool = [size for size in range(2, 3 + n + len(but)) if size not in but]
        return [pool.pop(self.integers(0, len(pool) - 1)) for _ in range(n)]

    def array(self, *shape, scale=1.0):
        """Return a float64 array of entries +-(0.4 .. 1.6) ``scale``: far from 0, from kinks, from constant rows.

        A fixed irregular pattern, another one for each array, and drawn noise on top: drawing the whole would let
        hypothesis shrink to the zeros and ties at which finite differences are ill-conditioned.
        """
        self._made += 1
        k = np.arange(math.prod(shape)) + 17.0 * self._made
        magnitude = 0.55 + 0.9 * (k * 0.6180339887498949 % 1)
        sign = np.where(k * 0.4142135623730950 % 1 < 0.5, 1, -1)
        return scale * (sign * magnitude).reshape(shape) + scale / 100 * self.integers(-15, 15, shape)

    def ids(self, size, *shape):
        return self.integers(0, size - 1, shape)

    def mask(self, *shape):
        """Return a mask with allowed and forbidden elements; its first row, if there are several, allows none."""
        mask = self.integers(0, 3, shape) > 0
        if math.prod(shape[:-1]) > 1:
            mask.reshape(-1, shape[-1])[0] = False
        return mask

    def choice(self, *options):
        return options[self.integers(0, len(options) - 1)]


class Drawn(Maker):
    """Draws with hypothesis; ``draw`` is what a composite strategy, or ``data()``, gives."""

    def __init__(self, draw, **options):
        super().__init__(**options)
        self._draw = draw

    def integers(self, low, high, shape=()):
        elements = st.integers(low, high)
        return self._draw(hnp.arrays(np.int64, shape, elements=elements) if shape else elements)


class Seeded(Maker):
    """Draws from a generator of its own."""

    def __init__(self, seed, **options):
        super().__init__(**options)
        self._rng = np.random.default_rng(seed)

    def integers(self, low, high, shape=()):
        drawn = self._rng.integers(low, high + 1, shape)
        return drawn if shape else int(drawn)


def signs(rng, shape):
    """Return a direction without small entries: sign times uniform in [0.5, 1.5]."""
    return np.asarray(rng.choice([-1.0, 1.0], shape) * rng.uniform(0.5, 1.5, shape))


def features(d):
    """Return d as a width for layer norm: not 2, where features are +-1 whatever they are, and gradients eps' size."""
    return d + 1 if d > 1 else d


# ---------------------------------------------------------------------------------------- cases


class OpCase:
    """A pair of functions of ``tinytx.ops``, called as ``op(*arrays.values(), **options)``.

    Parameters
    ----------
    op, op_backward : function
        ``op`` returns (y, saved); ``op_backward(dy, saved)`` the gradients of ``arrays``, in their order.
    arrays : dict of str to float64 array
    before : tuple
        What op takes before the arrays: ids, which have no gradient.
    batch : tuple of str
        The arrays whose first axis, like y's, counts independent rows.
    reach : float
        The largest step of a finite difference, in units of an array's RMS.
    options : dict
    """

    def __init__(self, op, op_backward, arrays, *, before=(), batch=(), reach=0.25, **options):
        self.op, self.op_backward, self.arrays, self.before = op, op_backward, arrays, before
        self.batch, self.reach, self.options = batch, reach, options
        self.strided = tuple(arrays)  # those which a caller may hand in in any memory layout

    def forward(self, arrays):
        return self.op(*self.before, *arrays.values(), **self.options)

    def backward(self, dy, saved):
        gradients = self.op_backward(dy, saved)
        return dict(zip(self.arrays, gradients if isinstance(gradients, tuple) else (gradients,), strict=True))

    def gradient(self, arrays, dy):
        return self.backward(dy, self.forward(arrays)[1])


class LayerCase(OpCase):
    """A layer as a pair of functions of its inputs *and* all of its parameters, called as ``layer(x, tape, ...)``.

    Parameters
    ----------
    make : Maker
    build : function (dtype) -> Layer
    inputs : dict of str to array
        Those with a gradient, in order, after the ids of ``before``.
    tape : function () -> Tape
    shares : bool
        Whether a parameter is used at two places.
    """

    def __init__(
        self,
        make,
        build,
        inputs,
        *,
        tape=Tape,
        shares=False,
        before=(),
        batch=None,
        reach=0.25,
        **options,
    ):
        self.layers = {np.dtype(dtype): build(dtype) for dtype in (np.float32, np.float64)}
        self._parameters = {dtype: list(layer.named_parameters()) for dtype, layer in self.layers.items()}  # found once
        values = {path: _random(make, parameter.data.shape) for path, parameter in self._parameters[np.dtype(float)]}
        batch = tuple(inputs) if batch is None else batch
        super().__init__(None, None, inputs | values, before=before, batch=batch, reach=reach, **options)
        self.inputs, self.strided = tuple(inputs), tuple(inputs)
        self.tape, self.shares = tape, shares

    def bind(self, arrays):
        """Return the layer with ``arrays`` as its parameters."""
        dtype = next(iter(arrays.values())).dtype
        for path, parameter in self._parameters[dtype]:
            parameter.data = arrays[path]
        return self.layers[dtype]

    def call(self, layer, arrays, tape=None):
        return layer(*self.before, *(arrays[name] for name in self.inputs), tape, **self.options)

    def forward(self, arrays):
        layer, tape = self.bind(arrays), self.tape()
        return self.call(layer, arrays, tape), (layer, tape)

    def backward(self, dy, saved):
        layer, tape = saved
        layer.zero_grad()
        dx = layer.backward(dy, tape)
        tape.check_empty()
        dx = dx if isinstance(dx, tuple) else (dx,)
        gradients = dict(zip(self.inputs, dx[len(self.before) :], strict=True)) if self.inputs else {}
        return gradients | {path: parameter.grad for path, parameter in layer.named_parameters()}


def _random(make, shape):
    """Return values for a parameter: vectors near 1, matrices such that y is of x's size, however wide they are."""
    return make.array(*shape, scale=1 / math.sqrt(shape[0]) if len(shape) == 2 else 1.0)


def cast(arrays, dtype):
    return {name: array.astype(dtype) for name, array in arrays.items()}


def locked(array):
    """Return a copy that cannot be written to."""
    array = np.array(array)
    array.flags.writeable = False
    return array


def arrays_in(thing):
    """Yield the arrays in nested tuples, lists and tapes."""
    if isinstance(thing, np.ndarray):
        yield thing
    elif isinstance(thing, Tape):
        yield from arrays_in(thing._stack)
    elif isinstance(thing, tuple | list):
        for child in thing:
            yield from arrays_in(child)


class Backwards(workers.Pool):
    """Makes the last call first, and notes how many calls each `tinytx.workers.map` had."""

    def __init__(self, count):
        super().__init__(count)
        self.calls = []

    def map(self, f, *arguments):
        calls = list(zip(*arguments))
        self.calls.append(len(calls))
        return [f(*call) for call in calls[::-1]][::-1]
