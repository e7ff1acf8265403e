r"""BLEU: the share of a translation's n-grams that occur in a human translation, with a penalty for short ones.

Papineni et al. 2002, "BLEU: a method for automatic evaluation of machine translation". Over a whole corpus, for n-grams
of n = 1..4 words,

    p_n  = matches_n / total_n                                                                                   (1)
    bp   = 1 if c >= r else exp(1 - r/c)                                                                         (2)
    bleu = 100 bp exp( (1/4) \sum_{n=1}^{4} ln p_n )                                                             (3)

total_n counts the n-grams of the hypotheses. matches_n counts those that occur in the reference of the same sentence,
each at most as often as there. c and r are the lengths of hypotheses and references, in words.

If one p_n were 0, bleu would be 0. So the k-th n with matches_n = 0 gets (Chen and Cherry 2014, method 3)

    p_n  = 1 / (2^k total_n)                                                                                     (4)

Scores can be compared only with the same tokenisation. This is the one that papers report, sacrebleu's default (Post
2018, arXiv 1804.08771), signature ``case:mixed|eff:no|tok:13a|smooth:exp``. tests/oracle compares to 1e-9.
"""

import math
import re
from collections import Counter
from typing import NamedTuple

from tinytx.arguments import check_list

_ORDERS = (1, 2, 3, 4)
_ENTITIES = {"&quot;": '"', "&amp;": "&", "&lt;": "<", "&gt;": ">"}  # in this order
_SPACED = (
    (re.compile(r"([{-~\[-` -&(-+:-@/])"), r" \1 "),  # ASCII's punctuation but ' , - .
    (re.compile(r"([^0-9])([.,])"), r"\1 \2 "),  # a point or comma after anything but a digit
    (re.compile(r"([.,])([^0-9])"), r" \1 \2"),  # or before anything but a digit
    (re.compile(r"([0-9])(-)"), r"\1 \2 "),  # a hyphen after a digit
)


class Bleu(NamedTuple):
    """A corpus's BLEU, and its parts.

    Attributes
    ----------
    score : float in 0..100
        Equation (3).
    precisions : tuple of 4 floats in 0..100
        Equation (1) or (4), in per cent.
    brevity_penalty : float in 0..1
        Equation (2).
    hypothesis_length, reference_length : int
        c and r, in words.
    """

    score: float
    precisions: tuple
    brevity_penalty: float
    hypothesis_length: int
    reference_length: int


def words_13a(text):
    """Return the words of a text by the rules of mteval-v13a, the script of the NIST evaluations.

    >>> words_13a("It's 3.5 &quot;miles&quot;, not 1,000-odd.")
    ["It's", '3.5', '"', 'miles', '"', ',', 'not', '1,000', '-', 'odd', '.']
    """
    text = text.rstrip().replace("<skipped>", "").replace("-\n", "").replace("\n", " ")
    for entity, character in _ENTITIES.items():
        text = text.replace(entity, character)
    text = f" {text} "
    for pattern, spaced in _SPACED:
        text = pattern.sub(spaced, text)
    return text.split()


def corpus_bleu(hypotheses, references):
    """Return the BLEU of a corpus of translations.

    It is not a mean of sentences' scores: matches and lengths are summed over the corpus, and then divided.

    Parameters
    ----------
    hypotheses : list of n str
        Plain text: not cut into words, not lower-cased. May be empty strings.
    references : list of n, each a str or a list of str
        One human translation, or several. Of several, an n-gram may occur in any, and r takes the length closest to the
        hypothesis's, the shorter of two equally close.

    Returns
    -------
    Bleu

    Raises
    ------
    TypeError
        If a hypothesis or a reference is not a str, or one str is given in place of a list.
    ValueError
        If there are none, not as many hypotheses as references, or a hypothesis without a reference.

    Examples
    --------
    >>> round(corpus_bleu(["The cat sat on the mat."], ["The cat is on the mat."]).score, 2)
    48.89
    """
    check_list("corpus_bleu", "hypotheses", hypotheses)
    check_list("corpus_bleu", "references", references)
    if not len(references) or len(hypotheses) != len(references):
        raise ValueError(
            f"corpus_bleu: {len(hypotheses)} hypotheses and {len(references)} references, expected as many, at least 1"
        )
    matches, totals = Counter(), Counter()  # order n to a count
    c = r = 0
    for position, (hypothesis, several) in enumerate(zip(hypotheses, references, strict=True)):
        several = [several] if isinstance(several, str) else list(several)
        _check(position, hypothesis, several)
        words, several = words_13a(hypothesis), [words_13a(reference) for reference in several]
        allowed = Counter()
        for reference in several:
            allowed |= _ngrams(reference)  # the larger of two counts
        for ngram, count in _ngrams(words).items():
            totals[len(ngram)] += count
            matches[len(ngram)] += min(count, allowed[ngram])
        c += len(words)
        r += min((abs(len(reference) - len(words)), len(reference)) for reference in several)[1]
    precisions = _precisions(matches, totals)
    penalty = 1.0 if c >= r else math.exp(1 - r / c) if c else 0.0  # (2)
    score = 0.0
    if all(precisions):
        score = penalty * math.exp(math.fsum(math.log(p) for p in precisions) / len(_ORDERS))  # (3)
    return Bleu(score, precisions, penalty, c, r)


def _precisions(matches, totals):
    """Return p_n in per cent: all 0 if no word matches, and 0 for n longer than all hypotheses."""
    precisions, power = [], 1
    for n in _ORDERS:
        if not totals[n] or not any(matches.values()):
            precisions.append(0.0)
        elif matches[n]:
            precisions.append(100 * matches[n] / totals[n])  # (1)
        else:
            power *= 2
            precisions.append(100 / (power * totals[n]))  # (4)
    return tuple(precisions)


def _ngrams(words):
    """Return how often each n-gram, a tuple of 1..4 words, occurs."""
    return Counter(tuple(words[i : i + n]) for n in _ORDERS for i in range(len(words) - n + 1))


def _check(position, hypothesis, references):
    if not references:
        raise ValueError(f"corpus_bleu: hypothesis {position} has no reference; leave it out, or give one")
    for text in (hypothesis, *references):
        if not isinstance(text, str):
            kind = type(text).__name__
            raise TypeError(f"corpus_bleu: text {position} is a {kind}, expected str; decode ids to text first")
