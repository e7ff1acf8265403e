"""Calls that ranks and threads share: all of them, each once, in order, with the results and the errors of one process."""

import json
from pathlib import Path

import pytest
import sharing_cases
from cases import Backwards
from mpirun import mpirun, needs_mpi

from tinytx import workers


@needs_mpi
@pytest.mark.compiled
@pytest.mark.parametrize("n, threads", [(2, 1), (3, 2)])
def test_ranks_share_the_calls(n, threads):
    """Catches an item that no rank has, or that two have; results in another order; a rank that waits for one with an error."""
    done = mpirun(n, Path(sharing_cases.__file__), threads)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[0])
    assert [sorted(calls) for calls in found["spread"]] == [list(range(rank, 5, n)) for rank in range(n)]
    assert found["shared"] == sharing_cases.shared()
    assert found["measures"] == sharing_cases.measures()
    of_rank = "rank {} of {}: {}"
    assert found["errors"] == {
        "all": of_rank.format(0, n, "ValueError: item 0 is bad"),
        "one": of_rank.format(3 % n, n, "ValueError: item 3 is bad"),
        "between": of_rank.format(n - 1, n, "MemoryError: no room here"),
    }


def test_threads_share_the_calls():
    """Catches results in the order in which threads end, a call that shares out its own work beside others, and one that has no help."""
    assert workers.each(str, iter("abc")) == list("abc")
    with workers.use(Backwards(2)):
        assert workers.each(str, range(5)) == list("01234")
        assert workers.each(str, []) == []
    with workers.use(workers.Pool(2)):
        assert workers.each(lambda _: workers.count(), range(3)) == [1, 1, 1]
        assert workers.each(lambda _: workers.count(), range(1)) == [2]
        with pytest.raises(ValueError, match="^item 1 is bad$"):
            workers.each(lambda i: [][i] if i > 1 else _bad(i), range(1, 4))


def test_items_are_taken_when_a_worker_is_free():
    """Catches a display of progress that is at its end before the work has begun."""
    taken = []

    def items():
        for i in range(4):
            taken.append(i)
            yield i
        taken.append("end")

    class Sized:
        __len__, __iter__ = lambda self: 4, lambda self: items()

    with workers.use(Backwards(2)):
        assert workers.each(lambda i: len(taken), Sized()) == [1, 2, 3, 4]
    assert taken == [0, 1, 2, 3, "end"]


def _bad(i):
    raise ValueError(f"item {i} is bad")
