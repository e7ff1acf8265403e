"""Masks of attention: which keys a query may see.

A mask is boolean and True where attention is allowed. It broadcasts to the weights' shape, (B, H, T, S):

========================  ===============  ==================================================================
what is hidden            shape            made by
========================  ===============  ==================================================================
padding among the keys    (B, 1, 1, S)     `padding_mask`, the same for every head and query of a sequence
later positions           (T, S)           `causal_mask`, the same for every sequence and head
both                      (B, 1, T, S)     ``padding_mask(...) & causal_mask(...)``
later in an order         (B, 1, T, T)     `permutation_masks`, an order of its own for each sequence
========================  ===============  ==================================================================

``DotProduct(pattern=CAUSAL)`` gives the same result as a causal mask, and computes fewer products.

If all keys of a query are hidden (a sentence that consists of padding), the output of attention is 0, and never NaN:
see `tinytx.ops.attention`. The output at a padded position does not affect other positions, because no query sees its
key.
"""

import numpy as np

from tinytx.arguments import INT64, check_sizes, check_whole
from tinytx.shapes import check_integers


def padding_mask(ids, pad_id):
    """Return the mask that hides padded keys.

    Parameters
    ----------
    ids : integers (B, S)
    pad_id : int

    Returns
    -------
    boolean array (B, 1, 1, S)
        True where there is a word.

    Raises
    ------
    TypeError, ValueError
        If ``ids`` are not integers (B, S), or ``pad_id`` is not an integer.

    Examples
    --------
    >>> padding_mask(np.array([[5, 6, 0], [7, 0, 0]]), pad_id=0)[:, 0, 0]
    array([[ True,  True, False],
           [ True, False, False]])
    """
    ids, pad_id = check_integers("padding_mask", ids, "ids"), check_whole("padding_mask", "pad_id", pad_id, *INT64)
    if ids.ndim != 2:
        raise ValueError(f"padding_mask: ids have shape {ids.shape}, expected (B, S)")
    return (ids != pad_id)[:, None, None, :]


def causal_mask(n_queries, n_keys=None):
    """Return the mask that hides later positions.

    Parameters
    ----------
    n_queries : int
        T.
    n_keys : int, optional
        S; T if not given. If there are more keys than queries, the queries are at the last T positions (the earlier
        keys come from a state), so the last query sees all keys.

    Returns
    -------
    boolean array (T, S)

    Examples
    --------
    >>> causal_mask(2, 3)
    array([[ True,  True, False],
           [ True,  True,  True]])
    """
    n_keys = n_queries if n_keys is None else n_keys
    check_sizes("causal_mask", n_queries=n_queries, n_keys=n_keys)
    return np.tri(n_queries, n_keys, n_keys - n_queries, dtype=bool)


def permutation_masks(order, n_context=0):
    """Return the masks of words that are predicted in some order (XLNet: Yang et al. 2019, arXiv:1906.08237).

    The first words of an order are the *context*, which is read as a whole. The others are predicted one after the other.
    With the rank r_t of a word in its order, where all words of the context have one rank, the lowest,

        the content stream, which knows its own word, sees s   if  r_s <= r_t,    (1)
        the query stream, which predicts its word, sees s      if  r_s < r_t.     (2)

    So in the query stream, a word of the context sees nothing: it is not predicted. Nor does the first word of an order
    without a context, unless there are further keys, such as a memory's.

    Parameters
    ----------
    order : integers (B, T)
        Each row holds the positions 0..T-1 in the order in which their words are predicted.
    n_context : int
        The number of words of the context, 0..T.

    Returns
    -------
    content, query : boolean arrays (B, 1, T, T)

    Raises
    ------
    TypeError, ValueError
        If a row is not a permutation of 0..T-1, or ``n_context`` is out of its range.

    Examples
    --------
    >>> content, query = permutation_masks(np.array([[2, 0, 1]]))
    >>> query[0, 0].astype(int)  # the word at position 2 sees nothing, at 0 it sees 2, at 1 both others
    array([[0, 0, 1],
           [1, 0, 1],
           [0, 0, 0]])
    """
    order = check_integers("permutation_masks", order, "order")
    if order.ndim != 2 or (np.sort(order, axis=1) != np.arange(order.shape[1])).any():
        raise ValueError(f"permutation_masks: order of shape {order.shape}, expected (B, T), a permutation of 0..T-1 in each row")
    n_context = check_whole("permutation_masks", "n_context", n_context, 0, order.shape[1])
    rank = np.maximum(np.argsort(order, axis=1), max(0, n_context - 1))[:, None]  # (B, 1, T)
    return rank[:, :, None] <= rank[..., None], rank[:, :, None] < rank[..., None]  # (1), (2)
