"""The weights of attention, for pictures: `tinytx.ops.attention` itself never has all of them in memory."""

import numpy as np

from tinytx.ops.attention import attention


def attention_weights(saved):
    """Return P (B, H, T, S), after dropout, for pictures: the outputs for values that are the rows of a unit matrix."""
    (p, key, first_row), s = saved.dropout, saved.k.shape[2]
    unit = np.broadcast_to(np.eye(s, dtype=saved.q.dtype), (*saved.k.shape[:3], s))
    options = {"mask": saved.mask, "pattern": saved.pattern, "scale": saved.scale, "dropout": p, "key": key, "first_row": first_row}
    return attention(saved.q, saved.k, unit, saved.bias, **options)[0]
