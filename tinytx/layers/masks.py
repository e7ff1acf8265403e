"""Masks of attention: which keys a query may see.

A mask is boolean and True where attention is allowed. It broadcasts to the weights' shape, (B, H, T, S):

========================  ===============  ==================================================================
what is hidden            shape            made by
========================  ===============  ==================================================================
padding among the keys    (B, 1, 1, S)     `padding_mask`, the same for every head and query of a sequence
later positions           (T, S)           `causal_mask`, the same for every sequence and head
both                      (B, 1, T, S)     ``padding_mask(...) & causal_mask(...)``
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
