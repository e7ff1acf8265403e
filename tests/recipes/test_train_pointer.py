"""``train pointer``: what the lists are, and what is printed of a run."""

import re

import numpy as np
import pytest

from tinytx.recipes.pointer import SETTINGS, prepare


def test_the_lists():
    """Catches an order from the largest down, steps that are all alike, a length that never comes, held-out lists that are learned."""
    prepared = prepare(SETTINGS(shortest=2, longest=4, batch_size=5), None)
    batches = [prepared.batch(step) for step in range(30)]
    assert {order.shape for _, order in batches} == {(5, 2), (5, 3), (5, 4)}
    for numbers, order in batches + prepared.validation:
        in_order = np.take_along_axis(numbers[:, :, 0], order, axis=1)
        assert (np.diff(in_order, axis=1) > 0).all() and (0 <= numbers).all() and (numbers < 1).all()
    assert len({numbers.tobytes() for numbers, _ in batches + prepared.validation}) == 38
    assert {order.shape[1] for _, order in prepared.validation} == {4}


def test_a_run_says_what_it_learned(trained):
    folder, (code, out, _) = trained("pointer")
    assert code == 0
    before, after = re.search(r"^([\d. ]+)  is taken as  ([\d. ]+)$", out, re.MULTILINE).groups()
    assert sorted(before.split()) == sorted(after.split()) and len(after.split()) == 3
    assert [int(n) for n in re.findall(r"^Of (\d+), longer than any in training: [01]\.\d{3}$", out, re.MULTILINE)] == [4, 6]


def test_lengths_that_do_not_fit(tinytx):
    result = tinytx("train pointer --shortest 9 --longest 5")
    assert result.code == 2 and "--shortest is 9, expected at most --longest, 5" in result.err


@pytest.mark.parametrize("command", ["sample", "translate", "explain"])
def test_other_commands_refuse_the_run(command, trained, tinytx):
    """With an error of one line, and not a traceback."""
    folder, _ = trained("pointer")
    result = tinytx(command, folder, *(["some", "words"][:1] if command != "sample" else []))
    assert result.code == 2 and "Traceback" not in result.err and result.err.strip(), result.err
