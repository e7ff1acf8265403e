r"""Route: which few of many experts a token is sent to, with which weights; and how evenly a text uses them.

Derivation
----------
A token has a logit a_i for each of X experts (Shazeer et al. 2017, arXiv:1701.06538). It is sent to the k experts of the largest
logits, E_1 to E_k in their order: E_n is the number of an expert. With

    p_i = e^(a_i) / sum_l e^(a_l),

which is the softmax of all logits, expert E_n counts with the weight

    w_n = p_{E_n},                                                       (1)

or, renormalised (Mixtral, arXiv:2401.04088), with the softmax c of the chosen logits alone. That is the same as p over its sum,
because the denominator of p cancels:

    c_n = a_{E_n},
    w_n = e^(c_n) / sum_m e^(c_m) = p_{E_n} / sum_m p_{E_m}.             (2)

E does not change in a small neighbourhood of a, unless two logits tie for the last place in it; there w has a jump, and no
gradient. (1) and (2) are therefore softmaxes of what stays the same, and their backward is (3) of ``softmax.py``, which comes of

    ∂p_i/∂a_l = p_i ([i = l] - p_l).

In (1), p of an expert that is not chosen has no effect on w, but its logit has, through the sum:

    dp_i = sum_n [i = E_n] dw_n,
    da_i = p_i (dp_i - sum_l dp_l p_l).                                  (3)

In (2) its logit has none:

    dc_n = w_n (dw_n - sum_m dw_m w_m),
    da_i = sum_n [i = E_n] dc_n.                                         (4)

With k = 1, (2) is the constant 1 and (4) is 0: a router learns nothing from the loss. (1) is for that case.

Nothing in (1) or (2) keeps a router from sending all tokens to one expert. The *balance* of a text of T tokens does (Fedus et
al. 2021, arXiv:2101.03961, equation (4) there): with f_i, the number of its tokens that are sent to expert i, over T, and P_i, the
mean of their p_i,

    f_i = (1/T) sum_tokens sum_n [i = E_n],   P_i = (1/T) sum_tokens p_i,
    b = X sum_i f_i P_i.                                                 (5)

sum_i f_i = k and sum_i P_i = 1. Where both are even, b = k; where all tokens choose the same k experts with certainty, b = X.
f counts, so it is constant in a small neighbourhood, and the gradient goes through P alone, to all tokens alike:

    dP_i = db X f_i,
    da_i = p_i (dP_i - sum_l dP_l p_l) / T.                              (6)

To differentiate f, or to count p in the place of choices, is another loss. (5) is of one text, not of a batch: a product of two
means over a batch is not the sum of those of its parts, so a batch that threads share would have another loss.

Example: a = ln 1, ln 2, ln 5 and k = 2: p = 0.125, 0.25, 0.625, the experts are 2 and 1, and w = 0.625, 0.25 by (1), 5/7 and 2/7
by (2). If that is the whole text, f = 0, 1, 1 and b = 3 (0.25 + 0.625) = 2.625.

The same in plain NumPy: ``route`` and ``balance`` in ``plain.py``.
"""

from typing import NamedTuple

import numpy as np

from tinytx.arguments import check_flag, check_whole
from tinytx.ops.softmax import softmax, softmax_backward
from tinytx.shapes import check_axes, check_float, check_gradient, check_ids, check_shape


class Saved(NamedTuple):
    experts: np.ndarray  # (..., k), the largest weight first
    p: np.ndarray  # the softmax of all logits (1), or of the chosen ones (2)
    n_experts: int
    renormalise: bool


class SavedBalance(NamedTuple):
    load: np.ndarray  # (B, 1, X), X f / T of (6)
    p: np.ndarray  # (B, T, X)


def route(logits, n_chosen, *, renormalise=True):
    """Return the weights of the k experts that each token is sent to.

    Parameters
    ----------
    logits : array (..., X), float32 or float64
    n_chosen : int
        Experts of a token, k, in 1..X.
    renormalise : bool
        Whether the weights of a token add up to 1: (2), not (1).

    Returns
    -------
    weights : array (..., k)
        The largest first.
    saved : Saved
        ``saved.experts`` (..., k) are the experts, integers; of equal logits the first counts as larger.

    Raises
    ------
    TypeError, ValueError
        If logits are no float array, or there are not so many experts.
    """
    check_float("route", logits=logits)
    check_axes("route", "logits", logits, "(..., X)")
    n_chosen = check_whole("route", "n_chosen", n_chosen, 1)
    if n_chosen > logits.shape[-1]:
        facts = f"n_chosen is {n_chosen}, and logits of shape {logits.shape} are of {logits.shape[-1]} experts"
        raise ValueError(f"route: {facts}: expected at most as many")
    renormalise = check_flag("route", "renormalise", renormalise)
    experts = np.argsort(-logits, axis=-1, kind="stable")[..., :n_chosen]
    chosen = np.take_along_axis(logits, experts, axis=-1)
    p, _ = softmax(chosen if renormalise else logits)
    weights = p if renormalise else np.take_along_axis(p, experts, axis=-1)  # (2), (1)
    return weights, Saved(experts, p, logits.shape[-1], renormalise)


def route_backward(dy, saved):
    """Return dlogits (..., X).

    Parameters
    ----------
    dy : array (..., k)
        Of the weights.
    saved : Saved
    """
    experts, p, n_experts, renormalise = saved
    check_gradient("route_backward", dy, experts.shape, p.dtype, "the chosen experts")
    dlogits = np.zeros((*experts.shape[:-1], n_experts), p.dtype)
    np.put_along_axis(dlogits, experts, softmax_backward(dy, p) if renormalise else dy, axis=-1)  # (4)
    return dlogits if renormalise else softmax_backward(dlogits, p)  # (3)


def balance(logits, experts):
    """Return how unevenly each text uses the experts: (5).

    Parameters
    ----------
    logits : array (B, T, X), float32 or float64
    experts : integers (B, T, k)
        Those that `route` chose.

    Returns
    -------
    y : array (B,)
    saved : SavedBalance

    Raises
    ------
    TypeError, ValueError
        If logits and experts do not fit each other.
    """
    check_float("balance", logits=logits)
    check_axes("balance", "logits", logits, "(B, T, X)")
    b, t, x = logits.shape
    experts = check_ids("balance", experts, x, what="expert")
    check_axes("balance", "experts", experts, "(B, T, k)")
    check_shape("balance", "experts", experts, (b, t, experts.shape[2]), "logits of shape", logits.shape)
    p, _ = softmax(logits)
    chosen = (experts.reshape(b, t * experts.shape[2], 1) == np.arange(x)).sum(axis=1, keepdims=True)  # (B, 1, X), T f
    load = (chosen * (x / max(1, t) ** 2)).astype(logits.dtype)
    return (load * p).sum(axis=(1, 2)), SavedBalance(load, p)  # (5)


def balance_backward(dy, saved):
    """Return dlogits (B, T, X).

    Parameters
    ----------
    dy : array (B,)
    saved : SavedBalance
    """
    load, p = saved
    check_gradient("balance_backward", dy, load.shape[:1], p.dtype, "the texts of a batch")
    return softmax_backward(np.broadcast_to(dy[:, None, None] * load, p.shape), p)  # (6)


def by_expert(experts, n_experts):
    """Return which slots are sent to each expert that has any: [(expert, slots, rows), ...], rows being their tokens.

    Parameters
    ----------
    experts : integers (..., k), each in 0..n_experts-1
    n_experts : int

    Returns
    -------
    list of (int, integers (m,), integers (m,))
        The experts ascend, and so do the slots of each.

    Raises
    ------
    TypeError, ValueError
        If experts are not integers, or one is out of range.
    """
    n_experts = check_whole("by_expert", "n_experts", n_experts, 1)
    experts = check_ids("by_expert", experts, n_experts, what="expert")
    check_axes("by_expert", "experts", experts, "(..., k)")
    flat, k = experts.reshape(-1), max(1, experts.shape[-1])
    order = flat.argsort(kind="stable")
    busy, first = np.unique(flat[order], return_index=True)
    return [(int(i), slots, slots // k) for i, slots in zip(busy, np.split(order, first[1:]))]
