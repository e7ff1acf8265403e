"""Results of decoding: sequences with their log-probabilities, and on request every step."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Step:
    """One step of decoding: the ids that the model read, and the tokens chosen.

    ``print`` shows where decoding starts, and that the model reads one token at a time, the one chosen last.

    Parameters
    ----------
    fed : int64 array (N, t)
        Ids that the model read in this step: first the prompt, or an encoder-decoder's ``start_id``; then the last
        token of each row, t = 1, since keys and values of earlier tokens are in the cache. N is B; in a beam search B ·
        beam_size from the second step on, with the hypotheses of a sentence in consecutive rows.
    chosen : int64 array (B,), or (B, beam_size) in a beam search
        The token chosen for each row; padding if the row has ended. In a beam search the best continuations of all
        hypotheses of a sentence, best first.
    log_probs : float64 array, shape of ``chosen``
        ln p(chosen token | tokens before it); 0 for padding.
    totals : float64 array, shape of ``chosen``
        The sum of ``log_probs`` of the sequence up to this step; -inf for an empty place in the beam.
    parents : int64 array (B, beam_size), beam search only
        The hypothesis of the sentence that each choice continues.
    """

    fed: np.ndarray
    chosen: np.ndarray
    log_probs: np.ndarray
    totals: np.ndarray
    parents: np.ndarray | None = None


@dataclass(frozen=True)
class Decoded:
    """Decoded sequences. ``...`` stands for B, and after a beam search for (B, n_best), best first.

    Parameters
    ----------
    ids : int64 array (..., T)
        New tokens, the stop token included, then padding; T is the longest one's length.
    lengths : int64 array (...)
        Number of tokens before the padding; 0 for an empty place among the n best.
    ended : boolean array (...)
        Whether the last token is a stop token; if not, the sequence reached the limit of tokens.
    log_probs : float64 array (...)
        ln p(ids | prompt or source) under the model, without temperature, top-k and top-p.
    scores : float64 array (...)
        After a beam search, ``log_probs`` divided by the length penalty; otherwise ``log_probs``.
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
        """Return each sequence's ids without stop token and padding, as a list; of lists if there are n best."""
        keep = self.lengths - self.ended
        if self.ids.ndim == 2:
            return [row[:n] for row, n in zip(self.ids, keep, strict=True)]
        return [[row[:n] for row, n in zip(*pair, strict=True)] for pair in zip(self.ids, keep, strict=True)]


def merge(parts, n_rows, pad):
    """Join results for parts of the rows to one Decoded of ``n_rows`` rows.

    Parameters
    ----------
    parts : list of (integers (B',), Decoded)
        The rows of each part, and its result.
    n_rows : int
    pad : int
        Fills the ends of shorter rows.
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
