r"""A linear map whose weights are whole numbers of 8 bits, with a step for each output: y = x W + b in a quarter of the bytes.

For models that are used and not trained. Choosing one word after the other multiplies each matrix by a few rows; the product
then takes as long as the matrix takes to be read from memory, and 8 bits are read in a quarter of the time of 32.

Derivation
----------
Write w_j for the weights of output j, the j-th column of W in ``linear.py``: y_j = sum_i w_ji x_i + b_j. Here they lie
in memory side by side, as a row. Each row is rounded to multiples of its own step s_j, which is chosen so that the largest
weight of the row becomes 127:

    s_j = max_i |w_ji| / 127,   q_ji = round(w_ji / s_j)                 (1)
    y_j = sum_i (s_j q_ji) x_i + b_j = s_j sum_i q_ji x_i + b_j          (2)

|w_ji / s_j| is at most 127, so that q_ji fits into 8 bits, signed. The step stands in front of the sum: a loop over a row
turns each q into a float in a register, multiplies and adds, and multiplies by s_j once. A row of zeros has s_j = 0.

What rounding costs. A number is at most 1/2 away from the nearest whole number, so what is left of a weight, r_ji, is at most
half a step. A statement in brackets is 1 where it holds, which is everywhere:

    r_ji = w_ji - s_j q_ji,   [|r_ji| <= s_j / 2] = 1                    (3)

E_j is what this takes from an output; by (3) and the triangle inequality it is at most

    E_j = sum_i r_ji x_i = sum_i w_ji x_i + b_j - y_j,   [|E_j| <= (s_j / 2) sum_i |x_i|] = 1            (4)

The bound is met where every weight lies halfway between two multiples, and errors have the signs of x. Nothing makes them
so. If the n errors of a row are independent and uniform in ±s_j/2, each has the variance s_j^2 / 12, and E_j the standard
deviation s_j |x| / sqrt(12), with |x| the length of x.

For normal weights of deviation σ and n = 768 the largest of a row is about 3.2 σ, s_j = σ / 40, and this is a share of
1 / (40 sqrt(12)) = 0.7 % of y_j's own deviation σ |x|. The sum itself is rounded too, as every sum of n floats: by at most
n ε s_j sum_i |q_ji| |x_i|, ε = 6e-8, which is small beside (4) as long as n is below a few ten thousand.

(1) is computed in float64, and s_j rounded to the dtype of the weights. (3) holds for that s_j, unless it is so small that its
dtype has lost digits (below 1e-38 in float32).

There is no backward: round is constant almost everywhere, so that by (1) the gradient of q is 0 or does not exist. Train the
floats, and round them then.

With numbers
------------
The first row's step is 2 / 127; -0.5 is -31.75 steps, and becomes -32:

>>> weight, steps = quantize_rows(np.array([[2.0, -0.5], [0.0, 0.0]]))
>>> weight.tolist(), (steps * 127).tolist()
([[127, -32], [0, 0]], [2.0, 0.0])
>>> (quantized_linear(np.array([[1.0, 1.0]]), weight, steps) * 127).round(6).tolist()  # (127 - 32) 2; 190.5 without rounding
[[190.0, 0.0]]

The same in plain NumPy: ``quantized_linear`` in ``plain.py``.
"""

import numpy as np

from tinytx import workers
from tinytx.kernel import kernel, prefetch, share
from tinytx.ops.few_rows import padded
from tinytx.shapes import check_axes, check_float, check_ids, check_shape, contiguous, rows

SHARED = 1 << 17  # numbers of a matrix, from which on helpers that are awake take their part of a product of few rows
ROWS, OUTPUTS = 8, 64  # rows of x that are multiplied at a time, and outputs of a part
MANY = 24  # rows of x from which on W is made of floats, a part at a time, for a product of matrices
AHEAD, LINE = 4096, 64  # bytes of W that are asked for before they are read, and how many come at once
PART = 1 << 19  # elements of such a part


@kernel
def _outputs_of_one(p, y, x, weight, steps):
    """Write (2) without b for one row, x and y (1, ...): part p of the outputs, two at a time."""
    m, k = weight.shape
    parts = _parts(m)
    stop = m * (p + 1) // parts
    for j in range(m * p // parts, stop, 2):
        other = min(j + 1, stop - 1)  # the last one again, where their number is odd
        for at in range(0, 2 * k, LINE):
            prefetch(weight, j * k + AHEAD + at)
        s = t = x.dtype.type(0)
        for i in range(k):
            s += x.dtype.type(weight[j, i]) * x[0, i]
            t += x.dtype.type(weight[other, i]) * x[0, i]
        y[0, j], y[0, other] = s * steps[j], t * steps[other]  # (2)


@kernel
def _outputs_of_eight(p, y, x, weight, steps):
    """Write (2) without b for eight rows, which have room in a processor's registers: part p of the outputs, two at a time."""
    m, k = weight.shape
    parts, zero = _parts(m), x.dtype.type(0)
    stop = m * (p + 1) // parts
    for j in range(m * p // parts, stop, 2):
        other = min(j + 1, stop - 1)
        for at in range(0, 2 * k, LINE):
            prefetch(weight, j * k + AHEAD + at)
        a, b, c, d, e, f, g, h = zero, zero, zero, zero, zero, zero, zero, zero
        q, r, s, t, u, v, w, z = zero, zero, zero, zero, zero, zero, zero, zero
        for i in range(k):
            left, right = x.dtype.type(weight[j, i]), x.dtype.type(weight[other, i])
            a += left * x[0, i]
            q += right * x[0, i]
            b += left * x[1, i]
            r += right * x[1, i]
            c += left * x[2, i]
            s += right * x[2, i]
            d += left * x[3, i]
            t += right * x[3, i]
            e += left * x[4, i]
            u += right * x[4, i]
            f += left * x[5, i]
            v += right * x[5, i]
            g += left * x[6, i]
            w += right * x[6, i]
            h += left * x[7, i]
            z += right * x[7, i]
        left, right = steps[j], steps[other]
        y[0, j], y[1, j], y[2, j], y[3, j] = a * left, b * left, c * left, d * left  # (2)
        y[4, j], y[5, j], y[6, j], y[7, j] = e * left, f * left, g * left, h * left
        y[0, other], y[1, other], y[2, other], y[3, other] = q * right, r * right, s * right, t * right
        y[4, other], y[5, other], y[6, other], y[7, other] = u * right, v * right, w * right, z * right


@kernel
def _parts(m):
    return (m + OUTPUTS - 1) // OUTPUTS


@kernel
def _by_outputs_of_one(words, y, x, weight, steps):
    share(words, _outputs_of_one, _parts(len(weight)), (y, x, weight, steps))


@kernel
def _by_outputs_of_eight(words, y, x, weight, steps):
    share(words, _outputs_of_eight, _parts(len(weight)), (y, x, weight, steps))


def _few(x, weight, steps):
    """Return (2) without b (N, M) for few rows x (N, K): eight at a time, and a single one by itself."""
    y, words = np.empty((-(-len(x) // ROWS) * ROWS, len(weight)), x.dtype), workers.awake.words(weight.size >= SHARED)
    for n in range(0, len(x), ROWS):
        if n + 1 == len(x):
            _by_outputs_of_one(words, y[n : n + 1], x[n:], weight, steps)
        else:
            _by_outputs_of_eight(words, y[n : n + ROWS], padded(x[n : n + ROWS]), weight, steps)
    return y[: len(x)]


def _many(x, weight, steps):
    """Return the same for many rows: a part of W as floats, and a product of matrices, which adds up in another order."""
    y, size = np.empty((len(x), len(weight)), x.dtype), max(1, PART // max(1, weight.shape[1]))

    def outputs(start):
        part = slice(start, start + size)
        np.matmul(x, (weight[part] * steps[part, None]).T, out=y[:, part])

    workers.map(outputs, range(0, len(weight), size))
    return y


def quantize_rows(weight, *, out=None):
    """Return a matrix in 8 bits.

    Parameters
    ----------
    weight : array (M, K), float32 or float64
        One row for each output.
    out : int8 array (M, K), optional
        Where to write q: matrices that lie in one large piece of memory are read faster.

    Returns
    -------
    q : int8 array (M, K)
        Of (1), in -127..127; the error of each weight is within (3).
    steps : array (M,), the dtype of ``weight``
        s of (1).

    Raises
    ------
    TypeError, ValueError
        If it is no matrix of floats, or one of them is not finite.
    """
    check_float("quantize_rows", weight=weight)
    check_axes("quantize_rows", "weight", weight, "(M, K)")
    if out is not None:
        _check_int8("quantize_rows", "out", out)
        check_shape("quantize_rows", "out", out, weight.shape, "weight of shape", weight.shape)
    largest = np.abs(weight).max(axis=1, initial=0).astype(np.float64)
    if not np.isfinite(largest).all():
        row = int(np.flatnonzero(~np.isfinite(largest))[0])
        raise ValueError(f"quantize_rows: row {row} of weight has a largest size of {largest[row]}, expected finite numbers")
    steps, q = (largest / 127).astype(weight.dtype), np.empty(weight.shape, np.int8) if out is None else out  # (1)
    divisors = np.where(steps > 0, steps, 1).astype(np.float64)
    for row in range(len(weight)):  # one at a time: all of them in float64 would take eight times the result's memory
        q[row] = np.clip(np.rint(weight[row] / divisors[row]), -127, 127)  # (1)
    return q, steps


def quantized_linear(x, weight, steps, bias=None):
    """Return x W + b of weights in 8 bits.

    Parameters
    ----------
    x : array (..., d_in), float32 or float64
    weight : int8 array (d_out, d_in)
    steps : array (d_out,), the dtype of x
        As from `quantize_rows`.
    bias : array (d_out,), the dtype of x, optional

    Returns
    -------
    array (..., d_out)
        Beside the product with the floats, off by at most (4), and by what the sum itself is rounded.

    Raises
    ------
    TypeError, ValueError
        If dtypes differ, or shapes do not fit.
    """
    check_float("quantized_linear", x=x, steps=steps, **({} if bias is None else {"bias": bias}))
    _check_weight("quantized_linear", weight, steps)
    if x.ndim < 1 or x.shape[-1] != weight.shape[1]:
        raise ValueError(f"quantized_linear: weight of shape {weight.shape} does not fit x of shape {x.shape}: x @ weight.T")
    x_rows = rows(x)
    y = (_few if len(x_rows) < MANY else _many)(x_rows, contiguous(weight), contiguous(steps))
    if bias is not None:
        check_shape("quantized_linear", "bias", bias, steps.shape, "weight of shape", weight.shape)
        y += bias
    return y.reshape(*x.shape[:-1], len(weight))


def quantized_embedding(ids, weight, steps):
    """Return the rows of a table in 8 bits, one for each id.

    Parameters
    ----------
    ids : integers (...)
    weight : int8 array (V, D)
    steps : array (V,), float32 or float64
        As from `quantize_rows`.

    Returns
    -------
    array (..., D), the dtype of ``steps``

    Raises
    ------
    TypeError, ValueError
        If dtypes or shapes do not fit, or an id is not in 0..V-1.
    """
    check_float("quantized_embedding", steps=steps)
    _check_weight("quantized_embedding", weight, steps)
    ids = check_ids("quantized_embedding", ids, len(weight))
    return weight[ids] * steps[ids][..., None]


def _check_weight(place, weight, steps):
    _check_int8(place, "weight", weight)
    check_axes(place, "weight", weight, "(M, K)")
    check_shape(place, "steps", steps, weight.shape[:1], "weight of shape", weight.shape)


def _check_int8(place, name, array):
    if not isinstance(array, np.ndarray) or isinstance(array, np.ma.MaskedArray) or array.dtype != np.int8:
        kind = f"a {type(array).__name__}" + (f" of {array.dtype}" if isinstance(array, np.ndarray) else "")
        raise TypeError(f"{place}: {name} is {kind}, expected an array of int8 as quantize_rows returns it")
