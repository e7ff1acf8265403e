"""The rule: rtol max(|a|, |n|, r) + 3 e + 10 w, and what a bar must not hide."""

import math

import pytest

from tinytx.testing.judge import Judge
from tinytx.testing.numeric import Estimate, Kink
from tinytx.testing.report import FAIL, INCONCLUSIVE, KINK, PASS

EXACT = Judge(rtol=1e-8, noise=1e-15, wobble=0.0, natural=1.0)


@pytest.mark.parametrize(
    ("analytic", "found", "scale", "verdict"),
    [
        (2.0, Estimate(2.0, 1e-12), 1.0, PASS),
        (2.0 + 1e-8, Estimate(2.0, 1e-12), 1.0, PASS),
        (2.0 + 3e-8, Estimate(2.0, 1e-12), 1.0, FAIL),
        (2.0 + 3e-8, Estimate(2.0, 1e-8), 1.0, PASS),
        (-2.0, Estimate(2.0, 1e-12), 1.0, FAIL),
        (1e-9, Estimate(0.0, 1e-12), 1.0, PASS),  # an entry far below the others: its quotient says nothing
        (1e-9, Estimate(0.0, 1e-12), 1e-9, FAIL),
        (0.0, Estimate(1e-7, 1e-9), 0.0, FAIL),
        (0.0, Estimate(0.0, 1e-10), 0.0, PASS),  # 0 to a billionth of what it could be
        (2.0, Estimate(2.0, 1e-5), 1.0, INCONCLUSIVE),
        (3.0, Estimate(2.0, 1e-5), 1.0, FAIL),
        (2.0, Estimate(math.nan, math.inf), 1.0, INCONCLUSIVE),
        (math.nan, Estimate(2.0, 1e-12), 1.0, FAIL),
        (math.inf, Estimate(math.nan, math.inf), 1.0, FAIL),
        (0.0, Kink(0.0, 1.0, 1e-9), 1.0, KINK),
        (0.5, Kink(1.0, 0.0, 1e-9), 1.0, KINK),
        (-1e-3, Kink(0.0, 1.0, 1e-9), 1.0, FAIL),
        (1 + 1e-3, Kink(0.0, 1.0, 1e-9), 1.0, FAIL),
        (1 + 1e-3, Kink(1.0, 0.0, 1e-9), 1.0, FAIL),
        (math.nan, Kink(0.0, 1.0, 1e-9), 1.0, FAIL),
    ],
)
def test_verdict(analytic, found, scale, verdict):
    assert EXACT.verdict(analytic, found, scale) == verdict


def test_wobble_counts_tenfold_and_by_the_root_of_the_entries():
    judge = EXACT._replace(wobble=1e-9)
    found = Estimate(1.0, 1e-13)
    assert judge.verdict(1 + 1.5e-8, found, 1.0) == PASS
    assert judge.verdict(1 + 4e-8, found, 1.0) == FAIL
    assert judge.verdict(1 + 4e-8, found, 1.0, root_n=4.0) == PASS
    assert EXACT._replace(wobble=1e-6).verdict(1.0, found, 1.0) == INCONCLUSIVE


def test_what_counts_as_zero_depends_on_what_the_gradient_could_be():
    found = Estimate(0.0, 1e-8)
    assert EXACT.verdict(0.0, found, 0.0) == INCONCLUSIVE
    assert EXACT._replace(natural=100.0).verdict(0.0, found, 0.0) == PASS


@pytest.mark.parametrize(
    ("judge", "error", "says"),
    [
        (EXACT, math.inf, "near it the forward is not finite"),
        (EXACT._replace(noise=6e-8), 1e-5, "only exact to 6e-08 (float32 inside?)"),
        (EXACT._replace(wobble=1e-5), 1e-9, "moves by 1.0e-05 when its inputs are rounded anew"),
        (EXACT, 1e-5, "rounding hides it"),
        (EXACT._replace(noise=0.5), 1e-5, "rounding hides it"),  # a jump, and no short numbers
    ],
)
def test_why_wide(judge, error, says):
    assert says in judge.why_wide(Estimate(1.0, error))
