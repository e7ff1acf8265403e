"""Parameter, Tape and Layer: what every layer is made of.

The whole protocol, for a layer of your own::

    class Scale(Layer):                                   # y = weight * x
        def __init__(self, d_model):
            self.weight = Parameter(np.ones(d_model))

        def forward(self, x, tape=None):
            if tape is not None:
                tape.push(self, x)                        # backward needs x
            return self.weight.data * x

        def backward(self, dy, tape):
            x = tape.pop(self)                            # first thing
            self.weight.add_grad((dy * x).sum(axis=(0, 1)))
            return dy * self.weight.data                  # dx
"""

import copy
import hashlib

import numpy as np

from tinytx.members import members, owner_of
from tinytx.parameter import Parameter, gradients_for

__all__ = ["Layer", "Parameter", "Tape", "TapeError", "arrays_in", "check_arrays", "gradients_for", "owner_of"]


class TapeError(RuntimeError):
    """A backward ran in a wrong order, or without its forward."""


class Tape:
    """A last-in first-out store of values: it records no operations and walks no graph.

    A layer's forward pushes the values that its backward needs, and its backward pops them. Every backward is a
    written method that calls its children's backward in an order that a reader sees; the tape only checks this order.
    ``print(tape)`` after a forward shows what each layer saved, and how many bytes.

    Parameters
    ----------
    seed : int, optional
        Switches dropout on. Without it every layer is deterministic.
    step : int
        The training step. Each step has its own dropout masks.
    first_row : int
        The index, in the whole batch, of the first row on this tape. So threads that share a batch draw the masks of
        their own rows, and the result does not depend on the number of threads.

    Notes
    -----
    A tape belongs to one thread. Layers hold no state, so any number of tapes can use one model at a time.
    """

    def __init__(self, *, seed=None, step=0, first_row=0):
        self.seed, self.step, self.first_row = seed, step, first_row
        self.root = None  # the outermost layer called, for names in messages
        self._stack = []
        self.sites = 0  # dropout masks drawn, and choices made, so far
        self.choices = {}  # see `chosen`
        self.penalties, self.dpenalty = [], None  # see `penalise`

    @property
    def is_watched(self):
        """Whether a subclass watches each call: then a layer calls each layer in it, where one operation may do the work of two."""
        return type(self).call is not Tape.call

    def call(self, layer, inputs, settings):
        """Run a layer's forward on this tape. Every call of a layer with a tape goes through this method.

        A subclass can watch the inputs and the output of each layer here, as `tinytx.testing` does.
        """
        if self.root is None:
            self.root = layer
        return layer.forward(*inputs, tape=self, **settings)

    def push(self, layer, saved):
        """Save a value for the backward of ``layer``. A forward calls this once."""
        self._stack.append((layer, saved))

    def pop(self, layer):
        """Remove and return the value that ``layer`` pushed last.

        Raises
        ------
        TapeError
            If another layer pushed last, or the tape is empty.
        """
        if not self._stack:
            raise TapeError(
                f"Tape: backward of {self._name(layer)} found the tape empty: "
                "call forward with this tape first, and backward once for each forward"
            )
        last, saved = self._stack[-1]
        if last is not layer:
            raise TapeError(
                f"Tape: backward of {self._name(layer)} ran, but the last forward to save was {self._name(last)}: "
                "call the children's backward in the reverse order of their forward"
            )
        self._stack.pop()
        if not self._stack:
            self.root = None
        return saved

    def replace(self, old, new, first):
        """Replace the array ``old`` by ``new`` in all entries from number ``first`` on.

        With this a layer saves the memory of an array that it can compute from another: after its forward it puts the
        other array in its place, and before its backward it computes the array and puts it back.
        """
        self._stack[first:] = [(layer, _replaced(saved, old, new)) for layer, saved in self._stack[first:]]

    def fork(self, sites):
        """Return an empty tape whose next dropout mask is number ``sites`` + 1 of this tape.

        A layer that computes something again in its backward notes ``tape.sites`` before its first mask: a fork with
        this number draws the same masks.
        """
        other = copy.copy(self)
        other._stack, other.sites = [], sites
        return other

    def penalise(self, penalty):
        """Report a penalty (B,), a number for each row of the batch, which the task adds to its loss.

        The task takes ``penalties``, adds them up with a factor for each row, and sets ``dpenalty`` (B,), these factors: the
        gradient of the loss with respect to each penalty, which the layer's backward asks for; None if there is none.
        Computed a second time, inside a backward, a penalty is not reported again.
        """
        if self.dpenalty is None:
            self.penalties.append(penalty)

    def dropout_key(self):
        """Return the 64-bit key of the next dropout mask, or None if the tape has no seed.

        A key depends on the seed, the step, and the number of masks that this forward has drawn before.
        """
        if self.seed is None:
            return None
        self.sites += 1
        name = f"{self.seed} {self.step} {self.sites}".encode()
        return int.from_bytes(hashlib.blake2b(name, digest_size=8).digest(), "little")

    def chosen(self, make):
        """Return ``make()``, or what it returned where the same forward ran before, on this tape or on one that was forked.

        For what has no gradient and must not change when a layer is computed again, such as buckets or a choice by rank.
        """
        self.sites += 1
        if self.sites not in self.choices:
            self.choices[self.sites] = make()
        return self.choices[self.sites]

    def check_empty(self):
        """Raise TapeError if a value is left, because a forward's backward did not run."""
        if self._stack:
            left = ", ".join(dict.fromkeys(self._name(layer) for layer, _ in reversed(self._stack)))
            raise TapeError(f"Tape: {len(self._stack)} saved values left after backward: {left}")

    def __len__(self):
        return len(self._stack)

    def _name(self, layer):
        for path, found in self.root.named_layers() if self.root is not None else ():
            if found is layer:
                return path or type(layer).__name__
        return type(layer).__name__

    def kept(self):
        """Yield (layer, [(name, array), ...], bytes) for every entry.

        Parameters do not count, because they exist anyway; an array of two layers counts for the first of them.
        """
        weights = self.root.parameters() if self.root is not None else []
        counted = {id(owner_of(weight.data)) for weight in weights}
        for layer, saved in self._stack:
            arrays = [(name, array) for name, array in arrays_in(saved) if id(owner_of(array)) not in counted]
            counted |= {id(owner_of(array)) for _, array in arrays}
            yield layer, arrays, sum({id(owner_of(array)): array.nbytes for _, array in arrays}.values())

    def __str__(self):
        rows, total, first = [("layer", "saved", "bytes")], 0, {}  # first: {array: the first layer that saved it}
        for (layer, saved), (_, arrays, size) in zip(self._stack, self.kept(), strict=True):
            path = self._name(layer)
            shown = [f"{name} {array.shape}" for name, array in arrays]
            shown += [f"{n} shared with {first[id(owner_of(a))]}" for n, a in arrays_in(saved) if id(owner_of(a)) in first]
            first |= {id(owner_of(array)): path for _, array in arrays}
            rows.append((path, ", ".join(shown) or "-", f"{size:,}"))
            total += size
        rows.append(("total", f"{len(self._stack)} entries", f"{total:,}"))
        width = [max(len(row[i]) for row in rows) for i in range(3)]
        return "\n".join(f"{a:<{width[0]}}  {b:<{width[1]}}  {c:>{width[2]}}".rstrip() for a, b, c in rows)


def arrays_in(saved, name="saved"):
    """Yield (name, array) of the arrays in what a layer saved."""
    if isinstance(saved, np.ndarray):
        yield name, saved
    elif hasattr(saved, "_asdict") or isinstance(saved, dict):
        for field, value in (saved if isinstance(saved, dict) else saved._asdict()).items():
            yield from arrays_in(value, str(field))
    elif isinstance(saved, (tuple, list)):
        for value in saved:
            yield from arrays_in(value, name)


def _replaced(saved, old, new):
    """Return what a layer saved, with the array ``new`` in place of ``old``."""
    if saved is old:
        return new
    if isinstance(saved, dict):
        return {name: _replaced(value, old, new) for name, value in saved.items()}
    if isinstance(saved, (tuple, list)):
        values = [_replaced(value, old, new) for value in saved]
        return saved._make(values) if hasattr(saved, "_make") else type(saved)(values)
    return saved


class Layer:
    """Something with parameters, a forward and a backward.

    A subclass writes two methods. ``forward(x, tape=None)`` returns y, and pushes on the tape, if there is one, what
    the backward needs. ``backward(dy, tape)`` pops it, adds to the gradients of the layer's parameters and returns dx.
    A layer holds parameters and settings, and nothing that belongs to a single call.

    A layer may have several inputs: ``forward(x, memory, tape=None, *, mask=None)``. Inputs come first: arrays with a
    gradient, or ids. Backward returns one gradient for each input, in this order, and None for ids: ``(dx, dmemory)``.
    Settings such as a mask have no gradient and are keyword arguments.
    """

    def forward(self, *inputs, tape=None, **settings):
        raise NotImplementedError(f"{type(self).__name__} has no forward")

    def backward(self, dy, tape):
        raise NotImplementedError(f"{type(self).__name__} has no backward")

    def __call__(self, *inputs, tape=None, **settings):
        """Run `forward`; the tape, or None, is the last positional argument: ``layer(x, memory, tape, mask=mask)``."""
        if tape is None and inputs and (inputs[-1] is None or isinstance(inputs[-1], Tape)):
            inputs, tape = inputs[:-1], inputs[-1]
        state = settings.get("state") if settings else None
        if state is not None and not state.inside:  # the outermost call is a forward, which begins at the first slot
            with state.forward():
                return self(*inputs, tape, **settings)
        return self.forward(*inputs, **settings) if tape is None else tape.call(self, inputs, settings)

    def named_layers(self):
        """Yield (path, layer) for this layer, whose path is "", and all layers in it, each object once."""
        yield from self._named(Layer)

    def named_parameters(self):
        """Yield (path, parameter), such as ("blocks.0.norm.weight", ...), each object once, in order of definition.

        Raises
        ------
        TypeError, ValueError
            If a parameter has no path, or the path of another one (`tinytx.members.members`).
        """
        yield from self._named(Parameter)

    def _named(self, kind):
        return (pair for pair in members(self, Layer, Parameter) if isinstance(pair[1], kind))

    def check_saved(self, path):
        """Raise ValueError if the layer, whose path in a model is ``path``, is more than its parameters and settings."""

    def parameters(self):
        """Return the parameters as a list, each object once."""
        return [parameter for _, parameter in self.named_parameters()]

    def zero_grad(self):
        """Set all gradients to 0."""
        for parameter in self.parameters():
            parameter.zero_grad()

    def state_dict(self):
        """Return {path: array}: the parameters' own arrays, not copies.

        Raises
        ------
        ValueError
            If a layer has weights that are no parameters (`check_saved`).
        """
        for path, layer in self.named_layers():
            layer.check_saved(path)
        return {path: parameter.data for path, parameter in self.named_parameters()}

    def load_state_dict(self, arrays):
        """Copy values into the parameters. If there is an error, nothing is changed.

        Parameters
        ----------
        arrays : dict of str to array
            As from `state_dict`. Another float dtype is converted.

        Raises
        ------
        ValueError
            With the names of all missing, unexpected and misshapen arrays (at most 30).
        """
        own = self.state_dict()
        check_arrays(type(self).__name__, {path: array.shape for path, array in own.items()}, arrays)
        for path, data in own.items():
            data[...] = arrays[path]

    def replicate(self, parameter=Parameter):
        """Return a copy, for a thread, that shares each parameter's ``data`` and has a ``grad`` of its own.

        ``parameter`` makes the copy's parameters from the shared arrays: `Parameter`, or a subclass.
        """
        return copy.deepcopy(self, {id(shared): parameter(shared.data, frozen=shared.frozen) for shared in self.parameters()})


def check_arrays(place, shapes, arrays, *, most=30):
    """Raise ValueError unless arrays have the names and shapes of a model's parameters, and are numbers.

    Parameters
    ----------
    place : str
        For the message, which names the first ``most`` faults.
    shapes : dict of str to tuple
        The shape of each parameter, by its path.
    arrays : dict of str to array
    """
    own = [path for path in shapes if path in arrays]
    faults = [f"missing {path} {shapes[path]}" for path in shapes if path not in arrays]
    faults += [f"unexpected {path:.80} {np.shape(arrays[path])}" for path in arrays if path not in shapes]
    faults += [
        f"{path} has shape {np.shape(arrays[path])}, expected {shapes[path]}"
        for path in own
        if np.shape(arrays[path]) != shapes[path]
    ]
    dtypes = {path: np.asarray(arrays[path]).dtype for path in own}
    faults += [f"{path} has dtype {dtypes[path]}, expected numbers" for path in own if dtypes[path].kind not in "fiu"]
    if faults:
        more = f"; ... ({len(faults)} in all)" if len(faults) > most else ""
        raise ValueError(f"{place}: these parameters do not fit: " + "; ".join(faults[:most]) + more)
