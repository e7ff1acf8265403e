"""Every fault of the zoo is caught, where it is and by the check named; its original passes; and what hid it did."""

from functools import cache

import pytest

from bug_zoo import FAULTS
from bug_zoo.checks import CHECKS, report
from tinytx import TapeError

GRADIENTS = [fault for fault in FAULTS if fault.caught_by == "gradcheck"]
OTHERS = [fault for fault in FAULTS if fault.caught_by != "gradcheck"]
HIDDEN = [fault for fault in FAULTS if fault.unseen]
CONDITIONAL = [fault for fault in GRADIENTS if fault.unseen and fault.fails and not fault.same_when_unseen()]


def each(faults):
    return pytest.mark.parametrize("fault", faults, ids=[fault.name.replace(" ", "-") for fault in faults])


@cache
def verdict(specimen, settings):
    """Return gradcheck's verdict; originals are shared by several faults, and checked once."""
    return report(specimen, **dict(settings)).verdict


@each(GRADIENTS)
def test_gradcheck_catches(fault):
    found = report(fault.broken, **fault.settings)
    failing = {tensor.name for tensor in found.tensors if tensor.verdict != "PASS"}
    if fault.fails:
        worst = found[fault.fails[0]]
        assert worst.verdict == found.verdict == "FAIL", found
        assert failing == set(fault.fails), found
        assert fault.says in worst.hint, found
        assert not fault.places or any(worst.index[: len(place)] == place for place in fault.places), found
    else:
        assert found.verdict == "INCONCLUSIVE" and fault.says in found.reason, found
    assert verdict(fault.sound, tuple(fault.settings.items())) == "PASS"


@each(OTHERS)
def test_check_catches(fault):
    check = CHECKS[fault.caught_by]
    check(fault.sound, fault)
    with pytest.raises((AssertionError, ValueError, TapeError)) as caught:
        check(fault.broken, fault)
    assert fault.says in str(caught.value)


@each(HIDDEN)
def test_hidden_by(fault):
    CHECKS[fault.unseen_by](fault.unseen, fault)


@each(CONDITIONAL)
def test_a_naive_check_finds_it_elsewhere(fault):
    """So the condition hid it, and not the check's own weakness."""
    with pytest.raises(AssertionError):
        CHECKS["naive"](fault.broken, fault)


def test_every_entry_says_what_it_is():
    assert len({fault.name for fault in FAULTS}) == len(FAULTS) >= 28
    assert all(fault.found_in and fault.hidden_by and fault.caught_by in CHECKS for fault in FAULTS)
