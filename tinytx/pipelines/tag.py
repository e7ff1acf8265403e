"""A trained model says which of some classes each token of a text belongs to."""

from typing import NamedTuple

import numpy as np

from tinytx import ops
from tinytx.core import Layer
from tinytx.data import JsonTokenizer, Tokenizer
from tinytx.pipelines.classify import labels_of
from tinytx.pipelines.load import read_tokenizer
from tinytx.pipelines.texts import check_length, encode_framed
from tinytx.tasks import Tags


class Tag(NamedTuple):
    """What a model says about a token.

    Attributes
    ----------
    entity : str
        The likeliest class.
    score : float
        Its probability.
    index : int
        The token's position in what the model reads.
    word : str
        The token's name; of an unknown one what the text has there.
    start, end : int or None
        ``text[start:end]`` is what it stands for; None if the tokenizer does not say.
    ids : list of int
        The token's id.
    p : float64 array (n_classes,)
        The probability of each class.
    inside : bool
        Whether it goes on with the word of the token before it.
    """

    entity: str
    score: float
    index: int
    word: str
    start: int | None
    end: int | None
    ids: list
    p: np.ndarray
    inside: bool


class Tagger(NamedTuple):
    """A trained `Tags`, its tokenizer, and the names of its classes.

    Examples
    --------
    >>> Tagger(model, tokenizer, ["O", "B-PLACE", "I-PLACE"]).tags("by the North Sea")  # doctest: +SKIP
    """

    model: Layer
    tokenizer: Tokenizer
    labels: list
    tasks = (Tags,)

    @classmethod
    def of(cls, model, meta, place):
        """Return the pipeline of a checkpoint; raise ValueError if its tokenizer or its labels do not fit the model."""
        tokenizer = read_tokenizer(place, meta.get("tokenizer"), model.config.vocab_size, model.config)
        return cls(model, tokenizer, labels_of(meta, model.settings["n_classes"], place))

    def tags(self, text):
        """Return a list of `Tag`, one for each token of a text but those of its frame.

        Raises
        ------
        ValueError
            If the text is longer than the model reads, or the tokenizer does not know a part of it.
        """
        tokenizer, spans = self.tokenizer, {}
        if isinstance(tokenizer, JsonTokenizer):
            encoding = tokenizer.frame(text)
            ids, spans = encoding.ids, {i: encoding.offsets[i].tolist() for i in np.flatnonzero(encoding.texts == 0).tolist()}
            inside = np.append(False, (encoding.words[1:] == encoding.words[:-1]) & (encoding.words[1:] >= 0))
        else:
            ids, _ = encode_framed(tokenizer, text)
            inside = np.zeros(len(ids), bool)  # such a tokenizer does not say where words begin
        check_length(ids, self.model.config.max_len, "the text", text)
        framing = [i for i in (tokenizer.cls_id, tokenizer.sep_id) if i is not None]
        own = sorted(spans) or np.flatnonzero(~np.isin(ids, framing)).tolist()
        p, _ = ops.softmax(self.model(ids[None])[0])  # (T, n_classes)
        best, names, tags = p.argmax(axis=-1), tokenizer.tokens(ids), []
        for i in own:
            start, end = spans.get(i, (None, None))
            word = text[start:end] if spans and ids[i] == tokenizer.unk_id else names[i]
            said = (self.labels[best[i]], float(p[i, best[i]]), i, word, start, end)
            tags.append(Tag(*said, [int(ids[i])], p[i], bool(inside[i])))
        return tags
