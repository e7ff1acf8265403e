"""A tape that tells what happens on it: calls of layers, forward and backward, and what is kept. `tinytx.viz.trace` uses it."""

import inspect
import weakref
from collections import Counter
from typing import NamedTuple

import numpy as np

from tinytx.core import Tape, arrays_in, owner_of
from tinytx.viz.calls import AGAIN, BACKWARD, FORWARD, Call, Kept, KeptArray, Step
from tinytx.viz.tensor_seen import tensor_seen


class _Frame(NamedTuple):
    """A call that runs now; ``used`` holds the numbers of calls inside it that have run again."""

    kind: str
    call: Call
    used: set


class Log:
    """What has been seen so far."""

    def __init__(self, model):
        self.paths = {id(layer): path for path, layer in model.named_layers()}
        self.weights = {id(owner_of(parameter.data)): path for path, parameter in model.named_parameters()}
        self.calls, self.steps, self.frames, self.counts = [], [], [], Counter()
        self.held = {}  # id of an array's memory -> [the memory, bytes, entries of tapes that hold it]
        self.n_bytes = self.peak = 0

    # -------------------------------------------------------------------------------- calls

    def begin(self, layer, inputs):
        """Note that a layer's forward begins; return its frame."""
        parent = self.frames[-1] if self.frames else None
        second = parent is not None and parent.kind != FORWARD
        call = self._same(layer, parent) if second else None
        if call is None:
            call = self._new(layer, parent and parent.call, inputs)
        self.frames.append(_Frame(AGAIN if second else FORWARD, call, set()))
        return self.frames[-1]

    def _same(self, layer, parent):
        """Return the call that runs a second time inside a frame, or None if it is a new one.

        A second forward repeats the order of the first; a backward goes from the last to the first.
        """
        inside = parent.call.children if parent.kind == AGAIN else parent.call.children[::-1]
        call = next((call for call in inside if call.layer is layer and call.number not in parent.used), None)
        if call is not None:
            parent.used.add(call.number)
            call.again += 1
        return call

    def _new(self, layer, parent, inputs):
        self.counts[id(layer)] += 1
        names = names_of(layer, len(inputs))
        call = Call(len(self.calls), layer, parent, self.paths.get(id(layer), "?"), self.counts[id(layer)], all_seen(names, inputs))
        self.calls.append(call)
        if parent is not None:
            parent.children.append(call)
        return call

    def end(self, y):
        """Note that the forward which runs now ends."""
        kind, call, _ = self.frames.pop()
        if not call.outputs:
            call.outputs = all_seen(("y",), y)
        self.steps.append(Step(kind, call.number, self.n_bytes))

    def backward(self, call, backward, dy, arguments):
        """Run the backward of a call, and note what goes in and out."""
        call.doutputs = all_seen(("dy",), dy)
        self.steps.append(Step(BACKWARD, call.number, self.n_bytes))
        self.frames.append(_Frame(BACKWARD, call, set()))
        dx = backward(*arguments)
        self.frames.pop()
        call.dinputs = all_seen([f"d{tensor.name}" if tensor else "" for tensor in call.inputs], dx, several=len(call.inputs) > 1)
        return dx

    # -------------------------------------------------------------------------------- memory

    def hold(self, saved):
        """Count an entry's arrays, those that no other entry holds; parameters exist anyway."""
        for key, array in _memory(saved).items():
            if key not in self.weights:
                memory = self.held.setdefault(key, [owner_of(array), array.nbytes, 0])
                self.n_bytes += 0 if memory[2] else memory[1]
                memory[2] += 1
        self.peak = max(self.peak, self.n_bytes)

    def release(self, saved):
        """Count an entry's arrays no longer."""
        for key in _memory(saved):
            if key not in self.weights:
                self.held[key][2] -= 1
                if not self.held[key][2]:
                    self.n_bytes -= self.held.pop(key)[1]

    def listed(self, stack, owners):
        """Note in each call what it saved on a tape."""
        first = dict(self.weights)
        for (_, saved), call in zip(stack, owners, strict=True):
            sizes, arrays = {key: array.nbytes for key, array in _memory(saved).items() if key not in first}, []
            for name, array in arrays_in(saved):
                key = id(owner_of(array))
                arrays.append(KeptArray(name, array.shape, str(array.dtype), sizes.pop(key, 0), first.get(key)))
                first.setdefault(key, call.number)
            call.kept.append(Kept(_op(saved), arrays))

    def forgotten(self, stack, owners, finished):
        """Note that a tape is gone, with all that is on it; ``finished`` are the calls of a first forward on it."""
        if finished:
            self.listed(stack, owners)
        for call in finished:
            call.dropped = True
        for _, saved in stack:
            self.release(saved)


class Following(Tape):
    """A tape that tells a log what happens on it, and on its forks."""

    def __init__(self, log, seed):
        super().__init__(seed=seed)
        self.log, self.finished, self.owners = log, [], []

    def call(self, layer, inputs, settings):
        frame = self.log.begin(layer, inputs)
        y = super().call(layer, inputs, settings)
        self.log.end(y)
        self.finished.append(frame.call)
        return y

    def push(self, layer, saved):
        super().push(layer, saved)
        self.owners.append(self.log.frames[-1].call)
        self.log.hold(saved)

    def pop(self, layer):
        saved = super().pop(layer)
        self.owners.pop()
        self.log.release(saved)
        return saved

    def replace(self, old, new, first):
        before = self._stack[first:]
        super().replace(old, new, first)
        for _, saved in self._stack[first:]:
            self.log.hold(saved)
        for _, saved in before:
            self.log.release(saved)

    def fork(self, sites):
        other = super().fork(sites)
        other.finished, other.owners = [], []
        second = any(frame.kind != FORWARD for frame in self.log.frames)
        weakref.finalize(other, self.log.forgotten, other._stack, other.owners, () if second else other.finished)
        return other

    def last(self, layer):
        """Remove and return the last call of a layer on this tape whose backward has not run; None if there is none."""
        for i in reversed(range(len(self.finished))):
            if self.finished[i].layer is layer:
                return self.finished.pop(i)
        return None


def followed(layer, backward):
    """Return a layer's backward that tells the tape's log."""

    def told(dy, tape, *others):
        call = tape.last(layer) if isinstance(tape, Following) else None
        arguments = (dy, tape, *others)
        return backward(*arguments) if call is None else tape.log.backward(call, backward, dy, arguments)

    return told


def names_of(layer, n, method="forward"):
    """Return the names of a method's n first parameters."""
    kinds = inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD
    found = inspect.signature(getattr(type(layer), method)).parameters.values()
    names = [one.name for one in found if one.kind in kinds and one.name not in ("self", "tape")][:n]
    return names + [f"input {i + 1}" for i in range(len(names), n)]


def all_seen(names, values, several=None):
    """Return a list of `TensorSeen` of an array, or of several; None in the place of what is none."""
    several = isinstance(values, (tuple, list)) if several is None else several
    values = list(values) if several and values is not None else [values]
    if len(names) < len(values):
        names = [f"{names[0]} {i + 1}" for i in range(len(values))]
    return [tensor_seen(name, value) if isinstance(value, np.ndarray) or np.isscalar(value) else None for name, value in zip(names, values)]


def _memory(saved):
    """Return {id of an array's memory: array} of what a layer saved."""
    return {id(owner_of(array)): array for _, array in arrays_in(saved)}


def _op(saved):
    """Return the name of the operation whose file says what is saved; "" if a layer saved something of its own."""
    module = type(saved).__module__
    return module.rpartition(".")[2].removesuffix("_saved") if hasattr(saved, "_fields") and ".ops." in module else ""
