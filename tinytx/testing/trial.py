"""Runs a copy of a layer forward and backward, and returns outputs and gradients by name."""

import numpy as np

from tinytx.core import Layer, Tape
from tinytx.testing.gradcheck import name_of, no_float_input, no_float_output, randomize_parameters
from tinytx.testing.problem import Problem, as_layer, refuse_class, with_dtype
from tinytx.testing.report import NothingCompared
from tinytx.testing.rounding import cotangent


def prepare(layer, inputs, options=None, tape=Tape, dtype=np.float64, seed=0):
    """Return a copy of a layer with its inputs, not run yet, and a cotangent.

    Parameters
    ----------
    layer : Layer
        It is not changed. The copy's parameters are moved away from their initial values.
    inputs : sequence of arrays
    options, tape
        As for `tinytx.testing.gradcheck`.
    dtype : float32 or float64
        The dtype of the copy and of its inputs. The values are the same in both: numbers of float32.
    seed : int

    Returns
    -------
    problem : Problem
    dy : list of array
        One for each output, of its shape.

    Raises
    ------
    TypeError
        If the layer is a class, or an array complex.
    NothingCompared
        If there is no float input or parameter, or no float entry in the output.
    """
    rng = np.random.default_rng(seed)
    refuse_class(layer, "tinytx.testing")
    layer = as_layer(layer)
    double = with_dtype(layer, np.float64)
    randomize_parameters(double.parameters(), rng)
    place = name_of(layer)
    single = Problem(double, inputs, options or {}, tape, place, np.float32)
    fresh, used = (Problem(single.layer, single.inputs, single.options, tape, place, dtype) for _ in range(2))
    with np.errstate(all="ignore"):
        nothing = no_float_input(used)
        y = [] if nothing else used.forward()
        nothing = nothing or no_float_output(used, y)
    if nothing:
        raise NothingCompared(f"{place}: {nothing}")
    return fresh, [cotangent(rng, part.shape).astype(np.float32).astype(dtype) for part in y]


def run(problem, dy):
    """Return {name: array} of the outputs and gradients of a forward and a backward."""
    problem.layer.zero_grad()
    y, record = problem.record()
    return named_outputs(y) | gradients(problem, dy, record)


def gradients(problem, dy, record=None):
    """Return {name: gradient} of a backward, on a recorded tape or after a forward of its own."""
    if record is None:
        problem.layer.zero_grad()
        record = problem.record()[1]
    return {f"the gradient of {name}": found for name, found in problem.backward(dy, record).items()}


def named_outputs(y):
    """Return {name: array} of the outputs of a forward."""
    return {"y" if len(y) == 1 else f"output {i}": part for i, part in enumerate(y)}


def arrays_in(value, name=""):
    """Yield (name, array) for the arrays in nested tuples, lists, dicts and plain objects."""
    if isinstance(value, np.ndarray):
        yield name, value
        return
    if isinstance(value, (tuple, list)):
        value = dict(zip(getattr(value, "_fields", range(len(value))), value))
    elif hasattr(value, "__dict__") and not isinstance(value, (type, Layer)):
        value = vars(value)
    if isinstance(value, dict):
        for field, part in value.items():
            yield from arrays_in(part, f"{name}.{field}" if name else str(field))
