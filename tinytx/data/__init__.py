"""Text to batches: corpora, tokenizers, and what a model is trained on. It knows arrays, and no layers.

One long text: `corpus`, `batches`. Pairs of texts: `dates`, `pairs`, `pair_batches`. Sentences with hidden words, for
BERT: `prose`, `sentence_pairs`, `masking`, `masked_batches`. Text to ids: `tokenizer`, `words`, `subwords`,
`wordpieces`, `tutorial`, which share `special`; `vocabularies` chooses among them.
"""

from tinytx.data.batches import IGNORE_INDEX, random_batch, split, windows
from tinytx.data.corpus import DataError, builtin_corpus, read_text
from tinytx.data.dates import date_fields, date_pairs
from tinytx.data.masked_batches import MaskedBatches
from tinytx.data.masking import mask_words
from tinytx.data.pair_batches import PairBatch, PairBatches, pad
from tinytx.data.pairs import EncodedPairs, Pairs, encode_pairs, read_aligned, read_pairs, split_pairs
from tinytx.data.prose import documents, sentences
from tinytx.data.sentence_pairs import SentencePairs, framed, next_sentence_pairs, sentence_order_pairs
from tinytx.data.special import BERT_SPECIAL, SPECIAL, Tokenizer
from tinytx.data.subwords import SubwordTokenizer
from tinytx.data.tokenizer import CharTokenizer
from tinytx.data.tutorial import TUTORIAL_SPECIAL, TutorialTokenizer, joined, tutorial_words
from tinytx.data.vocabularies import TOKENIZERS, build_tokenizers, tokenizer_from_dict
from tinytx.data.wordpieces import WordPieceTokenizer
from tinytx.data.words import WordTokenizer

__all__ = [
    "BERT_SPECIAL",
    "CharTokenizer",
    "DataError",
    "EncodedPairs",
    "IGNORE_INDEX",
    "MaskedBatches",
    "PairBatch",
    "PairBatches",
    "Pairs",
    "SPECIAL",
    "SentencePairs",
    "SubwordTokenizer",
    "TOKENIZERS",
    "TUTORIAL_SPECIAL",
    "Tokenizer",
    "TutorialTokenizer",
    "WordPieceTokenizer",
    "WordTokenizer",
    "build_tokenizers",
    "builtin_corpus",
    "date_fields",
    "date_pairs",
    "documents",
    "encode_pairs",
    "framed",
    "joined",
    "mask_words",
    "next_sentence_pairs",
    "pad",
    "random_batch",
    "read_aligned",
    "read_pairs",
    "read_text",
    "sentence_order_pairs",
    "sentences",
    "split",
    "split_pairs",
    "tokenizer_from_dict",
    "tutorial_words",
    "windows",
]
