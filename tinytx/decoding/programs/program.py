"""A program: calls of loops with arguments that stay what they are, made one after the other by compiled code.

The logits of one more token take some twenty calls of loops in each block. In a small model each of them takes a microsecond or two, and the
interpreter ten times as long to find out, for every token anew, what is to be called with which arrays. A `Program` has
written down which loops are called, with arrays of its own for what is between them; a token is then one call.
"""

import math
from operator import attrgetter, is_

import numpy as np

from tinytx import workers
from tinytx.calls import CALL, bound, run_calls
from tinytx.kernel import kernel, share


class NoProgram(Exception):
    """Something has no program: a layer of a kind, or with a setting, for which there are no calls."""


class Large(Exception):
    """A matrix is so large that threads share its product, and not the rows of a batch."""


@kernel
def _run_part(i, codes, places):
    run_calls(codes[i], places[i])


@kernel
def _run(words, codes, places):
    """Run programs, each a row of addresses."""
    share(words, _run_part, len(codes), (codes, places))


class Inputs:
    """What programs share that make one token together: arrays with what changes from token to token, which their calls read.

    Parameters
    ----------
    n_rows : int
        R, of all programs together.

    Attributes
    ----------
    ids : int64 array (R,)
        The tokens.
    before : int64 array (1,)
        The number of positions before.
    written : dict
        For the id of each layer whose calls a program has, its row of the table in ``calls.py``: other programs need not look at the layer once more.
    """

    def __init__(self, n_rows):
        self.ids, self.before, self.written, self._turns = np.zeros(n_rows, np.int64), np.zeros(1, np.int64), {}, {}

    def turns(self, rotary, dtype):
        """Return arrays (1, n) for the cosines and sines of a token's angles, which all layers share that have one `Rotary`."""
        if id(rotary) not in self._turns:
            self._turns[id(rotary)] = rotary, *(np.zeros((1, len(rotary.frequencies)), dtype) for _ in range(2))
        return self._turns[id(rotary)][1:]

    def write(self, ids, length):
        """Write the ids of a token (B,), with ``length`` positions before it."""
        self.ids[: len(ids)], self.before[0] = ids, length
        for rotary, cos, sin in self._turns.values():
            cos[:], sin[:] = rotary.turns(length, cos.dtype)


class Program:
    """The calls for one more token of some rows of a batch.

    Parameters
    ----------
    state : State
        With keys and values of the positions before.
    inputs : Inputs
    rows : slice
        Of the batch.
    height : int
        R, the number of rows that calls compute, of which the first count.
    shares_rows : bool
        Whether other threads compute other rows at the same time: `Large` is raised then where they should share a product.

    Attributes
    ----------
    dtype : float32 or float64
        That of keys and values.
    ids : int64 array (R,)
        The tokens.
    before : int64 array (1,)
        The number of positions before.
    words : int64 array
        Memory at which helpers look that are awake: `tinytx.workers.awake`.
    is_shared : bool
        Whether threads share a product.
    room : float
        The number of positions that there are at most.
    logits : array (R, V)
        What the calls make.
    """

    def __init__(self, state, inputs, rows, height, shares_rows):
        self.dtype = next((array.dtype for slot in state.slots for array in slot.arrays), None)
        self.height, self._rows, self._shares_rows = height, rows, shares_rows
        self.ids, self.before, self._inputs = inputs.ids[rows.start : rows.start + height], inputs.before, inputs
        self.words, self.is_shared, self.room, self.logits = workers.awake.memory(), False, math.inf, None
        self.written, self._unused = inputs.written, iter(state.slots)
        self._calls, self._scratch, self._weights, self._attentions = [], {}, [], []

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

    def helpers(self, wanted):
        """Return the words for a call, in which helpers take their part if it is wanted."""
        if wanted and self._shares_rows:
            raise Large
        self.is_shared |= wanted
        return self.words if wanted else self.words[:0]

    def call(self, loop, *arguments):
        """Write down one more call."""
        self._calls.append((loop, arguments))

    def attend(self, loop, arguments):
        """Write down a call whose arguments are arguments(program, *arrays), of the rows of the next slot's arrays, with room for one more position.

        The function is handed the program and holds no reference to it: else keys and values would stay in memory after a text, until Python
        looks for things that refer to each other.
        """
        slot = next(self._unused, None)
        if slot is None or not slot.length:
            raise NoProgram("a state without keys and values of this attention")
        arrays = slot.with_room(1)
        self._attentions.append((slot, arrays, len(self._calls), arguments))
        self.call(loop, *arguments(self, *self._of_rows(arrays)))

    def turns(self, rotary):
        """Return what `Inputs.turns` does."""
        return self._inputs.turns(rotary, self.dtype)

    def _of_rows(self, arrays):
        return [array[self._rows] for array in arrays]

    # ------------------------------------------------------------------------------------ using it

    def addresses(self):
        """Return the addresses of the calls' code, and those of their arguments."""
        self._memory = np.zeros((len(self._calls), CALL), np.uint8)
        codes = [bound(loop, memory, *arguments) for (loop, arguments), memory in zip(self._calls, self._memory, strict=True)]
        return codes, self._memory.ctypes.data + CALL * np.arange(len(codes))

    @property
    def held(self):
        """The slots whose keys and values are read, each with the arrays that it had: a list."""
        return [(slot, arrays) for slot, arrays, _, _ in self._attentions]

    @property
    def parameters(self):
        """Those that are read, and the arrays that they had: two tuples."""
        return tuple(zip(*self._weights, strict=True))

    def read_anew(self, codes):
        """Let calls read the arrays that slots have now, with room for one more position: write new addresses of code into ``codes``."""
        for i, (slot, arrays, number, arguments) in enumerate(self._attentions):
            now = slot.with_room(1)
            if now is not arrays:  # they were too small, or rows were selected
                loop, given = self._calls[number][0], arguments(self, *self._of_rows(now))
                self._calls[number] = loop, given  # the arrays have to exist as long as they are read
                self._attentions[i], codes[number] = (slot, now, number, arguments), bound(loop, self._memory[number], *given)


class Programs:
    """Programs that make the logits of one more token together, each for its rows of the batch.

    Between two tokens a processor's caches are filled with weights, so that each line of Python here takes several times as long as usual.

    Parameters
    ----------
    state : State
    n_rows : int
        B.
    inputs : Inputs
    programs : list of Program
        With ``logits``, in the order of their rows.
    """

    def __init__(self, state, n_rows, inputs, programs):
        self._slots, self._n_rows, self._inputs, self._programs = state.slots, n_rows, inputs, programs
        self._codes, self._places = (np.array(each, np.int64) for each in zip(*(program.addresses() for program in programs), strict=True))
        self._is_shared, self._words = len(programs) > 1 or programs[0].is_shared, programs[0].words
        self._parameters, self._weights = programs[0].parameters
        self._logits, self._room = [program.logits for program in programs], min(program.room for program in programs)
        self._held, self._full = programs[0].held, 0  # positions for which slots have room, once `fit` has looked

    def fit(self, state, n_rows):
        """Return whether they can make the next token's logits: nothing was changed but by themselves, and there is room."""
        length = self._slots[0].length
        if n_rows != self._n_rows or state.slots != self._slots or not 0 < length < self._room:
            return False
        is_same = length < self._full
        for slot, arrays in self._held:
            if slot.length != length:
                return False
            is_same = is_same and slot.arrays is arrays
        if not is_same and any(len(slot.arrays[0]) != n_rows for slot in self._slots):
            return False
        if not all(map(is_, map(_data, self._parameters), self._weights)):
            return False
        if not is_same:
            for program, codes in zip(self._programs, self._codes, strict=True):
                program.read_anew(codes)
            self._held = self._programs[0].held
            self._full = min(arrays[0].shape[2] for _, arrays in self._held)
        return True

    def run(self, ids):
        """Return the logits (B, V) of the token after ids (B,), where they `fit`, as `Session.logits` does; the state has one more position then."""
        slots, length = self._slots, self._slots[0].length
        self._inputs.write(ids, length)
        if self._is_shared:
            workers.awake.words()
        _run(self._words, self._codes, self._places)
        logits = self._logits[0][: self._n_rows] if len(self._logits) == 1 else np.concatenate(self._logits)
        try:
            for slot in slots:
                slot.length = length + 1
        except BaseException:  # Ctrl-C changes nothing
            for slot in slots:
                slot.length = length
            raise
        return logits


_data = attrgetter("data")
