r"""Perplexity: the number of equally likely tokens among which a guess would be as hard as the model's.

    ppl = exp( (1/N) \sum_{n=1}^{N} -ln p(token n | what precedes it) )                                          (1)

N is the number of tokens of the whole text. The mean of the batches' means would be a different number, which depends
on how the text was cut: short batches, and those with much padding, would count too much. So (1) uses sums and counts.
"""

import math

import numpy as np


def perplexity(loss_sums, counts):
    """Return the perplexity of a text from the losses of its batches.

    Parameters
    ----------
    loss_sums : float, or floats (batches,)
        The sum of -ln p, in nats, over the tokens of each batch: its mean loss times its count, without label
        smoothing.
    counts : int, or integers (batches,)
        The number of tokens in each sum (``tinytx.ops.cross_entropy.count_targets``), without padding.

    Returns
    -------
    perplexity : float, at least 1 for probabilities; inf where exp overflows

    Raises
    ------
    TypeError
        If counts are not integers.
    ValueError
        If there are not as many sums as counts, a count is negative, no token is counted, or a sum is NaN.

    Examples
    --------
    >>> perplexity([3 * np.log(4), np.log(4)], [3, 1])  # each token was one of four
    4.0
    """
    loss_sums, counts = np.atleast_1d(loss_sums), np.atleast_1d(counts)
    if loss_sums.shape != counts.shape or loss_sums.ndim != 1:
        raise ValueError(f"perplexity: loss_sums has shape {loss_sums.shape} and counts {counts.shape}, expected equal")
    if counts.dtype.kind not in "iu" and counts.size:
        raise TypeError(f"perplexity: counts have dtype {counts.dtype}, expected integers: they count tokens")
    n = sum(counts.tolist())
    if min(counts.tolist(), default=0) < 0 or not n:
        raise ValueError(f"perplexity: {n} tokens in {len(counts)} batches; count those that have a target")
    if np.isnan(loss_sums).any():
        raise ValueError(f"perplexity: loss_sums[{int(np.isnan(loss_sums).argmax())}] is NaN: the training diverged")
    try:
        return math.exp(math.fsum(loss_sums.tolist()) / n)  # (1); fsum does not depend on the order
    except OverflowError:
        return math.inf
