r"""GloVe's loss: products of word vectors are to be the logarithms of how often the words stand together.

Derivation
----------
X_n counts how often word i_n stands near word j_n. Two tables W and C of word vectors, (V, D), with a bias for each word,
b and b', predict its logarithm (Pennington, Socher and Manning 2014):

    s_n = sum_d W_{i_n, d} C_{j_n, d} + b_{i_n} + b'_{j_n}.              (1)

The loss is the weighted mean of squared errors,

    f_n = min(1, (X_n / x_max)^alpha),                                   (2)
    e_n = s_n - ln X_n,   L = (1/N) sum_n f_n e_n^2,                     (3)

where rare pairs count less, because their counts are mostly chance. Pairs that never occur are not among the N: the
logarithm of 0 does not exist. (The paper has the sum in place of the mean.) With

    g_n = ∂L/∂s_n = 2 f_n e_n / N                                        (4)

and (1), which is linear in each of its four terms,

    ∂L/∂W_vd = sum_{n : i_n = v} g_n C_{j_n, d},   ∂L/∂C_vd = sum_{n : j_n = v} g_n W_{i_n, d},    (5)
    ∂L/∂b_v = sum_{n : i_n = v} g_n,               ∂L/∂b'_v = sum_{n : j_n = v} g_n.               (6)

With dL, the gradient of a larger quantity with respect to this loss,

    dW_vd = dL ∂L/∂W_vd,   dC_vd = dL ∂L/∂C_vd,   db_v = dL ∂L/∂b_v,   db'_v = dL ∂L/∂b'_v.

Words occur in many pairs: (5) and (6) add, they do not assign. What is kept: the arguments; the errors are computed again.

With numbers
------------
One pair of words that stands together e times, half of x_max: f = 0.5^0.75 = 0.595. The vectors' product is 3, so e_n is
3 - 1 = 2, the loss 4 f, and g is 4 f.

>>> w, c, zero = np.array([[1.0, 2.0]]), np.array([[1.0, 1.0]]), np.zeros(1)
>>> loss, saved = glove_loss(w, c, zero, zero, [0], [0], np.array([np.e]), x_max=2 * np.e)
>>> dw, dc, db, dbc = glove_loss_backward(1.0, saved)
>>> round(loss, 4), dw.round(4).tolist(), dc.round(4).tolist(), db.round(4).tolist()
(2.3784, [[2.3784, 2.3784]], [[2.3784, 4.7568]], [2.3784])

The same in plain NumPy: ``glove_loss`` in ``plain.py``.
"""

import math
from typing import NamedTuple

import numpy as np

from tinytx.arguments import check_number, check_whole
from tinytx.kernel import kernel
from tinytx.shapes import check_axes, check_float, check_ids, check_shape, contiguous

MOST = 100.0  # of a component of the gradient, as in the authors' program


class Saved(NamedTuple):
    w: np.ndarray  # (V, D)
    c: np.ndarray  # (V', D)
    bias_w: np.ndarray  # (V,)
    bias_c: np.ndarray  # (V',)
    words: np.ndarray  # (N,) i
    contexts: np.ndarray  # (N,) j
    logarithms: np.ndarray  # (N,) ln X
    f: np.ndarray  # (N,)
    count: int


def weights(x, x_max, alpha):
    """Return f in (2) of counts X, an array of the same shape and dtype."""
    return np.minimum(1, x / x.dtype.type(x_max)) ** x.dtype.type(alpha)  # (2)


@kernel
def _error(w, c, bias_w, bias_c, logarithm):
    s = bias_w + bias_c
    for d in range(w.shape[0]):
        s += w[d] * c[d]  # (1)
    return s - logarithm


@kernel
def _forward(losses, w, c, bias_w, bias_c, words, contexts, logarithms, f):
    for n in range(words.shape[0]):
        a, b = words[n], contexts[n]
        e = _error(w[a], c[b], bias_w[a], bias_c[b], logarithms[n])
        losses[n] = f[n] * e * e  # (3)


@kernel
def _backward(dw, dc, dbias_w, dbias_c, w, c, bias_w, bias_c, words, contexts, logarithms, f, scale):
    for n in range(words.shape[0]):
        a, b = words[n], contexts[n]
        g = scale * f[n] * _error(w[a], c[b], bias_w[a], bias_c[b], logarithms[n])  # (4)
        for d in range(w.shape[1]):
            dw[a, d] += g * c[b, d]  # (5)
            dc[b, d] += g * w[a, d]
        dbias_w[a] += g  # (6)
        dbias_c[b] += g


@kernel
def descend(w, c, bias_w, bias_c, squares_w, squares_c, squares_bias_w, squares_bias_c, words, contexts, logarithms, f, order, rate, total):
    """Take a step of AdaGrad for each pair, one after the other, in place, as the authors' program does.

    The gradient of a pair is half of (4), without 1/N. A number moves by ``rate`` g / sqrt(G), and then (``rate`` g)^2 is
    added to its G; components of the vectors' gradients are at most `MOST` in size. The next pair sees what this one changed.

    Parameters
    ----------
    w, c : C-contiguous arrays (V, D) and (V', D), float32 or float64
    bias_w, bias_c : arrays (V,) and (V',)
    squares_w, squares_c, squares_bias_w, squares_bias_c : arrays of their shapes
        G, which is 1 at first. These eight are written to.
    words, contexts : int64 arrays (N,)
    logarithms, f : arrays (N,)
    order : int64 array
        The pairs that are learned, in their order.
    rate : float of the arrays' dtype
    total : float64 array (1,)
        The sum of f e^2 is added to it, of each pair before its step.
    """
    most = w.dtype.type(MOST)
    for n in order:
        a, b = words[n], contexts[n]
        e = _error(w[a], c[b], bias_w[a], bias_c[b], logarithms[n])
        g = f[n] * e  # (4)
        total[0] += np.float64(g) * np.float64(e)
        for d in range(w.shape[1]):
            gw = rate * min(max(g * c[b, d], -most), most)  # (5)
            gc = rate * min(max(g * w[a, d], -most), most)
            w[a, d] -= gw / math.sqrt(squares_w[a, d])
            c[b, d] -= gc / math.sqrt(squares_c[b, d])
            squares_w[a, d] += gw * gw
            squares_c[b, d] += gc * gc
        gb = rate * g  # (6)
        bias_w[a] -= gb / math.sqrt(squares_bias_w[a])
        bias_c[b] -= gb / math.sqrt(squares_bias_c[b])
        squares_bias_w[a] += gb * gb
        squares_bias_c[b] += gb * gb


def glove_loss(w, c, bias_w, bias_c, words, contexts, x, *, x_max=100.0, alpha=0.75, count=None):
    """Return the weighted mean of squared errors (3).

    Parameters
    ----------
    w, c : arrays (V, D) and (V', D), float32 or float64
        Vectors of words, and of the words beside them.
    bias_w, bias_c : arrays (V,) and (V',)
    words, contexts : integers (N,)
        i and j: rows of w and of c.
    x : array (N,)
        How often the two words stand together: above 0, and not always a whole number.
    x_max, alpha : float
        Of the weights (2), above 0.
    count : int, optional
        N in (3) and (4), at least 1: the number of pairs if not given. A shard of a batch gives the N of the whole batch.

    Returns
    -------
    loss : float
    saved : Saved

    Raises
    ------
    TypeError, ValueError
        If a row is out of range, a count is not above 0 and finite, shapes do not fit, or there is no pair and no ``count``.
    """
    place = "glove_loss"
    check_float(place, w=w, c=c, bias_w=bias_w, bias_c=bias_c, x=x)
    check_axes(place, "w", w, "(V, D)")
    check_shape(place, "c", c, (*c.shape[:1], w.shape[1]), "V' and w of shape", w.shape)
    check_shape(place, "bias_w", bias_w, w.shape[:1], "w of shape", w.shape)
    check_shape(place, "bias_c", bias_c, c.shape[:1], "c of shape", c.shape)
    words = check_ids(place, words, len(w), what="word")
    contexts = check_ids(place, contexts, len(c), what="context")
    check_axes(place, "x", x, "(N,)")
    for name, rows in (("words", words), ("contexts", contexts)):
        check_shape(place, name, rows, x.shape, "x of shape", x.shape)
    wrong = np.flatnonzero(~((x > 0) & np.isfinite(x)))
    if len(wrong):
        raise ValueError(f"{place}: x[{wrong[0]}] is {x[wrong[0]]}, expected a finite number above 0: leave out pairs that do not occur")
    for name, number in (("x_max", x_max), ("alpha", alpha)):
        check_number(place, name, number, "a finite number above 0", lambda number: 0 < number < math.inf)
    if count is None and not len(x):
        raise ValueError(f"{place}: x has shape {x.shape}, so there is no mean: for a part of a batch give count")
    count = len(x) if count is None else check_whole(place, "count", count)
    losses = np.empty(len(x), w.dtype)
    arrays = (contiguous(array) for array in (w, c, bias_w, bias_c, words, contexts, np.log(x), weights(x, x_max, alpha)))
    saved = Saved(*arrays, count)
    _forward(losses, *saved[:8])
    return float(losses.sum(dtype=np.float64)) / count, saved


def glove_loss_backward(dloss, saved):
    """Return (dw, dc, dbias_w, dbias_c), arrays of the shapes of w, c and the biases.

    Parameters
    ----------
    dloss : float
        The gradient of a larger quantity with respect to the loss: 1 for the loss itself.
    saved : Saved
    """
    scale = saved.w.dtype.type(2 * check_number("glove_loss_backward", "dloss", dloss) / saved.count)
    gradients = tuple(np.zeros_like(array) for array in saved[:4])
    _backward(*gradients, *saved[:8], scale)
    return gradients
