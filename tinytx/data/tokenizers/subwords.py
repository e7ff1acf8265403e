"""A tokenizer with one id for each frequent part of a word: byte pair encoding, by the library ``tokenizers``.

Byte pair encoding (Sennrich, Haddow and Birch 2016, arXiv 1508.07909) begins with single symbols and repeatedly joins
the most frequent pair of neighbours to a new symbol, until the vocabulary has the given size. Rare words are cut into
parts, and no word is unknown. The first symbols are the 256 bytes of UTF-8 (Radford et al. 2019), so any text can be
encoded and decoded exactly. A space belongs to the word after it: " the".

The library is an extra. Nothing is downloaded: the vocabulary is learned from the given texts.
"""

import json

import numpy as np

from tinytx.arguments import check_texts
from tinytx.data.tokenizers.tokenizer import SPECIAL, Tokenizer, room_for
from tinytx.data.tokenizers.tokenizer_json import json_of
from tinytx.extras import require


class SubwordTokenizer(Tokenizer):
    """From parts of words to ids and back; `from_texts` trains a tokenizer.

    Parameters
    ----------
    parts : list of str
        The vocabulary, each part's bytes written in the library's 256 printable characters; its position, after the
        special tokens, is its id.
    merges : list of (str, str)
        The pairs to join, in the order in which they were learned.
    special : tuple of str
        Special tokens (see `tinytx.data.tokenizers.tokenizer`). ``<unk>`` is never needed here; it is in ``SPECIAL`` so
        that ids are the same in every tokenizer.
    lower : bool
        Read every text in lower case.

    Attributes
    ----------
    parts, merges, lower
    vocab_size : int
        V, the number of special tokens and parts.

    Raises
    ------
    ValueError
        If parts and merges do not fit: a merge gives no part, a part occurs twice, or one of the 256 bytes is missing.
    MissingExtra
        If ``tokenizers`` is not installed.
    """

    kind = "subwords"
    unit = "part of a word"
    fields = {"lower": bool, "parts": list, "merges": list}

    def __init__(self, parts, merges, special=SPECIAL, *, lower=False):
        tokenizers = _library()
        parts = list(check_texts("SubwordTokenizer", "parts", parts))
        merges = [tuple(pair) for pair in merges]
        ids = {part: i for i, part in enumerate(parts)}
        missing = set(tokenizers.pre_tokenizers.ByteLevel.alphabet()) - set(parts)
        if len(ids) < len(parts) or missing:
            facts = f"{len(parts)} parts, {len(ids)} different, without {len(missing)} of the bytes"
            raise ValueError(f"SubwordTokenizer: {facts}; train it again")
        try:
            model = tokenizers.models.BPE(vocab=ids, merges=merges)
        except Exception as error:  # the library raises this type
            raise ValueError(f"SubwordTokenizer: parts and merges do not fit: {error}; train it again") from error
        self._bpe = _byte_level(model, lower)
        super().__init__(special, [self._bpe.decode([i]) for i in range(len(parts))])
        self.parts, self.merges, self.lower = parts, merges, bool(lower)

    @classmethod
    def from_texts(cls, texts, vocab_size=8000, *, special=SPECIAL, lower=False):
        """Return the tokenizer trained on some texts.

        Parameters
        ----------
        texts : iterable of str
        vocab_size : int
            V, including special tokens and the 256 bytes. It is smaller if the texts have no more pairs to join.
        special, lower
            As for the class.

        Raises
        ------
        TypeError
            If a text is not a str, or ``texts`` is one str.
        ValueError
            If V is too small for the special tokens and bytes.
        MissingExtra
            If ``tokenizers`` is not installed.
        """
        tokenizers, texts = _library(), check_texts("SubwordTokenizer", "texts", texts)
        alphabet = sorted(tokenizers.pre_tokenizers.ByteLevel.alphabet())
        size = room_for("SubwordTokenizer", vocab_size, special, len(alphabet), "bytes")
        library = _byte_level(tokenizers.models.BPE(), lower)
        trainer = tokenizers.trainers.BpeTrainer(vocab_size=size, initial_alphabet=alphabet, show_progress=False)
        library.train_from_iterator(texts, trainer)
        model = json.loads(library.to_str())["model"]
        return cls(sorted(model["vocab"], key=model["vocab"].get), model["merges"], special, lower=lower)

    def to_json(self):
        """Return the content of a ``tokenizer.json``; raise ValueError if a special token is a part too."""
        names = self.special + tuple(self.parts)
        model = _library().models.BPE(vocab={name: i for i, name in enumerate(names)}, merges=self.merges)
        return json_of(_byte_level(model, self.lower), self, mask_takes_space=True)

    def _pieces(self, text):
        self._check_encodable(text)
        return self._bpe.encode(text).ids

    def _look_up(self, pieces):
        return np.array(pieces, np.int64)

    def word_starts(self, ids):
        """Return where words start, bool (n,): a token without a space at its beginning continues the word."""
        ids = self._checked(ids)
        return np.array([i < len(self.special) or self.names[i][:1].isspace() for i in ids.tolist()], bool)

    def _text(self, ids):
        text, run = "", []  # the bytes of one character may be in two tokens, so runs of ids are decoded together
        for i in ids.tolist():
            if i < len(self.special):
                text, run = text + self._bpe.decode(run) + self.special[i], []
            else:
                run.append(i - len(self.special))
        return text + self._bpe.decode(run)


def _library():
    return require("tokenizers", "exchange", "a vocabulary of subwords")


def _byte_level(model, lower):
    """Return the library's tokenizer with a model: it only turns text into bytes, cuts at spaces, and reverses this."""
    tokenizers = _library()
    library = tokenizers.Tokenizer(model)
    library.normalizer = tokenizers.normalizers.Lowercase() if lower else None
    library.pre_tokenizer = tokenizers.pre_tokenizers.ByteLevel(add_prefix_space=False)
    library.decoder = tokenizers.decoders.ByteLevel()
    return library
