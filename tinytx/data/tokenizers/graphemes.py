"""Characters that consist of several code points of Unicode: a letter with its marks, an emoji of several parts.

Python's ``\\w`` and `str.isalpha` do not count marks as parts of words. So in Hindi, Thai, pointed Arabic and Hebrew,
and in texts with separate accents (Unicode's form NFD), a mark would end a word. Here a *character* is a code point
with all code points that extend it, by Unicode's annex 29 (its property ``Extend``, and the joiner of emoji):

- marks (category M): vowel signs, accents, variation selectors;
- the joiners U+200C and U+200D; U+200D joins two symbols to one, such as a family;
- the five colours of skin, and the tags in the flags of regions;
- two regional indicators, which make a flag.
"""

import re
import unicodedata
from functools import cache

JOINER = "\u200d"
_JOINERS = "\u200c\u200d\U0001f3fb-\U0001f3ff\U000e0020-\U000e007f"
_FLAG = "[\U0001f1e6-\U0001f1ff]"
_MARKED = (range(0x300, 0x1F000), range(0xE0100, 0xE01F0))  # ranges that contain all marks (a test looks everywhere)


@cache
def extending():
    """Return the code points that extend the one before them, as inside the brackets of a regular expression."""
    ranges = []
    for codes in _MARKED:
        for code in codes:
            if unicodedata.category(chr(code))[0] == "M":
                if ranges and ranges[-1][1] == code - 1:
                    ranges[-1][1] = code
                else:
                    ranges.append([code, code])
    return _JOINERS + "".join(f"{chr(first)}-{chr(last)}" for first, last in ranges)


def word_pattern():
    """Return the regular expression, as a str, of a word: letters, digits and underscores with their marks."""
    return rf"\w[\w{extending()}]*"


def symbol_pattern():
    """Return the regular expression, as a str, of one character that is neither part of a word nor white space."""
    extend = f"[{extending()}]*"
    return rf"(?:{_FLAG}{{2}}|[^\w\s]){extend}(?:(?<={JOINER})[^\w\s{extending()}]{extend})*"


@cache
def _extends():
    return re.compile(f"[{extending()}]")


def goes_on(text):
    """Return whether a text begins with a code point that extends the character before it.

    >>> goes_on("\\u0301"), goes_on("e"), goes_on("")
    (True, False, False)
    """
    return bool(_extends().match(text))


def count_letters(word):
    """Return the number of letters of a word, without marks; 0 if it has other characters.

    >>> count_letters("किताब"), count_letters("cafe\\u0301"), count_letters("R2D2")
    (3, 4, 0)
    """
    bare = _extends().sub("", word)
    return len(bare) if bare.isalpha() else 0


def shown(text):
    r"""Return a text in quotes, with invisible characters escaped and named after it.

    >>> print(shown("\u0301"), shown("né"), shown("a\u200d"))
    '\u0301' (U+0301 combining acute accent) 'né' 'a\u200d' (U+200D zero width joiner)
    """
    hidden = {c for c in text if c != " " and unicodedata.category(c)[0] in "CZ"} | set(text[: goes_on(text)])
    quoted = "".join(ascii(c)[1:-1] if c in hidden else c for c in text)
    names = (f"U+{ord(c):04X} {unicodedata.name(c, '').lower()}".strip() for c in dict.fromkeys(text) if c in hidden)
    return f"'{quoted}'" + (f" ({', '.join(names)})" if hidden else "")
