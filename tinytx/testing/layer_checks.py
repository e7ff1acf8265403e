"""What every layer owes, as one small check for each promise.

``check_layer`` runs them all. Each stands alone, too: ``check_zero_dy(layer, x)``. None touches the layer: a copy is
checked, in float64 unless precision is the point, with its parameters moved away from their initial values.

Axes are those of the library: x is (B, ...), (B, T, D) or, as token ids, (B, T).
"""

import functools

import numpy as np

from tinytx.core import Layer, Tape
from tinytx.extras import require
from tinytx.testing.compare import FULL, cotangent
from tinytx.testing.differences import assert_same
from tinytx.testing.gradcheck import gradcheck, randomize_parameters
from tinytx.testing.problem import LayerProblem, outputs, with_dtype

ROUNDING = 1e-11  # two orders of summation, in float64
SINGLE = 1e-4  # what float32 may cost
DTYPES = (np.float32, np.float64)


# ------------------------------------------------------------------------------------------------ what checks share


def _problem(layer, x, options, tape, dtype=np.float64):
    """Return the `LayerProblem` to check, and a cotangent: the same values in every dtype."""
    rng = np.random.default_rng(0)
    layer = with_dtype(layer, np.float64)
    randomize_parameters(layer.parameters(), rng)
    problem = LayerProblem(with_dtype(layer, np.float32), [x], options or {}, tape, "check_layer", np.float32)
    if dtype != np.float32:  # the float32 values, so that both start from the same
        problem = LayerProblem(problem.layer, [problem.x], problem.options, tape, "check_layer", dtype)
    return problem, [cotangent(rng, y.shape).astype(dtype) for y in problem.forward()]


def _name(problem):
    return type(problem.layer).__name__


def _results(problem, dy, y):
    """Return outputs and gradients, by names for messages."""
    return _named_outputs(y) | {f"the gradient of {name}": g for name, g in problem.gradients(dy).items()}


def _named_outputs(y):
    return {"y" if len(y) == 1 else f"output {i}": part for i, part in enumerate(y)}


def _run(problem, dy):
    return _results(problem, dy, problem.forward())


def _gradients(problem, dy):
    return _results(problem, dy, [])


def _arrays(value, name):
    """Yield (name, array) for the arrays in a value: nested tuples, lists, dicts and objects with fields."""
    if isinstance(value, np.ndarray):
        yield name, value
    elif isinstance(value, (tuple, list)):
        fields = getattr(value, "_fields", range(len(value)))
        for field, part in zip(fields, value):
            yield from _arrays(part, f"{name}.{field}")
    elif isinstance(value, dict):
        for key, part in value.items():
            yield from _arrays(part, f"{name}.{key}")
    elif hasattr(value, "__dict__") and not isinstance(value, (type, Layer)):
        yield from _arrays(vars(value), name)
