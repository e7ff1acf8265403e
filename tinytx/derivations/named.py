r"""Arrays whose axes have names. Operations match axes by name, so a product of x_i and w_j is the array x_i w_j of (i, j).

Three kinds of axis names:

- one letter: an index that an equation writes, as in x_i;
- a longer word, such as "rows": an axis that equations leave out, because they are about one row;
- "-1" and "-2": axes of a matrix or vector that is written without indices, as in x W, counted from the last.
"""

import math
from dataclasses import dataclass

import numpy as np

STEP = 1e-30  # of complex steps: (x + ih)'s imaginary part is h times the derivative, and nothing is subtracted
BARE = ("-2", "-1")
TIME = "time"  # the axis along which a recurrence goes


@dataclass(frozen=True)
class Named:
    """An array and its axes' names, in the order of its shape."""

    data: np.ndarray
    axes: tuple = ()

    def size(self, axis):
        """Return the length of an axis."""
        return self.data.shape[self.axes.index(axis)]

    def renamed(self, names):
        """Return the same array with axes renamed by a dict."""
        return Named(self.data, tuple(names.get(axis, axis) for axis in self.axes))

    def ordered(self, axes):
        """Return the plain array with exactly these axes, in this order."""
        return self.data.transpose([self.axes.index(axis) for axis in axes])

    @property
    def bare(self):
        """The axes of a vector or matrix without indices."""
        return tuple(axis for axis in BARE if axis in self.axes)


def aligned(*values):
    """Return (arrays that broadcast to each other, the axes of the result)."""
    axes = []
    for value in values:
        axes += [axis for axis in value.axes if axis not in axes]
    axes = tuple(axis for axis in axes if axis not in BARE) + tuple(axis for axis in BARE if axis in axes)
    arrays = []
    for value in values:
        shape = [value.size(axis) if axis in value.axes else 1 for axis in axes]
        arrays.append(value.ordered([axis for axis in axes if axis in value.axes]).reshape(shape))
    return arrays, axes


def elementwise(function, *values):
    """Return the Named of a NumPy function of arrays."""
    arrays, axes = aligned(*values)
    return Named(np.asarray(function(*arrays)), axes)


def product(a, b):
    """Return a b: by names, but for two factors without indices, of which one is a matrix, the product of matrices."""
    if not a.bare or not b.bare or len(a.bare) == len(b.bare) == 1:
        return elementwise(np.multiply, a, b)
    a = a.renamed({"-2": "left", "-1": "inner"})
    b = b.renamed({"-2": "inner", "-1": "right"} if len(b.bare) == 2 else {"-1": "inner"})
    if a.size("inner") != b.size("inner"):
        raise ValueError(f"product of matrices: {a.size('inner')} columns meet {b.size('inner')} rows")
    result = reduced("sum", elementwise(np.multiply, a, b), "inner")
    both = "left" in result.axes and "right" in result.axes
    return result.renamed({"left": "-2" if both else "-1", "right": "-1"})


def dot(a, b):
    """Return the scalar product over the axes without indices."""
    result = elementwise(np.multiply, a, b)
    for axis in result.bare:
        result = reduced("sum", result, axis)
    return result


def reduced(kind, value, axis):
    """Return the sum, mean, product, maximum or minimum over an axis; the last two compare real parts."""
    at = value.axes.index(axis)
    rest = value.axes[:at] + value.axes[at + 1 :]
    if kind in ("max", "min"):
        best = (np.argmax if kind == "max" else np.argmin)(value.data.real, axis=at)
        return Named(np.take_along_axis(value.data, np.expand_dims(best, at), at).squeeze(at), rest)
    return Named({"sum": np.sum, "mean": np.mean, "prod": np.prod}[kind](value.data, axis=at), rest)


def shifted(value, edge, ahead):
    """Return the value of the position before, along the axis "time", and the edge at the first one; ``ahead``: of the next one."""
    (a, b), axes = aligned(value, edge)
    at = axes.index(TIME)
    wide = np.broadcast_shapes(a.shape, b.shape)
    a, b = np.broadcast_to(a, wide), np.broadcast_to(b, (*wide[:at], 1, *wide[at + 1 :]))
    a = np.take(a, np.arange(1, wide[at]) if ahead else np.arange(wide[at] - 1), axis=at)
    return Named(np.concatenate([a, b] if ahead else [b, a], axis=at), axes)


def joined(values):
    """Return vectors behind each other."""
    arrays, axes = aligned(*values)
    rest = np.broadcast_shapes(*(array.shape[:-1] for array in arrays))
    return Named(np.concatenate([np.broadcast_to(array, (*rest, array.shape[-1])) for array in arrays], axis=-1), axes)


def at_end(value, last):
    """Return the value of the first position of the axis "time", or of the last."""
    at = value.axes.index(TIME)
    return Named(np.take(value.data, -1 if last else 0, axis=at), value.axes[:at] + value.axes[at + 1 :])


def power(base, exponent):
    """Return base^exponent; whole powers of negative numbers are products, exact for complex steps."""
    if not exponent.axes and float(exponent.data.real).is_integer() and not np.iscomplexobj(exponent.data):
        n = int(exponent.data)
        result = Named(np.ones_like(base.data), base.axes)
        for _ in range(abs(n)):
            result = elementwise(np.multiply, result, base)
        return elementwise(np.reciprocal, result) if n < 0 else result
    return elementwise(np.power, base, exponent)


def _erf(x):
    value = np.vectorize(math.erf)(x.real)
    return value + 1j * x.imag * 2 / np.sqrt(np.pi) * np.exp(-(x.real**2)) if np.iscomplexobj(x) else value


def _larger(a, b):
    return np.where(a.real >= b.real, a, b)


def _smaller(a, b):
    return np.where(a.real <= b.real, a, b)


ELEMENTWISE = {
    "ln": np.log, "log": np.log, "exp": np.exp, "sqrt": np.sqrt, "tanh": np.tanh, "sinh": np.sinh, "cosh": np.cosh,
    "sin": np.sin, "cos": np.cos, "erf": _erf, "floor": lambda x: np.floor(x.real), "ceil": lambda x: np.ceil(x.real), "round": lambda x: np.rint(x.real),
    "mod": lambda a, b: np.mod(a.real, b.real), "max": _larger, "min": _smaller,
    "abs": lambda x: np.where(x.real < 0, -x, x),
}  # fmt: skip
RELATIONS = {
    "=": np.equal, "!=": np.not_equal, "<": np.less, ">": np.greater, "<=": np.less_equal, ">=": np.greater_equal,
}  # fmt: skip


def softmax(x):
    """Return the softmax over the last axis without index."""
    largest = np.asarray(reduced("max", x, "-1").data.real)
    e = elementwise(np.exp, elementwise(np.subtract, x, Named(largest, tuple(a for a in x.axes if a != "-1"))))
    return elementwise(np.divide, e, reduced("sum", e, "-1"))


def assembled(parts, shape):
    """Return (the Named that has each value at its places, how often each place is written).

    Parameters
    ----------
    parts : list of (Named, list of Named)
        A value, and for each axis of ``shape`` the whole numbers at which it stands. Axes of the value that no place has come first.
    shape : tuple of int
    """
    written, outer, placed = np.zeros(shape, int), {}, []
    for value, places in parts:
        arrays, axes = aligned(*places)
        at = tuple(np.broadcast_arrays(*arrays))
        np.add.at(written, at, 1)
        outer |= {axis: value.size(axis) for axis in value.axes if axis not in axes}
        placed.append((value, at, axes))
    data = np.zeros((*outer.values(), *shape), np.result_type(*(value.data for value, _, _ in placed)))
    for value, at, axes in placed:
        array = value.ordered([*(axis for axis in outer if axis in value.axes), *axes])
        lengths = [outer[axis] if axis in value.axes else 1 for axis in outer]
        data[(slice(None),) * len(outer) + at] = array.reshape([*lengths, *at[0].shape])
    return Named(data, (*outer, *(str(i) for i in range(len(shape))))), written


def perturbed(value):
    """Return the value with an imaginary step in each entry in turn, along a new axis "step"."""
    n = value.data.size
    steps = (1j * STEP * np.eye(n)).reshape(n, *value.data.shape)
    return Named(value.data + steps, ("step", *value.axes))


def by_step(result, value):
    """Return the derivative of ``result``, computed from ``perturbed(value)``, with value's axes named "by ..."."""
    data = result.data.imag / STEP
    if "step" not in result.axes:
        return Named(np.zeros(data.shape + value.data.shape), result.axes + tuple(f"by {axis}" for axis in value.axes))
    axes = tuple(axis for axis in result.axes if axis != "step")
    data = Named(data, result.axes).ordered((*axes, "step"))
    return Named(data.reshape((*data.shape[:-1], *value.data.shape)), axes + tuple(f"by {axis}" for axis in value.axes))
