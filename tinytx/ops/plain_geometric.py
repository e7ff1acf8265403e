"""Operations on multivectors in plain NumPy: part of ``plain.py``. Each table of signs is an array (16, 16, 16)."""

import numpy as np

from tinytx.ops.equivariant_linear import MAP, SOURCE, TARGET
from tinytx.ops.multivector import EUCLIDEAN, join_table, product_table


def _each(x):
    """(..., 16 C) -> (..., C, 16)."""
    return x.reshape(*x.shape[:-1], -1, 16)


def _signs(table):
    """Return G (16, 16, 16), with z_k = sum_ij G_ijk x_i y_j."""
    signs = np.zeros((16, 16, 16))
    signs[table[:, 1], table[:, 2], table[:, 0]] = table[:, 3]
    return signs


PRODUCT, JOIN = _signs(product_table()), _signs(join_table())
CONNECTED = np.zeros((9, 16, 16))  # which pairs of entries each of nine maps connects
CONNECTED[MAP, SOURCE, TARGET] = 1


def geometric_product(x, y):
    """Return the geometric product of multivectors (..., 16 C)."""
    return np.einsum("ijk,...i,...j->...k", PRODUCT, _each(x), _each(y)).reshape(x.shape), (x, y)  # (1)


def geometric_product_backward(dy, saved):
    """Return the gradients of both factors."""
    x, y = saved
    dx = np.einsum("ijk,...k,...j->...i", PRODUCT, _each(dy), _each(y))  # (3)
    dy = np.einsum("ijk,...k,...i->...j", PRODUCT, _each(dy), _each(x))
    return dx.reshape(x.shape), dy.reshape(x.shape)


def join(x, y, reference):
    """Return the join of multivectors (B, ..., 16 C), times a number for each row."""
    z = np.einsum("ijk,...i,...j->...k", JOIN, _each(x), _each(y)).reshape(x.shape)
    return (z.T * reference).T, (x, y, reference, z)  # (2)


def join_backward(dy, saved):
    """Return (dx, dy, dreference)."""
    x, y, reference, z = saved
    dz = _each((dy.T * reference).T)
    dx = np.einsum("ijk,...k,...j->...i", JOIN, dz, _each(y)).reshape(x.shape)  # (3)
    dreference = np.sum((dy * z).reshape(len(x), -1), axis=1)  # (4)
    return dx, np.einsum("ijk,...k,...i->...j", JOIN, dz, _each(x)).reshape(x.shape), dreference


def equivariant_linear(x, weight, bias=None):
    """Return a sum of nine maps of multivectors (..., 16 I)."""
    y = np.einsum("mio,mab,...ia->...ob", weight, CONNECTED, _each(x))  # (1)
    if bias is not None:
        y[..., 0] += bias
    return y.reshape(*x.shape[:-1], -1), (x, weight, bias is not None)


def equivariant_linear_backward(dy, saved):
    """Return (dx, dweight, dbias)."""
    (x, weight, has_bias), dy = saved, _each(dy)
    dx = np.einsum("mio,mab,...ob->...ia", weight, CONNECTED, dy)
    x_rows, dy_rows = (array.reshape(-1, *array.shape[-2:]) for array in (_each(x), dy))
    dweight = np.einsum("nob,mab,nia->mio", dy_rows, CONNECTED, x_rows, optimize=True)  # (3)
    return dx.reshape(x.shape), dweight, dy_rows[..., 0].sum(axis=0) if has_bias else None


def equivariant_norm(x, eps=0.01):
    """Return multivectors (..., 16 C) divided by the root of their mean square length."""
    s = (_each(x)[..., EUCLIDEAN] ** 2).sum(axis=(-2, -1))[..., None] * 16 / x.shape[-1]
    r = 1 / np.sqrt(s + eps)  # (1)
    return x * r, (x * r, r)  # (2)


def equivariant_norm_backward(dy, saved):
    """Return dx."""
    y, r = saved
    in_length = np.isin(np.arange(y.shape[-1]) % 16, EUCLIDEAN)
    return r * (dy - in_length * y * np.sum(dy * y, axis=-1, keepdims=True) * 16 / y.shape[-1])  # (3)


def gated_gelu(x):
    """Return multivectors (..., 16 C), each times GELU of its scalar."""
    v = _each(x)[..., :1]
    tanh = np.tanh(np.sqrt(2 / np.pi) * (v + 0.044715 * v**3))
    return (0.5 * v * (1 + tanh) * _each(x)).reshape(x.shape), (x, v, tanh)  # (1)


def gated_gelu_backward(dy, saved):
    """Return dx."""
    (x, v, tanh), dy = saved, _each(dy)
    slope = 0.5 * (1 + tanh) + 0.5 * v * (1 - tanh**2) * np.sqrt(2 / np.pi) * (1 + 3 * 0.044715 * v**2)
    through_gate = slope * np.sum(dy * _each(x), axis=-1, keepdims=True) * (np.arange(16) == 0)
    return (0.5 * v * (1 + tanh) * dy + through_gate).reshape(x.shape)  # (2)


def distance_features(x, *, of_keys=False, eps=1e-3):
    """Return the 13 features of each multivector (..., 16 C)."""
    t, w = _each(x)[..., 11:14], _each(x)[..., 14]
    p, v = t * (w / (w**2 + eps))[..., None], w**2 / (w**2 + eps)  # (1)
    f = np.concatenate([np.sum(p**2, axis=-1)[..., None], v[..., None] ** 2, v[..., None] * p], axis=-1)
    if of_keys:
        f = f[..., [1, 0, 2, 3, 4]] * [-1, -1, 2, 2, 2]  # (2)
    return np.concatenate([_each(x)[..., EUCLIDEAN], f], axis=-1).reshape(*x.shape[:-1], -1), (x, of_keys, eps)


def distance_features_backward(dy, saved):
    """Return dx."""
    x, of_keys, eps = saved
    (t, w), dy = (_each(x)[..., 11:14], _each(x)[..., 14]), dy.reshape(*x.shape[:-1], -1, 13)
    df = dy[..., 8:]
    if of_keys:
        df = (df * [-1, -1, 2, 2, 2])[..., [1, 0, 2, 3, 4]]
    u, du_dw = w / (w**2 + eps), (eps - w**2) / (w**2 + eps) ** 2
    p, v = u[..., None] * t, u * w
    dp, dv = 2 * df[..., :1] * p + v[..., None] * df[..., 2:], 2 * df[..., 1] * v + np.sum(df[..., 2:] * p, axis=-1)  # (3)
    dx = np.zeros_like(_each(x))
    dx[..., EUCLIDEAN] = dy[..., :8]
    dx[..., 11:14] = u[..., None] * dp
    dx[..., 14] += u * dv + du_dw * (w * dv + np.sum(t * dp, axis=-1))  # (4)
    return dx.reshape(x.shape)


def displacement(x, origin):
    """Return where the points of multivectors (..., 16) are, as seen from places (..., 3), times their weights."""
    e012, e013, e023, w = np.moveaxis(x[..., 11:15], -1, 0)
    return np.stack([-e023, e013, -e012], axis=-1) - w[..., None] * origin, (x, origin)  # (1)


def displacement_backward(dy, saved):
    """Return (dx, dorigin)."""
    (x, origin), dx = saved, np.zeros_like(saved[0])
    dx[..., 11], dx[..., 12], dx[..., 13] = -dy[..., 2], dy[..., 1], -dy[..., 0]  # (2)
    dx[..., 14] = -np.einsum("...i,...i->...", dy, origin)
    return dx, -x[..., 14:15] * dy
