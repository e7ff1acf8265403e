"""Text from a model, one token after the other."""

import math

import numpy as np

from tinytx import ops
from tinytx.layers import KeyValueCache


def generate(model, ids, n_tokens, *, temperature=1.0, top_k=None, rng=None):
    """Continue sequences by ``n_tokens`` tokens.

    Keys and values of earlier positions come from a cache, so each token costs one position's work. When ``max_len``
    positions are full, the model goes on from the last half of them.

    Parameters
    ----------
    model : GPT
    ids : integers (B, T)
        What to continue, T >= 1; of a longer one than ``max_len`` the end is used.
    n_tokens : int
    temperature : float
        Divides the logits before sampling. 0 is greedy: the most likely token each time.
    top_k : int, optional
        Sample among the k most likely tokens only.
    rng : numpy.random.Generator
        Needed unless greedy.

    Yields
    ------
    int64 array (B,)
        The next token of each sequence.

    Raises
    ------
    ValueError
        If a setting is out of range or ``ids`` are no such array.
    """
    ids = np.asarray(ids)
    if ids.ndim != 2 or ids.shape[1] == 0:
        raise ValueError(f"generate: ids have shape {ids.shape}, expected (B, T) with at least one token to continue")
    if not 0 <= temperature < math.inf or top_k is not None and top_k < 1:
        raise ValueError(
            f"generate: temperature {temperature} or top_k {top_k}: expected a finite one of at least 0, and at least 1"
        )
    if temperature > 0 and rng is None:
        raise ValueError("generate: sampling needs rng, such as np.random.default_rng(0); or set temperature=0")
    return _tokens(model, ids, n_tokens, lambda logits: choose(logits, temperature, top_k, rng))


def _tokens(model, ids, n_tokens, pick):
    max_len = model.config.max_len
    ids, cache = ids[:, -max_len:], KeyValueCache()
    new = ids
    for _ in range(n_tokens):
        if cache.length + new.shape[1] > max_len:
            cache, new = KeyValueCache(), ids[:, -max(1, max_len // 2) :]
        token = pick(model(new, cache=cache)[:, -1])
        yield token
        new = token[:, None]
        ids = np.concatenate([ids[:, -max_len:], new], axis=1)


def choose(logits, temperature, top_k=None, rng=None):
    """Return one token for each row of logits.

    Parameters
    ----------
    logits : array (B, V)
    temperature, top_k, rng
        As for `generate`.

    Returns
    -------
    int64 array (B,)

    Raises
    ------
    ValueError
        If a row's largest logit is NaN or infinite.
    """
    largest = logits.max(axis=-1, keepdims=True)
    if not np.isfinite(largest).all():
        raise ValueError(f"choose: the largest logit is {largest.ravel().tolist()}: the model's weights went wrong")
    if temperature == 0:
        return logits.argmax(axis=-1)
    with np.errstate(over="ignore"):  # a difference divided by next to nothing is -inf, and its probability 0
        scaled = (logits.astype(np.float64) - largest) / temperature
    allowed = None
    if top_k is not None and top_k < logits.shape[-1]:
        best = np.argsort(-scaled, axis=-1, kind="stable")[:, :top_k]
        allowed = np.zeros(logits.shape, bool)
        np.put_along_axis(allowed, best, True, axis=-1)
    cumulative = ops.softmax(scaled, allowed)[0].cumsum(axis=-1)
    total = cumulative[:, -1:]
    drawn = np.minimum(rng.random((len(logits), 1)) * total, np.nextafter(total, 0))  # below total, also if rounded
    return (cumulative <= drawn).sum(axis=-1)
