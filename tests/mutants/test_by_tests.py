"""The mutants of `by_tests` and the tests that are nearest to them; the whole run takes an hour."""

import ast
import subprocess
import sys

import pytest

from mutants import GRADIENTS, SUITE, Mutant, mutated, rotten
from mutants.nearest import TOP, steps_of


def test_the_table_is_not_rotten():
    """Every old text occurs once, and every new text is Python, but for a page's program."""
    assert rotten(SUITE) == []
    for mutant in SUITE:
        changed = mutated((TOP / "tinytx" / mutant.file).read_text(encoding="utf-8"), mutant)
        assert mutant.file.endswith(".js") or ast.parse(changed)


def test_there_are_many_and_no_two_alike():
    assert len(SUITE) >= 150
    assert len({(mutant.file, mutant.old, mutant.new) for mutant in [*SUITE, *GRADIENTS]}) == len(SUITE) + len(GRADIENTS)


@pytest.mark.parametrize("file", sorted({mutant.file for mutant in SUITE}))
def test_a_file_has_tests(file):
    """Catches a folder or a file of tests that was renamed."""
    for paths, _ in steps_of(file):
        for path in paths:
            assert (TOP / "tests" / path).exists(), path


def test_rot_is_named():
    lost = Mutant("lost", "ops/relu.py", "no such text", "")
    assert rotten([lost]) == ["mutant 'lost': 'no such text' occurs 0 times in ops/relu.py, expected once"]
    (message,) = rotten([Mutant("lost", "ops/no_such_file.py", "", "")])
    assert "no_such_file.py" in message


def test_it_finds_a_mistake_in_a_copy():
    """One mutant from the table to the test that finds it; the library stays as it is."""
    path = TOP / "tinytx/metrics/perplexity.py"
    before = path.read_bytes(), path.stat().st_mtime_ns
    command = [sys.executable, str(TOP / "tests/mutation_run.py"), "tests", "--near", "--only", "negative counts"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stdout + result.stderr
    assert "perplexity.py: negative counts are let through  <- metrics/test_perplexity.py::test_" in result.stdout
    assert "1 mutants, 0 survive, 100.0% found" in result.stdout
    assert before == (path.read_bytes(), path.stat().st_mtime_ns)
