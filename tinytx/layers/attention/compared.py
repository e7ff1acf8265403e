"""What an attention compares, element by element: for pictures."""

from typing import NamedTuple

import numpy as np


class Compared(NamedTuple):
    """Queries and keys of an attention, as they are compared. The score of query t and key s is a sum over their elements e,

        sum_e factor_e q_te k_se,   or, if ``additive``,   sum_e factor_e tanh(q_te + k_se).

    Attributes
    ----------
    queries : array (B, H, T, K)
    keys : array (B, G, S, K)
        G divides H: H / G heads of queries are compared with each head of keys.
    factors : float, or array (H, K)
    additive : bool
    besides : str
        What becomes of this sum before the softmax, as a clause: "the score of their distance is added to it". Empty if nothing.
    """

    queries: np.ndarray
    keys: np.ndarray
    factors: float | np.ndarray = 1.0
    additive: bool = False
    besides: str = ""
