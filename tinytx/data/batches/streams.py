"""Cuts one long row of token ids into batches each of which goes on where the one before ended."""

import functools

import numpy as np

from tinytx.arguments import INT64, check_whole
from tinytx.data.batches.windows import one_row
from tinytx.shapes import check_ids

HALVED, SPREAD, SHORTEST = 0.05, 5.0, 5  # of `stream_lengths`


def stream_lengths(length, *, seed, n):
    """Return the lengths (n,) of the first n steps, drawn anew for each (Merity et al. 2017, arXiv:1708.02182, section 5.1).

    They are normal around ``length``, or in one step of twenty around half of it, with a standard deviation of 5, and at
    least 5. So the text is not cut at the same places each time it is read. A short step has fewer tokens, and is to be
    taken with a learning rate smaller by as much: times its length divided by ``length``.

    Parameters
    ----------
    length : int
    seed : int, not negative
    n : int
    """
    return _lengths(length, seed, 1 << n.bit_length())[:n]


@functools.lru_cache(maxsize=8)
def _lengths(length, seed, n):
    """Return the lengths of n steps: a run asks for one more in each step, and the first ones stay the same."""
    halved = np.random.default_rng([seed, 0]).random(n) < HALVED
    drawn = np.where(halved, length / 2, length) + SPREAD * np.random.default_rng([seed, 1]).standard_normal(n)
    lengths = np.maximum(SHORTEST, drawn.astype(int))
    lengths.flags.writeable = False
    return lengths


def stream_batch(ids, *, length, batch_size, step, seed=None):
    """Return the batch of one training step of a model that remembers the text before (truncated backpropagation).

    Each row reads the whole text, again and again, and each begins at another place: row b of B at b/B of it. So row b of
    step k + 1 goes on where row b of step k ended. Where the text ends, a row goes on with its beginning: what a model
    remembers is then of another place, once in the whole text.

    Parameters
    ----------
    ids : integers (n,)
    length : int
        T, tokens of a row in one step.
    batch_size : int
        B.
    step : int, not negative
    seed : int, optional, not negative
        Draws T anew in each step, around ``length``: `stream_lengths`.

    Returns
    -------
    inputs, targets : int64 array (B, T)
        Targets are the inputs' successors.

    Raises
    ------
    TypeError, ValueError
        If ids are not one row of at least 2 integers, or a size is below 1.
    """
    ids = one_row("stream_batch", ids)
    length, batch_size = check_whole("stream_batch", "length", length), check_whole("stream_batch", "batch_size", batch_size)
    step = check_whole("stream_batch", "step", step, least=0)
    if len(ids) < 2:
        raise ValueError(f"stream_batch: the text has {len(ids)} tokens, expected at least 2: take a longer text")
    n = len(ids) - 1  # inputs that have a target
    begun = step * length
    if seed is not None:
        lengths = stream_lengths(length, seed=check_whole("stream_batch", "seed", seed, least=0), n=step + 1)
        begun, length = int(lengths[:-1].sum()), lengths[-1]
    starts = np.arange(batch_size)[:, None] * n // batch_size + begun
    positions = (starts + np.arange(length)) % n  # (B, T)
    return check_ids("stream_batch", ids[positions], INT64[1]), check_ids("stream_batch", ids[positions + 1], INT64[1])
