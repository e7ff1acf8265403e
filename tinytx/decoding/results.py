"""What decoding returns: sequences with their log-probabilities, and on request every step that led to them."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Step:
    """One step of decoding: what the model was fed, and what was chosen.

    ``print`` it to see where decoding starts, that one token is fed at a time, and that it is the one just chosen.

    Parameters
    ----------
    fed : int64 array (N, t)
        Ids that the model read in this step: first the prompt, or an encoder-decoder's ``start_id``; afterwards the
        token that each row chose last, t = 1, since keys and values of all before are in the cache. N is B; in a beam
        search B · beam_size from the second step on, a sentence's hypotheses beside each other.
    chosen : int64 array (B,), or (B, beam_size) in a beam search
        The token chosen for each row; padding where the row has ended. In a beam search the best continuations over
        all hypotheses of a sentence, best first.
    log_probs : float64 array, shape of ``chosen``
        ln p(chosen token | tokens before it); 0 for padding.
    totals : float64 array, shape of ``chosen``
        The sum of ``log_probs`` of the sequence up to here; -inf for a place in the beam that nothing fills.
    parents : int64 array (B, beam_size), beam search only
        Which of the sentence's hypotheses each choice continues.
    """

    fed: np.ndarray
    chosen: np.ndarray
    log_probs: np.ndarray
    totals: np.ndarray
    parents: np.ndarray | None = None


@dataclass(frozen=True)
class Decoded:
    """Decoded sequences. ``...`` is B, and (B, n_best), best first, where a beam search made them.

    Parameters
    ----------
    ids : int64 array (..., T)
        New tokens, the stop token included, then padding; T is the longest one's length.
    lengths : int64 array (...)
        Tokens before the padding. 0 for a place among the n best that nothing fills.
    ended : boolean array (...)
        Whether the last of them is a stop token; if not, the limit of tokens cut the sequence off.
    log_probs : float64 array (...)
        ln p(ids | prompt or source), natural logarithm, by the model itself: temperature and truncation do not count.
    scores : float64 array (...)
        By what a beam search orders: ``log_probs`` over the length penalty. Elsewhere ``log_probs``.
    steps : list of Step, optional
        With ``trace=True``.
    """

    ids: np.ndarray
    lengths: np.ndarray
    ended: np.ndarray
    log_probs: np.ndarray
    scores: np.ndarray
    steps: list | None = None

    def words(self):
        """Return each sequence's ids without stop token and padding: a list, of lists where there are n best."""
        keep = self.lengths - self.ended
        if self.ids.ndim == 2:
            return [row[:n] for row, n in zip(self.ids, keep, strict=True)]
        return [[row[:n] for row, n in zip(*pair, strict=True)] for pair in zip(self.ids, keep, strict=True)]


def merge(parts, n_rows, pad):
    """Return one Decoded of ``n_rows`` rows from parts of them.

    Parameters
    ----------
    parts : list of (integers (B',), Decoded)
        Which rows each part holds.
    n_rows : int
    pad : int
        Fills the rows of a part that is shorter than another.
    """
    if len(parts) == 1:
        return parts[0][1]
    first = parts[0][1]
    ids = np.full((n_rows, *first.ids.shape[1:-1], max(part.ids.shape[-1] for _, part in parts)), pad)
    merged = {name: np.empty((n_rows, *first.lengths.shape[1:]), getattr(first, name).dtype)
              for name in ("lengths", "ended", "log_probs", "scores")}  # fmt: skip
    for rows, part in parts:
        ids[rows, ..., : part.ids.shape[-1]] = part.ids
        for name, array in merged.items():
            array[rows] = getattr(part, name)
    return Decoded(ids, **merged)
