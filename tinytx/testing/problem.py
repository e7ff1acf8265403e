"""A layer, or a pair of functions, as gradcheck sees it: named tensors, a forward, and the gradients of its backward."""

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
        kinds = [parameter.data.dtype for parameter in self.owner.parameters()]
        return np.asarray(self.owner.loss(*batch, tape=tape, **options), kinds[0] if kinds else None)

    def backward(self, dloss, tape):
        """Add dloss times the gradients of ``loss_backward``."""
        own = self.owner.parameters()
        before = [parameter.grad.copy() for parameter in own]
        self.owner.zero_grad()
        self.owner.loss_backward(tape)
        for parameter, grad in zip(own, before):
            parameter.grad = grad + parameter.grad * np.asarray(dloss, parameter.data.dtype)


def as_layer(target):
    """Return a `Loss` for the method ``model.loss``, and any other target as it is."""
    owner = getattr(target, "__self__", None)
    is_loss = getattr(target, "__name__", "") == "loss" and hasattr(owner, "loss_backward")
    return Loss(owner) if is_loss else target


class Problem:
    """Tensors in float64, with the functions that compute outputs and gradients from them.

    Attributes
    ----------
    tensors : dict of str to float64 array
        The float inputs and all parameters. Writing into them changes what `forward` computes.
    """

    def forward(self):
        """Return the outputs, a list of arrays."""
        raise NotImplementedError

    def gradients(self, dy):
        """Return {name: gradient or None} of sum(dy * outputs); dy has the shapes of the outputs."""
        raise NotImplementedError

    def value(self, dy):
        """Return sum(dy * y), and the sum of the absolute values of its terms, over the outputs that dy looks at.

        Parameters
        ----------
        dy : list of array, as `weights` makes it
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


class LayerProblem(Problem):
    """A layer: forward(*inputs, tape, **options), and backward(dy, tape), which returns the inputs' gradients in order."""

    def __init__(self, layer, inputs, options, make_tape, place="gradcheck", dtype=np.float64):
        self.layer = with_dtype(layer, dtype)
        self.make_tape, self.place = make_tape, place
        self.parameters = dict(self.layer.named_parameters())
        self.left = 0  # entries on the tape after backward
        self.names = _argument_names(self.layer.forward, len(inputs))
        arrays = {n: _array(v, dtype, n, place) if isinstance(v, np.ndarray) else v for n, v in options.items()}
        self._hold([_array(np.asarray(x), dtype, name, place) for name, x in zip(self.names, inputs)], arrays)

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

    def put(self, name, array):
        """Put an array, which may be complex, in the place of a tensor."""
        if name in self.parameters:
            self.parameters[name].data = array
        else:
            self.inputs[self.positions[name]] = array

    def forward(self):
        return self.record()[0]

    def record(self):
        """Return the outputs, and the tape of the forward that made them."""
        tape = self.make_tape()
        return outputs(self.layer(*self.inputs, tape, **self.options), self.place), tape

    def gradients(self, dy):
        self.layer.zero_grad()
        y, tape = self.record()
        gradients = self.backward([part.copy() for part in dy], tape)  # a backward that writes to dy is judged by dy
        self.left = len(tape)
        return gradients

    def backward(self, dy, tape):
        """Run backward on a recorded tape, which adds to the parameters' gradients; return all gradients by name."""
        try:
            returned = self.layer.backward(tuple(dy) if len(dy) > 1 else dy[0], tape)
        except ValueError:
            self._name_misshapen_gradient(dy)
            raise
        returned = _gradients_in_order(returned, self.place)
        if len(returned) > len(self.inputs):
            raise ValueError(
                f"{self.place}: backward returned {len(returned)} gradients for {len(self.inputs)} inputs "
                f"({', '.join(self.names)}): what has a gradient is an input, and not among the options"
            )
        returned += [None] * (len(self.inputs) - len(returned))
        own = {name: parameter.grad.copy() for name, parameter in self.parameters.items()}
        return {name: returned[i] for name, i in self.positions.items()} | own

    def _name_misshapen_gradient(self, dy):
        """Run a backward that raised again, so that ``+=`` of another shape raises an error with the parameter's name."""
        for name, parameter in self.parameters.items():
            parameter.grad = np.zeros_like(parameter.data).view(_NamedGradient)
            parameter.grad.name = f"{type(self.layer).__name__}: {name}"
        try:
            self.layer.backward(tuple(dy) if len(dy) > 1 else dy[0], self.record()[1])
        finally:
            self.layer.zero_grad()


class _NamedGradient(np.ndarray):
    """A gradient whose name is in the error if an array of another shape is added to it."""

    name = ""

    def __iadd__(self, other):
        try:
            fits = np.broadcast_shapes(self.shape, np.shape(other)) == self.shape
        except ValueError:
            fits = False
        if not fits:
            raise ValueError(
                f"{self.name}: its grad has shape {self.shape}, and backward adds shape {np.shape(other)} to it"
                f"{broadcast_axes(np.shape(other), self.shape)}"
            )
        return super().__iadd__(other)


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


class PairProblem(Problem):
    """Two functions: y, saved = f(*inputs), and backward(dy, saved), which returns the inputs' gradients in order."""

    def __init__(self, f, backward, inputs, place="gradcheck"):
        self.f, self.backward, self.place = f, backward, place
        names = _argument_names(f, len(inputs))
        self.scalars = {i for i, value in enumerate(inputs) if not isinstance(value, np.ndarray)}
        self.inputs = [_array(value, np.float64, name, place) for name, value in zip(names, inputs)]
        self.positions = {names[i]: i for i, value in enumerate(self.inputs) if _is_float(value)}
        self.tensors = {name: self.inputs[i] for name, i in self.positions.items()}
        self.left = 0

    def put(self, name, array):
        """Put an array, which may be complex, in the place of a tensor."""
        self.inputs[self.positions[name]] = array

    def _call(self):
        arguments = [v[()] if i in self.scalars and isinstance(v, np.ndarray) else v for i, v in enumerate(self.inputs)]
        returned = self.f(*arguments)
        if not isinstance(returned, (tuple, list)) or len(returned) != 2:
            kind = f"an array of shape {returned.shape}" if isinstance(returned, np.ndarray) else _kind(returned)
            raise TypeError(
                f"{self.place}: the function returned {kind}, expected (y, saved): y, and what its backward needs"
            )
        return returned

    def forward(self):
        return outputs(self._call()[0], self.place)

    def gradients(self, dy):
        y, saved = self._call()
        several = isinstance(y, (tuple, list))
        dy = [part.copy() if part.ndim else float(part) for part in dy]  # as in LayerProblem
        dy = tuple(dy) if several else dy[0]
        returned = _gradients_in_order(self.backward(dy, saved), self.place)
        if len(returned) == len(self.inputs):  # one for each input, or one for each that has a gradient
            returned = [returned[i] for i in self.positions.values()]
        if len(returned) < len(self.positions):
            settings = [name for name, i in self.positions.items() if i in self.scalars]
            raise ValueError(
                f"{self.place}: backward returned {len(returned)} gradients for {len(self.positions)} float inputs "
                f"({', '.join(self.positions)})"
                + (f": bind {', '.join(settings)} by functools.partial if it is a setting" if settings else "")
            )
        return dict(zip(self.positions, returned))


def _gradients_in_order(returned, place):
    """Return the result of a backward as a list of gradients."""
    if isinstance(returned, dict):
        names = ", ".join(map(str, returned))
        raise TypeError(f"{place}: backward returned a dict ({names}), expected the gradients in the inputs' order")
    return list(returned) if isinstance(returned, (tuple, list)) else [returned]


def _kind(value):
    return f"a {type(value).__name__} of {len(value)}" if isinstance(value, (tuple, list, dict)) else repr(value)


def _argument_names(f, n):
    """Return names for the positional arguments of f."""
    try:
        kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
        names = [p.name for p in inspect.signature(f).parameters.values() if p.kind in kinds and p.name != "tape"][:n]
    except (TypeError, ValueError):
        names = []
    return names + [f"input{i}" for i in range(len(names), n)]


def make_problem(target, inputs, backward, options, make_tape=Tape, place="gradcheck"):
    """Return the `Problem` of a layer or of an op pair."""
    refuse_class(target, place)
    if isinstance(target, Layer) or backward is None and hasattr(target, "backward"):
        if backward is not None:
            raise TypeError(f"{place}: a layer brings its own backward: leave out backward=")
        return LayerProblem(target, inputs, options or {}, make_tape, place)
    if backward is None:
        raise TypeError(f"{place}: {target!r} is no layer: hand in its backward=, a function (dy, saved)")
    if options:
        raise TypeError(f"{place}: options are for layers; bind an op's with functools.partial")
    return PairProblem(target, backward, inputs, place)
