"""Batches of a masked language model, with or without pairs of sentences.

A row's mask depends on (seed, epoch, row), or on (seed, row) if it stays the same in all epochs; the order of rows
depends on (seed, epoch). So a run that resumes at step 500 gets the same batch 500, and a row's mask does not depend
on the other rows of its batch or on the batch's size.
"""

import numpy as np

from tinytx.arguments import check_whole
from tinytx.data.batches.epochs import Epochs
from tinytx.data.batches.masking import REPLACE, Masking
from tinytx.data.batches.rows import pad
from tinytx.shapes import check_ids

_MASKS, _ORDER = 1, 2  # two streams of random numbers from one seed


class MaskedBatches(Epochs):
    """The batches of a masked language model, by step or by epoch: ``batches(step)`` is what a model's loss takes.

    In each epoch every row occurs once, in a new random order, and batches have nearly equal sizes. With ``drop_last``
    all batches are full, and the remaining rows are left out.

    Parameters
    ----------
    rows : list of integer arrays (n,), none empty
        Token ids, with the special tokens that the model needs; padding is added here.
    segments : list of integer arrays (n,), optional
        The part of the pair that each token belongs to, 0 or 1. Given together with ``labels``; for the result of
        `next_sentence_pairs` write ``MaskedBatches(*pairs, ...)``.
    labels : integers (rows,), optional
    tokenizer : Tokenizer
        Gives mask and padding, V, the special ids, and where words start.
    batch_size : int
        B, the largest number of rows in a batch.
    seed : int, not negative
        Determines order and masks.
    dynamic : bool
        Mask a row differently in each epoch. False: the same mask in all epochs, for a validation loss.
    rate, replace
        As for `mask_words`.
    never : iterable of int, optional
        As for `mask_words`; the default is all special ids, including the unknown word's.
    whole_words : bool
        Choose all tokens of a word together.
    drop_last : bool
        Make batches of exactly ``batch_size`` rows. Each epoch leaves out other rows.

    Raises
    ------
    TypeError, ValueError
        If there are no rows, one is empty or has an id outside 0..V-1, segments or labels do not fit the rows, the
        tokenizer lacks a mask or padding, or a number is out of its range.

    Examples
    --------
    >>> from tinytx.data import TutorialTokenizer, joined
    >>> texts = ["Je déclare reprise la session.", "Merci, Monsieur."]
    >>> tokenizer = TutorialTokenizer.from_texts(texts)
    >>> rows = joined([tokenizer.encode(text) for text in texts], max_len=6)
    >>> batches = MaskedBatches(rows, tokenizer=tokenizer, batch_size=2, seed=3, replace=(1, 0, 0))
    >>> ids, targets = batches(0)
    >>> [" ".join(tokenizer.tokens(row)) for row in ids]
    ['je déclare reprise <mask> session .', 'merci , monsieur . je déclare']
    """

    def __init__(
        self,
        rows,
        segments=None,
        labels=None,
        *,
        tokenizer,
        batch_size,
        seed,
        dynamic=True,
        rate=0.15,
        replace=REPLACE,
        never=None,
        whole_words=False,
        drop_last=False,
    ):
        mask_id, pad_id = (_special_id(tokenizer, role) for role in ("mask", "pad"))
        never = tokenizer.special_ids if never is None else never
        self._masking = Masking("MaskedBatches", mask_id, tokenizer.vocab_size, [*never, pad_id], rate, replace)
        batch_size = check_whole("MaskedBatches", "batch_size", batch_size)
        seed = check_whole("MaskedBatches", "seed", seed, least=0)
        self.rows = [self._row(position, row) for position, row in enumerate(rows)]
        if not self.rows:
            raise ValueError("MaskedBatches: there are no rows; the text may be too short for one")
        _check_parts(self.rows, segments, labels)
        self.segments, self.labels = segments, labels if labels is None else np.asarray(labels, np.int64)
        self.batch_size, self.seed, self.dynamic, self.drop_last = batch_size, seed, dynamic, drop_last
        if drop_last and len(self.rows) < batch_size:
            raise ValueError(f"MaskedBatches: {len(self.rows)} rows do not fill a batch of {batch_size}")
        self._starts = [tokenizer.word_starts(row) for row in self.rows] if whole_words else None
        self._pad_id = pad_id
        super().__init__()

    def __len__(self):
        """Return the number of batches in an epoch, which is the same in all epochs."""
        whole, rest = divmod(len(self.rows), self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def __call__(self, step):
        """Return batch ``step`` of the run, counted from 0 through all epochs.

        Parameters
        ----------
        step : int, not negative

        Returns
        -------
        ids, targets : int64 arrays (B, T)
            T is the length of the longest row in the batch. Targets are ``IGNORE_INDEX`` where no word is hidden. If in
            a small batch no word is drawn, the word with the smallest random number is hidden: a loss is a mean over at
            least one target.
        segments : int64 array (B, T)
        labels : int64 array (B,)
            The last two only for pairs of sentences.
        """
        epoch, rows = self._rows_of(step)
        u = np.zeros((3, len(rows), max(len(self.rows[row]) for row in rows)))  # padding is never chosen
        starts = np.ones(u.shape[1:], bool) if self._starts else None
        for b, row in enumerate(rows.tolist()):
            n = len(self.rows[row])
            u[:, b, :n] = self._rng(_MASKS, epoch + 1 if self.dynamic else 0, row).random((3, n))
            if self._starts:
                starts[b, :n] = self._starts[row]
        ids = pad([self.rows[row] for row in rows], self._pad_id)
        batch = self._masking.masked(ids, u, starts, at_least_one=True)
        if self.segments is None:
            return batch
        return *batch, pad([self.segments[row] for row in rows], 0), self.labels[rows]

    batch = __call__

    def _row(self, position, row):
        row = check_ids(f"MaskedBatches: row {position}", row, self._masking.vocab_size)
        if row.ndim != 1 or not len(row):
            raise ValueError(f"MaskedBatches: row {position} has shape {row.shape}, expected (n,), not empty")
        return row

    def _rng(self, *stream):
        return np.random.default_rng([self.seed, *stream])

    def _planned(self, epoch):
        """Return the list of an epoch's batches, each an array of rows."""
        order = self._rng(_ORDER, epoch).permutation(len(self.rows))
        used = len(self) * self.batch_size if self.drop_last else len(self.rows)
        return np.array_split(order[:used], len(self))


def _special_id(tokenizer, role):
    special_id = getattr(tokenizer, f"{role}_id")
    if special_id is None:
        raise ValueError(
            f"MaskedBatches: the tokenizer's special tokens {tokenizer.special} have none for {role}; "
            "build it with special=BERT_SPECIAL"
        )
    return special_id


def _check_parts(rows, segments, labels):
    if (segments is None) != (labels is None):
        raise ValueError("MaskedBatches: expected both segments and labels, or neither")
    if segments is None:
        return
    if not len(segments) == len(labels) == len(rows):
        facts = f"{len(rows)} rows, {len(segments)} segments and {len(labels)} labels"
        raise ValueError(f"MaskedBatches: {facts}, expected as many of each")
    for position, (row, segment) in enumerate(zip(rows, segments, strict=True)):
        if len(row) != len(segment):
            raise ValueError(
                f"MaskedBatches: row {position} has {len(row)} tokens and {len(segment)} segments, expected as many"
            )
