import pytest

from tinytx.metrics import exact_match


@pytest.mark.parametrize(
    "hypotheses, share",
    [(["a", "b", "c"], 1), (["a", "b", "C"], 2 / 3), (["a ", "", "cc"], 0), (["b", "a", "c"], 1 / 3)],
)
def test_the_share_of_equal_texts(hypotheses, share):
    assert exact_match(hypotheses, ["a", "b", "c"]) == share


@pytest.mark.parametrize("hypotheses, references", [([], []), (["a"], []), (["a"], ["a", "b"])])
def test_errors(hypotheses, references):
    with pytest.raises(ValueError, match=f"{len(hypotheses)} hypotheses and {len(references)} references"):
        exact_match(hypotheses, references)
