"""Sequences of bits to copy, with the marks that say so (Graves, Wayne and Danihelka 2014, arXiv:1410.5401)."""

import numpy as np

from tinytx.data.batches.windows import IGNORE_INDEX


def copies(sequences, dtype=np.float32):
    """Return what a net reads that is to copy sequences of bits, and the bits that it is to say.

    Parameters
    ----------
    sequences : integers (B, N, K)
        Bits: B sequences of N elements of K bits.
    dtype : float32 or float64

    Returns
    -------
    x : array (B, 2 N + 2, K + 2)
        A mark, the sequence, another mark; then this mark alone for as many steps as the sequence has.
    bits : integers (B, 2 N + 2, K)
        The sequence in these last steps, and -100 before.

    Examples
    --------
    >>> x, bits = copies(np.array([[[1, 0, 1]]]))
    >>> x[0].tolist()
    [[0.0, 0.0, 0.0, 1.0, 0.0], [1.0, 0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0, 1.0], [0.0, 0.0, 0.0, 0.0, 1.0]]
    >>> bits[0].tolist()
    [[-100, -100, -100], [-100, -100, -100], [-100, -100, -100], [1, 0, 1]]
    """
    b, n, k = np.shape(sequences)
    x, bits = np.zeros((b, 2 * n + 2, k + 2), dtype), np.full((b, 2 * n + 2, k), IGNORE_INDEX)
    x[:, 0, k] = x[:, n + 1 :, k + 1] = 1
    x[:, 1 : n + 1, :k] = bits[:, n + 2 :] = sequences
    return x, bits
