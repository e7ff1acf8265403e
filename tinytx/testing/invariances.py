"""Checks that outputs do not depend on later positions, on padding, on other rows of the batch, or on how x is cut.

Each check runs a copy of the model in float64, with its parameters moved away from their initial values (an output
layer that starts at 0 would hide every mistake). Values that must be equal may differ in their last digits, because a
single sequence is added up in another order than a batch.

Axes: x is (B, T, ...), or token ids (B, T); outputs are (B, T, ...), or (B, ...) where a whole sequence has one.
"""

import numpy as np

from tinytx.core import Tape
from tinytx.state import State
from tinytx.testing.differences import assert_same, difference, largest_entry
from tinytx.testing.problem import Problem, outputs
from tinytx.testing.rounding import cotangent, rms
from tinytx.testing.trial import named_outputs, prepare, run

ROUNDING = 1e-10  # relative to the largest entry


def leak_check(model, *inputs, causal=0, options=None, seed=0):
    """Check that a causal model does not see later positions: a change of x from position t on changes no earlier output.

    Parameters
    ----------
    model : Layer
    *inputs : arrays
        The inputs of its forward. x is one of them: (B, T, ...), T > 1, or token ids (B, T). Ids are replaced by other
        ids: any below ``model.config.vocab_size`` if the model has it, otherwise ids that occur in x.
    causal : int
        Which input is x; 1 for the target of an encoder-decoder.
    options : dict, optional
        Keyword arguments of the model's forward.
    seed : int

    Raises
    ------
    AssertionError
        With row and position of the output that changed most, and the size of the change.
    ValueError
        If there is nothing to compare.
    """
    problem, _ = prepare(model, inputs, options, seed=seed)
    inputs = problem.inputs
    x, y = inputs[causal], named_outputs(problem.forward())
    if x.ndim < 2 or x.shape[1] < 2 or any(part.shape[:2] != x.shape[:2] for part in y.values()):
        shapes = ", ".join(str(part.shape) for part in y.values())
        raise ValueError(f"leak_check: x has shape {x.shape}, the output {shapes}: expected (B, T, ...) with T > 1")
    other = _others(model, x, np.random.default_rng(seed))
    for t in range(1, x.shape[1]):
        changed = np.concatenate([x[:, :t], other[:, t:]], axis=1)
        for name, after in named_outputs(problem.on(*inputs[:causal], changed, *inputs[causal + 1 :]).forward()).items():
            _same(after[:, :t], y[name][:, :t], f"{problem.place}: x changed from position {t} on, and {name}")


def batch_check(model, *inputs, options=None, seed=0):
    """Check that the rows of a batch are independent: a row alone has the same outputs and the same gradients.

    Parameters
    ----------
    model : Layer
    *inputs : arrays (B, ...), B > 1, or token ids (B, T)
    options : dict, optional
        Keyword arguments of the model's forward. Arrays whose first axis is of size B are cut into rows like the inputs,
        so let B be no other size.
    seed : int

    Raises
    ------
    AssertionError
        Naming row and position of what differs most, and by how much.
    ValueError
        If there is one row only.
    """
    problem, dy = prepare(model, inputs, options, seed=seed)
    b = min((len(x) if x.ndim else 0 for x in problem.inputs), default=0)
    if b < 2 or any(len(x) != b for x in problem.inputs):
        shapes = ", ".join(str(x.shape) for x in problem.inputs)
        raise ValueError(f"batch_check: inputs have shape {shapes}, expected (B, ...) with one B > 1")
    alone = []
    for row in range(b):
        cut = {name: _row(value, row, b) for name, value in problem.options.items()}
        part = problem.on(*(x[row : row + 1] for x in problem.inputs), options=cut)
        alone.append(run(part, [d[row : row + 1] for d in dy]))
    _compare_rows(problem, run(problem, dy), alone, f"{problem.place}: of a batch")


def state_check(model, *inputs, causal=0, options=None, seed=0):
    """Check that a model that reads x part by part, with a state, gives what it gives for the whole x.

    The first part is one position, the second two, the third all that is left. Between the last two the rows of the batch
    are put into reverse order, in the state too, as a search for the best text does.

    Parameters
    ----------
    model : Layer
        ``model(*inputs, state=state)``.
    *inputs : arrays
        The inputs of its forward. x is one of them: (B, T, ...), T > 3, or token ids (B, T). The others are given whole
        with each part: a memory.
    causal : int
        Which input is x; 1 for the target of an encoder-decoder.
    options : dict, optional
        Keyword arguments of the model's forward. Arrays whose first axis is of size B follow the rows.
    seed : int

    Raises
    ------
    AssertionError
        Naming row and position of what differs most, and by how much; or that nothing was written to the state.
    ValueError
        If x has fewer than 4 positions or an output is not (B, T, ...).

    Examples
    --------
    >>> from tinytx.layers import LSTM
    >>> rng = np.random.default_rng(0)
    >>> state_check(LSTM(3, 5, rng=rng), rng.normal(size=(2, 6, 3)))
    """
    problem, _ = prepare(model, inputs, options, seed=seed)
    x, y = problem.inputs[causal], named_outputs(problem.forward())
    if x.ndim < 2 or x.shape[1] < 4 or any(part.shape[:2] != x.shape[:2] for part in y.values()):
        shapes = ", ".join(str(part.shape) for part in y.values())
        raise ValueError(f"state_check: x has shape {x.shape}, the output {shapes}: expected (B, T, ...) with T > 3")
    b, state, rows = len(x), State(), slice(None)
    for start, stop in ((0, 1), (1, 3), (3, x.shape[1])):
        if stop == x.shape[1]:
            rows = slice(None, None, -1)
            state.select(np.arange(b)[rows])
        cut = {name: value[rows] if _has_rows(value, b) else value for name, value in problem.options.items()}
        part = [array[rows, start:stop] if i == causal else array[rows] for i, array in enumerate(problem.inputs)]
        for name, found in named_outputs(outputs(problem.layer(*part, **cut, state=state))).items():
            what = f"{problem.place}: read part by part with a state, positions {start} to {stop - 1}: {name} beside the whole"
            _same(found, y[name][rows, start:stop], what)
    if not state.state_dict()["lengths"].size:
        raise AssertionError(f"{problem.place}: nothing was written to the state: positions do not read each other")


def padding_check(model, x, lengths, *, make_options, seed=0):
    """Check that the content of padding changes nothing.

    The padding is filled with random numbers, large numbers and NaN (with random ids, if x holds ids). The outputs of
    each sequence must be those of the sequence alone. If dy is 0 in the padding, dx must be exactly 0 there, and all
    other gradients must be those of the sequences alone. Gradients are checked with finite padding only: the gradient
    of a weight is a sum over all positions, and 0 times NaN is NaN.

    Parameters
    ----------
    model : Layer
    x : array (B, T, ...), or token ids (B, T)
    lengths : integers (B,)
        The length of each sequence, at least one of them below T. A sequence of length 0 is all padding.
    make_options : function (lengths, size) -> dict
        Returns the keyword arguments by which the model's forward learns the lengths of sequences that are padded to
        ``size``. It is called for the batch, and for each sequence alone with one length and no padding.
    seed : int

    Raises
    ------
    AssertionError
        Naming row and position of what differs most, and by how much.
    ValueError
        If the lengths do not fit x, or no sequence has padding.

    Examples
    --------
    >>> from tinytx.layers import MultiHeadAttention
    >>> def mask(lengths, size):
    ...     return {"mask": (np.arange(size) < lengths[:, None])[:, None, None, :]}  # (B, 1, 1, S)
    >>> rng = np.random.default_rng(0)
    >>> attention = MultiHeadAttention(4, 2, rng=rng)
    >>> padding_check(attention, rng.normal(size=(2, 5, 4)), [3, 5], make_options=mask)
    """
    x, lengths = np.asarray(x), np.asarray(lengths)
    size = x.shape[1] if x.ndim > 1 else 0
    if lengths.shape != x.shape[:1] or not ((0 <= lengths) & (lengths <= size)).all() or (lengths == size).all():
        raise ValueError(
            f"padding_check: lengths {lengths.tolist()} and x of shape {x.shape} do not fit: expected a length of 0 to "
            f"{size} for each row, and at least one below {size}"
        )
    problem, dy = prepare(model, [x], make_options(lengths, size), seed=seed)
    inside = np.arange(size) < lengths[:, None]  # (B, T)
    dy = [np.where(_wide(inside, d), d, 0.0) if d.shape[:2] == inside.shape else d for d in dy]
    alone = [_alone(problem, dy, row, n, make_options) for row, n in enumerate(lengths)]
    for garbage, fill in _garbage(model, problem.inputs[0], np.random.default_rng(seed)).items():
        padded = problem.on(np.where(_wide(inside, x), problem.inputs[0], fill))
        what = f"{problem.place}: padding filled with {garbage}"
        with np.errstate(all="ignore"):
            found = named_outputs(padded.forward()) if garbage == "NaN" else run(padded, dy)
        _compare_rows(problem, found, alone, what)
        if garbage != "NaN":
            _check_gradients(problem, found, inside, alone, what)


def _alone(problem, dy, row, n, make_options):
    """Return the results of one sequence without its padding; none if the sequence is all padding."""
    if not n:
        return {}
    (x,), options = problem.inputs, make_options(np.array([n]), int(n))
    alone = Problem(problem.layer, [x[row : row + 1, :n]], options, Tape)
    return run(alone, [d[row : row + 1, :n] if d.shape[:2] == x.shape[:2] else d[row : row + 1] for d in dy])


def _compare_rows(problem, found, alone, what):
    """Compare each row of the outputs, and of the inputs' gradients, with those of the row alone, up to its length."""
    shared = {f"the gradient of {name}" for name in problem.parameters}  # sums over all rows
    for row, results in enumerate(alone):
        for name, expected in results.items():
            if name in found and name not in shared and expected is not None:
                own = found[name][row : row + 1]
                own = own[:, : expected.shape[1]] if own.ndim > 1 else own
                _same(own, expected, f"{what}: {name} beside row {row} alone", row)


def _check_gradients(problem, found, inside, alone, what):
    """Check that dx is 0 in the padding, and that the parameters' gradients are sums over the sequences alone."""
    dx = found.get(f"the gradient of {problem.names[0]}")
    if dx is not None:
        in_padding = np.where(_wide(inside, dx), 0.0, dx)
        _same(in_padding, np.zeros_like(dx), f"{what}: dx of the padding, expected 0,", limit=0)
    names = [f"the gradient of {name}" for name in problem.parameters]
    sums = {name: sum((one[name] for one in alone if one), np.zeros_like(found[name])) for name in names}
    assert_same(found, sums, f"{what}, beside the sum over the sequences alone", ROUNDING)


def _row(value, row, rows):
    """Return one row of an option that has one for each row of the batch; another option as it is."""
    return value[row : row + 1] if _has_rows(value, rows) else value


def _has_rows(value, rows):
    return isinstance(value, np.ndarray) and value.shape[:1] == (rows,)


def _others(model, x, rng):
    """Return an array like x that differs from it everywhere."""
    if x.dtype.kind == "f":
        return x + (rms(x) or 1.0) * cotangent(rng, x.shape)
    size = getattr(getattr(model, "config", None), "vocab_size", None)
    pool = np.unique(x) if size is None else np.arange(size, dtype=x.dtype)
    if len(pool) < 2:
        raise ValueError(f"there is no id to put in the place of {pool.tolist()}: let x hold at least two ids")
    return pool[(np.searchsorted(pool, x) + rng.integers(1, len(pool), x.shape)) % len(pool)]


def _garbage(model, x, rng):
    """Return {name: array like x}: values to fill the padding with."""
    if x.dtype.kind != "f":
        return {"other ids": _others(model, x, rng)}
    large = 1e3 * (rms(x) or 1.0) * cotangent(rng, x.shape)
    return {"random numbers": _others(model, x, rng), "large numbers": large, "NaN": np.full_like(x, np.nan)}


def _wide(inside, array):
    """Return a (B, T) array with further axes of size 1, which broadcasts with ``array``."""
    return inside.reshape(inside.shape + (1,) * (array.ndim - 2))


def _same(actual, expected, what, row=None, limit=None):
    """Raise AssertionError where arrays of rows differ, with row, position and size of the difference."""
    if actual.shape != expected.shape:
        raise AssertionError(f"{what} has shape {actual.shape}, expected {expected.shape}")
    limit = ROUNDING * largest_entry(expected) if limit is None else limit
    found = difference(actual, expected, limit)
    if found:
        index = found.index if row is None else (row, *found.index[1:])  # of a row alone the index is 0
        place = f"row {index[0]}" + (f", position {index[1]}" if len(index) > 1 else "")
        raise AssertionError(f"{what} differs by {found.size:.3g} at {place}, index {index}: {found}")
