"""Calls of one function on many items, such as a model's parameters, that compiled code makes again.

Where a function calls kernels alone, on arrays that stay, most of its time with short arrays is Python's: 10 us for each item, under the interpreter's lock.
"""

import numpy as np

from tinytx import workers
from tinytx.calls import Repeated
from tinytx.members import owner_of
from tinytx.recording import Recording, found, recording
from tinytx.workers.pool import grouped


class Again:
    """What `tinytx.workers.pool.map_grouped` computes, recorded, and made again by compiled code: the same machine code, so the same bits.

    Parameters
    ----------
    f : function (item)
        Computes with kernels alone, and reads numbers by `tinytx.recording.result` alone.
    items, size
        As for `map_grouped`.
    known : iterable of arrays
        All arrays of kernels that are not made by `tinytx.recording.empty`.

    Raises
    ------
    LookupError
        If a kernel was called with another array, such as a copy that NumPy has made, which compiled code would not make again; or as for
        `Repeated`. All calls have been made then.
    """

    def __init__(self, f, items, size, known):
        recordings = []
        for group in grouped(items, size):
            with recording(Recording(keeps_made=True)) as made:
                for item in group:
                    f(item)
            recordings.append(made)
        owners = {id(owner_of(array)) for array in [*known, *(array for made in recordings for array in made.made)]}
        given = found(np.ndarray, [arguments for made in recordings for _, arguments in made.calls])
        if not owners.issuperset(id(owner_of(array)) for array in given):
            raise LookupError("Again: a kernel was called with an array that it does not know")
        self._groups = [Repeated(made) for made in recordings]

    def again(self):
        """Make all calls, in the workers in use; return what is read after them."""
        return [result for results in workers.map(Repeated.again, self._groups) for result in results]
