"""Huffman's tree: a prefix code of the smallest cost."""

import heapq

import numpy as np
import pytest

from tinytx.data.huffman import huffman


@pytest.mark.parametrize("seed", range(5))
def test_no_tree_costs_less(seed):
    """The cost is that of joining the two rarest again and again; codes fill the tree, and nodes are those on the way."""
    counts = np.random.default_rng(seed).integers(0, 30, 2 + 4 * seed)
    nodes, turns = huffman(counts)
    lengths = (nodes >= 0).sum(axis=1)
    heap, cost = sorted(counts.tolist()), 0
    while len(heap) > 1:
        joined = heapq.heappop(heap) + heapq.heappop(heap)
        cost += joined
        heapq.heappush(heap, joined)
    assert (lengths * counts).sum() == cost
    assert np.sum(0.5**lengths) == 1
    below = {}  # (node, turn): what is there, a word or the next node of every word below
    for word, (way, code, n) in enumerate(zip(nodes.tolist(), turns.tolist(), lengths)):
        assert way[0] == len(counts) - 2 and set(way[n:]) <= {-1} and set(code) <= {0, 1}
        for k in range(n):
            after = ("node", way[k + 1]) if k + 1 < n else ("word", word)
            assert below.setdefault((way[k], code[k]), after) == after
    assert len(below) == 2 * (len(counts) - 1)


@pytest.mark.parametrize("counts", [[3], [], [[1, 2]], [1, -1], [0.5, 1.0]], ids=str)
def test_what_is_no_vocabulary_is_refused(counts):
    with pytest.raises(ValueError, match="huffman: counts have shape .*, expected at least two integers, none negative"):
        huffman(counts)
