"""Masked language modelling: words are hidden, and the model is to name them (Devlin et al. 2018, arXiv 1810.04805).

Each token is chosen with probability 15 %, independently. Of the chosen ones

- 80 % are replaced by the mask token,
- 10 % by a random ordinary word,
- 10 % stay as they are,

and all of them are targets: where nothing is masked the model cannot know that nothing is asked, so it has to have an
opinion about every word. Special tokens and padding are never chosen, and never put in. Other papers, other settings:

- whole words (BERT's later models): all pieces of a word are chosen together, and replaced each for itself;
- another mask in each epoch (RoBERTa, Liu et al. 2019, arXiv 1907.11692), or one for good: ``dynamic``;
- the from-scratch tutorial (`tinytx.data.tutorial`) replaces every chosen word by the mask: ``replace=(1, 0, 0)``.

The numbers drawn for a row are a function of (seed, epoch, row), so that a run that resumes at step 500 asks for batch
500 and gets it, and a row's mask does not depend on the rows beside it.
"""

import numpy as np

from tinytx.data.batches import IGNORE_INDEX
from tinytx.data.pair_batches import pad

REPLACE = (0.8, 0.1, 0.1)
_MASKS, _ORDER = 1, 2  # two streams of random numbers from one seed


def mask_words(ids, *, rng, mask_id, vocab_size, never=(), rate=0.15, replace=REPLACE, word_starts=None):
    """Hide words.

    Parameters
    ----------
    ids : integers (..., T)
        Each in 0..V-1.
    rng : numpy.random.Generator
        Gives three numbers for each token, whether it is chosen or not.
    mask_id : int
        What the mask token is; it is one of ``never``, named there or not.
    vocab_size : int
        V.
    never : iterable of int
        Ids that are never chosen and never put in: special tokens, padding.
    rate : float in 0..1
        The probability that a token, or a word, is chosen.
    replace : three floats in 0..1 of sum 1
        Shares of the chosen ones: masked, replaced by a random word, kept. The random word is the right one now and
        then, once in V.
    word_starts : bool array (..., T), optional
        Where words start (`Tokenizer.word_starts`): whole words are chosen. Without it each token is a word.

    Returns
    -------
    inputs : int64 array (..., T)
    targets : int64 array (..., T)
        The id where a token was chosen, ``IGNORE_INDEX`` (-100) elsewhere: the ``ignore_index`` of ``cross_entropy``.

    Raises
    ------
    TypeError, ValueError
        If ids are not integers of 0..V-1, a number is out of its range, ``word_starts`` has another shape, or no id
        is left to be put in.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> mask_words([5, 6, 7, 8, 1, 1], rng=rng, mask_id=4, vocab_size=9, never=[0, 1, 2, 3], rate=0.5)
    (array([5, 4, 4, 8, 1, 1]), array([-100,    6,    7,    8, -100, -100]))
    """
    words = _Words("mask_words", mask_id, vocab_size, never, rate, replace)
    ids = words.checked(ids)
    return words.masked(ids, rng.random((3, *ids.shape)), word_starts)


class _Words:
    """Settings of `mask_words`, checked once, and the mask that given random numbers make."""

    def __init__(self, place, mask_id, vocab_size, never, rate, replace):
        replace = tuple(replace)
        if not 0 <= rate <= 1:
            raise ValueError(f"{place}: rate is {rate}, expected 0..1")
        if len(replace) != 3 or not all(0 <= share <= 1 for share in replace) or not np.isclose(sum(replace), 1):
            raise ValueError(
                f"{place}: replace is {replace}, expected the shares of masked, random and kept words, of sum 1"
            )
        if mask_id is None or not 0 <= mask_id < vocab_size:
            raise ValueError(f"{place}: mask_id is {mask_id}, expected an id of 0..{vocab_size - 1}")
        never = np.unique([*never, mask_id])
        if not 0 <= never[0] <= never[-1] < vocab_size:
            raise ValueError(f"{place}: never is {never.tolist()}, expected ids of 0..{vocab_size - 1}")
        self.ordinary = np.delete(np.arange(vocab_size), never)
        if replace[1] and not len(self.ordinary):
            raise ValueError(f"{place}: all {vocab_size} ids are in never, and no random word is left")
        self.place, self.mask_id, self.vocab_size, self.never = place, mask_id, vocab_size, never
        self.rate, self.replace = rate, replace

    def checked(self, ids, where=""):
        """Return ids as int64, or say which is none."""
        ids = np.asarray(ids)
        if ids.dtype.kind not in "iu" and ids.size:
            raise TypeError(f"{self.place}: ids{where} have dtype {ids.dtype}, expected integers")
        wrong = (ids < 0) | (ids >= self.vocab_size)
        if wrong.any():
            position = tuple(np.argwhere(wrong)[0].tolist())
            raise ValueError(
                f"{self.place}: id {ids[position]} at {position}{where} is outside 0..{self.vocab_size - 1}; "
                "take the vocabulary that the text was encoded with"
            )
        return ids.astype(np.int64)

    def masked(self, ids, u, word_starts=None):
        """Return (inputs, targets), int64 (..., T), for ids (..., T) and uniform numbers u (3, ..., T) of [0, 1)."""
        choice, kind, word = u
        special = np.isin(ids, self.never)
        if word_starts is not None:
            starts = np.asarray(word_starts, bool)
            if starts.shape != ids.shape:
                raise ValueError(f"{self.place}: word_starts has shape {starts.shape}, expected {ids.shape} from ids")
            choice = _of_first_piece(choice, starts | special)
        chosen = (choice < self.rate) & ~special
        masked, replaced = self.replace[0], self.replace[0] + self.replace[1]
        inputs = np.where(chosen & (kind < masked), self.mask_id, ids)
        if self.replace[1]:
            random_word = self.ordinary[(word * len(self.ordinary)).astype(np.int64)]
            inputs = np.where(chosen & (masked <= kind) & (kind < replaced), random_word, inputs)
        return inputs, np.where(chosen, ids, IGNORE_INDEX)


def _of_first_piece(values, starts):
    """Return for each piece the value (..., T) at the start of its word; a row's first piece always starts one."""
    positions = np.where(starts, np.arange(starts.shape[-1]), 0)
    return np.take_along_axis(values, np.maximum.accumulate(positions, axis=-1), axis=-1)


class MaskedBatches:
    """The batches of a masked language model, by step or by epoch: ``batches(step)`` is what a model's loss takes.

    In each epoch every row occurs once, in an order of its own, in batches of sizes as equal as can be.

    Parameters
    ----------
    rows : list of integer arrays (n,), none empty
        Token ids, special ones included where the model wants them; padding is added here.
    segments : list of integer arrays (n,), optional
        Which part of a pair each token is of, 0 or 1. With ``labels``, as `next_sentence_pairs` returns them:
        ``MaskedBatches(*pairs, ...)``.
    labels : integers (rows,), optional
    tokenizer : Tokenizer
        Gives mask and padding, V, the special ids, and where words start.
    batch_size : int
        B, the most rows in a batch.
    seed : int, not negative
        Order and masks.
    dynamic : bool
        Mask a row differently in each epoch. Else its mask is the same in all: what a validation loss needs.
    rate, replace
        As for `mask_words`.
    never : iterable of int, optional
        As for `mask_words`; the default is all special ids, the unknown word's among them.
    whole_words : bool
        Choose all pieces of a word together.

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
    ):
        mask_id, pad_id = (_special_id(tokenizer, role) for role in ("mask", "pad"))
        never = tokenizer.special_ids if never is None else never
        self._words = _Words("MaskedBatches", mask_id, tokenizer.vocab_size, [*never, pad_id], rate, replace)
        if batch_size < 1 or seed < 0:
            raise ValueError(f"MaskedBatches: batch_size {batch_size} and seed {seed}, expected at least 1 and 0")
        self.rows = [self._row(position, row) for position, row in enumerate(rows)]
        if not self.rows:
            raise ValueError("MaskedBatches: there are no rows; the text may be too short for one")
        _check_parts(self.rows, segments, labels)
        self.segments, self.labels = segments, labels if labels is None else np.asarray(labels, np.int64)
        self.batch_size, self.seed, self.dynamic = batch_size, seed, dynamic
        self._starts = [tokenizer.word_starts(row) for row in self.rows] if whole_words else None
        self._pad_id = pad_id
        self._plan_of = (None, None)  # the epoch last asked for, and its plan

    def __len__(self):
        """Return the number of batches in an epoch: the same in every one."""
        return -(-len(self.rows) // self.batch_size)

    def __call__(self, step):
        """Return batch ``step`` of the run, counted from 0 through all epochs.

        Parameters
        ----------
        step : int, not negative

        Returns
        -------
        ids, targets : int64 arrays (B, T)
            T is the length of the longest row in the batch. Targets are ``IGNORE_INDEX`` where nothing is asked, which
            in a small batch may be everywhere.
        segments : int64 array (B, T)
        labels : int64 array (B,)
            The last two only of a corpus of pairs.
        """
        epoch, position = divmod(step, len(self))
        rows = self._plan(epoch)[position]
        u = np.zeros((3, len(rows), max(len(self.rows[row]) for row in rows)))  # padding is never chosen
        starts = np.ones(u.shape[1:], bool) if self._starts else None
        for b, row in enumerate(rows.tolist()):
            n = len(self.rows[row])
            u[:, b, :n] = self._rng(_MASKS, epoch + 1 if self.dynamic else 0, row).random((3, n))
            if self._starts:
                starts[b, :n] = self._starts[row]
        ids = pad([self.rows[row] for row in rows], self._pad_id)
        batch = self._words.masked(ids, u, starts)
        if self.segments is None:
            return batch
        return *batch, pad([self.segments[row] for row in rows], 0), self.labels[rows]

    def epoch(self, epoch=0):
        """Yield the batches of one epoch, counted from 0: every row exactly once."""
        for position in range(len(self)):
            yield self(epoch * len(self) + position)

    def _row(self, position, row):
        row = self._words.checked(row, f" of row {position}")
        if row.ndim != 1 or not len(row):
            raise ValueError(f"MaskedBatches: row {position} has shape {row.shape}, expected (n,), not empty")
        return row

    def _rng(self, *stream):
        return np.random.default_rng([self.seed, *stream])

    def _plan(self, epoch):
        """Return the list of an epoch's batches, each an array of rows."""
        if epoch < 0:
            raise ValueError(f"MaskedBatches: epoch {epoch}, expected at least 0")
        known, plan = self._plan_of
        if known != epoch:
            plan = np.array_split(self._rng(_ORDER, epoch).permutation(len(self.rows)), len(self))
            self._plan_of = epoch, plan  # in one assignment: threads may ask
        return plan


def _special_id(tokenizer, role):
    found = getattr(tokenizer, f"{role}_id")
    if found is None:
        raise ValueError(
            f"MaskedBatches: the tokenizer's special tokens {tokenizer.special} have none for {role}; "
            "build it with special=BERT_SPECIAL"
        )
    return found


def _check_parts(rows, segments, labels):
    if (segments is None) != (labels is None):
        raise ValueError("MaskedBatches: segments and labels come together, or neither")
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
