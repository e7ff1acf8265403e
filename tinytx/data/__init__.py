"""Text to batches: corpora, tokenizers, and what a model is trained on. It knows arrays, and no layers.

One long text: `corpus`, `batches`. Pairs of texts: `dates`, `pairs`, `pair_batches`. Text to ids: `tokenizer`, `words`,
`subwords`, which share `special`; `vocabularies` chooses among them.
"""

from tinytx.data.batches import IGNORE_INDEX, random_batch, split, windows
from tinytx.data.corpus import DataError, builtin_corpus, read_text
from tinytx.data.dates import date_fields, date_pairs
from tinytx.data.pair_batches import PairBatch, PairBatches, pad
from tinytx.data.pairs import EncodedPairs, Pairs, encode_pairs, read_aligned, read_pairs, split_pairs
from tinytx.data.special import SPECIAL, Tokenizer
from tinytx.data.subwords import SubwordTokenizer
from tinytx.data.tokenizer import CharTokenizer
from tinytx.data.vocabularies import TOKENIZERS, build_tokenizers, tokenizer_from_dict
from tinytx.data.words import WordTokenizer

__all__ = [
    "CharTokenizer",
    "DataError",
    "EncodedPairs",
    "IGNORE_INDEX",
    "PairBatch",
    "PairBatches",
    "Pairs",
    "SPECIAL",
    "SubwordTokenizer",
    "TOKENIZERS",
    "Tokenizer",
    "WordTokenizer",
    "build_tokenizers",
    "builtin_corpus",
    "date_fields",
    "date_pairs",
    "encode_pairs",
    "pad",
    "random_batch",
    "read_aligned",
    "read_pairs",
    "read_text",
    "split",
    "split_pairs",
    "tokenizer_from_dict",
    "windows",
]
