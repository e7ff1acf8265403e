"""What a model remembers between calls: keys and values of earlier positions, recurrent states, memories.

Layers hold nothing that belongs to one call. A model that is called again and again, as in decoding, gets a `State`;
layers hand it on: ``block(x, tape, state=state)``. Whichever layer remembers something asks for the next slot; the
n-th of these calls in a forward gets the n-th slot, so that a layer used at two places has a slot for each.
"""

from contextlib import contextmanager

import numpy as np

from tinytx.arguments import check_whole
from tinytx.shapes import check_ids

CAPACITY = 64  # positions for which a slot makes room at first


class Slot:
    """What one call remembers.

    Attributes
    ----------
    arrays : tuple of arrays
        Their first axis is the batch's rows. Empty before the first forward. A recurrent layer reads them and assigns
        others; it does not write into them, so that a forward that fails changes nothing.
    length : int
        Positions that `extend` has added.
    """

    def __init__(self, arrays=(), length=0, capacity=None):
        self.arrays, self.length, self._capacity = tuple(arrays), length, CAPACITY if capacity is None else capacity

    def extend(self, *new):
        """Add arrays (B, H, T, K) of new positions; return those of all positions (B, H, S, K), as views.

        Arrays grow by doubling: a position costs its own copy, and not that of all before it.
        """
        stop = self.length + new[0].shape[2]
        self._make_room(stop, new)
        for array, added in zip(self.arrays, new, strict=True):
            array[:, :, self.length : stop] = added
        self.length = stop
        return self.held()

    def _make_room(self, stop, like, in_one_piece=False):
        """Let the arrays have room for ``stop`` positions, each as many rows and heads, and as much width, as an array of ``like``."""
        if not self.arrays or stop > self.arrays[0].shape[2] or in_one_piece and not all(a.flags.c_contiguous for a in self.arrays):
            size = self._capacity if stop <= self._capacity else 2 * stop
            grown = [np.empty((*array.shape[:2], size, array.shape[3]), array.dtype) for array in like]
            for array, old in zip(grown, self.held()):
                array[:, :, : self.length] = old
            self.arrays = tuple(grown)

    def with_room(self, n):
        """Return contiguous arrays with room for n positions behind those that are held, which the caller writes and then counts in ``length``."""
        self._make_room(self.length + n, self.arrays, in_one_piece=True)
        return self.arrays

    def once(self, make):
        """Return arrays that do not change between calls: those of ``make()``, which only the first call runs."""
        if not self.arrays:
            self.arrays = tuple(make())
        return self.arrays

    def held(self):
        """Return the arrays without the room that `extend` keeps for more."""
        return tuple(array[:, :, : self.length] for array in self.arrays) if self.length else self.arrays


class State:
    """The slots of a model, for the rows of one batch. A new one is empty.

    Parameters
    ----------
    slots : iterable of Slot
    capacity : int, optional
        Positions for which new slots make room at first; `CAPACITY` if not given.
    """

    def __init__(self, slots=(), capacity=None):
        self._slots, self._next, self._capacity = list(slots), None, capacity

    @property
    def length(self):
        """The number of positions that `Slot.extend` has added; a memory's do not count."""
        return max((slot.length for slot in self._slots), default=0)

    @property
    def slots(self):
        """The slots that there are so far, in the order of the calls."""
        return tuple(self._slots)

    @property
    def is_by_position(self):
        """Whether all that is held belongs to single positions, as keys and values do, so that `rewind` can keep some of them."""
        return all(slot.length for slot in self._slots)

    @property
    def inside(self):
        """Whether a forward is going on."""
        return self._next is not None

    @contextmanager
    def forward(self):
        """Return the context of one forward, which begins at the first slot; an error in it changes nothing.

        The outermost call of a layer that is given a state opens it.
        """
        before, self._next = self.mark(), 0
        try:
            yield
        except BaseException:
            self.rewind(before)
            raise
        finally:
            self._next = None

    def next(self):
        """Return the slot of this call: the n-th call in a forward gets the n-th slot."""
        if self._next is None:
            raise RuntimeError("State: no forward is going on: call the layer itself, or open state.forward()")
        if self._next == len(self._slots):
            self._slots.append(Slot(capacity=self._capacity))
        self._next += 1
        return self._slots[self._next - 1]

    def passes(self, parts):
        """Yield each of ``parts``; the calls made for it get the slots that those for the part before got.

        So inside one forward a layer reads a text part by part. Where no forward is going on, each call begins at the
        first slot anyway.

        Examples
        --------
        >>> state = State()
        >>> with state.forward():
        ...     slots = [state.next() for part in state.passes("abc")]
        >>> slots[0] is slots[1] is slots[2]
        True
        """
        first = self._next
        for part in parts:
            self._next = first
            yield part

    def forget(self, n):
        """Leave out the last n positions that `Slot.extend` has added, as if they had not been read.

        Raises
        ------
        TypeError, ValueError
            If n is no whole number, or above ``length``.
        """
        n = check_whole("State", "n", n, 0, self.length)
        for slot in self._slots:
            if slot.length:
                slot.length -= n
                slot.arrays = slot.arrays if slot.length else ()

    def mark(self):
        """Return what `rewind` needs to come back to this moment: no copy, since nothing that is held is written over."""
        return [(slot.arrays, slot.length) for slot in self._slots]

    def rewind(self, mark, keep=0):
        """Come back to the moment of a `mark`, as if nothing had been read since, or only the first ``keep`` positions.

        Between both, rows must not have been selected.

        Parameters
        ----------
        mark : what `mark` returned
        keep : int
            Positions read since then that stay.

        Raises
        ------
        TypeError, ValueError
            If ``keep`` is no whole number, or more than were read, or if it is above 0 and a slot holds something that is not there position by
            position, such as a recurrent state; then nothing is changed.

        Examples
        --------
        >>> state = State()
        >>> with state.forward():
        ...     _ = state.next().extend(np.ones((1, 2, 5, 4)))
        >>> mark = state.mark()
        >>> with state.forward():
        ...     _ = state.next().extend(np.ones((1, 2, 3, 4)))
        >>> state.rewind(mark, keep=1)
        >>> state.length
        6
        """
        before = mark + [((), 0)] * (len(self._slots) - len(mark))
        if not check_whole("State", "keep", keep, 0, self.length - max((length for _, length in mark), default=0)):
            del self._slots[len(mark) :]
            for slot, (slot.arrays, slot.length) in zip(self._slots, mark):
                pass
            return
        whole = [n for n, (slot, (arrays, _)) in enumerate(zip(self._slots, before)) if not slot.length and slot.arrays is not arrays]
        if whole:
            raise ValueError(
                f"State: slot {whole[0]} holds what came of all {self.length} positions together, such as a recurrent state: no part of them can be "
                "left out; rewind with keep=0, and read again what is to stay"
            )
        for slot, (_, length) in zip(self._slots, before):
            slot.length = length + keep if slot.length else 0

    def select(self, rows):
        """Keep these rows of the batch, in this order: what a search does with the hypotheses that it follows.

        Parameters
        ----------
        rows : integers (B',), each in 0..B-1, or booleans (B,)
            A row may occur several times, or not at all.

        Raises
        ------
        TypeError, ValueError
            If ``rows`` are no such array; then nothing is changed.
        """
        held = [array for slot in self._slots for array in slot.arrays]
        if not held:
            return
        size, rows = len(held[0]), np.asarray(rows)
        if rows.ndim != 1 or rows.dtype == bool and len(rows) != size:
            raise ValueError(f"State: rows have shape {rows.shape}, expected one axis; the state holds {size}")
        rows = np.flatnonzero(rows) if rows.dtype == bool else check_ids("State", rows, size, what="row")
        for slot in self._slots:
            slot.arrays = tuple(array[rows] for array in slot.arrays)

    def part(self, start, stop):
        """Return the state of rows ``start`` .. ``stop - 1``, for a shard of the batch; this one does not change."""
        return State(Slot((array[start:stop] for array in slot.held()), slot.length) for slot in self._slots)

    def join(self, parts):
        """Take over the states of the shards of a batch, in the order of their rows."""
        slots = zip(*(part._slots for part in parts), strict=True)
        self._slots = [Slot(map(np.concatenate, zip(*(s.held() for s in own))), own[0].length) for own in slots]

    def state_dict(self):
        """Return {name: array}: "lengths" of the slots, and the arrays as "slot.number"."""
        arrays = {f"{n}.{i}": array for n, slot in enumerate(self._slots) for i, array in enumerate(slot.held())}
        return {"lengths": np.array([slot.length for slot in self._slots], np.int64), **arrays}

    @classmethod
    def of(cls, arrays):
        """Return the state with the arrays that `state_dict` returned; errors as those of `load_state_dict`."""
        state = cls()
        state.load_state_dict(arrays)
        return state

    def load_state_dict(self, arrays):
        """Take over what `state_dict` returned.

        Raises
        ------
        ValueError
            If the names are not those of slots 0, 1, ... and of their arrays 0, 1, ...; then nothing is changed.
        """
        lengths = np.asarray(arrays.get("lengths", ()))
        found = [[] for _ in lengths]
        for n, own in enumerate(found):
            while f"{n}.{len(own)}" in arrays:
                own.append(arrays[f"{n}.{len(own)}"])
        if lengths.ndim != 1 or "lengths" not in arrays or 1 + sum(map(len, found)) != len(arrays):
            raise ValueError(f"State: {len(arrays)} arrays named {', '.join(arrays):.200} are not those of a state")
        self._slots = [Slot(own, int(length)) for own, length in zip(found, lengths)]
