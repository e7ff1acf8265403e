"""Huffman's tree over words (Huffman 1952): frequent words lie near its root."""

import heapq

import numpy as np


def huffman(counts):
    """Return the way from the root to each word, for hierarchical softmax (Morin and Bengio 2005; Mikolov et al. 2013).

    The two rarest of the words are joined under a new node, which then counts as a word with their counts together; and so
    on, until one is left, the root. Of all binary trees this one has the smallest mean number of nodes above a word.

    Parameters
    ----------
    counts : integers (V,), not negative
        How often each word occurs; at least two words.

    Returns
    -------
    nodes : int64 array (V, L)
        The inner nodes, each in 0..V-2, from the root to above the word; then -1, where the way is shorter than L.
    turns : int64 array (V, L)
        Which child of the node is on the way, 0 or 1: the word's code.

    Raises
    ------
    ValueError
        If there are fewer than two words, or a count is negative.

    Examples
    --------
    >>> nodes, turns = huffman([6, 1, 2])
    >>> nodes.tolist(), turns.tolist()
    ([[1, -1], [1, 0], [1, 0]], [[1, 0], [0, 0], [0, 1]])
    """
    counts = np.asarray(counts)
    if counts.ndim != 1 or len(counts) < 2 or counts.dtype.kind not in "iu" or counts.min() < 0:
        raise ValueError(f"huffman: counts have shape {counts.shape} and dtype {counts.dtype}, expected at least two integers, none negative")
    v = len(counts)
    heap = [(count, word) for word, count in enumerate(counts.tolist())]  # a node's number is v + the order of its making
    heapq.heapify(heap)
    above = np.full(2 * v - 1, -1)  # the node above each word or node
    turn = np.zeros(2 * v - 1, np.int64)
    for node in range(v, 2 * v - 1):
        (a, left), (b, right) = heapq.heappop(heap), heapq.heappop(heap)
        above[left] = above[right] = node
        turn[right] = 1
        heapq.heappush(heap, (a + b, node))
    ways = []
    for word in range(v):
        way, at = [], word
        while above[at] >= 0:
            way.append((above[at] - v, turn[at]))
            at = above[at]
        ways.append(way[::-1])
    nodes = np.full((v, max(map(len, ways))), -1)
    turns = np.zeros_like(nodes)
    for word, way in enumerate(ways):
        nodes[word, : len(way)], turns[word, : len(way)] = zip(*way, strict=True)
    return nodes, turns
