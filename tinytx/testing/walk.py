"""first_wrong_op finds the layer and the operation that make the gradient of a model wrong."""

import functools
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tinytx import ops
from tinytx.core import Layer, Tape
from tinytx.testing.gradcheck import gradcheck, name_of
from tinytx.testing.report import FAIL, Report
from tinytx.testing.trial import prepare


@dataclass
class Finding:
    """The first layer, in the order of the forward, whose backward is wrong while the backwards of its children are right.

    Attributes
    ----------
    path : str
        The path of the layer in the model, "" for the model itself.
    layer : str
        The layer's class.
    op : str
        The operation of `tinytx.ops` in the layer whose backward is wrong; "" if the layer's own code is wrong.
    tensor : str
        The input or parameter whose gradient is wrong.
    index : tuple of int, or None
        Its worst entry.
    shared_by : list of str
        The layers that share the parameter, if there are several: each must add its part, not assign it.
    report : Report
        The report of the operation if there is one, otherwise of the layer.
    """

    path: str
    layer: str
    op: str
    tensor: str
    index: tuple | None
    shared_by: list
    report: Report

    def __str__(self):
        place = f"ops.{self.op}_backward, called by {self.layer}" if self.op else f"{self.layer}.backward itself"
        shared = f"\n{self.tensor} is shared by {' and '.join(self.shared_by)}: is its gradient assigned?"
        return (
            f"{self.path or 'the model'}: {place} is wrong in {self.tensor} at {self.index}"
            f"{shared if self.shared_by else ''}\n{self.report}"
        )


class _Call(NamedTuple):
    """A call of a layer; ``operations`` holds (name, arguments, keywords) of the operations that it called itself."""

    layer: Layer
    inputs: tuple
    options: dict
    operations: list


class _Watching(Tape):
    """A tape that records the first call of every layer, children before their parents.

    Attributes
    ----------
    calls : dict of int to _Call
        By the layer's id.
    operations : list
        Those that the layer which runs now has called so far.
    """

    def __init__(self, *, seed=None):
        super().__init__(seed=seed)
        self.calls, self.operations = {}, []

    def call(self, layer, inputs, settings):
        parents, self.operations = self.operations, []
        y = super().call(layer, inputs, settings)
        self.calls.setdefault(id(layer), _Call(layer, inputs, settings, self.operations))
        self.operations = parents
        return y


def first_wrong_op(model, *inputs, options=None, seed=None, **settings):
    """Walk a model and name the operation whose backward is wrong.

    The model runs once. Then each layer is checked alone, with the inputs that it had in the model, children before
    parents. So the children of the first layer that fails are right, and the mistake is in its own code.

    Parameters
    ----------
    model : Layer, or a model's ``loss``
        It is not changed: a copy in float64 is checked, with its parameters moved away from their initial values.
    *inputs : arrays
        The inputs of its forward, or of its loss.
    options : dict, optional
        Keyword arguments of its forward.
    seed : int, optional
        The seed of the tape, to check with dropout.
    **settings
        For `gradcheck`: rtol, mode, samples, ...

    Returns
    -------
    Finding, or None if every layer passes

    Raises
    ------
    TypeError
        If the model is a class.
    NothingCompared
        If there is no float input or parameter.

    Examples
    --------
    >>> from tinytx.layers import LayerNorm
    >>> print(first_wrong_op(LayerNorm(4), np.random.default_rng(0).normal(size=(2, 3, 4))))
    None
    """
    problem, _ = prepare(model, inputs, options, lambda: Tape(seed=seed))
    tape = _Watching(seed=seed)
    with np.errstate(all="ignore"), _watched_operations(tape):
        problem.layer(*problem.inputs, tape, **problem.options)
    settings = {"randomize": False, "tape": lambda: Tape(seed=seed), **settings}
    for call in tape.calls.values():
        report = gradcheck(call.layer, *call.inputs, options=call.options, **settings)
        if report.verdict == FAIL:
            return _finding(problem.layer, call, report)
    return None


def _finding(model, call, report):
    """Return the Finding for a layer that fails: it names the operation that fails, or the layer's own code."""
    path = next((path for path, found in model.named_layers() if found is call.layer), "")
    op = ""
    for name, arguments, keywords in call.operations:
        f = _of_arrays(functools.partial(getattr(ops, name), **keywords), arguments)
        arrays = [value for value in arguments if isinstance(value, np.ndarray)]
        own = gradcheck(f, *arrays, backward=getattr(ops, f"{name}_backward"))
        if own.verdict == FAIL:
            op, report = name, own
            break
    worst = next(tensor for tensor in report.tensors if tensor.verdict == FAIL)
    shared = [] if op else _holders(model, call.layer, worst.name)
    return Finding(path, name_of(call.layer), op, worst.name, worst.index, shared, report)


def _holders(model, layer, name):
    """Return the paths of the layers that have a parameter as an attribute, if there are several."""
    parameter = dict(layer.named_parameters()).get(name)
    holders = [
        path or "the model"
        for path, found in model.named_layers()
        if parameter is not None and any(value is parameter for value in vars(found).values())
    ]
    return holders if len(holders) > 1 else []


def _of_arrays(f, arguments):
    """Return f as a function of its array arguments; the other arguments are bound."""

    @functools.wraps(f.func)
    def bound(*arrays):
        left = iter(arrays)
        return f(*(next(left) if isinstance(value, np.ndarray) else value for value in arguments))

    return bound


@contextmanager
def _watched_operations(tape):
    """Return a context in which a tape records every call of an operation of ``ops`` that has a backward."""

    def watched(name, f):
        @functools.wraps(f)
        def call(*arguments, **keywords):
            tape.operations.append((name, arguments, keywords))
            return f(*arguments, **keywords)

        return call

    with ExitStack() as stack:
        for name in ops.__all__:
            if f"{name}_backward" in ops.__all__:
                stack.callback(setattr, ops, name, getattr(ops, name))
                setattr(ops, name, watched(name, getattr(ops, name)))
        yield
