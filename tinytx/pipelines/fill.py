"""A trained BERT or XLNet says which words it would put where one is hidden."""

import re
from typing import NamedTuple

import numpy as np

from tinytx.arguments import check_whole
from tinytx.core import Layer
from tinytx.data import JsonTokenizer, Tokenizer, framed
from tinytx.pipelines.load import read_tokenizer
from tinytx.pipelines.texts import check_length, unknown_note
from tinytx.tasks import HiddenWords, PermutedWords

HIDDEN = re.compile(r"<mask>|\[MASK\]", re.IGNORECASE)  # how a hidden word is written, whatever the tokenizer calls it
WITH_SPACE = re.compile(f" ?(?:{HIDDEN.pattern})", re.IGNORECASE)  # which may belong to the word's token


class Filled(NamedTuple):
    """What a model says about a text.

    Attributes
    ----------
    text : str
        The text with the likeliest words in place of the hidden ones.
    guesses : list of lists of (word, probability)
        For each hidden word the likeliest, the likeliest first.
    """

    text: str
    guesses: list


class Filler(NamedTuple):
    """A trained BERT or XLNet, or a model of yours with ``fill(ids, positions)``, and its tokenizer.

    Examples
    --------
    >>> Filler(model, tokenizer).fill("the [MASK] sat", top=3).guesses  # doctest: +SKIP
    """

    model: Layer
    tokenizer: Tokenizer
    tasks = (HiddenWords, PermutedWords)

    @classmethod
    def of(cls, model, meta, place):
        """Return the pipeline of a checkpoint; raise ValueError if its tokenizer does not fit the model."""
        config = model.config
        tokenizer = read_tokenizer(place, meta.get("tokenizer"), config.vocab_size, config, "pad_id")
        if tokenizer.mask_id is None or (tokenizer.cls_id is None) != (tokenizer.sep_id is None):
            expected = "expected one that hides a word, and both of [CLS] and [SEP] or neither"
            raise ValueError(f"{place}: the tokenizer's special tokens are {tokenizer.special}, {expected}")
        return cls(model, tokenizer)

    @property
    def room(self):
        """How many tokens a text may have: all that the model reads, without the frame that it was trained with."""
        return self.model.config.max_len - (0 if self.tokenizer.cls_id is None else 2)

    def fill(self, text, top=5):
        """Return the `Filled` text.

        Parameters
        ----------
        text : str
            With ``<mask>`` or ``[MASK]`` for each hidden word.
        top : int
            Words that are guessed for each.

        Raises
        ------
        ValueError
            If nothing is hidden, the text is longer than the model reads, or the model says NaN.
        """
        return self.filled(self.encode(text), top)

    def encode(self, text, place="the text"):
        """Return the ids (T,) of a text in which some words are hidden; errors as for `fill`."""
        tokenizer, hidden = self.tokenizer, self.tokenizer.names[self.tokenizer.mask_id]
        if not HIDDEN.search(text):
            raise ValueError(f'{place} hides no word: write {hidden} for each, as in "the {hidden} of it": {text!r:.60}')
        if isinstance(tokenizer, JsonTokenizer):  # its file may say what becomes of the spaces around the token
            ids = tokenizer.encode(HIDDEN.sub(lambda _: hidden, text), allow=[hidden])
        else:
            marks = HIDDEN if tokenizer.spaces else WITH_SPACE
            first, *parts = (tokenizer.encode(part) for part in marks.split(text))
            ids = np.concatenate([first, *(ids for part in parts for ids in ([tokenizer.mask_id], part))]).astype(np.int64)
        check_length(ids, self.room, place, text)
        return ids

    def framed(self, ids):
        """Return ids (T,) with ``[CLS]`` and ``[SEP]`` around them, if the model was trained with these."""
        cls_id, sep_id = self.tokenizer.cls_id, self.tokenizer.sep_id
        return ids if cls_id is None else framed(ids, cls_id=cls_id, sep_id=sep_id)[0]

    def unknown(self, text):
        """Return a list of at most one line, about words of a text that the model does not know."""
        return unknown_note(self.tokenizer, " ".join(HIDDEN.sub(" ", text).split()))

    def filled(self, ids, top=5):
        """Return the `Filled` text of ids (T,), which are without ``[CLS]`` and ``[SEP]``."""
        names, hidden = self.tokenizer.names, ids == self.tokenizer.mask_id
        guesses = self.likely(ids, top)
        ids = ids.copy()
        ids[hidden] = [words[0][0] for words in guesses]
        said = [[(names[i], p) for i, p in words] for words in guesses]
        return Filled(self.tokenizer.decode(ids), said)

    def likely(self, ids, top, among=None):
        """Return for each hidden word of ids (T,) the likeliest, a list of (id, probability), the likeliest first.

        With ``among``, a list of ids, only these are judged, and there may be fewer than ``top``.
        """
        top, ids = check_whole("fill", "top", top, most=self.model.config.vocab_size), self.framed(ids)
        p = self.model.fill(ids[None], np.flatnonzero(ids == self.tokenizer.mask_id))[0]  # (n_hidden, V)
        if not np.isfinite(p).all():
            raise ValueError("the model's probabilities are NaN: its training diverged; train again with a smaller --lr")
        tokens = np.arange(p.shape[-1]) if among is None else np.array(among)
        best = tokens[np.argsort(-p[:, tokens], axis=-1, kind="stable")[:, :top]]
        return [[(int(i), float(row[i])) for i in some] for some, row in zip(best, p, strict=True)]
