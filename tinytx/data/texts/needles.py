"""Texts in which one word counts, long before it is asked for: a needle in hay.

A text is a row of common words. Here and there stands a colour, and one of them has the word "remember" before it::

    the road is red and remember green we walk over a hill blue by night so ...

No other colour stands within two words of these. At the end one is asked which it was. So it takes two steps to answer: to see
which colour stands behind "remember", which two neighbours know, and to find this one among all words. How far away it is can be
chosen.
"""

import numpy as np

from tinytx.arguments import check_whole

CUE = "remember"
COLOURS = ("red", "blue", "green", "yellow", "black", "white", "brown", "grey")
HAY = (
    "the", "a", "and", "or", "so", "but", "we", "they", "you", "it", "is", "was", "walk", "sing", "sleep", "go", "over", "by", "to",
    "with", "on", "under", "road", "hill", "river", "house", "tree", "night", "morning", "snow", "long", "old",
)  # fmt: skip
WORDS = (CUE, *COLOURS, *HAY)
SHARE = 0.05  # of the hay, that are colours
BESIDE = 2  # words on each side of the needle that are none


def needle_rows(rng, n_rows, distance, lead=16):
    """Return texts with one needle each, and the colour that it is, both as numbers of ``WORDS``.

    Parameters
    ----------
    rng : numpy.random.Generator
    n_rows : int
    distance : int
        How many words follow the needle at least.
    lead : int
        How many words more there are; a random number of them stands before the needle.

    Returns
    -------
    words : integers (n_rows, lead + 2 + distance)
    colours : integers (n_rows,)

    Examples
    --------
    >>> words, colours = needle_rows(np.random.default_rng(6), 1, 3, lead=4)
    >>> " ".join(WORDS[i] for i in words[0]), WORDS[colours[0]]
    ('sleep by remember red long was green was sleep', 'red')
    """
    place = "needle_rows"
    n_rows, distance, lead = (
        check_whole(place, name, n, least=0) for name, n in (("n_rows", n_rows), ("distance", distance), ("lead", lead))
    )
    first_colour, first_hay = 1, 1 + len(COLOURS)
    shape, rows = (n_rows, lead + 2 + distance), np.arange(n_rows)
    hay, others = (rng.integers(first, last, shape) for first, last in ((first_hay, len(WORDS)), (first_colour, first_hay)))
    places, colours = rng.integers(0, lead + 1, n_rows), rng.integers(first_colour, first_hay, n_rows)
    behind = np.arange(shape[1]) - places[:, None]
    apart = (behind < -BESIDE) | (behind > 1 + BESIDE)
    words = np.where(apart & (rng.random(shape) < SHARE), others, hay)
    words[rows, places], words[rows, places + 1] = 0, colours
    return words, colours
