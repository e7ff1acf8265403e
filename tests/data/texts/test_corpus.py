import sys

import pytest

from tinytx.data import DataError, builtin_corpus


def test_the_builtin_corpus_is_long_plain_and_the_same_each_time():
    text = builtin_corpus()
    assert text == builtin_corpus()
    assert 300_000 < len(text) < 1_000_000
    assert len(set(text)) < 200
    assert text.startswith('The "assert" statement\n') and text.endswith(".\n")


def test_its_topics_are_in_the_order_of_their_names(monkeypatch):
    from pydoc_data import topics

    monkeypatch.setattr(topics, "topics", {"b": "\nsecond\n", "a": "first\n\n"})
    assert builtin_corpus() == "first\n\nsecond\n"


def test_a_python_without_topics_says_so(monkeypatch):
    monkeypatch.setitem(sys.modules, "pydoc_data.topics", None)
    with pytest.raises(DataError, match="has no pydoc_data"):
        builtin_corpus()
