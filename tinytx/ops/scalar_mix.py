r"""Scalar mix: one vector from those of several layers, with learned shares (ELMo: Peters et al. 2018, arXiv:1802.05365, eq. 1).

Derivation
----------
A position has a vector h_j of D numbers h_jd from each of N layers. With one score s_j for each layer, and one factor gamma,
which all positions share,

    w = softmax(s),                                                      (1)
    y_d = gamma sum_j w_j h_jd.                                          (2)

Let a_j be the scalar product of the gradient and a layer's vectors, summed over all positions. From (2)

    a_j = sum_positions sum_d dy_d h_jd,
    dh_jd = gamma w_j dy_d,                                              (3)
    dgamma = sum_j w_j a_j,                                              (4)
    dw_j = gamma a_j,

and through (1), whose backward is (3) of ``softmax.py``,

    ds_j = w_j (dw_j - sum_k w_k dw_k) = gamma w_j (a_j - dgamma).       (5)

The last form takes the sum from (4). The ds_j add up to 0, because only differences of scores matter. A step against the
gradient (gamma above 0) raises the score of each layer whose a_j is below the mean dgamma, and lowers the others.

With numbers
------------
Two layers of width 1, h = (1, 3), equal scores and gamma = 2: y = 2 (1/2 + 3/2). For dy = 1, a = (1, 3):

>>> y, saved = scalar_mix(np.array([[1.0], [3.0]]), np.zeros(2), np.array([2.0]))
>>> dlayers, dscores, dgamma = scalar_mix_backward(np.ones(1), saved)
>>> y.tolist(), dlayers.ravel().tolist(), dscores.tolist(), dgamma.tolist()
([4.0], [1.0, 1.0], [-1.0, 1.0], [2.0])

The same in plain NumPy: ``scalar_mix`` in ``plain.py``.
"""

from typing import NamedTuple

import numpy as np

from tinytx.shapes import check_axes, check_float, check_gradient, check_shape


class Saved(NamedTuple):
    layers: np.ndarray  # (..., N, D)
    shares: np.ndarray  # (N,), w of (1)
    gamma: np.ndarray  # (1,)


def scalar_mix(layers, scores, gamma):
    """Return the weighted mean of several layers' vectors, times a factor.

    Parameters
    ----------
    layers : array (..., N, D), float32 or float64
        The vectors of N layers for each position.
    scores : array (N,), the dtype of ``layers``
        The shares are the softmax of these.
    gamma : array (1,), the dtype of ``layers``

    Returns
    -------
    y : array (..., D)
    saved : Saved

    Raises
    ------
    TypeError, ValueError
        If dtypes differ, or shapes do not fit.
    """
    check_float("scalar_mix", layers=layers, scores=scores, gamma=gamma)
    check_axes("scalar_mix", "layers", layers, "(..., N, D)")
    check_shape("scalar_mix", "scores", scores, layers.shape[-2:-1], "layers of shape", layers.shape)
    check_shape("scalar_mix", "gamma", gamma, (1,), "its equation: one factor for all")
    shares = np.exp(scores - np.max(scores, initial=-np.inf))
    shares /= shares.sum()  # (1)
    return np.matmul(gamma * shares, layers), Saved(layers, shares, gamma)  # (2)


def scalar_mix_backward(dy, saved):
    """Return (dlayers, dscores, dgamma).

    Parameters
    ----------
    dy : array (..., D)
    saved : Saved
    """
    layers, shares, gamma = saved
    check_gradient("scalar_mix_backward", dy, (*layers.shape[:-2], layers.shape[-1]), layers.dtype, "layers of shape", layers.shape)
    dlayers = (gamma * shares)[:, None] * dy[..., None, :]  # (3)
    a = np.einsum("...nd,...d->...n", layers, dy).reshape(-1, len(shares)).sum(axis=0)
    dgamma = shares @ a  # (4)
    return dlayers, gamma * shares * (a - dgamma), np.full(1, dgamma)  # (5)
