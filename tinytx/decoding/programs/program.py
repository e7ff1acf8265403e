"""A program: calls of loops with arguments that stay what they are, made one after the other by compiled code.

The logits of one more token take some twenty calls of loops in each block. In a small model each of them takes a microsecond or two, and the
interpreter ten times as long to find out, for every token anew, what is to be called with which arrays. A `Program` has
written down which loops are called, with arrays of its own for what is between them; a token is then one call.
"""

import math

import numpy as np

from tinytx import workers
from tinytx.calls import CALL, bound, run_calls
from tinytx.kernel import kernel
from tinytx.ops.few_rows import ROWS


class NoProgram(Exception):
    """Something has no program: a layer of a kind, or with a setting, for which there are no calls."""


@kernel
def _run(codes, places):
    run_calls(codes, places)


class Program:
    """The calls for one more token of each row of a batch.

    Parameters
    ----------
    state : State
        With keys and values of the positions before.
    n_rows : int
        B, at most `ROWS`.

    Attributes
    ----------
    dtype : float32 or float64
        That of keys and values.
    ids : int64 array (R,)
        The tokens. R is 1, or `ROWS` where there are several rows, of which the first B count.
    before : int64 array (1,)
        The number of positions before.
    words : int64 array
        Memory at which helpers look that are awake: `tinytx.workers.awake`.
    is_shared : bool
        Whether a call is large enough for helpers.
    room : float
        The number of positions that there are at most.
    """

    def __init__(self, state, n_rows):
        self.dtype = next((array.dtype for slot in state.slots for array in slot.arrays), None)
        self.n_rows, self.height = n_rows, 1 if n_rows == 1 else ROWS
        self.ids, self.before = np.zeros(self.height, np.int64), np.zeros(1, np.int64)
        self.words, self.is_shared, self.room = workers.awake.memory(), False, math.inf
        self._state, self._slots = state, state.slots
        self._unused = iter(self._slots)
        self._calls, self._scratch, self._weights, self._attentions, self._turns = [], {}, [], [], {}

    # ------------------------------------------------------------------------------------ writing it down

    def rows(self, width):
        """Return an array (R, width) for what a call computes."""
        return np.zeros((self.height, width), self.dtype)

    def scratch(self, *shape, dtype=None):
        """Return an array that is used inside of single calls only: all calls share those of one shape and dtype."""
        dtype = dtype or self.dtype
        if (shape, dtype) not in self._scratch:
            self._scratch[shape, dtype] = np.zeros(shape, dtype)
        return self._scratch[shape, dtype]

    def weights(self, parameter):
        """Return a parameter's array. If the parameter gets another one, the program has come to its end."""
        if not parameter.data.flags.carray:
            raise NoProgram("weights that loops do not take as they are")
        self._weights.append((parameter, parameter.data))
        return parameter.data

    def call(self, loop, *arguments):
        """Write down one more call."""
        self._calls.append(_Call(loop, arguments))

    def attend(self, loop, arguments):
        """Write down a call whose arguments are arguments(*arrays), of the arrays of the next slot, with room for one more position."""
        slot = next(self._unused, None)
        if slot is None or not slot.length:
            raise NoProgram("a state without keys and values of this attention")
        self.call(loop, *arguments(*slot.with_room(1)))
        self._attentions.append((slot, slot.arrays, len(self._calls) - 1, arguments))

    def turns(self, rotary):
        """Return arrays (1, n) for the cosines and sines of a token's angles, which all layers share that have one `Rotary`."""
        if id(rotary) not in self._turns:
            n = len(rotary.frequencies)
            self._turns[id(rotary)] = rotary, np.zeros((1, n), self.dtype), np.zeros((1, n), self.dtype)
        return self._turns[id(rotary)][1:]

    def end(self, logits):
        """Say where the calls leave the logits (R, V): then the program can run."""
        self._logits = logits
        self._codes = np.array([call.write(*call.arguments) for call in self._calls], np.int64)
        self._places = np.array([call.memory.ctypes.data for call in self._calls], np.int64)

    # ------------------------------------------------------------------------------------ running it

    def fits(self, state, n_rows):
        """Return whether the program can make the next token's logits: nothing was changed but by itself, and there is room."""
        length = state.length
        if n_rows != self.n_rows or state.slots != self._slots or length >= self.room:
            return False
        held = all(slot.length == length and len(slot.arrays[0]) == n_rows for slot in self._slots)
        return held and all(parameter.data is data for parameter, data in self._weights)

    def run(self, ids):
        """Return the logits (B, V) of the token after ids (B,); the state has one more position then."""
        with self._state.forward():  # an error changes nothing
            self._prepare(ids, self._state.length)
            if self.is_shared:
                workers.awake.words()
            _run(self._codes, self._places)
            for slot in self._slots:
                slot.length += 1
            return self._logits[: self.n_rows].copy()

    def _prepare(self, ids, length):
        """Write what changes from token to token into the arrays that calls read."""
        for i, (slot, arrays, number, arguments) in enumerate(self._attentions):
            now = slot.with_room(1)
            if now is not arrays:  # they were too small, or rows were selected
                self._codes[number] = self._calls[number].write(*arguments(*now))
                self._attentions[i] = slot, now, number, arguments
        for rotary, cos, sin in self._turns.values():
            cos[:], sin[:] = rotary.turns(length, self.dtype)
        self.ids[: self.n_rows], self.before[0] = ids, length


class _Call:
    """A call that is written down: memory with its arguments, whose arrays have to exist as long as it does."""

    def __init__(self, loop, arguments):
        self.loop, self.memory, self.arguments = loop, np.zeros(CALL, np.uint8), arguments

    def write(self, *arguments):
        """Return the address of code that calls the loop with these arguments."""
        self.arguments = arguments
        return bound(self.loop, self.memory, *arguments)
