"""Text to batches: corpora, tokenizers, and the windows that a model is trained on. It knows arrays, and no layers."""

from tinytx.data.batches import IGNORE_INDEX, random_batch, split, windows
from tinytx.data.corpus import DataError, builtin_corpus, read_text
from tinytx.data.tokenizer import CharTokenizer

__all__ = [
    "CharTokenizer",
    "DataError",
    "IGNORE_INDEX",
    "builtin_corpus",
    "random_batch",
    "read_text",
    "split",
    "windows",
]
