"""The promises of every layer, with one small check for each.

Each check can be called alone: ``check_zero_dy(layer, *inputs)``; `tinytx.testing.check_layer` runs all of them. No check
changes the layer: it checks a copy in float64 (or in float32, if precision matters), with its parameters moved away
from their initial values. Arguments are those of `tinytx.testing.gradcheck`. The AssertionError contains the layer's
name, the array that differs, the index and both values.
"""

import numpy as np

from tinytx.core import Tape, TapeError
from tinytx.testing.differences import assert_same
from tinytx.testing.gradcheck import gradcheck, name_of
from tinytx.testing.problem import as_layer, outputs
from tinytx.testing.trial import arrays_in, gradients, named_outputs, prepare, run

DTYPES = (np.float32, np.float64)
ROUNDING = 1e-11  # two orders of summation, in float64
SINGLE = 1e-4  # the largest relative error in float32


def check_gradients(layer, *inputs, options=None, tape=Tape):
    """Backward is the derivative of forward, by `gradcheck`; at a kink any subgradient is right."""
    prepare(layer, inputs, options, tape)  # is there anything to compare?
    gradcheck(layer, *inputs, options=options, tape=tape, accept_kinks=True).raise_for_failure()


def check_determinism(layer, *inputs, options=None, tape=Tape):
    """A second forward and backward give the same bits: no hidden state, no unseeded randomness."""
    problem, dy = prepare(layer, inputs, options, tape)
    first = run(problem, dy)
    assert_same(run(problem, dy), first, f"{problem.place}: run a second time")


def check_arguments_unmodified(layer, *inputs, options=None, tape=Tape):
    """Nothing writes to inputs, options, parameters, y, dy or the tape's arrays; read-only arrays are accepted."""
    for dtype in DTYPES:
        problem, dy = prepare(layer, inputs, options, tape, dtype)
        parameters = {name: parameter.data for name, parameter in problem.parameters.items()}
        named = dict(zip(problem.names, problem.inputs))
        watched = dict(arrays_in(named | {"options": problem.options, "parameters": parameters}))
        before = {name: array.copy() for name, array in watched.items()}
        y, record = problem.record()
        made = dict(arrays_in({"y": y, "dy": dy, "tape": [saved for _, saved in record._stack]}))
        before |= {name: array.copy() for name, array in made.items()}
        problem.backward(dy, record)
        what = f"{problem.place}: after forward and backward in {dtype.__name__}, beside before"
        assert_same(watched | made, before, what)
        _run_read_only(problem, dy)


def _run_read_only(problem, dy):
    locked = {name: _locked(value) for name, value in problem.options.items()}
    try:
        run(problem.on(*map(_locked, problem.inputs), options=locked), [_locked(part) for part in dy])
    except ValueError as error:
        raise AssertionError(f"{problem.place}: read-only inputs, options and dy are refused: {error}") from error


def _locked(value):
    if isinstance(value, np.ndarray):
        value = value.copy()
        value.flags.writeable = False
    return value


def check_gradients_accumulate(layer, *inputs, options=None, tape=Tape):
    """A second backward adds the same gradients to those of the first, exactly: ``+=``, not ``=``."""
    problem, dy = prepare(layer, inputs, options, tape)
    once = run(problem, dy)
    problem.backward(dy, problem.record()[1])
    twice = {f"the gradient of {name}": parameter.grad for name, parameter in problem.parameters.items()}
    expected = {name: 2 * once[name] for name in twice}
    shared = 1e-14  # (a + b) + (a + b) in another order, where a parameter is used at two places
    assert_same(twice, expected, f"{problem.place}: after two backwards, beside twice one", shared)


def check_zero_dy(layer, *inputs, options=None, tape=Tape):
    """If dy is 0, all gradients are exactly 0."""
    problem, dy = prepare(layer, inputs, options, tape)
    found = _known(gradients(problem, [np.zeros_like(part) for part in dy]))
    assert_same(found, {name: np.zeros_like(g) for name, g in found.items()}, f"{problem.place}: where dy is 0")


def check_linear_in_dy(layer, *inputs, options=None, tape=Tape):
    """Backward is linear in dy: it does not square, clip or forget it."""
    problem, one = prepare(layer, inputs, options, tape)
    two = [np.flip(part) for part in one]
    a, b = _known(gradients(problem, one)), _known(gradients(problem, two))
    found = _known(gradients(problem, [2.5 * p - q for p, q in zip(one, two)]))
    expected = {name: 2.5 * a[name] - b[name] for name in found}
    what = f"{problem.place}: backward(2.5 a - b), beside 2.5 backward(a) - backward(b)"
    assert_same(found, expected, what, ROUNDING)


def _known(results):
    """Return the results without those that are None."""
    return {name: array for name, array in results.items() if array is not None}


def check_shapes_and_dtypes(layer, *inputs, options=None, tape=Tape):
    """Outputs and gradients have the dtype of the inputs, and each gradient has the shape of its array."""
    for dtype in DTYPES:
        problem, dy = prepare(layer, inputs, options, tape, dtype)
        y, record = problem.record()
        _check_kinds(problem, dtype, named_outputs(y))  # first: a backward may refuse the dy of a wrong y
        _check_kinds(problem, dtype, gradients(problem, dy, record))


def _check_kinds(problem, dtype, arrays):
    """Raise AssertionError unless named arrays have the dtype, and each gradient the shape of its array."""
    shapes = {f"the gradient of {name}": tensor.shape for name, tensor in problem.tensors.items()}
    place = f"{problem.place} in {dtype.__name__}"
    for name, array in arrays.items():
        if array is None:
            raise AssertionError(f"{place}: {name} is None: backward did not return it")
        expected = shapes.get(name, array.shape)
        if array.shape != expected or array.dtype != dtype and problem.tensors:
            raise AssertionError(
                f"{place}: {name} is {array.dtype} of shape {array.shape}, expected {dtype.__name__} of {expected}"
            )


def check_non_contiguous(layer, *inputs, options=None, tape=Tape):
    """The memory layout of inputs and dy does not matter."""
    problem, dy = prepare(layer, inputs, options, tape)
    expected = run(problem, dy)
    for layout in (_every_second, np.asfortranarray, _reversed):
        found = run(problem.on(*map(layout, problem.inputs)), [layout(part) for part in dy])
        assert_same(found, expected, f"{problem.place}: with inputs and dy as {layout.__name__} views", ROUNDING)


def _every_second(array):
    """Return the array as a view of every second entry; between them are NaN, or other ids if it holds ids."""
    wide = np.repeat(array[..., None], 2, axis=-1)
    wide[..., 1] = np.nan if array.dtype.kind == "f" else np.flip(array)
    return wide[..., 0]


def _reversed(array):
    return np.flip(np.ascontiguousarray(np.flip(array)))


def check_size_one(layer, *inputs, options=None, tape=Tape):
    """A batch of one row or of one position is right: no axis of size 1 is squeezed or broadcast."""
    how = {"mode": "directional", "directions": 1, "accept_kinks": True}
    whole, _ = prepare(layer, inputs, options, tape)
    x = whole.inputs[0]
    has_positions = x.ndim == (3 if x.dtype.kind == "f" else 2)  # (B, T, D), or ids (B, T)
    for axes in range(1, 3 if has_positions else 2):
        small, _ = prepare(layer, [x[(slice(1),) * axes]], options, tape)
        for y, y_whole in zip(small.forward(), whole.forward()):
            if y.ndim != y_whole.ndim:
                raise AssertionError(f"{small.place}: x of shape {small.inputs[0].shape} gives y of shape {y.shape}")
        gradcheck(layer, *small.inputs, options=options, tape=tape, **how).raise_for_failure()


def check_empty_tape(layer, *inputs, options=None, tape=Tape):
    """Backward takes everything from the tape that forward put there."""
    problem, dy = prepare(layer, inputs, options, tape)
    record = problem.record()[1]
    try:
        problem.backward(dy, record)
        record.check_empty()
    except TapeError as error:
        raise AssertionError(f"{problem.place}: {error}") from error


def check_float32_beside_float64(layer, *inputs, options=None, tape=Tape):
    """Outputs and gradients in float32 are the rounded ones of float64: nothing overflows or cancels."""
    with np.errstate(all="ignore"):
        single, double = (run(*prepare(layer, inputs, options, tape, dtype)) for dtype in DTYPES)
    assert_same(single, double, f"{name_of(as_layer(layer))}: in float32 beside float64", SINGLE)


def check_two_tapes(layer, *inputs, options=None, tape=Tape):
    """Two forwards, then their backwards, each on its own tape, give the same results as one after the other."""
    a, dy = prepare(layer, inputs, options, tape)
    b = a.on(*(np.random.default_rng(1).permutation(x.ravel()).reshape(x.shape) for x in a.inputs))
    alone = {"A": run(a, dy), "B": run(b, dy)}
    records = {"A": a.record(), "B": b.record()}
    for name, problem in (("A", a), ("B", b)):
        problem.layer.zero_grad()
        y, record = records[name]
        found = named_outputs(y) | gradients(problem, dy, record)
        assert_same(found, alone[name], f"{a.place}: of two interleaved runs, {name} beside {name} alone")


def check_without_tape(layer, *inputs, options=None, tape=Tape):
    """Without a tape the output is the same as with a tape that has no seed."""
    problem, _ = prepare(layer, inputs, options, tape)
    bare = outputs(problem.layer(*problem.inputs, **problem.options))
    taped = outputs(problem.layer(*problem.inputs, Tape(), **problem.options))
    what = f"{problem.place}: without a tape, beside a tape without a seed"
    assert_same(named_outputs(bare), named_outputs(taped), what)


CHECKS = (
    check_gradients,
    check_determinism,
    check_arguments_unmodified,
    check_gradients_accumulate,
    check_zero_dy,
    check_linear_in_dy,
    check_shapes_and_dtypes,
    check_non_contiguous,
    check_size_one,
    check_empty_tape,
    check_float32_beside_float64,
    check_two_tapes,
    check_without_tape,
)
