r"""Compression of a sequence: a few weighted sums over all of its positions (Wang et al. 2020, Linformer, arXiv:2006.04768).

Derivation
----------
A sequence x of one head is (S, K). A matrix E (C, N) has a row for each of C sums, and a column for each of N positions, of
which a sequence has the first S. A position is left out where the mask m_s is 0, as padding is:

    y_ck = sum_s E_cs m_s x_sk.                                          (1)

In attention y stands in place of x: C keys and C values, whatever S is, so that scores are T C numbers, not T S. By (1),
∂y_ck/∂x_sk = E_cs m_s and ∂y_ck/∂E_cs = m_s x_sk, so

    dx_sk = m_s sum_c E_cs dy_ck,                                        (2)
    dE_cs = sum_batch sum_heads sum_k m_s x_sk dy_ck,                    (3)

where the sum runs over all sequences that share E: those of a batch, and here all heads, which have one matrix. Columns
behind S get 0.

Padding has to be left out here. Behind (1) every sum holds something of every position, so nothing can be masked any more; for
the same reason no sum may be seen by a position that must not see the whole sequence, and causal attention cannot be compressed
like this.

With numbers
------------
One sum of two positions with the weights 2 and 3; the third is left out.

>>> x, weight = np.array([1.0, 10.0, 100.0]).reshape(1, 1, 3, 1), np.array([[2.0, 3.0, 4.0]])
>>> y, saved = compress(x, weight, mask=np.array([[True, True, False]]))
>>> dx, dweight = compress_backward(np.ones((1, 1, 1, 1)), saved)
>>> y.ravel().tolist(), dx.ravel().tolist(), dweight.tolist()
([32.0], [2.0, 3.0, 0.0], [[1.0, 10.0, 0.0]])

The same in plain NumPy: ``compress`` in ``plain.py``.
"""

from typing import NamedTuple

import numpy as np

from tinytx.shapes import check_axes, check_float, check_gradient, check_mask


class Saved(NamedTuple):
    x: np.ndarray  # m_s x_s
    weight: np.ndarray
    mask: np.ndarray | None  # (B, 1, S, 1)


def compress(x, weight, *, mask=None):
    """Return weighted sums over the positions of each sequence.

    Parameters
    ----------
    x : array (B, H, S, K), float32 or float64
    weight : array (C, N) for all heads, or (H, C, N), the dtype of x
        N is at least S.
    mask : boolean array (B, S), optional
        True where a position counts. What stands elsewhere has no effect, not even NaN.

    Returns
    -------
    y : array (B, H, C, K)
    saved : Saved

    Raises
    ------
    TypeError, ValueError
        If dtypes differ, or shapes do not fit.
    """
    check_float("compress", x=x, weight=weight)
    check_axes("compress", "x", x, "(B, H, S, K)")
    b, h, s, _ = x.shape
    check_axes("compress", "weight", weight, "(H, C, N)" if weight.ndim == 3 else "(C, N)")
    if weight.ndim == 3 and len(weight) != h or weight.shape[-1] < s:
        expected = f"expected (C, N) or ({h}, C, N) with N at least {s} from x of shape {x.shape}"
        raise ValueError(f"compress: weight has shape {weight.shape}, {expected}")
    if mask is not None:
        mask = np.broadcast_to(check_mask("compress", mask, (b, s)), (b, s))[:, None, :, None]
        x = np.where(mask, x, x.dtype.type(0))
    return np.matmul(weight[..., :s], x), Saved(x, weight, mask)  # (1)


def compress_backward(dy, saved):
    """Return (dx, dweight).

    Parameters
    ----------
    dy : array (B, H, C, K)
    saved : Saved
    """
    x, weight, mask = saved
    b, h, s, k = x.shape
    n_sums = weight.shape[-2]
    check_gradient("compress_backward", dy, (b, h, n_sums, k), x.dtype, "x and weight of shapes", x.shape, "and", weight.shape)
    dx = np.matmul(weight[..., :s].swapaxes(-1, -2), dy)  # (2)
    if mask is not None:
        dx *= mask
    heads = (1, b * h) if weight.ndim == 2 else (h, b)  # matrices, and sequences of each: (3) is one product for each matrix
    rows, columns = (
        a.swapaxes(0, 1).reshape(*heads, n, k).swapaxes(1, 2).reshape(heads[0], n, -1) for a, n in ((dy, n_sums), (x, s))
    )
    dweight = np.zeros_like(weight)
    dweight[..., :s] = np.matmul(rows, columns.swapaxes(1, 2)).reshape(*weight.shape[:-1], s)  # (3)
    return dx, dweight
