"""The words of a model that learned nothing but their vectors."""

from typing import NamedTuple

from tinytx.core import Layer
from tinytx.data import Tokenizer
from tinytx.pipelines.load import read_tokenizer
from tinytx.tasks import Cooccurrences, NearbyWords


class Words(NamedTuple):
    """A trained word2vec, or GloVe, and its tokenizer: `tinytx.pipelines.embeddings.word_vectors` takes them apart."""

    model: Layer
    tokenizer: Tokenizer
    tasks = (NearbyWords, Cooccurrences)

    @classmethod
    def of(cls, model, meta, place):
        """Return the pipeline of a checkpoint; raise ValueError if its tokenizer does not fit the model."""
        return cls(model, read_tokenizer(place, meta.get("tokenizer"), model.config.vocab_size, model.config))
