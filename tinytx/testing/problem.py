"""What gradcheck sees of a layer, of a loss, or of two functions: named tensors, a forward, a backward."""

import copy
import inspect

import numpy as np

from tinytx.core import Layer, Parameter, Tape


def _is_float(value):
    return isinstance(value, np.ndarray) and value.dtype.kind == "f"


def _array(value, dtype, name, place="gradcheck"):
    """Return a copy of a float array in ``dtype``, a Python float as an array without axes, other values unchanged.

    Raises
    ------
    TypeError
        If the array is complex.
    """
    if isinstance(value, (float, np.floating)):
        return np.array(value, dtype)
    if np.iscomplexobj(value):
        kind = f"{value.dtype} of shape {value.shape}" if isinstance(value, np.ndarray) else f"{value!r}"
        facts = f"{place}: {name} is {kind}: derivatives of complex numbers are not checked"
        raise TypeError(f"{facts}: write a function of the real and the imaginary part")
    if isinstance(value, np.ndarray):
        return np.array(value, dtype if _is_float(value) else None)
    numbers = isinstance(value, (list, tuple)) and all(isinstance(part, (float, list, tuple)) for part in value)
    return np.array(value, dtype) if numbers and value and _is_float(np.asarray(value)) else value


def refuse_class(layer, place):
    """Raise TypeError if a layer is a class."""
    if isinstance(layer, type):
        raise TypeError(f"{place}: {layer.__name__} is a class: hand in an instance, such as {layer.__name__}(...)")


def outputs(y, place="gradcheck"):
    """Return what a forward returned as a list of arrays.

    Raises
    ------
    TypeError
        If forward returned something else: None, a dict, ...
    """
    parts = [np.asarray(part) for part in (y if isinstance(y, (tuple, list)) else [y])]
    for part in parts:
        if part.dtype.kind not in "fciub":
            kind = type(y).__name__ if len(parts) == 1 else "something else among its outputs"
            raise TypeError(f"{place}: forward returned {kind}, expected an array, or a tuple of arrays")
    return parts


def with_dtype(layer, dtype):
    """Return a copy of a layer whose parameters, and constant arrays, are all float32 or all float64."""
    for path, parameter in layer.named_parameters():
        _array(parameter.data, dtype, path, type(layer).__name__)  # refuses complex numbers
    memo = {id(p): Parameter(p.data.astype(dtype)) for p in layer.parameters()}
    converted = copy.deepcopy(layer, memo)
    for _, part in converted.named_layers():
        for name, value in vars(part).items():
            if _is_float(value):
                setattr(part, name, value.astype(dtype))
    return converted


class Loss(Layer):
    """A layer whose forward and backward are a model's ``loss`` and ``loss_backward``."""

    def __init__(self, owner):
        self.owner = owner

    def _named(self, kind):
        return self.owner._named(kind)

    def forward(self, *batch, tape=None, **options):
        """Return the loss, an array without axes of the parameters' dtype."""
        _, first = next(iter(self.owner.named_parameters()), (None, None))  # finding all costs a third of a small forward
        return np.asarray(self.owner.loss(*batch, tape=tape, **options), None if first is None else first.data.dtype)

    def backward(self, dloss, tape):
        """Add dloss times the gradients of ``loss_backward``; return dloss times those of the inputs that it returns."""
        own = self.owner.parameters()
        before = [parameter.grad.copy() for parameter in own]
        self.owner.zero_grad()
        returned = _gradients_in_order(self.owner.loss_backward(tape))
        for parameter, grad in zip(own, before):
            parameter.grad = grad + parameter.grad * np.asarray(dloss, parameter.data.dtype)
        return tuple(None if array is None else array * np.asarray(dloss, array.dtype) for array in returned)


class Pair(Layer):
    """A layer made of two functions: y, saved = f(*inputs), and f_backward(dy, saved), which returns the gradients.

    Backward returns one gradient for each input, or one for each input that is a float.
    """

    def __init__(self, f, f_backward):
        self.f, self.f_backward = f, f_backward

    def _named(self, kind):
        return iter(())  # what the functions hold is no parameter

    def __deepcopy__(self, memo):
        return self

    def forward(self, *inputs, tape):
        """Return y; ``saved`` goes on the tape.

        Raises
        ------
        TypeError
            If the function returned something else than (y, saved).
        """
        returned = self.f(*inputs)
        if not isinstance(returned, (tuple, list)) or len(returned) != 2:
            kind = f"an array of shape {returned.shape}" if isinstance(returned, np.ndarray) else _kind(returned)
            raise TypeError(f"gradcheck: the function returned {kind}, expected (y, saved): y, and what its backward needs")
        tape.push(self, (inputs, *returned))
        return returned[0]

    def backward(self, dy, tape):
        """Return the gradients, None for inputs that are no floats. A dy without axes is handed on as a float."""
        inputs, y, saved = tape.pop(self)
        dy = [part if part.ndim else float(part) for part in (dy if isinstance(dy, tuple) else (dy,))]
        returned = _gradients_in_order(self.f_backward(tuple(dy) if isinstance(y, (tuple, list)) else dy[0], saved))
        names = dict(zip(argument_names(self.f, len(inputs)), inputs))
        floats = {name: value for name, value in names.items() if _is_float(value) or isinstance(value, float)}
        if len(returned) < len(floats):
            settings = " and ".join(name for name, value in floats.items() if isinstance(value, float))
            advice = f": bind {settings} by functools.partial if it is a setting" if settings else ""
            facts = f"{len(returned)} gradients for {len(floats)} float inputs ({', '.join(floats)})"
            raise ValueError(f"gradcheck: backward returned {facts}{advice}")
        if len(returned) < len(inputs):
            in_order = iter(returned)
            return [next(in_order) if name in floats else None for name in names]
        return returned[: len(inputs)]


def as_layer(target):
    """Return a `Loss` for the method ``model.loss``, and any other target as it is."""
    owner = getattr(target, "__self__", None)
    is_loss = getattr(target, "__name__", "") == "loss" and hasattr(owner, "loss_backward")
    return Loss(owner) if is_loss else target


class Problem:
    """A layer with its inputs, and the functions that compute outputs and gradients from them.

    Attributes
    ----------
    layer : Layer
        A copy.
    tensors : dict of str to array
        The float inputs and all parameters. Writing into them changes what `forward` computes.
    left : int
        The number of entries that the last `gradients` left on the tape.
    """

    def __init__(self, layer, inputs, options, make_tape, place="gradcheck", dtype=np.float64):
        self.layer = with_dtype(layer, dtype)
        self.make_tape, self.place, self.left = make_tape, place, 0
        self.parameters = dict(self.layer.named_parameters())
        self.names = argument_names(layer.f if isinstance(layer, Pair) else layer.forward, len(inputs))
        if not isinstance(layer, Pair):
            inputs = [np.asarray(x) for x in inputs]
        self.scalars = {i for i, x in enumerate(inputs) if isinstance(x, float)}
        arrays = {n: _array(v, dtype, n, place) if isinstance(v, np.ndarray) else v for n, v in options.items()}
        self._hold([_array(x, dtype, name, place) for name, x in zip(self.names, inputs)], arrays)

    def _hold(self, inputs, options):
        self.inputs, self.options = inputs, options
        self.positions = {name: i for i, name in enumerate(self.names) if _is_float(inputs[i])}
        self.tensors = {name: inputs[i] for name, i in self.positions.items()}
        self.tensors |= {name: parameter.data for name, parameter in self.parameters.items()}

    def on(self, *inputs, options=None):
        """Return the problem of the same layer with other inputs, which are not copied."""
        other = copy.copy(self)
        other._hold(list(inputs), self.options if options is None else options)
        return other

    def record(self):
        """Return the outputs, a list of arrays, and the tape of the forward that made them."""
        tape = self.make_tape()
        inputs = [x[()] if i in self.scalars else x for i, x in enumerate(self.inputs)]
        return outputs(self.layer(*inputs, tape, **self.options), self.place), tape

    def forward(self):
        """Return the outputs, a list of arrays."""
        return self.record()[0]

    def backward(self, dy, tape):
        """Run backward on a recorded tape, which adds to the parameters' gradients; return all gradients by name."""
        returned = self.layer.backward(tuple(dy) if len(dy) > 1 else dy[0], tape)
        returned = _gradients_in_order(returned, self.place)
        if len(returned) > len(self.inputs):
            raise ValueError(
                f"{self.place}: backward returned {len(returned)} gradients for {len(self.inputs)} inputs "
                f"({', '.join(self.names)}): what has a gradient is an input, and not among the options"
            )
        returned += [None] * (len(self.inputs) - len(returned))
        own = {name: parameter.grad.copy() for name, parameter in self.parameters.items()}
        return {name: returned[i] for name, i in self.positions.items()} | own

    def gradients(self, dy):
        """Return {name: gradient or None} of sum(dy * outputs), after a forward of its own."""
        self.layer.zero_grad()
        _, tape = self.record()
        gradients = self.backward([part.copy() for part in dy], tape)  # a backward that writes to dy is judged by dy
        self.left = len(tape)
        return gradients

    def value(self, dy):
        """Return sum(dy * y), and the sum of the absolute values of its terms.

        Parameters
        ----------
        dy : list of array, of the outputs' shapes
            Outputs with weight 0 are left out, because they may be infinite.
        """
        total, size = 0.0, 0.0
        for weight, part in zip(dy, self.forward()):
            if weight.all():
                terms = weight * part
            else:
                seen = weight != 0
                terms = weight[seen] * part[seen]
            total += terms.sum()
            size += float(np.abs(terms).sum())
        return total, size


def broadcast_axes(found, expected):
    """Return advice if a gradient has the shape to which forward broadcast its parameter, or ""."""
    if int(np.prod(found)) == int(np.prod(expected)):
        return ": give it the parameter's shape"
    try:
        broadcast = np.broadcast_shapes(found, expected) == found
    except ValueError:
        return ""
    if not broadcast:
        return ""
    sizes = (1,) * (len(found) - len(expected)) + tuple(expected)
    axes = tuple(axis for axis, (n, m) in enumerate(zip(found, sizes)) if n != m)
    return f": sum it over the axes {axes}, along which forward broadcast it"


def _gradients_in_order(returned, place="gradcheck"):
    """Return the result of a backward as a list of gradients."""
    if isinstance(returned, dict):
        names = ", ".join(map(str, returned))
        raise TypeError(f"{place}: backward returned a dict ({names}), expected the gradients in the inputs' order")
    return list(returned) if isinstance(returned, (tuple, list)) else [returned]


def _kind(value):
    return f"a {type(value).__name__} of {len(value)}" if isinstance(value, (tuple, list, dict)) else repr(value)


def argument_names(f, n):
    """Return names for the positional arguments of f."""
    try:
        kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        names = [p.name for p in inspect.signature(f).parameters.values() if p.kind in kinds and p.name != "tape"][:n]
    except (TypeError, ValueError):
        names = []
    return names + [f"input{i}" for i in range(len(names), n)]


def make_problem(target, inputs, backward, options, make_tape=Tape):
    """Return the `Problem` of a layer, or of a function with its backward."""
    refuse_class(target, "gradcheck")
    if isinstance(target, Layer) or backward is None and hasattr(target, "backward"):
        if backward is not None:
            raise TypeError("gradcheck: a layer brings its own backward: leave out backward=")
        return Problem(target, inputs, options or {}, make_tape)
    if backward is None:
        raise TypeError(f"gradcheck: {target!r} is no layer: hand in its backward=, a function (dy, saved)")
    if options:
        raise TypeError("gradcheck: options are for layers; bind an op's with functools.partial")
    return Problem(Pair(target, backward), inputs, {}, make_tape)
