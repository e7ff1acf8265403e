"""The table of `suite_mutation_run` and what chooses the tests; the whole run takes an hour."""

import ast

import pytest
from mutants import GRADIENTS, SUITE, Mutant, mutated
from suite_mutation_run import TOP, Copy, rotten, steps_of


def test_the_table_is_not_rotten():
    """Every old text occurs once, and every new text is Python that says something else."""
    assert rotten(SUITE) == []
    for mutant in SUITE:
        source = (TOP / "tinytx" / mutant.file).read_text(encoding="utf-8")
        assert ast.dump(ast.parse(mutated(source, mutant))) != ast.dump(ast.parse(source)), mutant


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


def test_a_mistake_is_found_and_taken_back(tmp_path):
    """One mutant from its copy to the test that finds it, and one that changes nothing."""
    copy = Copy(tmp_path)
    path = copy.folder / "tinytx/metrics/exact_match.py"
    before, time = path.read_text(), path.stat().st_mtime_ns
    wrong = Mutant("all but one", "metrics/exact_match.py", "/ len(references)\n", "/ (len(references) + 1)\n")
    found, what = copy.examine(wrong, 1)
    assert found and what.startswith("metrics/test_exact_match.py::"), what
    same = Mutant("nothing", "metrics/exact_match.py", "sum(h == r for", "sum(r == h for")
    assert copy.examine(same, 1) == (False, "survives")
    assert (path.read_text(), path.stat().st_mtime_ns) == (before, time)
