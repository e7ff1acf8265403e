"""Ranks under a real mpirun: the bits of as many threads on one machine, in all that a step depends on."""

import json
from pathlib import Path

import pytest
import ranks_cases
from mpirun import mpirun, needs_mpi

pytestmark = [needs_mpi, pytest.mark.compiled]


@pytest.mark.parametrize("n, threads, accumulate, divide", [(2, 1, 1, 0), (3, 1, 2, 1), (2, 2, 1, 0)])
def test_ranks_have_the_bits_of_threads(n, threads, accumulate, divide):
    """Catches rows that two ranks share or that none has, another order of sums, a divisor or a norm of a rank's own rows,
    dropout by a row's place in its rank, and a table's rows added twice; moments of two ranks, and weights that one has not."""
    done = mpirun(n, Path(ranks_cases.__file__), threads, accumulate, divide)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout.splitlines()[0])
    for case in ranks_cases.CASES:
        assert found[case] == ranks_cases.result(case, n * threads, accumulate), case
