"""Generated film reviews that praise or blame: in a review all judgements agree, but for a share of noise.

A model that says the next word of such a review does better if it remembers whether the review praises. So one can look
for a unit of its state that says so, although no model was told what praise is: see the recipe ``sentiment_unit``.
No word alone decides: each word that judges is, with probability `NOISE`, any word that judges or describes.
"""

import numpy as np

from tinytx.arguments import check_number, check_whole

NOISE = 0.2
WORDS = {  # kind -> words
    "negative": tuple("awful bad cold dull flat grim lame poor stale weak".split()),
    "positive": tuple("bold clever fine fresh good great keen rich sweet witty".split()),
    "neutral": tuple("french late long old short".split()),
    "part": tuple("plot cast music ending".split()),
    "film": tuple("film drama".split()),
}
FORMS = (  # sentences, each as likely; "judgement" is a word of the review's polarity
    "the part is judgement .",
    "the part is judgement and judgement .",
    "a judgement , judgement film .",
    "judgement , judgement and judgement .",
    "a neutral film , judgement and judgement .",
)


def polar_texts(n=2000, seed=0, *, noise=NOISE):
    """Return n generated reviews, of which every second one praises.

    Parameters
    ----------
    n : int
    seed : int, not negative
        The same seed gives the same reviews; a smaller n gives the first n of them.
    noise : float in [0, 1]
        Probability of a word that judges to be drawn from all words that judge or describe, whatever the review's polarity.

    Returns
    -------
    list of (text, label)
        Label 1 is praise, 0 is blame.

    Examples
    --------
    >>> text, label = polar_texts(2)[1]
    >>> text[:33], label
    ('a fresh , fresh drama . sweet , k', 1)
    """
    n, rng = check_whole("polar_texts", "n", n, least=0, most=1_000_000), np.random.default_rng(seed)
    noise = check_number("polar_texts", "noise", noise, "a number from 0 to 1", lambda share: 0 <= share <= 1)
    return [(_review(rng, ("negative", "positive")[i % 2], noise), i % 2) for i in range(n)]


def _review(rng, polarity, noise):
    """Return a review of three to six sentences."""
    anything = WORDS["negative"] + WORDS["positive"] + WORDS["neutral"]

    def written(word):
        known = WORDS.get(polarity if word == "judgement" else word)
        if word == "judgement" and rng.random() < noise:
            known = anything
        return known[rng.integers(len(known))] if known else word

    forms = [FORMS[rng.integers(len(FORMS))] for _ in range(rng.integers(3, 7))]
    return " ".join(written(word) for form in forms for word in form.split())
