"""Processes that train together, on one machine or on many: MPI's ranks, set from above as pools of threads are.

Whoever starts them opens ``with use(Ranks(MPI.COMM_WORLD)):``, and so does ``mpirun -n 4 python -m mpi4py -m tinytx train``.
All ranks run the same program with the same data; a trainer made inside takes a rank's share of each batch.

Whoever waits here sleeps between looks: MPI's own waiting keeps a processor busy.
"""

import contextlib
import contextvars
import os
import sys
import time
from types import SimpleNamespace

import numpy as np

from tinytx.workers.messages import packed, unpacked

TAGS = 2**14  # of messages under way
LOOKS, SHORTEST, LONGEST = 50, 2e-5, 2e-3  # looks before the first sleep; seconds of the first sleep, and of the last


class RanksError(RuntimeError):
    """An error of one rank, which all ranks raise."""


class Alone:
    """What is in use where there is a single process.

    Attributes
    ----------
    rank, size : int
        The number of this process, and how many there are.
    is_first : bool
        Whether this process prints and writes files.
    """

    rank, size, is_first = 0, 1, True

    def gather(self, value):
        """Return the values that all ranks gave, such as `packed` takes, in the order of ranks: a list."""
        return [value]

    def outcomes(self, work):
        """Return what a function returns on each rank, in the order of ranks: what `packed` takes.

        Raises
        ------
        Exception
            The function's error. Of several ranks all raise a `RanksError` that says what the first of those that failed said; one
            that the function itself raises is known to all ranks already.
        """
        return [work()]

    def share(self, value):
        """Return the value that the first rank gave."""
        return self.gather(value if self.is_first else None)[0]

    def any(self, value):  # noqa: A003
        """Return whether the value of any rank is true."""
        return any(self.gather(bool(value)))

    def least(self, value):
        """Return the smallest value of all ranks."""
        return min(self.gather(value))

    def wait(self):
        """Wait until all ranks are here."""
        self.gather(None)

    def spread(self, owned):
        """Give all ranks the arrays of those that own them: [(rank of the owner, array)], which the others write to."""

    def collect(self, owned):
        """Return the arrays that their owners have, on the first rank; there is one rank here."""
        return [array for _, array in owned]

    def threads(self, processors):
        """Return how many threads each rank should use, of so many processors that it may run on."""
        return processors

    def check_same(self, name, value, remedy="start all ranks with the same program, flags, files and versions"):
        """Raise ValueError unless all ranks have the same value."""
        values = self.gather(value)
        other = next((rank for rank, theirs in enumerate(values) if theirs != values[0]), None)
        if other is not None:
            facts = f"rank 0 has {values[0]}, rank {other} has {values[other]}"
            raise ValueError(f"{name}: {facts}: {remedy}")


class Ranks(Alone):
    """The ranks of a communicator of mpi4py.

    Parameters
    ----------
    comm : mpi4py.MPI.Comm
        Such as ``MPI.COMM_WORLD``. All its ranks make one of these, at the same time.

    Attributes
    ----------
    sent, received : int
        Bytes of arrays and objects that this rank has sent and received so far, without those of `gather`.
    """

    def __init__(self, comm):
        self.rank, self.size = comm.Get_rank(), comm.Get_size()
        self.is_first = self.rank == 0
        self._comm, self._messages = comm.Dup(), comm.Dup()
        self.sent = self.received = 0

    def gather(self, value):
        return self._gathered(packed(value))

    def outcomes(self, work):
        cause = None
        try:
            message = packed([work()])
        except RanksError:
            raise
        except Exception as error:
            cause, message = error, packed(f"{type(error).__name__}: {error}")
        said = self._gathered(message)
        failed = next((rank for rank, outcome in enumerate(said) if isinstance(outcome, str)), None)
        if failed is not None:
            raise RanksError(f"rank {failed} of {self.size}: {said[failed]}") from cause
        return [value for value, in said]

    def _gathered(self, message):
        """Return the values of the messages of all ranks."""
        text = np.frombuffer(message, np.uint8)
        sizes = np.empty(self.size, np.int64)
        _wait(self._comm.Iallgather(np.array([len(text)]), sizes))
        texts = np.empty(sizes.sum(), np.uint8)
        _wait(self._comm.Iallgatherv(text, [texts, sizes]))
        ends = sizes.cumsum()
        return [unpacked(texts[end - size : end]) for size, end in zip(sizes, ends)]

    def threads(self, processors):
        own = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None
        here = self.gather((os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME"), own))
        return self.least(max(1, processors // here.count(here[self.rank])))  # equal ones share the same processors

    def spread(self, owned):
        messages, others = self._messages, [rank for rank in range(self.size) if rank != self.rank]
        requests = []
        for number, (owner, array) in enumerate(owned):
            tag = number % TAGS
            if owner == self.rank:
                requests += [messages.Isend(array, rank, tag) for rank in others]
            else:
                requests.append(messages.Irecv(array, owner, tag))
        _wait_for_all(requests)

    def collect(self, owned):
        """Return the arrays that their owners have, on the first rank: copies of those of others. Elsewhere only own ones count."""
        arrays, requests = [array for _, array in owned], []
        for number, (owner, array) in enumerate(owned):
            if owner != 0 and self.rank == owner:
                requests.append(self._messages.Isend(array, 0, number % TAGS))
            elif owner != 0 and self.is_first:
                arrays[number] = np.empty(array.shape, array.dtype)
                requests.append(self._messages.Irecv(arrays[number], owner, number % TAGS))
        _wait_for_all(requests)
        return arrays

    def exchange(self, tag, send, receive):
        """Begin to send an array to each other rank and to receive one from each; return a function that says if it is done.

        It may run in one thread while another uses the other methods.

        Parameters
        ----------
        tag : int
            Below 2**15, the same on all ranks; other than those of messages under way.
        send, receive : list of arrays, contiguous
            By rank; this rank's own are not looked at.
        """
        others = [(self.rank + i) % self.size for i in range(1, self.size)]
        requests = [self._messages.Irecv(receive[rank], rank, tag) for rank in others]
        requests += [self._messages.Isend(send[rank], rank, tag) for rank in others]
        self.received += sum(receive[rank].nbytes for rank in others)
        self.sent += sum(send[rank].nbytes for rank in others)
        kind = type(requests[0])
        return lambda: kind.Testall(requests)


def _wait_for_all(requests):
    """Wait for requests of MPI."""
    if requests:
        _wait(SimpleNamespace(Test=lambda: type(requests[0]).Testall(requests)))


def _wait(request):
    """Wait for a request of MPI, asleep most of the time."""
    looks, pause = 0, SHORTEST
    while not request.Test():
        looks += 1
        if looks > LOOKS:
            time.sleep(pause)
            pause = min(LONGEST, 1.2 * pause)


_in_use = contextvars.ContextVar("ranks", default=Alone())


def current():
    """Return the ranks in use: `Alone` outside of `use`."""
    return _in_use.get()


@contextlib.contextmanager
def use(ranks):
    """Return a context in which trainers made share their batches with the other ranks."""
    token = _in_use.set(ranks)
    try:
        yield ranks
    finally:
        _in_use.reset(token)


STARTED = ("PMI_SIZE", "PMIX_SIZE", "OMPI_COMM_WORLD_SIZE", "MPI_LOCALNRANKS")  # what starters of MPI tell each process


def of_this_start(command):
    """Return the ranks that this process was started as one of, by ``mpirun -n N python -m mpi4py ...``.

    Parameters
    ----------
    command : str
        What follows ``python`` in the message of an error.

    Raises
    ------
    ValueError
        If mpirun started several processes, and they do not know of each other.
    """
    n = max((int(os.environ[name]) for name in STARTED if os.environ.get(name, "").isdigit()), default=1)
    started = f"mpirun has started {n} processes"
    right = f"mpirun -n {n} python -m mpi4py {command}"
    if "mpi4py" not in sys.modules:
        if n > 1:
            raise ValueError(f'{started}, and each would train by itself: {right}, which pip install "tinytx[mpi]" makes possible')
        return Alone()
    from mpi4py import MPI  # the process was started with it, so it is there

    if MPI.COMM_WORLD.Get_size() > 1:
        return Ranks(MPI.COMM_WORLD)
    if n > 1:
        library = MPI.Get_library_version().split("\n")[0].strip("\0 ")
        raise ValueError(f"{started}, and mpi4py sees one: it uses {library}: start with the mpirun of that, as in {right}")
    return Alone()
