"""A tokenizer with one id for each character. Nothing has to be trained."""

import numpy as np

from tinytx.arguments import check_texts
from tinytx.data.tokenizers.tokenizer import SPECIAL, Tokenizer


class CharTokenizer(Tokenizer):
    """From characters to ids and back.

    A character of Python is a code point of Unicode, so a string is an array of 32-bit numbers (UTF-32). Both
    directions look up a table, without a loop in Python: tens of millions of characters a second.

    Parameters
    ----------
    characters : str
        The vocabulary, each character once; the character's position, after the special tokens, is its id.
    special : tuple of str
        Special tokens (see `tinytx.data.tokenizers.tokenizer`). A language model needs none, a task of pairs ``SPECIAL``.

    Attributes
    ----------
    characters : str
    vocab_size : int
        V, the number of special tokens and characters.

    Raises
    ------
    ValueError
        If there are no characters, one occurs twice, or one is half of a surrogate pair.
    """

    kind = "characters"
    unit = "character"
    spaces = True
    fields = {"characters": str}

    def __init__(self, characters, special=()):
        self._check_vocabulary("characters", characters, "use CharTokenizer.from_text")
        super().__init__(special, characters)
        self.characters = characters
        self._codes = np.frombuffer(characters.encode("utf-32-le"), "<u4")  # id to code point
        self._ids = np.full(int(self._codes.max()) + 2, -1)  # code point to id; last: all larger ones
        self._ids[self._codes] = np.arange(len(characters))

    @classmethod
    def from_text(cls, text, special=()):
        """Return the tokenizer of the characters that occur in a text, in the order of their code points."""
        if not isinstance(text, str):
            kind = type(text).__name__
            raise TypeError(f"CharTokenizer: text is a {kind}, expected a str; for several texts take from_texts")
        return cls("".join(sorted(set(text))), special)

    @classmethod
    def from_texts(cls, texts, special=SPECIAL):
        """Return the tokenizer of the characters that occur in any of the texts, and of special tokens."""
        return cls("".join(sorted(set().union(*check_texts(cls.__name__, "texts", texts)))), special)

    def _pieces(self, text):
        return text

    def _look_up(self, pieces):
        codes = np.frombuffer(pieces.encode("utf-32-le", "surrogatepass"), "<u4")
        return self._ids[np.minimum(codes, len(self._ids) - 1)]

    def _text(self, ids):
        n_special = len(self.special)
        if (ids < n_special).any():
            return "".join(self.tokens(ids))
        return self._codes[ids - n_special].tobytes().decode("utf-32-le")

    def __repr__(self):
        return f"CharTokenizer({self.characters!r}{f', {self.special}' if self.special else ''})"
