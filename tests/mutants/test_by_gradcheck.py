"""Some of the mutants of `by_gradcheck`, and the machinery that makes them; the whole table takes two minutes."""

import ast
import functools
from dataclasses import replace

import numpy as np
import pytest

from mutants import GRADIENTS, SOURCE, Mutant, mutated
from mutants.by_gradcheck import PROBLEMS, examine, examine_sound, load, table
from tinytx import ops

SOME = [
    ("ops/layer_norm.py", "eps forgotten"),
    ("ops/gelu.py", "0.0447 for 0.044715"),
    ("ops/softmax.py", "sum without the last"),
    ("ops/attention.py", "dv assigned by each tile"),
    ("ops/cross_entropy.py", "1/N forgotten"),
    ("ops/kl_divergence.py", "spread over all V words"),
    ("ops/tsne.py", "a point is its own neighbour"),
    ("layers/block.py", "short cut forgotten, post-norm"),
    ("layers/block.py", "x and memory exchanged"),
    ("models/stacks.py", "dmemory of the last layer only"),
]


def named(file, name):
    return next(mutant for mutant in GRADIENTS if (mutant.file, mutant.name) == (file, name))


@pytest.mark.parametrize(("file", "name"), SOME)
def test_is_found(file, name):
    found = examine(named(file, name), with_torch=False)
    assert found["verdict"] == "FAIL" and found["torch"] == "-"
    assert found["tensor"] and found["index"]
    assert name in table([found])


@pytest.mark.parametrize(("file", "name"), SOME)
def test_the_same_without_the_mistake_passes(file, name):
    assert examine_sound(named(file, name).problem, with_torch=False) == ("PASS", "-")


@functools.cache
def parsed(file):
    """Return a file's text, and what it says."""
    source = (SOURCE / file).read_text(encoding="utf-8")
    return source, ast.dump(ast.parse(source))


@pytest.mark.parametrize("mutant", GRADIENTS, ids=lambda mutant: f"{mutant.file}-{mutant.name}")
def test_the_table_is_not_rotten(mutant):
    """Every old text occurs once, every new text is Python, and every problem exists."""
    source, said = parsed(mutant.file)
    assert ast.dump(ast.parse(mutated(source, mutant))) != said
    assert mutant.problem in PROBLEMS


def test_rot_is_an_error():
    lost = Mutant("lost", "ops/relu.py", "no such text", "")
    with pytest.raises(ValueError, match="'no such text' occurs 0 times in ops/relu.py, expected once"):
        load(lost)


def test_every_backward_of_an_operation_is_in_the_table():
    """A new operation needs mutants, too."""
    files = {getattr(ops, name).__module__.split(".")[-1] for name in ops.__all__ if name.endswith("_backward")}
    assert {f"ops/{name}.py" for name in files} <= {mutant.file for mutant in GRADIENTS}
    assert len(GRADIENTS) >= 60


def test_the_library_stays_as_it_is():
    """The mutant is a module of its own."""
    before = ops.relu_backward
    module = load(named("ops/relu.py", "times y"))
    x = np.array([2.0, -1.0])
    assert module.relu_backward is not before and ops.relu_backward is before
    assert module.relu_backward(x, x)[0] == 4 and ops.relu_backward(x, x)[0] == 2


def test_a_mutant_that_raises_an_error_is_not_found():
    """And ends no run: the operation inside refuses the shape."""
    mutant = replace(named("layers/relative_bias.py", "heads and queries exchanged"), new="dy[0].transpose(2, 1, 0)")
    assert examine(mutant)["verdict"] == "raises"


def test_a_mistake_in_a_loop_reaches_the_loops_that_call_it():
    """Catches a caller that stays compiled with the function as it was."""
    mutant = Mutant("twice the mean", "ops/layer_norm.py", "return mu / scale,", "return mu / scale * 2,")
    huge = np.array([[1e30, -1e30, 2e30]], np.float32)
    weight, bias = np.ones(3, np.float32), np.zeros(3, np.float32)
    assert not np.array_equal(load(mutant).layer_norm(huge, weight, bias)[0], ops.layer_norm(huge, weight, bias)[0])
