"""Induction: how much a head of attention looks at what followed the last times that a token was there."""

import numpy as np


def induction_scores(weights, ids, asks=None):
    """Return how much each head looks at tokens that followed earlier occurrences of the token that looks.

    A head that completes patterns, A B ... A -> B, looks from the second A at B (Elhage et al. 2021; Olsson et al. 2022,
    arXiv:2209.11895). Its score is near 1. One that spreads its weights evenly has the share of such places among all.

    Parameters
    ----------
    weights : array (B, H, T, T)
        Where each position looks: `tinytx.viz.attention_maps`. Causal.
    ids : integers (B, T)
        The tokens.
    asks : booleans (B, T), optional
        The positions that count, of those whose token was there before; all of them if not given.

    Returns
    -------
    array (H,)
        The mean, over the positions that count, of the weight on such places.

    Raises
    ------
    ValueError
        If the shapes do not fit, or no position counts.

    Examples
    --------
    >>> ids = np.array([[5, 6, 7, 5]])                   # the last one looks at 6 with a weight of 0.9
    >>> weights = np.zeros((1, 1, 4, 4))
    >>> weights[0, 0, 3] = [0.1, 0.9, 0, 0]
    >>> induction_scores(weights, ids).tolist()
    [0.9]
    """
    weights, ids = np.asarray(weights), np.asarray(ids)
    if weights.ndim != 4 or ids.shape != (len(weights), weights.shape[2]) or weights.shape[2] != weights.shape[3]:
        raise ValueError(f"induction_scores: weights have shape {weights.shape} and ids {ids.shape}, expected (B, H, T, T) and (B, T)")
    followed = np.zeros((*ids.shape, ids.shape[1]), bool)  # (B, T, S): whether s stands behind an earlier occurrence of t's token
    followed[:, :, 1:] = ids[:, :, None] == ids[:, None, :-1]
    followed &= np.tri(ids.shape[1], dtype=bool)  # the occurrence before s is before t
    counted = followed.any(-1) if asks is None else followed.any(-1) & asks
    if not counted.any():
        raise ValueError("induction_scores: no token that counts was there before, expected texts that repeat tokens")
    found = (weights * followed[:, None]).sum(-1)  # (B, H, T)
    return found.swapaxes(1, 2)[counted].mean(0)
