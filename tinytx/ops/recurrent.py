r"""What recurrent nets share: the way along a sequence, with any cell. The cells are ``rnn.py``,
``gru.py``, ``lstm.py``, ``original_gru.py`` and ``mlstm.py``.

Derivation
----------
A recurrent layer reads a sequence one position after the other, and carries a state along: R numbers h, which it also
puts out, and those of c if the cell is an LSTM. With h' for that of the position before, and h_0 at the first one, a
position computes two products, and its cell makes the new state n of p, q, biases and the old state. Here the cell
of ``rnn.py`` stands for any:

    h' = before(h, h_0)
    p = x Wx,   q = h' Wh,
    n = tanh(p + q + b).                                                 (1)

At padding, where the mask m is 0 and not 1, nothing happens: the state stays as it is, and y is 0.

    h = m n + (1 - m) h'
    y = m h,   h_T = last(h)

Backward goes from the last position to the first. h of a position moves the loss in two ways: as the output y of this
position, and as the h' of the next one. What the last position gets is the gradient of the final state, h_T:

    dh = m dy + after(dh', dh_T)                                         (2)
    dn = m dh.

Of this the cell makes dp and dq. It also says which part of dh reaches h' past (1), such as a gate that lets h' through; here
there is none. At padding dp and dq are 0, and the gradient of the state goes through unchanged:

    dp = dn * tanh'(p + q + b) = dn * (1 - n) * (1 + n),   dq = dp,
    dh' = (1 - m) dh + dq Wh^T.                                          (3)

All positions use the same weights, so their gradients are sums over positions and rows, those of linear maps, (2) to (4) of
``linear.py``. They need no loop: with the rows of all positions below each other, dWx = X^T dP and dWh = H'^T dQ. No
mask either, because dp and dq are 0 at padding:

    dx = dp Wx^T,
    dWx_kj = sum_rows sum_time x_k dp_j,
    dWh_kj = sum_rows sum_time h'_k dq_j,
    db_j = sum_rows sum_time dp_j.                                       (4)

The state before the first position has a gradient too: what (3) sends there. Backpropagation through time is truncated
by not using it: the next part of a long text begins with the last state of this one as a constant.

    dh_0 = first(dh')

Some cells have a second product in their loop. Of p and q such a cell makes a vector v of R numbers, which stands in the
place of h' in the other product, and only then the new state. With the products of ``mlstm.py``, instead of (1):

    p = x Wx,   q = h' Wh,   v = p * q,
    e = x Ux,   f = v Uh,   n = tanh(e + f + b).                         (5)

(In the code Wx and Ux are columns of one matrix, Wh and Uh of another.) Backward goes back through both products: of dn the
cell makes de and df, then

    de = dn * tanh'(e + f + b) = dn * (1 - n) * (1 + n),   df = de,
    dv = df Uh^T,                                                        (6)

and of dv it makes dp and dq, and one more part of dh', if it has one. The rest is (3) and (4) again, with the weights of
the second product beside those of the first; v is kept, with zeros at padding:

    dp = dv * q,   dq = dv * p,   dh' = (1 - m) dh + dq Wh^T,
    dx = dp Wx^T + de Ux^T,   db_j = sum_rows sum_time de_j,
    dWx_kj = sum_rows sum_time x_k dp_j,   dWh_kj = sum_rows sum_time h'_k dq_j,
    dUx_kj = sum_rows sum_time x_k de_j,   dUh_kj = sum_rows sum_time v_k df_j.            (7)

From right to left (``reverse``) only the order changes: "before" is then the position on the right. Padding at the end
comes first, and the state stays what it was at the start until the text begins.

Two things make this fast. p of (1) and all of (4) are large products over T B rows; only h' Wh and dq Wh^T (and
those of v) are computed position by position. And time is the first axis of every array, so that a position is one block of memory.

A net with more in its loop, such as a decoder that attends at each position, has a loop of its own, and imports the
step of a cell from its page.
"""

from typing import Callable, NamedTuple

import numpy as np

from tinytx.arguments import check_flag
from tinytx.ops.linear import product
from tinytx.shapes import check_axes, check_float, check_gradient, check_mask, check_shape, contiguous, rows


class Cell(NamedTuple):
    """What happens at one position. Arrays of a position are C-contiguous; G is the number of ``parts``."""

    name: str  # of the operation, for messages
    parts: int  # p and q have G R columns
    states: tuple  # names of the arrays (B, R) that go along; h is the first
    biases: tuple  # names of the arrays (G R,): one, or one of p and one of q
    n_kept: int  # arrays (B, R) that a step keeps for its backward beside what it makes of p
    step: Callable  # (*states, p, *kept, q, *biases, *states before): p (B, G R) becomes what backward needs of it
    step_backward: Callable  # (*dp and dq, *dstates, p, *kept, *states, *states before): dstates become those of (3)
    differs: bool = False  # whether dq differs from dp, and is an array of its own
    inner: "Inner | None" = None  # what comes before the second product, if there is one; then p is p1, p2, dp likewise
    gates: tuple = ()  # (name, which of the parts of p becomes it, what it is the share of), for pages about a net


class Inner(NamedTuple):
    """What a cell with two products computes between them; the first of its kept arrays is v, its step's q is q2."""

    parts: int  # p1 and q1 have so many times R columns, the first ones of p
    biased: bool  # False: biases have the columns of p2 only
    differs: bool  # whether dq1 differs from dp1
    step: Callable  # (p1, p2, *kept, q1, *biases, *states before): writes v
    step_backward: Callable  # (*dp and dq, dv, *dstates, p1, p2, *kept, *states before): writes dp1, dq1, adds to dh


class Saved(NamedTuple):
    x: np.ndarray  # (T, B, D)
    weight_x: np.ndarray  # (D, G R)
    weight_h: np.ndarray  # (R, G R)
    gates: tuple  # of one array (T, B, G R), what the steps made of p; or of two, what they made of p1 and p2
    kept: tuple  # of arrays (T, B, R)
    states: tuple  # of arrays (T + 1, B, R): h, and c; with the one before the first position at 0, or at T if reversed
    mask: np.ndarray  # (T, B), bool
    reverse: bool


class Carried(NamedTuple):
    """What a recurrent layer had at each position: `tinytx.layers.recurrent` returns it, for pages about a net."""

    x: np.ndarray  # (B, T, D), what it read
    states: dict  # name -> array (B, T, R), after each position
    gates: dict  # name and meaning -> array (B, T, R), from 0 to 1
    mask: np.ndarray | None = None  # (B, T), False at padding, where the state stays and gates mean nothing
    reverse: bool = False  # whether it read from the last position to the first


def carried(cell, saved):
    """Return `Carried`, of what a forward saved."""
    parts, units = np.concatenate(saved.gates, axis=2), len(saved.weight_h)
    states = {name: _outputs(array, saved.reverse).swapaxes(0, 1) for name, array in zip(cell.states, saved.states)}
    gates = {f"{name}: {share}": parts[:, :, n * units : (n + 1) * units].swapaxes(0, 1) for name, n, share in cell.gates}
    return Carried(saved.x.swapaxes(0, 1), states, gates, saved.mask.T, saved.reverse)


def joined(parts):
    """Return the `Carried` of a whole sequence, of those of its parts from left to right."""

    def side_by_side(arrays):
        return np.concatenate([*arrays], axis=1)

    first = parts[0]
    states, gates = (
        {name: side_by_side(getattr(part, field)[name] for part in parts) for name in getattr(first, field)}
        for field in ("states", "gates")
    )
    mask = None if first.mask is None else side_by_side(part.mask for part in parts)
    return Carried(side_by_side(part.x for part in parts), states, gates, mask, first.reverse)


def forward(cell, x, weight_x, weight_h, biases, initial, mask, reverse):
    """Return ((y, *final states), saved). `tinytx.ops.lstm` says what the arguments are."""
    initial, mask, reverse = _checked(cell, x, weight_x, weight_h, biases, initial, mask, reverse)
    (b, t, _), units = x.shape, len(weight_h)
    x, mask, *biases = (contiguous(array) for array in (x.swapaxes(0, 1), mask.T, *biases))
    gates = tuple(product(rows(x), part).reshape(t, b, part.shape[1]) for part in _cut(cell, weight_x))  # p of (1), (5)
    kept = tuple(np.empty((t, b, units), x.dtype) for _ in range(cell.n_kept))
    states = tuple(np.empty((t + 1, b, units), x.dtype) for _ in initial)
    for state, first in zip(states, initial):
        state[t if reverse else 0] = first
    recurrent, padded = [contiguous(part) for part in _cut(cell, weight_h)], ~mask.all(axis=1)
    q = [np.empty((b, part.shape[1]), x.dtype) for part in recurrent]
    for step, before, after in _order(t, reverse):
        old, new = [state[before] for state in states], [state[after] for state in states]
        here = [array[step] for array in (*gates, *kept)]
        np.matmul(old[0], recurrent[0], out=q[0])  # q of (1), q1 of (5)
        if cell.inner:
            cell.inner.step(*here, q[0], *biases, *old)
            np.matmul(here[2], recurrent[1], out=q[1])  # q2 of (5)
        cell.step(*new, *here, q[-1], *biases, *old)
        if padded[step]:
            for array, stays in zip(new, old):
                array[~mask[step]] = stays[~mask[step]]
    if cell.inner:
        kept[0][~mask] = 0  # what stands at padding may be NaN
    final = [state[0 if reverse else t].copy() for state in states]
    y = _outputs(states[0], reverse).swapaxes(0, 1).copy()
    y[~mask.T] = 0
    return (y, *final), Saved(x, weight_x, weight_h, gates, kept, states, mask, reverse)


def _cut(cell, array):
    """Return the columns of each product: (N, G R) -> those of q, or of q1 and q2, as views."""
    if not cell.inner:
        return [array]
    edge = array.shape[1] * cell.inner.parts // cell.parts
    return [array[:, :edge], array[:, edge:]]


def _order(t, reverse):
    """Return (position, index of the state before it, index of the one after it), from the first read to the last."""
    order = [(step, step + 1, step) if reverse else (step, step, step + 1) for step in range(t)]
    return order[::-1] if reverse else order


def biased_parts(cell):
    """Return how many times R numbers a bias has: those of the last columns of p."""
    return cell.parts - (cell.inner.parts if cell.inner and not cell.inner.biased else 0)


def _outputs(h, reverse):
    """Return the h (T, B, R) after each position."""
    return h[:-1] if reverse else h[1:]


def _checked(cell, x, weight_x, weight_h, biases, initial, mask, reverse):
    """Return the initial states, 0 for one that is None, a mask (B, T), and reverse; raise TypeError or ValueError."""
    place, biases = cell.name, dict(zip(cell.biases, biases))
    given = {name: array for name, array in zip(cell.states, initial) if array is not None}
    check_float(place, x=x, weight_x=weight_x, weight_h=weight_h, **biases, **given)
    check_axes(place, "x", x, "(B, T, D)")
    check_axes(place, "weight_h", weight_h, f"(R, {cell.parts} R)")
    (b, t, d), units = x.shape, len(weight_h)
    wide, both = cell.parts * units, ("x and weight_h of shapes", x.shape, "and", weight_h.shape)
    check_shape(place, "weight_h", weight_h, (units, wide), "its first axis")
    check_shape(place, "weight_x", weight_x, (d, wide), *both)
    for name, array in biases.items():
        check_shape(place, name, array, (biased_parts(cell) * units,), "weight_h of shape", weight_h.shape)
    for name, array in given.items():
        check_shape(place, name, array, (b, units), *both)
    mask = np.broadcast_to(True if mask is None else check_mask(place, mask, (b, t)), (b, t))
    initial = [np.zeros((b, units), x.dtype) if array is None else array for array in initial]
    return initial, mask, check_flag(place, "reverse", reverse)


def backward(cell, dy, saved):
    """Return (dx, dweight_x, dweight_h, *dbiases, *dstates), the last of the states before the first position.

    Parameters
    ----------
    cell : Cell
    dy : tuple of arrays (B, T, R), (B, R), ...
        The gradients of y and of the final states; None for those that nothing uses.
    saved : Saved
    """
    x, weight_x, weight_h, gates, kept, states, mask, reverse = saved
    dy, dstates = _checked_gradients(cell, dy, saved)
    dp = [np.empty_like(part) for part in gates]
    differs = [cell.inner.differs, cell.differs] if cell.inner else [cell.differs]
    dq = [np.empty_like(part) if own else part for part, own in zip(dp, differs)]
    recurrent, dh, padded = [contiguous(part.T) for part in _cut(cell, weight_h)], dstates[0], ~mask.all(axis=1)
    sent = np.empty_like(dh)
    for step, before, after in reversed(_order(len(x), reverse)):
        dhere = [array[step] for array in (*dp, *(part for part, own in zip(dq, differs) if own))]
        here = [array[step] for array in (*gates, *kept)]
        old, new = [state[before] for state in states], [state[after] for state in states]
        held = [dstate[~mask[step]] for dstate in dstates] if padded[step] else ()
        dh += dy[step]  # (2)
        cell.step_backward(*dhere, *dstates, *here, *new, *old)
        if cell.inner:
            np.matmul(dq[1][step], recurrent[1], out=sent)  # (6)
            cell.inner.step_backward(*dhere, sent, *dstates, *here, *old)
        if padded[step]:
            for array, values in (*zip(dstates, held), *((array, 0) for array in dhere)):
                array[~mask[step]] = values
        dh += np.matmul(dq[0][step], recurrent[0], out=sent)  # (3)
    dp, dq = [rows(part) for part in dp], [rows(part) for part in dq]  # (T B, G R)
    dx, *others = (product(part, weight.T) for part, weight in zip(dp, _cut(cell, weight_x)))  # (4)
    for other in others:
        dx += other
    dweight_x = _joined([product(rows(x).T, part) for part in dp])
    read = _outputs(states[0], not reverse), *kept[:1]  # by the products: h', v
    dweight_h = _joined([product(rows(v).T, part) for v, part in zip(read, dq)])  # (4), (7)
    ones, first = np.ones(len(dp[0]), x.dtype), len(dp) - 1 if cell.inner and not cell.inner.biased else 0
    dbiases = (_joined([ones @ part for part in parts[first:]]) for parts, _ in zip((dp, dq), cell.biases))
    return dx.reshape(x.shape).swapaxes(0, 1).copy(), dweight_x, dweight_h, *dbiases, *dstates


def _joined(parts):
    """Return the columns of all products beside each other: the reverse of `_cut`."""
    return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-1)


def _checked_gradients(cell, dy, saved):
    """Return dy (T, B, R), and copies of the gradients of the final states; raise TypeError or ValueError."""
    place, (t, b, units) = f"{cell.name}_backward", (*saved.mask.shape, len(saved.weight_h))
    if not (isinstance(dy, tuple) and len(dy) == 1 + len(cell.states)):
        expected = ", ".join(f"d{name}" for name in ("y", *cell.states))
        returned = ", ".join(("y", *cell.states))
        raise TypeError(f"{place}: dy is not ({expected}), expected because the forward returned ({returned})")
    used, parts = any(array is not None for array in dy), []
    for array, shape in zip(dy, ((b, t, units), *[(b, units)] * len(cell.states))):
        array = np.zeros(shape, saved.x.dtype) if array is None and used else array
        check_gradient(place, array, shape, saved.x.dtype, "what the forward returned")
        parts.append(array)
    dy, *dstates = parts
    return contiguous(dy.swapaxes(0, 1)), [dstate.copy("C") for dstate in dstates]
