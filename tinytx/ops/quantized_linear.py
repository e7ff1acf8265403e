r"""A linear map whose weights are whole numbers of 8 bits, with a step for each output: y = x W + b in a quarter of the bytes.

For models that are used and not trained. Choosing one word after the other multiplies each matrix by a few rows; the product
then takes as long as the matrix takes to be read from memory, and 8 bits are read in a quarter of the time of 32. So that multiplying
takes no longer than reading, inputs become whole numbers, too, of 16 bits: processors multiply those in pairs.

Derivation
----------
Write w_j for the weights of output j, the j-th column of W in ``linear.py``: sum_i w_ji x_i + b_j is to be computed for a row x. Here they lie
in memory side by side, as a row. Each row is rounded to multiples of its own step s_j, which is chosen so that the largest
weight of the row becomes 127, and x to multiples of t, so that its largest number becomes L:

    s_j = max_i |w_ji| / 127,   q_ji = round(w_ji / s_j)                 (1)
    t = max_i |x_i| / L,   a_i = round(x_i / t)                          (2)
    y_j = s_j t sum_i q_ji a_i + b_j                                     (3)

|w_ji / s_j| is at most 127, so that q_ji fits into 8 bits, signed, and a_i into 16 if L is at most 32,767. The sum in (3) is one of whole numbers, at
most 127 L K if there are K of them, and it has to fit into 32 bits. So L is the smaller one of 32,767 and (2^31 - 1) / (127 K), rounded down: 22,016
for K = 768, and 5,504 for K = 3,072. Such a sum is exact, and the same whoever adds up, in whatever order. A row of zeros has s_j = 0 or t = 0.

What rounding costs. A number is at most 1/2 away from the nearest whole number, so what is left of a weight, r_ji, is at most
half a step, and so is what is left of an input, d_i. A statement in brackets is 1 where it holds, which is everywhere:

    r_ji = w_ji - s_j q_ji,   [|r_ji| <= s_j / 2] = 1                    (4)
    d_i = x_i - t a_i,   [|d_i| <= t / 2] = 1                            (5)

E_j is what this takes from an output. Since w_ji x_i = r_ji x_i + s_j q_ji (t a_i + d_i), it is at most, by (4), (5) and the triangle inequality,

    E_j = sum_i (r_ji x_i + s_j q_ji d_i) = sum_i w_ji x_i + b_j - y_j
    [|E_j| <= (s_j / 2) sum_i (|x_i| + t |q_ji|)] = 1                    (6)

The bound is met, but for the largest weight, where weights and inputs lie halfway between two multiples, and all errors have the same sign. Nothing
makes them so. If the 2 K errors are independent and uniform in ±s_j/2 and ±t/2, they have the variances s_j^2 / 12 and t^2 / 12, and E_j the standard
deviation s_j sqrt((|x|^2 + t^2 |q_j|^2) / 12), with |x| and |q_j| the lengths of x and of the row.

For normal weights of deviation σ and K = 768 the largest of a row is about 3.2 σ, s_j = σ / 40, and the weights' share of this is
1 / (40 sqrt(12)) = 0.7 % of y_j's own deviation σ |x|. For normal inputs the share of t is 1 / (6,900 sqrt(12)), 170 times less. With inputs in 8 bits,
L = 127, both shares would be equal; and an input that is 50 times as large as the others, as there are in language models, would leave them 2 steps.
The sum's products with t and s_j are made in float64, and rounded to the dtype of x.

(1) is computed in float64, and s_j rounded to the dtype of the weights, as t is to that of x. (4) and (5) hold for these numbers, unless they are so small
that the dtype has lost digits (below 1e-38 in float32). Where a number of x is infinite or NaN, t is NaN, and so are all outputs of the row.

Few rows and many are multiplied in the same way, eight at a time, so that a row's outputs do not depend on those beside it, to the last bit.

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

The same in plain NumPy: ``quantized_linear`` in ``plain_quantized.py``.
"""

import numpy as np

from tinytx import workers
from tinytx.kernel import dots_of_eight, dots_of_one, kernel, prefetch, row_size, share, times
from tinytx.shapes import check_axes, check_float, check_ids, check_shape, contiguous, rows

SHARED = 1 << 17  # numbers of a matrix, from which on helpers that are awake take their part of a product of few rows
ROWS, OUTPUTS = 8, 64  # rows of x that are multiplied at a time, and outputs of a part
AHEAD, LINE = 2048, 64  # bytes of W that are asked for before they are read, and how many come at once
LARGEST, LONGEST = 2**31 - 1, (2**31 - 1) // 127**2  # sum that fits into 32 bits, and numbers of a row whose L is not below 127


@kernel
def _round_row(n, rounded, x_steps, x):
    """Write (2) of row n of x; what is left of a number is within (5)."""
    k = x.shape[1]
    most = min(32_767, LARGEST // (127 * max(1, k)))  # L
    step = x.dtype.type(row_size(x[n], k) / most)
    x_steps[n] = step  # (2)
    if 0 < step < np.inf:
        factor = 1 / np.float64(step)
        for i in range(k):
            rounded[n, i] = min(max(np.int32(np.rint(x[n, i] * factor)), -most), most)  # (2)
    else:  # zeros, or numbers that are not all finite
        x_steps[n] = step - step  # 0, or NaN
        for i in range(k):
            rounded[n, i] = 0


@kernel
def _outputs_of_one(p, y, rounded, x_steps, weight, steps):
    """Write (3) without b for one row, y (1, M): part p of the outputs, two at a time."""
    m, k = weight.shape
    parts = _parts(m)
    stop, x_step = m * (p + 1) // parts, x_steps[0]
    for j in range(m * p // parts, stop, 2):
        other = min(j + 1, stop - 1)  # the last one again, where their number is odd
        for at in range(0, 2 * k, LINE):
            prefetch(weight, j * k + AHEAD + at)
        s, t = dots_of_one(weight, j, other, rounded)
        y[0, j], y[0, other] = times(times(s, x_step), steps[j]), times(times(t, x_step), steps[other])  # (3)


@kernel
def _outputs_of_eight(p, y, rounded, x_steps, weight, steps):
    """Write the same for any number of rows, y (N, M), eight at a time, whose sums have room in a processor's registers."""
    m, k = weight.shape
    parts = _parts(m)
    stop = m * (p + 1) // parts
    for row in range(0, len(y), ROWS):
        eight, size = rounded[row : row + ROWS], min(ROWS, len(y) - row)
        for j in range(m * p // parts, stop, 2):
            other = min(j + 1, stop - 1)
            for at in range(0, 2 * k if row == 0 else 0, LINE):
                prefetch(weight, j * k + AHEAD + at)
            sums = dots_of_eight(weight, j, other, eight)
            for n in range(size):
                y[row + n, j] = times(times(sums[n], x_steps[row + n]), steps[j])  # (3)
                y[row + n, other] = times(times(sums[ROWS + n], x_steps[row + n]), steps[other])


@kernel
def _parts(m):
    return (m + OUTPUTS - 1) // OUTPUTS


@kernel
def _by_outputs_of_one(words, y, rounded, x_steps, x, weight, steps):
    """Write (3) without b into y (1, M) for x (1, K); rounded (1, K) and x_steps (1,) are written, too."""
    share(words, _round_row, len(x), (rounded, x_steps, x))
    share(words, _outputs_of_one, _parts(len(weight)), (y, rounded, x_steps, weight, steps))


@kernel
def _by_outputs_of_eight(words, y, rounded, x_steps, x, weight, steps):
    """Write it into y (N, M) for x (N, K); rounded has 8, 16, 24, ... rows, of which those from N on stay what they are, x_steps N or more."""
    share(words, _round_row, len(x), (rounded, x_steps, x))
    share(words, _outputs_of_eight, _parts(len(weight)), (y, rounded, x_steps, weight, steps))


def quantized_call(words, y, x, weight, steps, rounded, x_steps):
    """Return the loop that writes (3) without b into y, and its arguments: also for a program, `tinytx.calls.bound`.

    Parameters
    ----------
    words : int64 array
        As of `tinytx.kernel.share`.
    y, x : array (R, M) and (R, K), contiguous
    weight, steps : array (M, K), (M,)
    rounded, x_steps : int16 array (N, K), array (N,)
        To compute in: N is R or more, and a multiple of `ROWS`.
    """
    if len(x) == 1:
        return _by_outputs_of_one, words, y, rounded[:1], x_steps, x, weight, steps
    return _by_outputs_of_eight, words, y, rounded, x_steps, x, weight, steps


def _product(x, weight, steps):
    """Return (3) without b (N, M) for x (N, K)."""
    (n, k), m = x.shape, len(weight)
    size = -(-n // ROWS) * ROWS
    y, rounded, x_steps = np.empty((n, m), x.dtype), np.empty((size, k), np.int16), np.empty(size, x.dtype)
    words = workers.awake.words(weight.size >= SHARED)
    loop, *arguments = quantized_call(words, y, x, weight, steps, rounded, x_steps)
    loop(*arguments)
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
        Of (1), in -127..127; the error of each weight is within (4).
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
        Beside the product with the floats, off by at most (6), and by what floats are rounded. A row of NaN, where a number of x is not finite.

    Raises
    ------
    TypeError, ValueError
        If dtypes differ, or shapes do not fit, or rows are so long that their sums do not fit into 32 bits.
    """
    check_float("quantized_linear", x=x, steps=steps, **({} if bias is None else {"bias": bias}))
    _check_weight("quantized_linear", weight, steps)
    if x.ndim < 1 or x.shape[-1] != weight.shape[1]:
        raise ValueError(f"quantized_linear: weight of shape {weight.shape} does not fit x of shape {x.shape}: x @ weight.T")
    if weight.shape[1] > LONGEST:
        raise ValueError(
            f"quantized_linear: weight has shape {weight.shape}, expected rows of at most {LONGEST:,} numbers, whose sums fit into 32 bits: "
            "cut x and weight into parts, and add up their products"
        )
    x_rows = rows(x)
    y = _product(x_rows, contiguous(weight), contiguous(steps))
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
