"""Cuts one long row of token ids into the (inputs, targets) for training and validating a language model.

Targets are the inputs' successors: ``targets[b, t]`` is the token that follows ``inputs[b, : t + 1]``.
"""

import numpy as np

from tinytx.arguments import INT64, check_number, check_whole
from tinytx.shapes import check_ids, check_integers
from tinytx.wording import counted

IGNORE_INDEX = -100  # losses ignore this target


def split(ids, train_fraction=0.9):
    """Return (train, validation): the first part of the ids, and the rest.

    The text is cut once and not shuffled: otherwise validation would contain neighbours of the training text.

    Parameters
    ----------
    ids : integers (n,)
    train_fraction : float in 0..1
        The share of the first part.

    Returns
    -------
    train, validation : views of ``ids``; either may be too short for a window

    Raises
    ------
    TypeError, ValueError
        If ids are not one row of integers, or the fraction is outside 0..1.
    """
    ids = one_row("split", ids)
    check_number("split", "train_fraction", train_fraction, "0..1", lambda share: 0 <= share <= 1)
    cut = round(len(ids) * train_fraction)
    return ids[:cut], ids[cut:]


def random_batch(ids, *, max_len, batch_size, seed, step):
    """Return random windows of the ids: the batch of one training step.

    It depends on its arguments alone. A run that resumes at step 500 gets the same batch 500 as the first run, and no
    state of a generator has to be saved.

    Parameters
    ----------
    ids : integers (n,)
    max_len : int
        T, the length of a window; n must exceed it, since the last input needs a target.
    batch_size : int
        B, the number of windows, drawn with replacement.
    seed, step : int, not negative
        The run, and the step in it.

    Returns
    -------
    inputs, targets : int64 array (B, T)

    Raises
    ------
    TypeError, ValueError
        If ids are not one row of integers, one is negative, a size is below 1, or the ids are fewer than ``max_len + 1``.
    """
    ids = one_row("random_batch", ids)
    max_len = check_whole("random_batch", "max_len", max_len)
    batch_size = check_whole("random_batch", "batch_size", batch_size)
    seed, step = (check_whole("random_batch", *named, least=0) for named in (("seed", seed), ("step", step)))
    if len(ids) <= max_len:
        raise ValueError(
            f"random_batch: {len(ids)} tokens are too few for max_len {max_len}, which needs {max_len + 1}; "
            "take a longer text or a smaller max_len"
        )
    rng = np.random.default_rng([seed, step])
    starts = rng.integers(len(ids) - max_len, size=(batch_size, 1))
    positions = starts + np.arange(max_len)  # (B, T)
    return check_ids("random_batch", ids[positions], INT64[1]), check_ids("random_batch", ids[positions + 1], INT64[1])


def windows(ids, max_len):
    """Return consecutive windows that cover all ids; a validation loss is the mean over them.

    Every token but the first is a target exactly once.

    Parameters
    ----------
    ids : integers (n,)
    max_len : int
        T, the length of a window.

    Returns
    -------
    inputs, targets : int64 array (W, T), W = ceil((n - 1) / T)
        The end of the last window is filled with input 0 and target ``IGNORE_INDEX``.

    Raises
    ------
    TypeError, ValueError
        If ids are not one row of integers, ``max_len`` is below 1, or there are fewer than 2 ids.
    """
    ids = one_row("windows", ids)
    max_len = check_whole("windows", "max_len", max_len)
    if len(ids) < 2:
        raise ValueError(f"windows: {counted(len(ids), 'token')}, and the shortest window needs 2; take a longer text, or split off more")
    n_targets, ids = len(ids) - 1, check_ids("windows", ids, INT64[1])
    shape = (-(-n_targets // max_len), max_len)
    inputs, targets = np.zeros(shape, np.int64), np.full(shape, IGNORE_INDEX)
    inputs.ravel()[:n_targets] = ids[:-1]
    targets.ravel()[:n_targets] = ids[1:]
    return inputs, targets


def one_row(place, ids):
    """Return ids as an array; raise TypeError or ValueError unless they are one row of integers."""
    ids = check_integers(place, ids, "ids")
    if ids.ndim != 1:
        raise ValueError(f"{place}: ids have shape {ids.shape}, expected (n,)")
    return ids
