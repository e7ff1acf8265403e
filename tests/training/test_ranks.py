"""Ranks under a real mpirun: the bits of as many threads on one machine, in all that a step depends on."""

import json
from pathlib import Path

import pytest
import ranks_cases
from mpirun import mpirun, needs_mpi

pytestmark = [needs_mpi, pytest.mark.compiled]


@pytest.mark.parametrize("n, threads, accumulate", [(2, 1, 1), (3, 1, 2), (2, 2, 1)])
def test_ranks_have_the_bits_of_threads(n, threads, accumulate):
    """Catches rows that two ranks share or that none has, another order of sums, a divisor or a norm of a rank's own rows,
    dropout by a row's place in its rank, and a table's rows added twice."""
    done = mpirun(n, Path(ranks_cases.__file__), threads, accumulate)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    for case in ranks_cases.CASES:
        assert found[case] == ranks_cases.result(case, n * threads, accumulate), case
