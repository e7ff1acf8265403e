"""Small tasks: answers are right by other means, prefixes tell tasks apart, and nothing is drawn twice."""

import pytest

from tinytx.data import small_tasks
from tinytx.data.texts.small_tasks import ADJECTIVES, NOUNS, SMALL_TASKS, in_french

PAIRS = small_tasks(500)


def of(task):
    return [(source.removeprefix(f"{task}: "), target) for source, target in PAIRS if source.startswith(f"{task}: ")]


def test_as_many_of_each_and_none_twice():
    assert [len(of(task)) for task in SMALL_TASKS] == [500] * 5
    assert len({source for source, _ in PAIRS}) == len(PAIRS) == 2500
    assert small_tasks(100, ["sum"]) == [pair for pair in PAIRS if pair[0].startswith("sum")][:100]
    assert small_tasks(100, ["sum"], seed=1) != small_tasks(100, ["sum"])


def test_answers():
    """Checked the other way round: what was reversed or summed is found again."""
    assert all(target == "".join(reversed(source)) for source, target in of("reverse"))
    assert {3, 8} == {min(lengths := [len(source) for source, _ in of("reverse")]), max(lengths)}
    for source, target in of("sort"):
        assert list(target) == sorted(target) and all(source.count(c) == target.count(c) for c in source)
        assert len(source) == len(target)
    for source, target in of("sum"):
        a, b = source.split(" + ")
        assert int(target) - int(a) == int(b) and 0 <= int(a) <= 999


def test_french():
    """By hand: gender of articles and adjectives, and their places; and each generated sentence can be read back."""
    assert in_french("the green mouse looks for a black dog") == "la souris verte cherche un chien noir"
    assert in_french("a pretty hen hears the big horse") == "une jolie poule entend le grand cheval"
    genders = {french: ("la", "une") if feminine else ("le", "un") for french, feminine in NOUNS.values()}
    for source, target in of("french"):
        words = target.split(" ")
        nouns = [i for i, word in enumerate(words) if word in genders]
        assert len(nouns) == 2 and len(source.split(" ")) - source.count("looks for") == len(words)
        for i in nouns:
            articles = genders[words[i]]
            assert words[i - 1] in articles or words[i - 2] in articles, target
        for masculine, feminine, _ in ADJECTIVES.values():
            for form in {masculine, feminine} & set(words):
                noun = next(words[i] for i in nouns if abs(words.index(form) - i) == 1)
                assert form == (feminine if genders[noun][0] == "la" else masculine) or words.count(form) > 1, target


@pytest.mark.parametrize("sentence", ["the cat sleeps", "the cat sees a unicorn", "cat sees dog", "the big black cat sees a dog"])
def test_what_cannot_be_translated(sentence):
    with pytest.raises(ValueError, match="in_french: "):
        in_french(sentence)


def test_bad_arguments():
    with pytest.raises(ValueError, match="small_tasks: n is 100001, expected a whole number of at least 0 and at most 100000"):
        small_tasks(100_001)
    with pytest.raises(ValueError, match="small_tasks: task is 'sing', expected one of date, reverse, sort, sum, french"):
        small_tasks(1, ["sing"])
