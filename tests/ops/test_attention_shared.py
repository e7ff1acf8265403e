"""Attention of one sequence, whose heads threads take that are awake."""

import numpy as np
import pytest
from test_attention import MASKS, options_of, qkv, results

from tinytx import workers
from tinytx.ops import attention, attention_saved
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


@pytest.mark.parametrize(("more", "n"), [(0, 2), (1, 1)])
def test_heads_are_handed_over_where_there_is_enough_to_do(more, n, monkeypatch):
    """Catches threads that are asked for work that is too short for them, and ones that nobody asks."""
    asked = []
    monkeypatch.setattr(workers.awake, "words", lambda wanted=True: asked.append(wanted) or np.empty(0, np.int64))
    monkeypatch.setattr(attention_saved, "SHARED", 3 * 5 * 4 * 7 + more)
    with workers.use(workers.Pool(2)), workers.awake.use():
        _, saved = attention(*qkv(1, 3, 5, 7, 4))
        assert (len(saved.lists()), asked) == (n, [n > 1])
