"""BERT's tokenizer: words in lower case, with rare words cut into pieces (WordPiece), by the library ``tokenizers``.

A text is cleaned as BERT's authors did (Devlin et al. 2018, arXiv 1810.04805; Schuster and Nakajima 2012): control
characters are removed, with ``lower`` also capitals and accents. It is cut at white space, around each punctuation
mark, and around each Chinese character. From each word the longest piece of the vocabulary is taken that the word
begins with, then the longest for the rest, and so on. Pieces inside a word are marked: ``trans ##form ##ers``. If no
piece fits, the whole word is ``[UNK]``.

The vocabulary is learned from the given texts (as the library does: by merging the most frequent pair of pieces), or
read from a ``vocab.txt`` of a published model. The library is an extra, and nothing is downloaded.
"""

from collections import Counter
from itertools import repeat

import numpy as np

from tinytx.arguments import check_list, check_texts
from tinytx.data.reading import DataError, read_lines
from tinytx.data.tokenizers.tokenizer import BERT_SPECIAL, Tokenizer, room_for
from tinytx.data.tokenizers.tokenizer_json import json_of
from tinytx.data.tokenizers.words import text_of
from tinytx.extras import require

GOES_ON = "##"
_UNKNOWN = "\0"  # cleaned texts do not contain it
_MAX_CHARACTERS = 1000  # as in the library: words with other characters are unknown


class WordPieceTokenizer(Tokenizer):
    """From words and pieces of words to ids and back; `from_texts` trains a tokenizer, `from_vocab` reads one.

    Parameters
    ----------
    pieces : list of str
        The vocabulary without the special tokens, in the order of ids; pieces inside a word begin with "##".
    special : tuple of str
        Special tokens (see `tinytx.data.tokenizers.tokenizer`); without ``[UNK]`` an unknown word is an error.
    special_ids : tuple of int, optional
        Their ids, if not the first ones: published vocabularies have ``[UNK]`` at 100.
    lower : bool
        Remove capitals and accents, as the "uncased" models do. Accents are all marks of Unicode's category Mn, among
        them vowels of Hindi, Thai, pointed Arabic and Hebrew: use ``lower=False`` for these.

    Attributes
    ----------
    pieces, lower
    vocab_size : int
        V, the number of special tokens and pieces.

    Raises
    ------
    ValueError
        If there are no pieces, a piece occurs twice, or ids of special tokens are invalid.
    MissingExtra
        If ``tokenizers`` is not installed.
    """

    kind = "wordpieces"
    unit = "word"
    fields = {"special_ids": list, "lower": bool, "pieces": list}

    def __init__(self, pieces, special=BERT_SPECIAL, special_ids=None, *, lower=True):
        pieces = list(check_texts("WordPieceTokenizer", "pieces", pieces))
        self._check_vocabulary("pieces", pieces, "train it again")
        super().__init__(special, pieces, special_ids)
        self.pieces, self.lower = pieces, bool(lower)
        self._ids = {piece: i for i, piece in enumerate(pieces)}
        vocab = self._ids | {_UNKNOWN: len(pieces)}  # without special tokens, so no text encodes to one
        self._library = _bert(_library().models.WordPiece(vocab=vocab, unk_token=_UNKNOWN), lower)

    @classmethod
    def from_texts(cls, texts, vocab_size=8000, *, special=BERT_SPECIAL, lower=True):
        """Return the tokenizer trained on some texts.

        Parameters
        ----------
        texts : iterable of str
        vocab_size : int
            V, including special tokens and single characters. It is smaller if the texts have no more pairs to join.
        special, lower
            As for the class.

        Raises
        ------
        TypeError
            If a text is not a str, or ``texts`` is one str.
        ValueError
            If the texts contain no word, or V is too small for the special tokens and the characters.
        MissingExtra
            If ``tokenizers`` is not installed.
        """
        texts, tokenizers = check_texts("WordPieceTokenizer", "texts", texts), _library()
        words = _words(_bert(tokenizers.models.WordPiece(unk_token=_UNKNOWN), lower), texts)
        if not words:
            raise ValueError("WordPieceTokenizer: there is no word in the texts")
        words, characters = _frequent(words)
        size = room_for("WordPieceTokenizer", vocab_size, special, len(characters), "characters")
        library = tokenizers.Tokenizer(tokenizers.models.WordPiece(unk_token=_UNKNOWN))
        library.pre_tokenizer = tokenizers.pre_tokenizers.WhitespaceSplit()
        trainer = tokenizers.trainers.WordPieceTrainer(
            vocab_size=size, special_tokens=characters, show_progress=False
        )  # as special tokens, characters get ids in this order; otherwise in the order of a hash
        library.train_from_iterator((" ".join(repeat(word, count)) for word, count in words.items()), trainer)
        vocab = library.get_vocab(with_added_tokens=False)
        return cls(sorted(vocab, key=vocab.get), special, lower=lower)

    @classmethod
    def from_vocab(cls, path, special=BERT_SPECIAL, *, lower=True):
        """Return the tokenizer of a published ``vocab.txt``: a piece on each line, special tokens among them.

        Parameters
        ----------
        path : str or Path
        special : tuple of str
            The lines that are special tokens.
        lower : bool
            The setting of the model: True for "uncased".

        Raises
        ------
        DataError
            If the file cannot be read, a line is empty or occurs twice, or a special token is missing.
        MissingExtra
            If ``tokenizers`` is not installed.
        """
        check_list("WordPieceTokenizer", "special", special)
        lines = read_lines(path, "WordPieceTokenizer")
        first = {}
        for number, line in enumerate(lines, start=1):
            if not line or line in first:
                fault = f"occurs in line {first[line]} already" if line else "is empty"
                raise DataError(
                    f"WordPieceTokenizer: {path}: line {number}: {line!r} {fault}; ids are line numbers, "
                    "so use the file as it was published"
                )
            first[line] = number
        missing = [name for name in special if name not in first]
        if missing:
            raise DataError(
                f"WordPieceTokenizer: {path} has no line {missing[0]!r}; name its special tokens (special=)"
            )
        pieces = [line for line in lines if line not in special]
        return cls(pieces, special, [first[name] - 1 for name in special], lower=lower)

    def word_starts(self, ids):
        """Return where words start, bool (n,): False at pieces with "##"."""
        return np.array([not name.startswith(GOES_ON) for name in self.tokens(ids)], bool)

    def to_json(self):
        """Return the content of a ``tokenizer.json``; raise ValueError if a special token is a piece too."""
        tokenizers, vocab = _library(), {name: i for i, name in enumerate(self.names)}
        unk = BERT_SPECIAL[1] if self.unk_id is None else self.names[self.unk_id]
        library = _bert(tokenizers.models.WordPiece(vocab=vocab, unk_token=unk), self.lower)
        library.decoder = tokenizers.decoders.WordPiece(prefix=GOES_ON)
        return json_of(library, self)

    def _pieces(self, text):
        self._check_encodable(text)
        encoding = self._library.encode(text)
        known = zip(encoding.tokens, encoding.offsets, strict=True)
        return [text[slice(*offsets)] if token == _UNKNOWN else token for token, offsets in known]

    def _text(self, ids):
        words = []
        for name in self.tokens(ids):
            if name.startswith(GOES_ON) and words and words[-1] not in self.special:
                words[-1] += name.removeprefix(GOES_ON)
            else:
                words.append(name)
        return text_of(words)


def _library():
    return require("tokenizers", "exchange", "a vocabulary of word pieces")


def _bert(model, lower):
    """Return the library's tokenizer with a model, BERT's cleaning and BERT's cutting."""
    tokenizers = _library()
    library = tokenizers.Tokenizer(model)
    library.normalizer = tokenizers.normalizers.BertNormalizer(lowercase=bool(lower))
    library.pre_tokenizer = tokenizers.pre_tokenizers.BertPreTokenizer()
    return library


def _words(library, texts):
    """Return the number of times that each word occurs, cleaned and cut by the library."""
    return Counter(
        word
        for text in texts
        for word, _ in library.pre_tokenizer.pre_tokenize_str(library.normalizer.normalize_str(text))
    )


def _frequent(words):
    """Return the words without rare characters, and the first pieces: characters, with "##" if inside a word."""
    counts = Counter()
    for word, count in words.items():
        counts.update(dict.fromkeys(word, count))
    alphabet = {c for _, c in sorted((-count, c) for c, count in counts.items())[:_MAX_CHARACTERS]}
    words = {word: count for word, count in words.items() if alphabet.issuperset(word)}
    return words, sorted({piece for word in words for piece in (word[0], *(GOES_ON + c for c in word[1:]))})
