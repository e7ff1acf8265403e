"""Every operation once more in plain NumPy, as its derivation reads: the short version, to learn from and to try out.

Each function has the name, the arguments and the results of its fast twin in `tinytx.ops`, and the numbers in comments
are those of the derivation in the twin's file. What is left out is what makes the others fast and careful: compiled
loops, tiles, threads, and checks of the arguments. Sums, exponentials and comparisons are NumPy's own passes over whole
arrays, and attention keeps all (T, S) weights. A test compares the two, case by case, to 12 digits. To see what an
operation does, change it here and let gradcheck judge the change:

>>> from tinytx.testing import gradcheck
>>> x = np.random.default_rng(0).normal(size=(2, 3))
>>> gradcheck(softmax, x, backward=softmax_backward).verdict
'PASS'
>>> gradcheck(softmax, x, backward=lambda dy, y: y * dy).verdict  # (3) without its sum
'FAIL'
"""

import math

import numpy as np

from tinytx.ops.attention_patterns import FULL
from tinytx.ops.dropout import dropout as hashed_dropout
from tinytx.ops.plain_elementwise import (  # noqa: F401
    erf,
    gate,
    gate_backward,
    gelu,
    gelu_backward,
    gelu_linear,
    gelu_linear_backward,
    gelu_tanh,
    gelu_tanh_backward,
    highway,
    highway_backward,
    relu,
    relu_backward,
    scale,
    scale_backward,
    silu,
    silu_backward,
    tanh,
    tanh_backward,
)
from tinytx.ops.plain_geometric import (  # noqa: F401
    displacement,
    displacement_backward,
    distance_features,
    distance_features_backward,
    equivariant_linear,
    equivariant_linear_backward,
    equivariant_norm,
    equivariant_norm_backward,
    gated_gelu,
    gated_gelu_backward,
    geometric_product,
    geometric_product_backward,
    join,
    join_backward,
)
from tinytx.ops.plain_losses import (  # noqa: F401
    binary_cross_entropy,
    binary_cross_entropy_backward,
    cross_entropy,
    cross_entropy_backward,
    glove_loss,
    glove_loss_backward,
    kl_divergence,
    kl_divergence_backward,
    linear_cross_entropy,
    linear_cross_entropy_backward,
    logistic_rows,
    logistic_rows_backward,
    soft_cross_entropy,
    soft_cross_entropy_backward,
    squared_error,
    squared_error_backward,
    tsne,
    tsne_backward,
)
from tinytx.ops.plain_memory import (  # noqa: F401
    address,
    address_backward,
    read_memory,
    read_memory_backward,
    write_memory,
    write_memory_backward,
)
from tinytx.ops.plain_quantized import quantize_rows, quantized_embedding, quantized_linear  # noqa: F401
from tinytx.ops.plain_recurrent import (  # noqa: F401
    activation_penalty,
    activation_penalty_backward,
    additive_scores,
    additive_scores_backward,
    gru,
    gru_backward,
    lstm,
    lstm_backward,
    mlstm,
    mlstm_backward,
    original_gru,
    original_gru_backward,
    product_scores,
    product_scores_backward,
    relative_scores,
    relative_scores_backward,
    rnn,
    rnn_backward,
    segment_scores,
    segment_scores_backward,
)
from tinytx.ops.plain_route import balance, balance_backward, route, route_backward  # noqa: F401
from tinytx.ops.plain_rows import (  # noqa: F401
    add_positions,
    add_positions_backward,
    add_rows,
    add_rows_backward,
    batch_norm,
    batch_norm_backward,
    compress,
    compress_backward,
    conv1d,
    conv1d_backward,
    dropout,
    dropout_backward,
    maxout,
    maxout_backward,
    pair_sum,
    pair_sum_backward,
    patches,
    patches_backward,
    pool,
    pool_backward,
    prepend,
    prepend_backward,
    rotate,
    rotate_backward,
    scalar_mix,
    scalar_mix_backward,
    select_rows,
    select_rows_backward,
    word_dropout,
    word_dropout_backward,
)
from tinytx.ops.plain_sparse import (  # noqa: F401
    global_window_attention,
    global_window_attention_backward,
    linear_attention,
    linear_attention_backward,
    lsh_attention,
    lsh_attention_backward,
    merge,
    merge_backward,
    sparse_attention,
    sparse_attention_backward,
)

# ---------------------------------------------------------------------------------------- products and tables


def linear(x, weight, bias=None, *, onto=0):
    """Return onto + x W + b."""
    y = onto + x @ weight  # (1), (5)
    return (y if bias is None else y + bias), (x, weight, bias is not None)


def linear_backward(dy, saved, *, frozen=False, onto=0, unmade=False):
    """Return (onto + dx, dweight, dbias); dbias is None where there was no bias."""
    x, weight, has_bias = saved
    x_rows, dy_rows = x.reshape(-1, x.shape[-1]), dy.reshape(-1, dy.shape[-1])  # (N, d_in), (N, d_out)
    dbias = dy_rows.sum(axis=0) if has_bias else None  # (4)
    return onto + dy @ weight.T, None if frozen else x_rows.T @ dy_rows, dbias  # (2), (3)


def embedding(ids, weight):
    """Return the rows that ids name."""
    return weight[ids], (ids, weight.shape)  # (1)


def embedding_backward(dy, saved):
    """Return dweight."""
    ids, shape = saved
    dweight = np.zeros(shape, dy.dtype)
    np.add.at(dweight, ids, dy)  # (2): an assignment would count an id that occurs twice once
    return dweight


# ---------------------------------------------------------------------------------------- rows


def layer_norm(x, weight, bias, eps=1e-5):
    """Return w n + b, n being x normalised over its last axis."""
    mu = x.mean(axis=-1, keepdims=True)
    r = 1 / np.sqrt(np.mean((x - mu) ** 2, axis=-1, keepdims=True) + x.dtype.type(eps))  # (1), (2)
    return weight * ((x - mu) * r) + bias, (x, weight, mu, r)  # (3)


def layer_norm_backward(dy, saved, *, onto=0):
    """Return (onto + dx, dweight, dbias)."""
    x, weight, mu, r = saved
    n = (x - mu) * r
    rows = tuple(range(dy.ndim - 1))
    dn = weight * dy  # (5)
    dx = r * (dn - dn.mean(axis=-1, keepdims=True) - n * np.mean(dn * n, axis=-1, keepdims=True))  # (7)
    return onto + dx, np.sum(dy * n, axis=rows), np.sum(dy, axis=rows)  # (4)


def rms_norm(x, weight, eps=1e-6):
    """Return w n, where n is x divided by the root of its mean square in each row."""
    r = 1 / np.sqrt((x * x).mean(axis=-1, keepdims=True) + x.dtype.type(eps))
    return weight * (x * r), (x, weight, r)  # (1), (2)


def rms_norm_backward(dy, saved, *, onto=0):
    """Return (onto + dx, dweight)."""
    x, weight, r = saved
    n = x * r
    dn = dy * weight  # (3)
    dx = r * (dn - n * (dn * n).mean(axis=-1, keepdims=True))  # (4)
    return onto + dx, (dy * n).reshape(-1, n.shape[-1]).sum(axis=0)  # (3)


def softmax(x, mask=None):
    """Return the softmax over the last axis; 0 where the mask is False."""
    if mask is not None:
        x = np.where(mask, x, -np.inf)
    m = x.max(axis=-1, keepdims=True)
    y = np.exp(x - np.where(m > -np.inf, m, 0))  # a row that is masked whole has m = -inf
    z = y.sum(axis=-1, keepdims=True)
    y = y / np.where(z > 0, z, 1)  # (1)
    return y, y


def softmax_backward(dy, saved):
    """Return dx."""
    return saved * (dy - np.sum(dy * saved, axis=-1, keepdims=True))  # (3)


def attention(
    q, k, v, bias=None, *, mask=None, pattern=FULL, scale=None, dropout=0.0, key=None, first_row=0, log_sum_exp=False  # noqa: F811
):
    """Return softmax(scale q k^T + bias) v for each head; q is (B, H, T, K), k (B, G, S, K), v (B, G, S, W)."""
    (b, h, t, width), (_, g, s, _) = q.shape, k.shape
    k, v = np.repeat(k, h // g, axis=1), np.repeat(v, h // g, axis=1)  # (B, H, S, K), (B, H, S, W)
    rule = pattern.allowed(slice(0, b), slice(s - t, s), slice(0, s))  # query t stands at place S - T + t
    allowed = rule[:, None] if rule.ndim == 3 else rule
    allowed = allowed if mask is None else allowed & mask
    c = q.dtype.type(1 / math.sqrt(width) if scale is None else scale)
    a = c * (q @ k.swapaxes(2, 3)) + (0 if bias is None else bias)  # (1)
    p, _ = softmax(a, allowed)  # (2)
    kept = q.dtype.type(1)  # m / (1 - p) of dropout
    if dropout and key is not None:
        kept, _ = hashed_dropout(np.ones(p.shape, q.dtype), dropout, key, first_row * h * t)
    y, saved = (p * kept) @ v, (q, k, v, bias, p, kept, c, g, log_sum_exp)  # (3)
    if not log_sum_exp:
        return y, saved
    m = np.max(a, axis=-1, initial=-np.inf, where=allowed, keepdims=True)
    z = np.sum(np.exp(a - np.where(m > -np.inf, m, 0)), axis=-1, where=allowed)
    return (y, m[..., 0] + np.log(z)), saved


def attention_backward(dy, saved):
    """Return (dq, dk, dv), and dbias if there was a bias.

    With ``log_sum_exp``, dy is the pair (dY, dL). ``kept`` is M / (1 - p) of dropout, and 1 without it. The saved k and v have a copy for
    each of the H heads, and H / g heads that follow each other are copies of one of the g groups. A bias of length 1 along an axis, such
    as (1, 1, T, S), is shared by all there.
    """
    q, k, v, bias, p, kept, c, g, log_sum_exp = saved
    dy, dl = dy if log_sum_exp else (dy, None)
    dv = (p * kept).swapaxes(2, 3) @ dy  # (4)
    dp = (dy @ v.swapaxes(2, 3)) * kept  # (5)
    da = softmax_backward(dp, p)  # (6)
    if log_sum_exp:
        da = da + p * dl[..., None]  # (12)
    dq, dk = c * (da @ k), c * (da.swapaxes(2, 3) @ q)  # (7), (8)
    dk, dv = (x.reshape(len(x), g, -1, *x.shape[2:]).sum(axis=2) for x in (dk, dv))  # over the heads of a group
    if bias is None:
        return dq, dk, dv
    shared = tuple(axis for axis in range(4) if bias.shape[axis] < da.shape[axis])
    return dq, dk, dv, da.sum(axis=shared, keepdims=True)  # (11)
