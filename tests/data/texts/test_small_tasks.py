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
    assert [source.partition(":")[0] for source, _ in PAIRS] == [*SMALL_TASKS] * 500
    assert small_tasks(100, ["next"]) == [pair for pair in PAIRS if pair[0].startswith("next")][:100]
    assert small_tasks(100, ["next"], seed=1) != small_tasks(100, ["next"])


def test_answers():
    """Checked the other way round: what was reversed or counted is found again."""
    assert all(target == "".join(reversed(source)) for source, target in of("reverse"))
    assert {3, 6} == {min(lengths := [len(source) for source, _ in of("reverse")]), max(lengths)}
    for source, target in of("sort"):
        assert list(target) == sorted(target) and all(source.count(c) == target.count(c) for c in source)
        assert len(source) == len(target)
    numbers = [int(source) for source, _ in of("next")]
    assert [int(target) - 1 for _, target in of("next")] == numbers and 9 in numbers and 99 in numbers
    assert all(str(number) == source for number, (source, _) in zip(numbers, of("next"))), "no zero begins a number"
    assert {len(str(number)) for number in numbers} == set(range(1, 7)) and sum(n % 10 == 9 for n in numbers) > 150


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
    with pytest.raises(ValueError, match="small_tasks: n is 50001, expected a whole number of at least 0 and at most 50000"):
        small_tasks(50_001)
    with pytest.raises(ValueError, match="small_tasks: task is 'sing', expected one of date, reverse, sort, next, french"):
        small_tasks(1, ["sing"])
