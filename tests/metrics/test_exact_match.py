import pytest

from tinytx.metrics import exact_match


@pytest.mark.parametrize(
    "hypotheses, share",
    [(["a", "b", "c"], 1), (["a", "b", "C"], 2 / 3), (["a ", "", "cc"], 0), (["b", "a", "c"], 1 / 3)],
)
def test_the_share_of_equal_texts(hypotheses, share):
    assert exact_match(hypotheses, ["a", "b", "c"]) == share


@pytest.mark.parametrize(
    "hypotheses, references, match",
    [
        ("abc", "abd", "exact_match: hypotheses is a str, 'abc', expected a list of str: put it in brackets"),
        (["a"], "b", "references is a str, 'b'"),
        (["a", 3], ["a", "b"], r"hypotheses\[1\] is a int, expected a str"),
        (["a"], [None], r"references\[0\] is a NoneType"),
    ],
)
def test_what_is_no_list_of_texts(hypotheses, references, match):
    """Catches letters that are compared one by one: "abc" and "abd" were right by two thirds."""
    with pytest.raises(TypeError, match=match):
        exact_match(hypotheses, references)


@pytest.mark.parametrize("hypotheses, references", [([], []), (["a"], []), (["a"], ["a", "b"])])
def test_errors(hypotheses, references):
    with pytest.raises(ValueError, match=f"{len(hypotheses)} hypotheses and {len(references)} references"):
        exact_match(hypotheses, references)
