"""check_layer and parametrize_with_checks: expected failures, pytest.param, what is refused."""

import numpy as np
import pytest
from broken_scales import ClipsDy, PushesTwice, Scale

from tinytx.testing import check_layer, parametrize_with_checks
from tinytx.testing.promises import check_determinism, check_empty_tape, check_linear_in_dy, check_zero_dy

X = np.random.default_rng(0).normal(size=(2, 3, 5))
QUICK = (check_determinism, check_zero_dy, check_linear_in_dy, check_empty_tape)
CLIPS = {"check_linear_in_dy": "dy is clipped on purpose"}


def marks_by_id(decorator):
    return {parameter.id: [mark.name for mark in parameter.marks] for parameter in decorator.args[1]}


def test_an_expected_failure_is_no_failure():
    with pytest.raises(AssertionError, match="check_linear_in_dy: "):
        check_layer(ClipsDy(5), X, checks=QUICK)
    names = check_layer(ClipsDy(5), X, checks=QUICK, expected_failed_checks=CLIPS)
    assert names == [check.__name__ for check in QUICK]


def test_an_expected_failure_hides_no_other():
    class Both(ClipsDy, PushesTwice):
        pass

    with pytest.raises(AssertionError, match="Both fails 1 of 4 checks\ncheck_empty_tape: "):
        check_layer(Both(5), X, checks=QUICK, expected_failed_checks=CLIPS)


def test_an_expected_failure_that_passes_is_one():
    message = r"check_linear_in_dy: passes, and was expected to fail \(dy is clipped on purpose\): take it out"
    with pytest.raises(AssertionError, match=message):
        check_layer(Scale(5), X, checks=QUICK, expected_failed_checks=CLIPS)


@pytest.mark.parametrize("expected", [CLIPS, lambda layer: CLIPS if isinstance(layer, ClipsDy) else {}])
def test_expected_failures_are_strict_xfails(expected):
    """Of all layers with a dict, of some with a function, as in scikit-learn."""
    made = parametrize_with_checks([(Scale(5), X), (ClipsDy(5), X)], checks=QUICK, expected_failed_checks=expected)
    marks = marks_by_id(made)
    assert marks["ClipsDy-check_linear_in_dy"] == ["xfail"] and marks["ClipsDy-check_zero_dy"] == []
    assert marks["Scale-check_linear_in_dy"] == ([] if callable(expected) else ["xfail"])
    (mark,) = next(p.marks for p in made.args[1] if p.id == "ClipsDy-check_linear_in_dy")
    assert mark.kwargs == {"strict": True, "reason": "dy is clipped on purpose"}


@parametrize_with_checks([(ClipsDy(5), X)], checks=QUICK, expected_failed_checks=CLIPS)
def test_a_layer_with_an_expected_failure(layer, check):
    check(layer)


@pytest.mark.parametrize("call", [lambda e: check_layer(Scale(5), X, expected_failed_checks=e),
                                  lambda e: parametrize_with_checks([(Scale(5), X)], expected_failed_checks=e)])  # fmt: skip
def test_a_check_that_does_not_exist_is_named(call):
    with pytest.raises(ValueError, match="expected_failed_checks: there is no check_lineer: the checks are check_grad"):
        call({"check_lineer": "a typing mistake"})


def test_pytest_param():
    """Its id and its marks are those of all checks of the layer."""
    case = pytest.param(Scale(5), X, id="mine", marks=pytest.mark.skip(reason="slow"))
    marks = marks_by_id(parametrize_with_checks([case, (Scale(5), X)], checks=QUICK[:2]))
    assert marks == {
        "mine-check_determinism": ["skip"],
        "mine-check_zero_dy": ["skip"],
        "Scale-check_determinism": [],
        "Scale-check_zero_dy": [],
    }


@pytest.mark.parametrize(
    ("cases", "message"),
    [
        ([Scale], r"a case is Scale, a class, expected \(layer, \*inputs\)"),
        ([(Scale, X)], r"Scale is a class: hand in an instance, such as Scale\(...\)"),
        ([Scale(5)], r"a case is a Scale, expected \(layer, \*inputs\)"),
        ([(Scale(5),)], r"a case is a tuple, expected \(layer, \*inputs\)"),
    ],
)
def test_cases_that_are_none(cases, message):
    with pytest.raises(TypeError, match=message):
        parametrize_with_checks(cases)


def test_no_case_at_all():
    with pytest.raises(ValueError, match="nothing would be compared"):
        parametrize_with_checks([])
