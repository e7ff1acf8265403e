"""Attention of all kinds in PyTorch: part of the oracles of `test_oracle_ops`."""

import numpy as np
import torch

from tinytx import ops
from tinytx.ops.attention_patterns import CAUSAL, FULL, Band, Blocks, Ends, Strided
from tinytx.ops.plain_sparse import kept_meetings, kept_of_window, kept_weights, meetings

F = torch.nn.functional


def kept(x, p, key, first_row=0, repeat=1):
    """Return our own mask, divided by 1 - p: the one thing that PyTorch cannot be asked for."""
    ones = np.ones(x.shape)
    return torch.tensor(ops.dropout(ones, p, key, first_row, repeat=repeat)[0]).to(x.dtype)


def softmax(x, mask):
    """A row that is masked whole is 0 here and NaN in PyTorch, where it is computed as if nothing were masked."""
    if mask is None:
        return F.softmax(x, -1)
    mask = torch.tensor(mask).broadcast_to(x.shape)
    return F.softmax(x.masked_fill(~mask & mask.any(-1, keepdim=True), -torch.inf), -1) * mask


def attention(
    q, k, v, bias=None, *, mask=True, pattern=FULL, scale=None, dropout=0.0, key=None, first_row=0, log_sum_exp=False
):
    k, v = (x.repeat_interleave(q.shape[1] // k.shape[1], 1) for x in (k, v))
    scores = q @ k.mT * (q.shape[-1] ** -0.5 if scale is None else scale) + (0 if bias is None else bias)
    (b, _, t, s) = scores.shape
    mask = torch.tensor(mask & pattern.allowed(slice(0, b), slice(s - t, s), slice(0, s))).broadcast_to(scores.shape)
    p = softmax(scores, mask.numpy())
    if key is not None:
        p = p * kept(p, dropout, key, first_row * p.shape[1] * p.shape[2])
    return torch.cat([p @ v, scores.logsumexp(3, keepdim=True)], 3) if log_sum_exp else p @ v


def sparse_attention(q, k, v, *, kind, stride, n_ends=1, **options):
    """One softmax under a mask. With dropout each set of keys has its own mask, which plain NumPy tells."""
    strided = kind == "strided"
    pattern = CAUSAL & (Band(stride - 1, 0) | Strided(stride) if strided else Blocks(stride) | Ends(stride, n_ends))
    if options.get("key") is None:
        return attention(q, k, v, pattern=pattern, scale=options["scale"])
    k, v = (x.repeat_interleave(q.shape[1] // k.shape[1], 1) for x in (k, v))
    allowed = pattern.allowed(slice(0, len(q)), slice(0, q.shape[2]), slice(0, q.shape[2]))
    dropped = [options[name] for name in ("dropout", "key", "first_row")]
    p = softmax(q @ k.mT * options["scale"], np.broadcast_to(allowed, (*q.shape[:3], q.shape[2])))
    return p * torch.tensor(kept_weights(np.empty(q.shape), kind, stride, n_ends, *dropped), dtype=p.dtype) @ v


def lsh_attention(q, k, v, buckets, *, chunk, causal=True, scale=None, dropout=0.0, key=None, first_row=0):
    """One softmax with n for each pair that meets n times; dropout by what plain NumPy says of each meeting."""
    n = torch.tensor(meetings(buckets, chunk, causal))
    a = (q @ k.mT * scale).masked_fill(n == 0, -torch.inf)
    alone = (n == 0).all(-1, keepdim=True)
    p = torch.softmax((a + n.log().to(a.dtype)).masked_fill(alone, 0), -1) * ~alone
    if key is not None:
        kept = kept_meetings(np.empty(q.shape), buckets, chunk, dropout, key, first_row)
        p = p * torch.tensor(kept, dtype=p.dtype) / n.clamp(min=1).to(p.dtype)
    return p @ v + alone * v


def linear_attention(q, k, v, *, causal):
    """All weights at once; `F.elu` has the features without their 1."""
    scores = (F.elu(q) + 1) @ (F.elu(k) + 1).mT
    if causal:
        scores = scores.tril(k.shape[2] - q.shape[2])
    return scores / scores.sum(-1, keepdim=True) @ v


def compress(x, weight, mask=True):
    """The mask as zeros in E, for each row of the batch."""
    real = torch.tensor(mask).broadcast_to(len(x), x.shape[2])[:, None, None, :]
    return torch.where(real, weight[..., : x.shape[2]], 0) @ x


def merge(ys, lses):
    return torch.cat([(lses.softmax(0)[..., None] * ys).sum(0), lses.logsumexp(0)[..., None]], -1)


def global_window_attention(q, k, v, q_global, k_global, v_global, *, is_global, left, right, dilation=1, mask=True, scale, **dropout):
    """One softmax under a mask, and rows that another one writes over; dropout by what plain NumPy says of each set of keys."""
    (b, h, t, _), n, words = q.shape, q_global.shape[2], torch.tensor(mask)
    distance, kept, kept_global = np.arange(t)[:, None] - np.arange(t), 1, 1
    steps = np.reshape(dilation, (-1, 1, 1))
    near = torch.tensor((distance % steps == 0) & (distance <= left * steps) & (-distance <= right * steps))
    seen = (near | torch.tensor(is_global)[:, None, None]) & words
    if dropout:
        masks = kept_of_window(np.empty(q.shape), n, is_global, dilation, *(dropout[name] for name in ("dropout", "key", "first_row")))
        kept, kept_global = (torch.tensor(each, dtype=q.dtype) for each in masks)
    y = softmax(q @ k.mT * scale, seen.expand(b, h, t, t).numpy()) * kept @ v
    rows = softmax(q_global @ k_global.mT * scale, words.expand(b, h, n, t).numpy()) * kept_global @ v_global
    for text, places in enumerate(map(np.flatnonzero, is_global)):
        y = y.index_put((torch.tensor([[text]]), torch.arange(h)[:, None], torch.tensor(places)), rows[text, :, : len(places)])
    return y


ATTENTION = {
    "attention": lambda case: attention,
    "compress": lambda case: compress,
    "global_window_attention": lambda case: global_window_attention,
    "linear_attention": lambda case: linear_attention,
    "lsh_attention": lambda case: lsh_attention,
    "merge": lambda case: merge,
    "sparse_attention": lambda case: sparse_attention,
}
