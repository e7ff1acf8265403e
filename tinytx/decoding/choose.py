"""One token from the logits of all: the likeliest, or a draw, from all of them or from the likeliest few.

With temperature t the probability of token i is

    p_i = e^(x_i / t) / sum_j e^(x_j / t).                               (1)

Top-k (Fan et al. 2018, arXiv:1805.04833) keeps the k likeliest tokens. Top-p, or nucleus, sampling (Holtzman et al.
2020, arXiv:1904.09751) keeps the fewest tokens, likeliest first, whose probabilities add up to at least p: few where
the model is sure, many where it is not. What is kept is scaled to add up to 1. Given both, top-p looks at what top-k
kept, scaled.
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
        0 takes the likeliest token, the first of equal ones; 1 draws from the model's distribution.
    top_k : int, optional
        Draw among the k likeliest tokens only. Which of equal ones are among them is arbitrary.
    rng : numpy.random.Generator
        Needed unless temperature is 0.
    top_p : float in (0, 1], optional
        Draw among the likeliest tokens that hold this much of the probability.

    Returns
    -------
    int64 array (B,)

    Raises
    ------
    TypeError
        If a setting is of another kind.
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
    largest = _largest(logits)
    if temperature == 0:
        return logits.argmax(axis=-1)
    rows = np.arange(len(logits))[:, None]
    tokens = None  # (B, k): the tokens that the columns of ``scaled`` belong to; None is all, in their order
    with np.errstate(over="ignore"):  # a difference divided by next to nothing is -inf, and its probability 0
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
    total = cumulative[:, -1:]
    if top_p is not None:  # sorted, the nucleus is a prefix: up to the first column where the sum reaches top_p
        slack = _rounding(weights, logits.dtype, largest, temperature)
        edge = (cumulative < top_p * total - slack).sum(axis=-1, keepdims=True)
        total = cumulative[rows, edge]
    drawn = np.minimum(rng.random(rows.shape) * total, np.nextafter(total, 0))  # below total, also if rounded
    column = (cumulative <= drawn).sum(axis=-1)
    return column if tokens is None else tokens[rows[:, 0], column]


def _rounding(weights, dtype, largest, temperature):
    """Return by how much the sum of each row's weights (N, k) can be off (N, 1), since numbers are rounded.

    Without it, a sum that is top_p to the last digit would be taken for less, and one token too many be kept. A logit x
    is known to within eps |x| / 2, where |x| is at most |largest| + |largest - x|; its weight is e^((x - largest) / t).
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
    """Return ln sum_j e^(x_j) of each row, float64 (N, 1): what logits exceed their log-probabilities by.

    Raises
    ------
    ValueError
        If a row's largest logit is NaN or infinite.
    """
    largest = _largest(logits)
    return largest + np.log(np.exp(logits - largest).sum(axis=-1, keepdims=True, dtype=np.float64))


def _largest(logits):
    """Return each row's largest logit (N, 1), if it is finite; a NaN anywhere in the row is the largest."""
    largest = logits.max(axis=-1, keepdims=True)
    if not np.isfinite(largest).all():
        wrong = largest[~np.isfinite(largest)].tolist()
        raise ValueError(
            f"decoding: the largest logit is {', '.join(map(str, wrong))}: the model's weights went wrong; go back to "
            "a checkpoint from before the loss was NaN"
        )
    return largest
