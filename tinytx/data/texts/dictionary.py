"""Sentences of an invented language and their translations, word by word, of which every link is known.

Each source word is translated by none, one or two words, which are its own. How many is drawn anew for each word of each
sentence, as a translator chooses, and nothing in the source says it: who has not seen the next word of a translation cannot
know which source word it will translate. Some words are of a class A, some of a class B: where one of class A stands right
before one of class B, their translations change places, as adjective and noun do between English and French. There is no
other rule, so the links are exact. The corpus is generated: it needs no download.
"""

from typing import NamedTuple

import numpy as np

from tinytx.arguments import check_whole

FERTILITY = (0.15, 0.65, 0.2)  # how often a word is translated by 0, 1 and 2 words
ENDINGS = {"a": "A", "o": "B", "e": "other"}  # of source words -> their class
TARGET_ENDINGS = ("in", "ut")  # of the first and of the second word of a translation
CONSONANTS, VOWELS = "bdfgklmnprstvz", "aeiou"
MOST_WORDS = len(CONSONANTS) ** 2 * len(VOWELS)


class Aligned(NamedTuple):
    """A sentence, its translation, and the links of their words: {(position in source, position in target)}, from 0."""

    source: str
    target: str
    links: set


class Dictionary:
    """The dictionary of an invented language: a stem and an ending in the source, the stem turned round in the target.

    Parameters
    ----------
    n_words : int
        Of the source, at least 3 and at most 980.
    seed : int, not negative

    Attributes
    ----------
    translations : dict of str to (str, str)
        Of each source word: what it is translated by, or the first of them.

    Examples
    --------
    >>> dictionary = Dictionary(6)
    >>> list(dictionary.translations.items())[:2]
    [('data', ('tadin', 'tadut')), ('difo', ('fidin', 'fidut'))]
    >>> aligned = dictionary.translate(["data", "difo"], [1, 2])
    >>> aligned.target, sorted(aligned.links)
    ('fidin fidut tadin', [(0, 2), (1, 0), (1, 1)])
    """

    def __init__(self, n_words=120, seed=0):
        n_words = check_whole("Dictionary", "n_words", n_words, 3, MOST_WORDS)
        rng = np.random.default_rng(seed)
        stems = rng.permutation([a + vowel + b for a in CONSONANTS for vowel in VOWELS for b in CONSONANTS])[:n_words].tolist()
        endings = [*ENDINGS] * n_words
        self.translations = {stem + end: tuple(stem[::-1] + last for last in TARGET_ENDINGS) for stem, end in zip(stems, endings)}

    def translate(self, words, numbers):
        """Return the `Aligned` sentence of a list of words, each translated by as many words as ``numbers`` says."""
        order = list(range(len(words)))
        for s in order[:-1]:
            if [ENDINGS[word[-1]] for word in words[s : s + 2]] == ["A", "B"]:
                order[s : s + 2] = s + 1, s
        linked = [(s, word) for s in order for word in self.translations[words[s]][: numbers[s]]]
        return Aligned(" ".join(words), " ".join(word for _, word in linked), {(s, t) for t, (s, _) in enumerate(linked)})

    def sentences(self, rng, n, shortest=4, longest=12):
        """Return n `Aligned` sentences of random words; each has a translation of at least one word.

        Parameters
        ----------
        rng : numpy.random.Generator
        n, shortest, longest : int
            Sentences, and words of the shortest and of the longest one.
        """
        words, found = list(self.translations), []
        while len(found) < n:
            length = rng.integers(shortest, longest + 1)
            numbers = rng.choice(len(FERTILITY), length, p=FERTILITY)
            sentence = self.translate([words[i] for i in rng.integers(0, len(words), length)], numbers)
            found += [sentence] if sentence.target else []
        return found
