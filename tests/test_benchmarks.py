"""What the benchmarks compare computes the same thing."""

import importlib
import sys
from pathlib import Path

import pytest

sys.path.append(str(Path(__file__).parents[1] / "benchmarks"))
op_sides = importlib.import_module("op_sides")
SHAPE = importlib.import_module("sides").Shape(vocab_size=50, max_len=32, d_model=64, n_heads=4, n_layers=1, batch=2)


@pytest.fixture(params=op_sides.OURS)
def problem(request):
    """Return an operation's name, its case, and the results of its NumPy twin."""
    case = op_sides.make_case(request.param, SHAPE)
    return request.param, case, op_sides.twin_results(request.param, case)


def test_twins_are_equal(problem):
    name, case, expected = problem
    op_sides.check(name, op_sides.OURS[name], case, expected)


def test_pytorch_is_equal(problem):
    pytest.importorskip("torch")
    name, case, expected = problem
    op_sides.check(name, op_sides.torch_side()[name], op_sides.torch_case(name, case), expected)


def test_another_gradient_is_refused(problem):
    """The test of the test: the last gradient alone is 5 % too large."""
    name, case, expected = problem
    forward, backward = op_sides.OURS[name]

    def mutant(dy, saved):
        gradients = backward(dy, saved)
        *others, last = gradients if isinstance(gradients, tuple) else (gradients,)
        return (*others, last * last.dtype.type(1.05))

    with pytest.raises(AssertionError):
        op_sides.check(name, (forward, mutant), case, expected)


def test_shards_are_the_whole(problem):
    """Nothing of the batch is left out where threads share it."""
    _, case, _ = problem
    shards = case.shards(2)
    assert [sum(map(len, arrays)) for arrays in zip(*(shard.rows for shard in shards))] == [2] * len(case.rows)
    assert case.dy is None or sum(len(shard.dy) for shard in shards) == 2
