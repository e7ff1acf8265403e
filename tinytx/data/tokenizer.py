"""A tokenizer with one id for each character: nothing to train, and a vocabulary that can be read at a glance."""

from collections import Counter

import numpy as np

_KIND = "characters"


class CharTokenizer:
    """Characters to ids and back.

    A Python character is one Unicode code point, so a string is an array of 32-bit numbers (UTF-32), and both
    directions are one look-up in a table: no loop in Python, tens of millions of characters a second.

    Parameters
    ----------
    characters : str
        The vocabulary, each character once; the character's position is its id.

    Attributes
    ----------
    characters : str
    vocab_size : int
        V, the number of characters.

    Raises
    ------
    ValueError
        If there are no characters, or one occurs twice, or one is half of a surrogate pair and so no text.
    """

    def __init__(self, characters):
        if not characters:
            raise ValueError("CharTokenizer: no characters, expected at least one")
        character, count = Counter(characters).most_common(1)[0]
        if count > 1:
            raise ValueError(f"CharTokenizer: {character!r} occurs {count} times; use CharTokenizer.from_text")
        self.characters = characters
        self.vocab_size = len(characters)
        self._codes = np.frombuffer(characters.encode("utf-32-le"), "<u4")  # id to code point
        self._ids = np.full(int(self._codes.max()) + 2, -1)  # code point to id; the last entry stands for all above
        self._ids[self._codes] = np.arange(self.vocab_size)

    @classmethod
    def from_text(cls, text):
        """Return the tokenizer of the characters that occur in a text, in the order of their code points."""
        return cls("".join(sorted(set(text))))

    def encode(self, text):
        """Return the ids of a text's characters.

        Parameters
        ----------
        text : str, of n characters

        Returns
        -------
        ids : int64 array (n,)

        Raises
        ------
        ValueError
            If a character is not in the vocabulary: the first such one, and its position.
        """
        codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), "<u4")
        ids = self._ids[np.minimum(codes, len(self._ids) - 1)]
        if len(ids) and ids.min() < 0:
            position = int(ids.argmin())
            raise ValueError(
                f"CharTokenizer: character {text[position]!r} at position {position} is not among the "
                f"{self.vocab_size} of the vocabulary; build it from a text that has every character you need"
            )
        return ids

    def decode(self, ids):
        """Return the text that ids stand for.

        Parameters
        ----------
        ids : integers (n,)

        Returns
        -------
        text : str, of n characters

        Raises
        ------
        TypeError
            If ids are not integers.
        ValueError
            If ids are not one row, or one is outside 0..V-1: the first such one, and its position.
        """
        ids = np.asarray(ids)
        if ids.ndim != 1:
            raise ValueError(f"CharTokenizer: ids have shape {ids.shape}, expected (n,); decode one row at a time")
        if not len(ids):
            return ""
        if ids.dtype.kind not in "iu":
            raise TypeError(f"CharTokenizer: ids have dtype {ids.dtype}, expected integers")
        wrong = (ids < 0) | (ids >= self.vocab_size)
        if wrong.any():
            position = int(wrong.argmax())
            raise ValueError(
                f"CharTokenizer: id {ids[position]} at position {position} is outside 0..{self.vocab_size - 1}"
            )
        return self._codes[ids].tobytes().decode("utf-32-le")

    def to_dict(self):
        """Return what ``from_dict`` needs, in JSON's types: the part of a checkpoint that makes it readable."""
        return {"kind": _KIND, "characters": self.characters}

    @classmethod
    def from_dict(cls, state):
        """Return the tokenizer that ``to_dict`` described.

        Raises
        ------
        ValueError
            If ``state`` describes something else.
        """
        if not isinstance(state, dict) or state.get("kind") != _KIND or not isinstance(state.get("characters"), str):
            raise ValueError(f"CharTokenizer: {state!r:.80} is not what CharTokenizer.to_dict returns")
        return cls(state["characters"])

    def __repr__(self):
        return f"CharTokenizer({self.characters!r})"
