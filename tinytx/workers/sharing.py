"""Calls that ranks and threads share: one function over many items, as a measure of each batch of a test set."""

import threading

from tinytx.workers import ranks
from tinytx.workers.pool import in_use


def each(f, items):
    """Return [f(item), ...] in the order of items: the ranks in use share the calls, and the workers in use those of a rank.

    All ranks call this at the same time, with the same items, and all of them get all results. A call has the same result wherever it
    is made, but a single call has all workers of the first rank (see `tinytx.workers.map`).

    Parameters
    ----------
    f : function (item) -> result
        Of several ranks, what `tinytx.workers.messages.packed` takes.
    items : iterable
        Taken one after the other, whenever a worker is free, if it has a length.

    Raises
    ------
    Exception
        The error of a call. Of several ranks all raise a `tinytx.workers.ranks.RanksError` that says whose it was.
    """
    world, pool = ranks.current(), in_use()
    if world.size == 1 and (pool is None or pool.count == 1):
        return [f(item) for item in items]
    items = items if hasattr(items, "__len__") else list(items)
    turns, lock = enumerate(items), threading.Lock()
    own = range(world.rank, len(items), world.size)

    def call(_):
        with lock:
            number, item = next(turn for turn in turns if turn[0] % world.size == world.rank)
        return number, f(item)

    def calls():
        share = map if pool is None or len(items) == 1 else pool.map
        results = dict(share(call, own))
        return [results[number] for number in own]

    parts = world.outcomes(calls)
    for _ in turns:  # what shows how many are done ends here
        pass
    return [parts[number % world.size][number // world.size] for number in range(len(items))]
