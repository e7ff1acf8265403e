"""The report: verdicts from good to bad, text, JSON, exceptions."""

import json
import math

import pytest

from tinytx.testing import Report, TensorReport
from tinytx.testing.report import FAIL, INCONCLUSIVE, KINK, PASS, VERDICTS


def report(*verdicts, **settings):
    tensors = [TensorReport(f"t{i}", (2, 3), verdict) for i, verdict in enumerate(verdicts)]
    return Report("op", "full", tensors, **settings)


@pytest.mark.parametrize("worst", range(len(VERDICTS)))
def test_the_worst_tensor_decides(worst):
    assert report(*VERDICTS[: worst + 1]).verdict == VERDICTS[worst]
    assert report(*reversed(VERDICTS[: worst + 1])).verdict == VERDICTS[worst]


def test_nothing_compared_is_inconclusive():
    """A check that has looked at nothing has found nothing out."""
    assert report().verdict == INCONCLUSIVE and not report()
    empty = Report("op", "full", [TensorReport("x", (0, 3))])
    assert empty.verdict == INCONCLUSIVE and not empty


def test_repr_is_the_table():
    """What pytest shows of ``assert gradcheck(...)``, and a notebook of its last line."""
    assert repr(wrong()) == str(wrong()) and "(1, 2)" in repr(wrong())


def test_a_reason_is_inconclusive():
    """What kept the whole check from a verdict outweighs tensors that passed, and no FAIL."""
    assert report(PASS, reason="randomness").verdict == INCONCLUSIVE
    assert report(FAIL, reason="randomness").verdict == FAIL


@pytest.mark.parametrize(
    ("verdict", "passes", "with_kinks"), [(PASS, 1, 1), (KINK, 0, 1), (INCONCLUSIVE, 0, 0), (FAIL, 0, 0)]
)
def test_truth(verdict, passes, with_kinks):
    assert bool(report(verdict)) == passes
    assert bool(report(verdict, accept_kinks=True)) == with_kinks


def test_raise_for_failure():
    report(PASS).raise_for_failure()
    report(KINK, accept_kinks=True).raise_for_failure()
    with pytest.raises(AssertionError, match="gradcheck of op: FAIL"):
        report(PASS, FAIL).raise_for_failure()


def test_by_name():
    assert report(PASS, FAIL)["t1"].verdict == FAIL
    with pytest.raises(KeyError, match="t2: this report has t0, t1"):
        report(PASS, FAIL)["t2"]


def wrong():
    """Return a report with numbers, some of which are not finite."""
    numbers = {"analytic": 2.0, "numeric": 1.0, "error": 1e-12, "index": (1, 2), "checked": 6, "norm": 3.0}
    bad = TensorReport("weight", (2, 3), FAIL, "2 of 6 entries are wrong", "a constant factor", **numbers)
    return Report("op", "full", [bad, TensorReport("bias", (3,), INCONCLUSIVE, analytic=math.inf, numeric=0.0)])


def test_text():
    """Per tensor: name, shape, verdict, worst index, both numbers, their ratio, the error bar; then reason and hint."""
    head, header, weight, bias, *notes = str(wrong()).splitlines()
    assert head == "gradcheck of op: FAIL (full)"
    assert header.split()[:3] == ["tensor", "shape", "verdict"]
    assert weight.split() == ["weight", "(2,", "3)", "FAIL", "6", "(1,", "2)", "2", "1", "2", "1e-12"]
    assert bias.split() == ["bias", "(3,)", "INCONCLUSIVE", "0", "-", "inf", "0", "-", "-"]
    assert notes == ["weight: 2 of 6 entries are wrong", "weight: hint: a constant factor"]


def test_json():
    """Valid JSON, which knows no NaN and no tuples; every field of a tensor is there."""
    found = json.loads(json.dumps(wrong().to_dict(), allow_nan=False))
    assert found["verdict"] == FAIL and found["target"] == "op" and found["mode"] == "full"
    weight, bias = found["tensors"]
    assert weight["index"] == [1, 2] and weight["shape"] == [2, 3] and weight["ratio"] == 2.0
    assert weight["hint"] == "a constant factor" and weight["norm"] == 3.0
    assert bias["analytic"] is None and bias["ratio"] is None and bias["index"] is None
