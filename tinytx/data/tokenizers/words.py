"""A tokenizer with one id for each frequent word.

A text is cut, from left to right, into

1. a word (letters, digits, underscores) with an apostrophe or hyphen before the next word: ``l'``, ``don'``, ``peut-``;
2. digits with a comma or point before the next digit: ``1,`` ``3.``;
3. any other word;
4. a single other character, except white space: ``.`` ``?`` ``€``.

Marks belong to their letter, digit or symbol (`tinytx.data.tokenizers.graphemes`): ``दूध`` is one word, a family of
emoji one character. When tokens are joined, there is one space between two tokens, but none after 1 and 2, none before
``. , ; : ! ? % … ) ] }`` and similar marks of other scripts (``। ، ؟ 。``), and none after ``( [ { ¿ ¡``. So ``l'heure
est-elle 3.5 ?`` becomes ``l'heure est-elle 3.5?``: spaces may change, but cutting the result gives the same words.

``é`` and ``e`` with U+0301 are different characters: if a text may contain both, convert it to Unicode's form NFC
first. Thai, Chinese and Japanese have no spaces between words, so all text up to the next space would be one word: use
subwords.
"""

import re
from collections import Counter
from functools import cache

from tinytx.arguments import check_texts
from tinytx.data.tokenizers.graphemes import JOINER, goes_on, symbol_pattern, word_pattern
from tinytx.data.tokenizers.tokenizer import SPECIAL, Tokenizer

_TIE = re.compile(r"\w.*['’.,-]\Z")  # a token of rule 1 or 2
_NO_SPACE_BEFORE = frozenset(".,;:!?%…)]}।॥،؛؟۔。、，．；：！？）］｝」』")
_NO_SPACE_AFTER = frozenset("([{¿¡（［｛「『")


@cache
def _piece():
    """Return the rules as a regular expression, compiled at the first call (10 ms)."""
    word = word_pattern()
    return re.compile(rf"{word}['’-](?=\w)|\d+[.,](?=\d)|{word}|{symbol_pattern()}")


def words_of(text):
    """Return the list of words, by the rules at the top of this file.

    >>> words_of("L'heure est-elle 3.5, peut-être ?")
    ["L'", 'heure', 'est-', 'elle', '3.', '5', ',', 'peut-', 'être', '?']
    """
    return _piece().findall(text)


def text_of(words):
    """Return the text of a list of words, by the rules at the top of this file.

    >>> text_of(["L'", "heure", "est-", "elle", "3.", "5", ",", "peut-", "être", "?"])
    "L'heure est-elle 3.5, peut-être?"
    """
    text, tied = "", True
    for word in words:
        apart = text.endswith(JOINER) or goes_on(word)  # a mark must not be joined to the word before it
        text += word if (tied or word in _NO_SPACE_BEFORE) and not (text and apart) else f" {word}"
        tied = word in _NO_SPACE_AFTER or bool(_TIE.match(word))
    return text


class WordTokenizer(Tokenizer):
    """From words to ids and back.

    Parameters
    ----------
    words : list of str
        The vocabulary, each word once; its position, after the special tokens, is its id.
    special : tuple of str
        Special tokens (see `tinytx.data.tokenizers.tokenizer`); without ``<unk>`` an unknown word is an error.
    lower : bool
        Read every text in lower case.

    Attributes
    ----------
    words : list of str
    lower : bool
    vocab_size : int
        V, the number of special tokens and words.

    Raises
    ------
    TypeError
        If a word is not a str, or ``words`` is one str.
    ValueError
        If there are no words, or a word occurs twice.
    """

    kind = "words"
    unit = "word"
    fields = {"lower": bool, "words": list}
    cut, join = staticmethod(words_of), staticmethod(text_of)  # subclasses may have other rules

    def __init__(self, words, special=SPECIAL, *, lower=False):
        words = list(check_texts(self._place, "words", words))
        self._check_vocabulary("words", words, f"use {self._place}.from_texts")
        super().__init__(special, words)
        self.words, self.lower = words, bool(lower)
        self._ids = {word: i for i, word in enumerate(words)}

    @classmethod
    def from_texts(cls, texts, max_words=None, *, min_count=1, special=SPECIAL, lower=False):
        """Return the tokenizer of the most frequent words of some texts.

        Parameters
        ----------
        texts : iterable of str
        max_words : int, optional
            The largest number of words: the most frequent ones, equally frequent ones in the order of code points.
        min_count : int
            Keep words that occur at least this often.
        special, lower
            As for the class.

        Raises
        ------
        TypeError
            If a text is not a str, or ``texts`` is one str.
        ValueError
            If no word is left.
        """
        counts = Counter()
        for text in check_texts(cls.__name__, "texts", texts):
            counts.update(cls.cut(text.lower() if lower else text))
        frequent = sorted((-count, word) for word, count in counts.items() if count >= min_count)[:max_words]
        if not frequent:
            raise ValueError(
                f"{cls.__name__}: no word of {len(counts)} is left with max_words {max_words} and min_count {min_count}"
            )
        return cls([word for _, word in frequent], special, lower=lower)

    def _pieces(self, text):
        return self.cut(text.lower() if self.lower else text)

    def _text(self, ids):
        return self.join(self.tokens(ids))
