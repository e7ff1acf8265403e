r"""Where a Neural Turing Machine reads and writes its memory (Graves, Wayne and Danihelka 2014, arXiv:1410.5401).

Derivation
----------
A memory M has N rows of W numbers. A head says in each step how much each row counts for it: weights w that add up to 1.
It finds rows by their content, or starts from its weights w' of the step before and moves on to neighbouring rows. This
page makes w in four parts, of numbers that a net puts out: a key k of W numbers, and four others that may be any real
numbers, since they are squashed here, by

    s(a) = 1 / (1 + e^(-a)),   softplus(a) = ln(1 + e^a)

softplus has the slope s. By content: the softmax over rows of the cosine K_n of key and row, times a strength. With the lengths
l of the key and L_n of row n,

    l = sqrt(sum_m k_m^2),   L_n = sqrt(sum_m M_nm^2),   D_n = l L_n + eps,
    K_n = sum_m k_m M_nm / D_n                                           (1)
    beta = softplus(strength),   c_n = e^(beta K_n) / sum_i e^(beta K_i)         (2)

Gate: these weights, or those of the step before,

    g = s(gate),   v_n = g c_n + (1 - g) w'_n                            (3)

Shift: on a ring, where row 0 follows row N - 1, each weight is spread over the rows at distances -1, 0, 1, or further ones, if
``shift`` has more numbers. p_j is the share of the distance j - h, with h = (J - 1) / 2:

    h = (J - 1) / 2,   p_j = e^(shift_j) / sum_i e^(shift_i),   sum_j p_j = 1,
    u_n = sum_j p_j v_{mod(n + h - j, N)}                                (4)

Sharpening: spread weights are drawn together,

    gamma = 1 + softplus(sharpness),   w_n = u_n^gamma / sum_i u_i^gamma         (5)

Backward goes from (5) to (1). w is the softmax of gamma ln u_n, so by (3) of ``softmax.py`` these logits have the gradient

    a_n = w_n (dw_n - sum_i w_i dw_i)                                    (6)
    du_n = gamma a_n / u_n,   dgamma = sum_n a_n ln(u_n),   dsharpness = dgamma s(sharpness)     (7)

Where u_n is 0, w_n is 0 too, and stays 0 in first order as gamma > 1: nothing is divided there. v_n reaches the row at the
distance j - h with the factor p_j, so the shift of the gradient goes the other way:

    dv_n = sum_j p_j du_{mod(n - h + j, N)}                              (8)
    dp_j = sum_n du_n v_{mod(n + h - j, N)},   dshift_j = p_j (dp_j - sum_i p_i dp_i)            (9)

By (3), with s'(a) = s(a) (1 - s(a)),

    dc_n = g dv_n,   dw'_n = (1 - g) dv_n,
    dg = sum_n dv_n (c_n - w'_n),   dgate = s'(gate) dg = g (1 - g) dg   (10)

By (2), with e_n the gradient of the logits beta K_n,

    e_n = c_n (dc_n - sum_i c_i dc_i)                                    (11)
    dbeta = sum_n e_n K_n,   dstrength = dbeta softplus'(strength) = dbeta s(strength),   dK_n = beta e_n        (12)

K_n is a quotient whose numerator has the slope M_n by k, and whose denominator D_n has the slope L_n k / l, since a length
grows along its vector, ∂l/∂k_m = k_m / l. So

    ∂K_n/∂k_m = (M_nm - K_n L_n k_m / l) / D_n,
    dk_m = sum_n dK_n (M_nm - K_n L_n k_m / l) / D_n                     (13)
    dM_nm = sum_heads dK_n (k_m - K_n l M_nm / L_n) / D_n                (14)

At a row of zeros, or a key of zeros, K_n is 0 and so is the second term.

What is kept: the arguments, K, c, p, u and w. v is one multiplication and is computed again.

Memory is known to give NaN at three places: at the cosine of a row of zeros, where eps keeps D_n above 0; at a gamma
below 1, which (5) rules out; and at the logarithm of a weight of 0, see (7).

With numbers
------------
A memory of three rows; the key is the second one. A large strength finds it, and a shift by one row moves on:

>>> memory, key, before = np.eye(3)[None], np.array([[[0.0, 1.0, 0.0]]]), np.array([[[1.0, 0.0, 0.0]]])
>>> large, on = np.array([[50.0]]), np.array([[[-50.0, -50.0, 50.0]]])
>>> w, saved = address(key, large, large, on, large, before, memory)
>>> w.round(4).tolist()
[[[0.0, 0.0, 1.0]]]

With the gate closed, the head moves on from where it was:

>>> address(key, large, -large, on, large, before, memory)[0].round(4).tolist()
[[[0.0, 1.0, 0.0]]]

The same in plain NumPy: ``address`` in ``plain.py``.
"""

import math
from typing import NamedTuple

import numpy as np

from tinytx.kernel import exp, kernel
from tinytx.shapes import check_axes, check_float, check_gradient, check_shape, contiguous

EPS = 1e-8


class Saved(NamedTuple):
    k: np.ndarray  # (B, H, W)
    strength: np.ndarray  # (B, H)
    gate: np.ndarray  # (B, H)
    shift: np.ndarray  # (B, H, J)
    sharpness: np.ndarray  # (B, H)
    before: np.ndarray  # (B, H, N), w' of (3)
    memory: np.ndarray  # (B, N, W)
    cosine: np.ndarray  # (B, H, N), (1)
    content: np.ndarray  # (B, H, N), (2)
    moves: np.ndarray  # (B, H, J), p of (4)
    spread: np.ndarray  # (B, H, N), u of (4)
    w: np.ndarray  # (B, H, N)


@kernel
def _sigma(a, one):
    return one / (one + exp(-a))


@kernel
def _softplus(a, zero):
    return max(a, zero) + math.log1p(exp(-abs(a)))


@kernel
def _norm(x):
    total = x.dtype.type(0)
    for m in range(x.size):
        total += x[m] * x[m]
    return math.sqrt(total)


@kernel
def _softmax(y):
    """Turn logits into their softmax, in place."""
    largest, total = y[0], y.dtype.type(0)
    for i in range(1, y.size):
        largest = max(largest, y[i])
    for i in range(y.size):
        y[i] = exp(y[i] - largest)
        total += y[i]
    for i in range(y.size):
        y[i] /= total


@kernel
def _softmax_backward(dx, dy, y):
    """Write (3) of softmax.py; ``dx`` may be ``dy``."""
    inner = y.dtype.type(0)
    for i in range(y.size):
        inner += dy[i] * y[i]
    for i in range(y.size):
        dx[i] = y[i] * (dy[i] - inner)


@kernel
def _forward(w, cosine, content, moves, spread, k, strength, gate, shift, sharpness, before, memory, eps):
    (n_batch, n_heads, n_rows), n_moves, zero, one = w.shape, shift.shape[2], w.dtype.type(0), w.dtype.type(1)
    for b in range(n_batch):
        for h in range(n_heads):
            norm, beta = _norm(k[b, h]), _softplus(strength[b, h], zero)
            for n in range(n_rows):
                dot = zero
                for m in range(k.shape[2]):
                    dot += k[b, h, m] * memory[b, n, m]
                cosine[b, h, n] = dot / (norm * _norm(memory[b, n]) + eps)  # (1)
                content[b, h, n] = beta * cosine[b, h, n]
            _softmax(content[b, h])  # (2)
            moves[b, h, :] = shift[b, h]
            _softmax(moves[b, h])
            g, gamma = _sigma(gate[b, h], one), one + _softplus(sharpness[b, h], zero)
            spread[b, h, :] = zero
            for n in range(n_rows):
                v = g * content[b, h, n] + (one - g) * before[b, h, n]  # (3)
                for j in range(n_moves):
                    spread[b, h, (n + j - n_moves // 2) % n_rows] += moves[b, h, j] * v  # (4)
            for n in range(n_rows):
                w[b, h, n] = gamma * np.log(spread[b, h, n])  # -inf where the spread is 0
            _softmax(w[b, h])  # (5)


@kernel
def _backward(
    dk, dstrength, dgate, dshift, dsharpness, dbefore, dmemory, du, dv, dy,
    k, strength, gate, shift, sharpness, before, memory, cosine, content, moves, spread, w, eps,
):  # fmt: skip
    """Write the gradients; ``dmemory`` is 0 and is added to, ``du`` and ``dv`` (N,) are room for (7) and (8)."""
    (n_batch, n_heads, n_rows), n_moves, zero, one = w.shape, shift.shape[2], w.dtype.type(0), w.dtype.type(1)
    for b in range(n_batch):
        for h in range(n_heads):
            gamma, dgamma = one + _softplus(sharpness[b, h], zero), zero
            _softmax_backward(du, dy[b, h], w[b, h])  # (6)
            for n in range(n_rows):
                u = spread[b, h, n]
                if u != 0:
                    dgamma += du[n] * np.log(u)
                    du[n] = gamma * du[n] / u  # (7)
            dsharpness[b, h] = dgamma * _sigma(sharpness[b, h], one)
            g, dg = _sigma(gate[b, h], one), zero
            dshift[b, h, :] = zero
            for n in range(n_rows):
                v = g * content[b, h, n] + (one - g) * before[b, h, n]  # (3)
                dv[n] = zero
                for j in range(n_moves):
                    dspread = du[(n + j - n_moves // 2) % n_rows]
                    dv[n] += moves[b, h, j] * dspread  # (8)
                    dshift[b, h, j] += dspread * v  # (9)
                dg += dv[n] * (content[b, h, n] - before[b, h, n])
                dbefore[b, h, n] = (one - g) * dv[n]  # (10)
                dv[n] *= g
            _softmax_backward(dshift[b, h], dshift[b, h], moves[b, h])  # (9)
            dgate[b, h] = g * (one - g) * dg  # (10)
            _softmax_backward(dv, dv, content[b, h])  # (11)
            dbeta, beta, norm = zero, _softplus(strength[b, h], zero), _norm(k[b, h])
            dk[b, h, :] = zero
            for n in range(n_rows):
                dbeta += dv[n] * cosine[b, h, n]
                length = _norm(memory[b, n])
                dcosine = beta * dv[n] / (norm * length + eps)  # (12)
                for_key = dcosine * cosine[b, h, n] * length / norm if norm > 0 else zero
                for_row = dcosine * cosine[b, h, n] * norm / length if length > 0 else zero
                for m in range(k.shape[2]):
                    dk[b, h, m] += dcosine * memory[b, n, m] - for_key * k[b, h, m]  # (13)
                    dmemory[b, n, m] += dcosine * k[b, h, m] - for_row * memory[b, n, m]  # (14)
            dstrength[b, h] = dbeta * _sigma(strength[b, h], one)  # (12)


def address(k, strength, gate, shift, sharpness, before, memory):
    """Return each head's weights of the rows of a memory.

    Parameters
    ----------
    k : array (B, H, W), float32 or float64
        The key of each head.
    strength, gate, sharpness : arrays (B, H), the dtype of k
        Any real numbers: they are squashed to beta > 0, 0 < g < 1 and gamma > 1.
    shift : array (B, H, J), the dtype of k
        Logits of the distances -(J // 2) to J // 2; J is odd.
    before : array (B, H, N), the dtype of k
        The weights of the step before; not negative, and not all 0.
    memory : array (B, N, W), the dtype of k

    Returns
    -------
    w : array (B, H, N)
        Each row adds up to 1.
    saved : Saved

    Raises
    ------
    TypeError, ValueError
        If dtypes differ, shapes do not fit, the memory has no row, or J is even.
    """
    place, given = "address", (k, strength, gate, shift, sharpness, before, memory)
    check_float(place, **dict(zip(Saved._fields, given)))
    check_axes(place, "k", k, "(B, H, W)")
    check_axes(place, "memory", memory, "(B, N, W)")
    check_axes(place, "shift", shift, "(B, H, J)")
    (b, h, width), n, j, facts = k.shape, memory.shape[1], shift.shape[2], ("k of shape", k.shape)
    check_shape(place, "memory", memory, (b, n, width), *facts)
    check_shape(place, "before", before, (b, h, n), *facts, "and memory of shape", memory.shape)
    check_shape(place, "shift", shift, (b, h, j), *facts)
    for name, array in (("strength", strength), ("gate", gate), ("sharpness", sharpness)):
        check_shape(place, name, array, (b, h), *facts)
    if not n:
        raise ValueError(f"{place}: memory has shape {memory.shape}, expected at least one row")
    if j % 2 == 0:
        raise ValueError(f"{place}: shift has shape {shift.shape}, expected an odd last axis: as many rows back as forward, and 0")
    given = [contiguous(array) for array in given]
    w, cosine, content, spread = (np.empty((b, h, n), k.dtype) for _ in range(4))
    moves = np.empty(shift.shape, k.dtype)
    _forward(w, cosine, content, moves, spread, *given, k.dtype.type(EPS))
    return w, Saved(*given, cosine, content, moves, spread, w)


class Steering(NamedTuple):
    """How heads came where they are, for pages and pictures: the numbers of (2) to (5), for one step or, stacked, for several."""

    strength: np.ndarray  # (B, H), beta
    content: np.ndarray  # (B, H, N), c: where a head would be by content alone
    gate: np.ndarray  # (B, H), g: the share of c; the rest are the weights of the step before
    moves: np.ndarray  # (B, H, J), p: shares of moving by -(J // 2) to J // 2 rows
    sharpness: np.ndarray  # (B, H), gamma
    w: np.ndarray  # (B, H, N)


def steering(saved):
    """Return the `Steering` of what `address` saved."""
    beta, gamma = (np.logaddexp(0, array) for array in (saved.strength, saved.sharpness))
    return Steering(beta, saved.content, np.exp(-np.logaddexp(0, -saved.gate)), saved.moves, 1 + gamma, saved.w)


def address_backward(dy, saved):
    """Return (dk, dstrength, dgate, dshift, dsharpness, dbefore, dmemory).

    Parameters
    ----------
    dy : array (B, H, N)
    saved : Saved
    """
    w = saved.w
    check_gradient("address_backward", dy, w.shape, w.dtype, "k and memory of shapes", saved.k.shape, "and", saved.memory.shape)
    gradients = [np.empty_like(array) for array in saved[:6]] + [np.zeros_like(saved.memory)]
    room = np.empty((2, w.shape[2]), w.dtype)
    _backward(*gradients, *room, contiguous(dy), *saved, w.dtype.type(EPS))
    return tuple(gradients)
