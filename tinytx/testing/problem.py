"""What gradcheck needs of a layer or of an op pair: named tensors, a forward, and the gradients of its backward."""

import copy
import inspect

import numpy as np

from tinytx.core import Layer, Parameter, Tape


def _is_float(value):
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"


def _copy(array, dtype):
    """Return a copy, in ``dtype`` if the array is of floats."""
    return np.array(array, dtype if _is_float(array) else None)


def outputs(y):
    """Return what a forward returned as a list of arrays."""
    parts = y if isinstance(y, (tuple, list)) else [y]
    return [np.asarray(part) for part in parts]


def with_dtype(layer, dtype):
    """Return a copy of a layer whose parameters, and constant arrays, are all float32 or all float64."""
    memo = {id(p): Parameter(p.data.astype(dtype)) for p in layer.parameters()}
    converted = copy.deepcopy(layer, memo)
    for _, part in converted.named_layers():
        for name, value in vars(part).items():
            if _is_float(value):
                setattr(part, name, value.astype(dtype))
    return converted


def in_float64(layer):
    """Return a copy of a layer in float64."""
    return with_dtype(layer, np.float64)


class Problem:
    """Tensors in float64, and how outputs and gradients follow from them.

    Attributes
    ----------
    tensors : dict of str to float64 array
        The float inputs and all parameters. Writing into them changes what `forward` computes.
    """

    def forward(self):
        """Return the outputs, a list of arrays."""
        raise NotImplementedError

    def gradients(self, dy):
        """Return {name: gradient or None} of sum(dy * outputs), dy being like the outputs."""
        raise NotImplementedError

    def value(self, dy):
        """Return sum(dy * y), and the sum of the absolute values of its terms."""
        terms = [d * y for d, y in zip(dy, self.forward())]
        return sum(term.sum() for term in terms), float(sum(np.abs(term).sum() for term in terms))


class LayerProblem(Problem):
    """A layer's forward(x, tape, **options) and backward(dy, tape).

    Float arrays among the options are tensors too, if the backward returns their gradients after dx, in their order.
    """

    def __init__(self, layer, inputs, options, make_tape, place="gradcheck", dtype=np.float64):
        if len(inputs) != 1:
            raise ValueError(f"{place}: a layer takes one input, got {len(inputs)}: pass others in options={{...}}")
        self.layer = with_dtype(layer, dtype)
        self.make_tape = make_tape
        self.parameters = dict(self.layer.named_parameters())
        self.left = 0  # entries on the tape after backward
        options = {n: _copy(v, dtype) if isinstance(v, np.ndarray) else v for n, v in options.items()}
        self._take(_copy(np.asarray(inputs[0]), dtype), options)

    def _take(self, x, options):
        self.x, self.options = x, options
        self.inputs = {"x": x} if _is_float(x) else {}
        self.inputs |= {name: value for name, value in options.items() if _is_float(value)}
        self.tensors = self.inputs | {name: parameter.data for name, parameter in self.parameters.items()}

    def on(self, x, options=None):
        """Return the problem of the same layer object on other arrays, which are taken as they are."""
        other = copy.copy(self)
        other._take(x, self.options if options is None else options)
        return other

    def forward(self):
        return self.record()[0]

    def record(self):
        """Return the outputs, and the tape of the forward that made them."""
        tape = self.make_tape()
        return outputs(self.layer(self.x, tape, **self.options)), tape

    def gradients(self, dy):
        self.layer.zero_grad()
        y, tape = self.record()
        gradients = self.backward([part.copy() for part in dy], tape)  # a backward that writes to dy is judged by dy
        self.left = len(tape)
        return gradients

    def backward(self, dy, tape):
        """Run backward on a recorded tape, adding to the gradients there are; return them all as `gradients` does."""
        returned = self.layer.backward(tuple(dy) if len(dy) > 1 else dy[0], tape)
        returned = list(returned) if isinstance(returned, (tuple, list)) else [returned]
        if not _is_float(self.x) and len(returned) > len(self.inputs):
            returned = returned[1:]  # the None of token ids, which have no gradient
        returned += [None] * (len(self.inputs) - len(returned))
        return dict(zip(self.inputs, returned)) | {n: p.grad.copy() for n, p in self.parameters.items()}


class PairProblem(Problem):
    """Two functions: y, saved = f(*inputs), and backward(dy, saved) giving the inputs' gradients in order."""

    def __init__(self, f, backward, inputs):
        self.f, self.backward = f, backward
        self.inputs = [np.array(v, np.float64) if _is_float(np.asarray(v)) and np.ndim(v) else v for v in inputs]
        names = _argument_names(f, len(inputs))
        self.positions = {names[i]: i for i, value in enumerate(self.inputs) if _is_float(value)}
        self.tensors = {name: self.inputs[i] for name, i in self.positions.items()}
        self.left = 0

    def forward(self):
        return outputs(self.f(*self.inputs)[0])

    def gradients(self, dy):
        y, saved = self.f(*self.inputs)
        several = isinstance(y, (tuple, list))
        dy = [part.copy() if part.ndim else float(part) for part in dy]  # as in LayerProblem
        dy = tuple(dy) if several else dy[0]
        returned = self.backward(dy, saved)
        returned = list(returned) if isinstance(returned, (tuple, list)) else [returned]
        if len(returned) == len(self.inputs):  # one for each input, or one for each that has a gradient
            returned = [returned[i] for i in self.positions.values()]
        if len(returned) < len(self.positions):
            raise ValueError(
                f"gradcheck: backward returned {len(returned)} gradients for {len(self.positions)} float inputs "
                f"({', '.join(self.positions)})"
            )
        return dict(zip(self.positions, returned))


def _argument_names(f, n):
    """Return names for the positional arguments of f."""
    try:
        kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        names = [p.name for p in inspect.signature(f).parameters.values() if p.kind in kinds][:n]
    except (TypeError, ValueError):
        names = []
    return names + [f"input{i}" for i in range(len(names), n)]


def make_problem(target, inputs, backward, options, make_tape=Tape):
    """Return the `Problem` of a layer or of an op pair."""
    if isinstance(target, Layer) or backward is None and hasattr(target, "backward"):
        if backward is not None:
            raise TypeError("gradcheck: a layer brings its own backward: leave out backward=")
        return LayerProblem(target, inputs, options or {}, make_tape)
    if backward is None:
        raise TypeError(f"gradcheck: {target!r} is no layer: hand in its backward=, a function (dy, saved)")
    if options:
        raise TypeError("gradcheck: options are for layers; bind an op's with functools.partial")
    return PairProblem(target, backward, inputs)
