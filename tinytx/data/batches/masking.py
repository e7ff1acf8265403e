"""Masked language modelling: words are hidden, and the model predicts them (Devlin et al. 2018, arXiv 1810.04805).

Each token is chosen with probability 15 %, independently. Of the chosen ones

- 80 % are replaced by the mask token,
- 10 % by a random ordinary word,
- 10 % stay as they are,

and all of them are targets. A word without a mask may be a target too, so the model has to learn something about every
word. Special tokens and padding are never chosen, and never used as random words. Settings of other papers:

- whole words (BERT's later models): all tokens of a word are chosen together, and each is replaced independently;
- a new mask in each epoch (RoBERTa, Liu et al. 2019, arXiv 1907.11692), or the same in all: `MaskedBatches` does both;
- the from-scratch tutorial (`tinytx.data.TutorialTokenizer`) replaces every chosen word by the mask: ``replace=(1, 0, 0)``.
"""

import numpy as np

from tinytx.arguments import check_number
from tinytx.data.batches.windows import IGNORE_INDEX
from tinytx.shapes import check_ids

REPLACE = (0.8, 0.1, 0.1)


def mask_words(ids, *, rng, mask_id, vocab_size, never=(), rate=0.15, replace=REPLACE, word_starts=None):
    """Hide words.

    Parameters
    ----------
    ids : integers (..., T)
        Each in 0..V-1.
    rng : numpy.random.Generator
        Three numbers are drawn for each token, chosen or not.
    mask_id : int
        The mask token. It counts as one of ``never``.
    vocab_size : int
        V.
    never : iterable of int
        Ids that are never chosen and never used as random words: special tokens, padding.
    rate : float in 0..1
        The probability that a token, or a word, is chosen.
    replace : three floats in 0..1 of sum 1
        Shares of the chosen ones: masked, replaced by a random word, kept. With probability 1/V the random word is the
        original one.
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
        If ids are not integers of 0..V-1, a number is out of its range, ``word_starts`` has another shape, or there is
        no ordinary id for random words.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> mask_words([5, 6, 7, 8, 1, 1], rng=rng, mask_id=4, vocab_size=9, never=[0, 1, 2, 3], rate=0.5)
    (array([5, 4, 4, 8, 1, 1]), array([-100,    6,    7,    8, -100, -100]))
    """
    masking = Masking("mask_words", mask_id, vocab_size, never, rate, replace)
    ids = check_ids("mask_words", ids, vocab_size)
    return masking.masked(ids, rng.random((3, *ids.shape)), word_starts)


class Masking:
    """The settings of `mask_words`, checked once; ``masked`` applies them with given random numbers.

    Parameters
    ----------
    place : str
        The calling function, for messages.
    mask_id, vocab_size, never, rate, replace
        As for `mask_words`, with the same errors.
    """

    def __init__(self, place, mask_id, vocab_size, never, rate, replace):
        replace = tuple(replace)
        check_number(place, "rate", rate, "0..1", lambda share: 0 <= share <= 1)
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
            raise ValueError(f"{place}: all {vocab_size} ids are in never, so there is no random word")
        self.place, self.mask_id, self.vocab_size, self.never = place, mask_id, vocab_size, never
        self.rate, self.replace = rate, replace

    def masked(self, ids, u, word_starts=None, *, at_least_one=False):
        """Return (inputs, targets), int64 (..., T), for ids (..., T) and uniform numbers u (3, ..., T) of [0, 1).

        With ``at_least_one``, if no word is chosen, the word with the smallest number in ``u[0]`` is.
        """
        choice, kind, word = u
        special = np.isin(ids, self.never)
        if word_starts is not None:
            starts = np.asarray(word_starts, bool)
            if starts.shape != ids.shape:
                raise ValueError(f"{self.place}: word_starts has shape {starts.shape}, expected {ids.shape} from ids")
            choice = _of_first_piece(choice, starts | special)
        chosen = (choice < self.rate) & ~special
        if at_least_one and self.rate > 0 and not (chosen.any() or special.all()):
            chosen = (choice == choice[~special].min()) & ~special
        masked, replaced = self.replace[0], self.replace[0] + self.replace[1]
        inputs = np.where(chosen & (kind < masked), self.mask_id, ids)
        if self.replace[1]:
            random_word = self.ordinary[(word * len(self.ordinary)).astype(np.int64)]
            inputs = np.where(chosen & (masked <= kind) & (kind < replaced), random_word, inputs)
        return inputs, np.where(chosen, ids, IGNORE_INDEX)


def _of_first_piece(values, starts):
    """Return for each token the value (..., T) at the start of its word; a row's first token always starts one."""
    positions = np.where(starts, np.arange(starts.shape[-1]), 0)
    return np.take_along_axis(values, np.maximum.accumulate(positions, axis=-1), axis=-1)
