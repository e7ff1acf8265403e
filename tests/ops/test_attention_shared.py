"""Attention of one sequence, whose heads threads take that are awake."""

import numpy as np
import pytest
from test_attention import MASKS, options_of, qkv, results

from tinytx import workers
from tinytx.ops import attention_saved
from tinytx.ops.attention_patterns import CAUSAL, Documents, Prefix

PATTERNS = {  # whose masks are made, for one tile after the other if they are large
    "prefix": {"pattern": CAUSAL | Prefix(5)},
    "documents": {"pattern": CAUSAL & Documents(np.repeat([[0, 1, 2], [3, 3, 4]], 5, axis=1))},
}

@pytest.mark.parametrize("kind", [*MASKS, "prefix", "documents"])
@pytest.mark.parametrize("most", [1 << 20, 1])
@pytest.mark.parametrize("p", [0.0, 0.4])
def test_threads_that_are_awake_take_heads(kind, most, p, monkeypatch):
    """Catches lists of heads that share an array to compute in, or begin where another one does; no bit depends on who computes."""
    rng = np.random.default_rng(2)
    q, k, v = qkv(2, 3, 14, 15, 4)
    options = PATTERNS[kind] if kind in PATTERNS else options_of(kind, 2, 3, 14, 15, rng)[0]
    dy, options = rng.normal(size=q.shape), options | {"dropout": p, "key": 12345}
    expected = results(q, k, v, dy, **options)
    monkeypatch.setattr(attention_saved, "SHARED", 1)
    monkeypatch.setattr(attention_saved, "MASK", most)
    for threads in (2, 3, 7):
        with workers.use(workers.Pool(threads)), workers.awake.use():
            for key, one in results(q, k, v, dy, **options).items():
                np.testing.assert_array_equal(one, expected[key], err_msg=f"{key}, {threads} threads")
