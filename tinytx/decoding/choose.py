"""Chooses a token from logits: the most likely one, or a random one of all or of the most likely few.

With temperature t the probability of token i is

    p_i = e^(x_i / t) / sum_j e^(x_j / t).                               (1)

Top-k (Fan et al. 2018, arXiv:1805.04833) keeps the k most likely tokens. Top-p, or nucleus, sampling (Holtzman et al.
2020, arXiv:1904.09751) keeps the smallest set of most likely tokens whose probabilities add up to at least p: few
tokens if the model is certain, many if not. The kept probabilities are scaled to a sum of 1. If both are given, top-p
is applied to the scaled result of top-k.
"""

import math

import numpy as np

from tinytx.arguments import check_number, check_whole


def choose(logits, temperature, top_k=None, rng=None, top_p=None):
    """Return one token for each row of logits.

    Parameters
    ----------
    logits : array (B, V)
    temperature : float
        0 takes the most likely token, the first of equal ones; 1 draws from the model's distribution.
    top_k : int, optional
        Draw among the k most likely tokens only. Which of several equal ones are kept is arbitrary.
    rng : numpy.random.Generator
        Needed unless temperature is 0.
    top_p : float in (0, 1], optional
        Draw among the most likely tokens whose probabilities add up to this.

    Returns
    -------
    int64 array (B,)

    Raises
    ------
    TypeError
        If a setting has a wrong type.
    ValueError
        If a setting is out of range, or a row's largest logit is NaN or infinite.
    """
    check_settings("choose", temperature, top_k, top_p, rng)
    return pick(logits, temperature, top_k, top_p, rng)


def check_settings(place, temperature, top_k, top_p, rng):
    """Raise TypeError or ValueError, naming the first setting that `choose` cannot use."""
    expected = "a finite number of at least 0 (0 is greedy)"
    check_number(place, "temperature", temperature, expected, lambda t: 0 <= t < math.inf)
    if top_k is not None:
        check_whole(place, "top_k", top_k, remedy=", or None for all tokens")
    if top_p is not None:
        check_number(place, "top_p", top_p, "a number in (0, 1], or None for all tokens", lambda p: 0 < p <= 1)
    if temperature > 0 and rng is None:
        raise ValueError(f"{place}: sampling needs rng, such as np.random.default_rng(0); or set temperature=0")
    if rng is not None and not hasattr(rng, "random"):
        raise TypeError(f"{place}: rng is {rng!r:.80}, expected a generator, such as np.random.default_rng(0)")


def pick(logits, temperature, top_k, top_p, rng):
    """Return what `choose` does, for settings that are checked already."""
    if temperature == 0:
        token = logits.argmax(axis=-1)  # that of NaN, if there is one
        if not all(map(math.isfinite, map(logits.item, range(len(token)), token))):
            row_largest(logits)  # raises: the model is damaged
        return token
    tokens, cumulative, edge = _kept(logits, temperature, top_k, top_p)
    column = _drawn(cumulative, cumulative[np.arange(len(logits))[:, None], edge], rng)
    return column if tokens is None else tokens[np.arange(len(logits)), column]


class Distribution:
    """The probabilities with which `pick` chooses the token after one text.

    Parameters
    ----------
    logits : array (1, V)
    temperature, top_k, top_p
        As for `choose`, checked already.
    """

    def __init__(self, logits, temperature, top_k, top_p):
        self._n = logits.shape[-1]
        if temperature == 0:
            row_largest(logits)
            kept = logits.argmax(axis=-1)[None], np.ones((1, 1)), np.zeros((1, 1), int)
        else:
            kept = _kept(logits, temperature, top_k, top_p)
        self._tokens, self._sums, edge = kept
        self._edge, self._total = edge[0, 0], self._sums[0, edge[0, 0]]

    def of(self, token):
        """Return the probability of a token."""
        column = token if self._tokens is None else next(iter(np.flatnonzero(self._tokens[0] == token)), self._n)
        if column > self._edge:
            return 0.0
        return (self._sums[0, column] - (self._sums[0, column - 1] if column else 0)) / self._total

    def all(self):
        """Return the probabilities of all tokens, float64 (V,)."""
        weights = np.diff(self._sums[0], prepend=0.0) / self._total
        weights[self._edge + 1 :] = 0
        if self._tokens is None:
            return weights
        p = np.zeros(self._n)
        p[self._tokens[0]] = weights
        return p

    def draw(self, rng):
        """Return a token; rng is None with temperature 0."""
        column = 0 if rng is None else _drawn(self._sums, self._total[None, None], rng)[0]
        return int(column if self._tokens is None else self._tokens[0, column])


def draw(weights, rng):
    """Return one token for each row of weights (B, V) >= 0, with a probability that is in proportion to its weight; the heaviest if rng is None."""
    if rng is None:
        return weights.argmax(axis=-1)
    cumulative = weights.cumsum(axis=-1)
    return _drawn(cumulative, cumulative[:, -1:], rng)


def _kept(logits, temperature, top_k, top_p):
    """Return which tokens are kept, and the sums of their weights.

    Returns
    -------
    tokens : integers (B, k), or None
        To which the columns belong; None is all tokens, in their order.
    cumulative : float64 array (B, k)
        The sum of e^((x - largest) / t) up to each column.
    edge : integers (B, 1)
        The last column that is kept.
    """
    largest, tokens, rows = row_largest(logits), None, np.arange(len(logits))[:, None]
    with np.errstate(over="ignore"):  # with a tiny temperature a difference overflows to -inf, and the probability is 0
        scaled = (logits.astype(np.float64) - largest) / temperature
    if top_k is not None and top_k < scaled.shape[-1]:
        tokens = largest_columns(scaled, top_k)
        scaled = scaled[rows, tokens]
    if top_p is not None:
        order = np.argsort(-scaled, axis=-1)
        scaled = scaled[rows, order]
        tokens = order if tokens is None else tokens[rows, order]
    weights = np.exp(scaled)
    cumulative = weights.cumsum(axis=-1)
    if top_p is None:
        return tokens, cumulative, np.full(rows.shape, cumulative.shape[-1] - 1)
    slack = _rounding(weights, logits.dtype, largest, temperature)  # columns are sorted: the nucleus ends where the sum reaches top_p
    return tokens, cumulative, (cumulative < top_p * cumulative[:, -1:] - slack).sum(axis=-1, keepdims=True)


def _drawn(cumulative, total, rng):
    """Return a column for each row of sums (B, k), as probable as its part of the total (B, 1)."""
    drawn = np.minimum(rng.random(total.shape) * total, np.nextafter(total, 0))  # less than total, even after rounding
    return (cumulative <= drawn).sum(axis=-1)


def _rounding(weights, dtype, largest, temperature):
    """Return a bound (N, 1) of the rounding error in the sum of each row's weights (N, k).

    Without it, a sum equal to top_p could be rounded down, and one token too many would be kept. A logit x has an error
    of at most eps |x| / 2, where |x| is at most |largest| + |largest - x|; its weight is e^((x - largest) / t).
    """
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        sizes = np.abs(largest) / temperature - np.log(weights)
    errors = np.finfo(dtype).eps * np.nansum(weights * np.where(weights > 0, sizes, 0), axis=-1, keepdims=True)
    sums = weights.sum(axis=-1, keepdims=True)
    return np.minimum(errors, 1e-3 * sums) + weights.shape[-1] * np.finfo(np.float64).eps * sums


def largest_columns(x, k):
    """Return the columns of each row's k largest elements, in the order of the columns: int64 (N, k)."""
    if k >= x.shape[-1]:
        return np.broadcast_to(np.arange(x.shape[-1]), x.shape)
    columns = np.argpartition(x, -k, axis=-1)[:, -k:]
    columns.sort(axis=-1)
    return columns


def log_normaliser(logits):
    """Return ln sum_j e^(x_j) of each row, float64 (N, 1): the difference of logits and log-probabilities.

    Raises
    ------
    ValueError
        If a row's largest logit is NaN or infinite.
    """
    largest = row_largest(logits)
    return largest + np.log(np.exp(logits - largest).sum(axis=-1, keepdims=True, dtype=np.float64))


def row_largest(logits):
    """Return each row's largest logit (N, 1); raise ValueError if it is not finite or the row has a NaN."""
    largest = logits.max(axis=-1, keepdims=True)
    if not np.isfinite(largest).all():
        wrong = largest[~np.isfinite(largest)].tolist()
        raise ValueError(
            f"decoding: the largest logit is {', '.join(map(str, wrong))}: the model's weights are damaged; load a "
            "checkpoint from before the loss was NaN"
        )
    return largest
