"""Rules: what must be written, and what may not, whatever the model finds likely.

A rule is a function ``rule(past, scores) -> scores``. It reads the ids so far, `Past`, and returns new scores (N, V) of the
next token; -inf forbids a token. `tinytx.decoding.greedy` and its kin take a list of rules, and apply them in that order::

    greedy(model, ids, 20, rules=[no_repeated_ngrams(3), min_new_tokens(5)])

As in the library transformers, greedy decoding and sampling apply them to logits, and beam search to log-probabilities, which
are not normalised afterwards: a forced token has the score 0, as if it were certain. `renormalised` is a rule as well.
"""

import math
from typing import NamedTuple

import numpy as np

from tinytx.arguments import check_list, check_number, check_whole
from tinytx.decoding.choose import log_normaliser, row_largest
from tinytx.shapes import check_ids, check_integers


class Past(NamedTuple):
    """What a rule knows about N sequences of one length.

    Attributes
    ----------
    ids : int64 array (N, t)
        The prompt, or an encoder-decoder's ``start_id``, and then the tokens that are chosen already.
    n_first : int
        How many of them were there at first.
    n_tokens : int
        How many tokens are chosen at most.
    stops : boolean array (V,), or None
        True at stop tokens; None if there are none.
    """

    ids: np.ndarray
    n_first: int
    n_tokens: int
    stops: np.ndarray | None

    @property
    def n_new(self):
        """How many tokens are chosen already."""
        return self.ids.shape[1] - self.n_first


def obeyed(rules, past, scores):
    """Return scores (N, V) as the rules leave them, a new float64 array.

    Raises
    ------
    ValueError
        If a rule returns another shape, NaN or inf.
    """
    row_largest(scores)  # raises where the model itself is damaged
    for rule in rules:
        shape, scores = scores.shape, np.array(rule(past, scores.astype(np.float64)))
        if scores.shape != shape or not (scores.max(axis=-1) < np.inf).all():
            held = "NaN or inf" if scores.shape == shape else f"an array of shape {scores.shape}"
            name = getattr(rule, "__qualname__", type(rule).__name__)
            raise ValueError(f"decoding: rule {name} returned {held}, expected finite scores or -inf, of shape {shape}")
    return scores


def check_possible(scores, n):
    """Raise ValueError if the scores (N, V) of a row after n ids forbid every token."""
    if (scores.max(axis=-1) == -np.inf).any():
        raise ValueError(f"decoding: the rules forbid every token after {n} ids: give fewer rules")


def min_new_tokens(n):
    """Return the rule that no stop token is among the first n tokens.

    Parameters
    ----------
    n : int

    Raises
    ------
    ValueError
        If n is less than 1; while decoding, if n tokens are more than there may be.
    """
    return _no_stop_below("min_new_tokens", n, lambda past: past.n_first)


def min_length(n):
    """Return the rule that no stop token is among the first n ids; the prompt, or ``start_id``, is counted.

    Parameters
    ----------
    n : int

    Raises
    ------
    ValueError
        As for `min_new_tokens`.
    """
    return _no_stop_below("min_length", n, lambda past: 0)


def _no_stop_below(place, n, uncounted):
    n = check_whole(place, "n", n)

    def rule(past, scores):
        most = past.n_first + past.n_tokens - uncounted(past)
        if n > most:
            facts = f"n is {n}, but n_tokens {past.n_tokens} allows {most}"
            raise ValueError(f"{place}: {facts}: ask for more tokens, or a smaller n")
        early = past.stops is not None and past.ids.shape[1] - uncounted(past) < n
        return np.where(past.stops, -np.inf, scores) if early else scores

    return rule


def forced_first(token):
    """Return the rule that the first token is this one: the language of a translation, say.

    Parameters
    ----------
    token : int, or sequence of int
        Of several, one.
    """
    return _forced("forced_first", token, lambda past: past.n_new == 0)


def forced_last(token):
    """Return the rule that a sequence that reaches the limit of tokens ends with this one: a stop token, say.

    Parameters
    ----------
    token : int, or sequence of int
        Of several, one.
    """
    return _forced("forced_last", token, lambda past: past.n_new == past.n_tokens - 1)


def _forced(place, token, when):
    tokens = np.atleast_1d(token)

    def rule(past, scores):
        if not when(past):
            return scores
        forced = np.full_like(scores, -np.inf)
        forced[:, check_ids(place, tokens, scores.shape[-1], what="token")] = 0.0
        return forced

    return rule


def no_repeated_ngrams(n):
    """Return the rule that no n tokens in a row occur twice (Paulus et al. 2017, arXiv:1705.04304, section 2.5).

    Parameters
    ----------
    n : int
        1 means that no token occurs twice. Prompts, and ``start_id``, count.

    Raises
    ------
    ValueError
        If n is less than 1.
    """
    n = check_whole("no_repeated_ngrams", "n", n)

    def rule(past, scores):
        if past.ids.shape[1] < n:
            return scores
        ngrams = np.lib.stride_tricks.sliding_window_view(past.ids, n, axis=1)  # (N, t - n + 1, n)
        begun = (ngrams[..., :-1] == ngrams[:, -1:, 1:]).all(axis=-1)  # those that begin as the last n - 1 ids
        rows, places = np.nonzero(begun)
        scores = scores.copy()
        scores[rows, ngrams[rows, places, -1]] = -np.inf
        return scores

    return rule


def repetition_penalty(penalty):
    """Return the rule that ids that have occurred have smaller scores: x / penalty, or x penalty where x < 0.

    Parameters
    ----------
    penalty : float
        theta of Keskar et al. 2019 (arXiv:1909.05858, section 4.1): 1.2 is usual; below 1 makes repetition likelier.

    Raises
    ------
    ValueError
        If it is not above 0.
    """
    expected = "a finite number above 0 (1 is no penalty)"
    penalty = check_number("repetition_penalty", "penalty", penalty, expected, lambda p: 0 < p < math.inf)

    def rule(past, scores):
        seen = np.zeros(scores.shape, bool)
        seen[np.arange(len(scores))[:, None], past.ids] = True
        return np.where(seen, np.where(scores < 0, scores * penalty, scores / penalty), scores)

    return rule


def bad_words(words):
    """Return the rule that these words do not occur.

    Parameters
    ----------
    words : list of sequences of int
        The tokens of each word. A stop token by itself is no bad word.

    Raises
    ------
    TypeError, ValueError
        If a word is no list of at least one token.
    """
    check_list("bad_words", "words", words, of="lists of tokens")
    words = [check_integers("bad_words", word, "tokens").astype(np.int64) for word in words]
    for word in words:
        if word.ndim != 1 or not word.size:
            raise ValueError(f"bad_words: a word has shape {word.shape}, expected (n,), a list of at least one token")
    tokens, words = np.concatenate([np.empty(0, np.int64), *words]), [np.split(word, [-1]) for word in words]

    def rule(past, scores):
        check_ids("bad_words", tokens, scores.shape[-1], what="token")
        scores = scores.copy()
        for before, last in words:
            if len(before) <= past.ids.shape[1] and (len(before) or past.stops is None or not past.stops[last]):
                rows = (past.ids[:, past.ids.shape[1] - len(before) :] == before).all(axis=1)
                scores[rows, last] = -np.inf
        return scores

    return rule


def renormalised(past, scores):
    """Return scores whose probabilities add up to 1 again, after other rules: a rule itself, of use in a beam search."""
    possible, scores = scores.max(axis=-1) > -np.inf, scores.copy()
    scores[possible] -= log_normaliser(scores[possible])
    return scores
