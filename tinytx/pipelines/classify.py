"""A trained model says which of some classes a text, or a pair of texts, belongs to."""

from typing import NamedTuple

from tinytx.core import Layer
from tinytx.data import Tokenizer
from tinytx.pipelines.load import read_tokenizer
from tinytx.pipelines.texts import check_length, encode_framed
from tinytx.tasks import TextClasses, TextClassesNextToken


class Classifier(NamedTuple):
    """A trained `TextClasses`, its tokenizer, and the names of its classes.

    Examples
    --------
    >>> Classifier(model, tokenizer, ["bad", "good"]).logits("a fine film")  # doctest: +SKIP
    """

    model: Layer
    tokenizer: Tokenizer
    labels: list
    tasks = (TextClasses, TextClassesNextToken)

    @classmethod
    def of(cls, model, meta, place):
        """Return the pipeline of a checkpoint; raise ValueError if its tokenizer or its labels do not fit the model."""
        config = model.config
        roles = ["pad_id"] if hasattr(config, "pad_id") else []
        tokenizer = read_tokenizer(place, meta.get("tokenizer"), config.vocab_size, config, *roles)
        return cls(model, tokenizer, labels_of(meta, model.settings["n_classes"], place))

    def logits(self, text, pair=None):
        """Return the logits (n_classes,) of a text, or of a pair of texts.

        Raises
        ------
        ValueError
            If the text is longer than the model reads, or the tokenizer does not know a part of it.
        """
        ids, segments = encode_framed(self.tokenizer, text, pair)
        check_length(ids, getattr(self.model.config, "max_len", len(ids)), "the text", text)  # a recurrent net reads any length
        options = {} if pair is None else {"segments": segments[None]}  # a body may read single texts only
        return self.model(ids[None], **options)[0]


def labels_of(meta, n_classes, place):
    """Return the names of classes: a run's ``labels``, config.json's ``id2label``, or else LABEL_0, LABEL_1, ...

    Raises
    ------
    ValueError
        If there are not as many names as classes.
    """
    by_id = meta.get("published", {}).get("id2label")
    stated = list(by_id.values()) if isinstance(by_id, dict) else meta.get("labels")
    labels = [f"LABEL_{i}" for i in range(n_classes)] if stated is None else list(stated)
    if len(labels) != n_classes or not all(isinstance(label, str) for label in labels):
        raise ValueError(f"{place}: labels are {labels!r:.80}, expected {n_classes} names, one for each class of the model")
    return labels
