"""Cuts one long row of token ids into batches each of which goes on where the one before ended."""

import numpy as np

from tinytx.arguments import INT64, check_whole
from tinytx.data.batches.windows import one_row
from tinytx.shapes import check_ids


def stream_batch(ids, *, length, batch_size, step):
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
    starts = np.arange(batch_size)[:, None] * n // batch_size + step * length
    positions = (starts + np.arange(length)) % n  # (B, T)
    return check_ids("stream_batch", ids[positions], INT64[1]), check_ids("stream_batch", ids[positions + 1], INT64[1])
