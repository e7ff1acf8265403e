"""From texts and images to batches, in three packages that import nothing from each other, and know arrays but no layers.

- ``texts``: where texts come from. One long text: `corpus`; pairs of texts: `pairs`, `dates`, `small_tasks`; documents:
  `prose`; reviews that praise or blame: `polar`; sentences with tags: `tagged`; with links to their translations:
  `dictionary`; examples in a row: `few_shot`; one that counts, long before it is asked for: `needles`.
- ``tokenizers``: from text to ids and back. `tokenizer` is what all kinds share; `characters`, `words`, `subwords`,
  `wordpieces`, `tutorial` and `json_tokenizer` are the kinds; `tokenizer_json` is the file of the last;
  `folders` reads and writes Hugging Face's folders; `spelling` writes words as rows of letters; `vocabularies` chooses among kinds; `graphemes` says what a character
  is.
- ``batches``: from ids to arrays. `windows` and `streams` of one long text; `encoded_pairs` and `pair_batches`; for BERT
  `rows`, `sentence_pairs`, `masking` and `masked_batches`; for T5 and BART `span_corruption`, `denoising` and
  `noised_batches`; for UniLM `three_masks`; of images `image_batches`; of bits `copies`; `epochs` is what several kinds of batches share.

`reading` reads text files for all of them, and `images` reads images; `huffman` and `word_pairs` are what is counted of
a text before word vectors are learned. `bodies` makes stars with planets, and how they move.
"""

from tinytx.data.batches.copies import copies
from tinytx.data.batches.denoising import infilled, permuted_sentences
from tinytx.data.batches.encoded_pairs import EncodedPairs, encode_pairs
from tinytx.data.batches.image_batches import ImageBatches
from tinytx.data.batches.labelled_batches import LabelledBatches
from tinytx.data.batches.masked_batches import MaskedBatches
from tinytx.data.batches.masking import mask_words
from tinytx.data.batches.noised_batches import NoisedBatches
from tinytx.data.batches.pair_batches import PairBatch, PairBatches
from tinytx.data.batches.rows import framed, full_sentences, joined, packed, pad
from tinytx.data.batches.sentence_pairs import SentencePairs, next_sentence_pairs, sentence_order_pairs
from tinytx.data.batches.span_corruption import corrupt_spans, restored_spans
from tinytx.data.batches.streams import stream_batch, stream_lengths
from tinytx.data.batches.three_masks import hidden_three_ways
from tinytx.data.batches.windows import IGNORE_INDEX, random_batch, split, windows
from tinytx.data.bodies import planetary_systems
from tinytx.data.images import read_images
from tinytx.data.reading import DataError, read_text
from tinytx.data.texts.corpus import builtin_corpus
from tinytx.data.texts.dates import date_fields, date_pairs
from tinytx.data.texts.dictionary import Aligned, Dictionary
from tinytx.data.texts.few_shot import labelled_rows, words_of_rows
from tinytx.data.texts.pairs import Pairs, read_aligned, read_pairs, split_pairs
from tinytx.data.texts.polar import polar_texts
from tinytx.data.texts.prose import documents, sentences
from tinytx.data.texts.small_tasks import small_tasks
from tinytx.data.texts.tagged import read_tagged, tagged_sentences
from tinytx.data.tokenizers.characters import CharTokenizer
from tinytx.data.tokenizers.folders import load_tokenizer, save_tokenizer
from tinytx.data.tokenizers.json_tokenizer import JsonTokenizer
from tinytx.data.tokenizers.spelling import N_CHARACTERS, spelled
from tinytx.data.tokenizers.subwords import SubwordTokenizer
from tinytx.data.tokenizers.tokenizer import BERT_SPECIAL, SPECIAL, Tokenizer
from tinytx.data.tokenizers.tutorial import TUTORIAL_SPECIAL, TutorialTokenizer, tutorial_words
from tinytx.data.tokenizers.vocabularies import TOKENIZERS, build_tokenizers, tokenizer_from_dict
from tinytx.data.tokenizers.wordpieces import WordPieceTokenizer
from tinytx.data.tokenizers.words import WordTokenizer
from tinytx.data.word_pairs import WordPairs, cooccurrences

__all__ = [
    "Aligned",
    "BERT_SPECIAL",
    "CharTokenizer",
    "DataError",
    "Dictionary",
    "EncodedPairs",
    "IGNORE_INDEX",
    "ImageBatches",
    "JsonTokenizer",
    "LabelledBatches",
    "MaskedBatches",
    "N_CHARACTERS",
    "NoisedBatches",
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
    "WordPairs",
    "WordPieceTokenizer",
    "WordTokenizer",
    "build_tokenizers",
    "builtin_corpus",
    "cooccurrences",
    "copies",
    "corrupt_spans",
    "date_fields",
    "date_pairs",
    "documents",
    "encode_pairs",
    "framed",
    "full_sentences",
    "hidden_three_ways",
    "infilled",
    "joined",
    "labelled_rows",
    "load_tokenizer",
    "mask_words",
    "next_sentence_pairs",
    "packed",
    "pad",
    "permuted_sentences",
    "planetary_systems",
    "polar_texts",
    "random_batch",
    "read_aligned",
    "read_images",
    "read_pairs",
    "read_tagged",
    "read_text",
    "restored_spans",
    "save_tokenizer",
    "sentence_order_pairs",
    "sentences",
    "small_tasks",
    "spelled",
    "split",
    "split_pairs",
    "stream_batch",
    "stream_lengths",
    "tagged_sentences",
    "tokenizer_from_dict",
    "tutorial_words",
    "windows",
    "words_of_rows",
]
