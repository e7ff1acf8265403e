r"""The loss of counting: how well a text is guessed from how often its last tokens went on in which way.

The probability of a token w after the n - 1 tokens v_1 ... v_{n-1} is its share among what followed them in the text
that was counted, mixed with the same for one token less of context (MacKay and Peto 1995):

    p_n(w | v_1 ... v_{n-1}) = (c(v_1 ... v_{n-1} w) + s p_{n-1}(w | v_2 ... v_{n-1})) / (c(v_1 ... v_{n-1}) + s)     (1)

and p_0 = 1/V. c counts occurrences. After a context that was seen far more often than s times the counts decide; after
one that was never seen, the shorter context does. It is what a model that learned anything must do better than.
"""

import numpy as np

from tinytx.arguments import check_number, check_whole


def ngram_loss(counted, ids, vocab_size, *, n=3, strength=5.0):
    """Return the mean of -ln p_n over the tokens of a text, without its first n - 1, which have too little context.

    Parameters
    ----------
    counted : integers (N,)
        Ids of the text that is counted.
    ids : integers (M,)
        Those of the text that is guessed.
    vocab_size : int
        V, with V^n below 2^63.
    n : int
        2 for bigrams, 3 for trigrams.
    strength : float
        s in (1).

    Returns
    -------
    float, in nats per token

    Raises
    ------
    TypeError, ValueError
        If a text is no row of at least n ids, or an argument is out of range.

    Examples
    --------
    >>> text = np.array([0, 1, 2] * 50)
    >>> round(ngram_loss(text, text, 3), 2), round(ngram_loss(text, text, 3, n=1), 2)  # the last: ln 3
    (0.01, 1.1)
    """
    n, vocab_size = check_whole("ngram_loss", "n", n), check_whole("ngram_loss", "vocab_size", vocab_size)
    s = check_number("ngram_loss", "strength", strength, "a positive number", lambda s: 0 < s < np.inf)
    counted, ids = _checked("counted", counted, n, vocab_size), _checked("ids", ids, n, vocab_size)
    p = np.full(len(ids) - n + 1, 1 / vocab_size)
    for k in range(1, n + 1):
        grams = _grams(ids, k, vocab_size)[n - k :]  # those that end where the guessed tokens stand
        seen = _grams(counted, k, vocab_size)
        contexts = seen // vocab_size
        p = (_occurrences(seen, grams) + s * p) / (_occurrences(contexts, grams // vocab_size) + s)  # (1)
    return float(-np.mean(np.log(p)))


def _checked(name, ids, n, vocab_size):
    ids = np.asarray(ids)
    if ids.ndim != 1 or len(ids) < n or ids.dtype.kind not in "iu":
        raise ValueError(f"ngram_loss: {name} has shape {ids.shape} and dtype {ids.dtype}, expected at least {n} integers")
    if ids.min() < 0 or ids.max() >= vocab_size or vocab_size**n >= 2**63:
        facts = f"{name} has ids {ids.min()}..{ids.max()}, vocab_size is {vocab_size} and n {n}"
        raise ValueError(f"ngram_loss: {facts}, expected ids below vocab_size, and vocab_size^n below 2^63")
    return ids.astype(np.int64)


def _grams(ids, k, vocab_size):
    """Return each run of k ids as one number: (N,) -> (N - k + 1,)."""
    last = len(ids) - k + 1
    return sum(ids[i : last + i] * vocab_size ** (k - 1 - i) for i in range(k))


def _occurrences(seen, asked):
    """Return how often each of the asked numbers occurs among those seen."""
    values, counts = np.unique(seen, return_counts=True)
    at = np.minimum(np.searchsorted(values, asked), len(values) - 1)
    return np.where(values[at] == asked, counts[at], 0)
