"""The book's pages of models: each begins with what differs from its nearest relative, and the way from one to the next is whole."""

import re
from itertools import islice

import pytest

from tinytx.book import model_pages
from tinytx.book.model_pages import (
    docstring,
    lineage,
    linked,
    operations_of,
    page_of_operation,
    reading_order,
    relative_of,
)
from tinytx.book.prose import paragraphs
from tinytx.derivations.show import operations
from tinytx.models import MODELS

ROOTS = {"gpt"}


@pytest.mark.parametrize("name", MODELS)
def test_a_model_begins_with_its_nearest_relative(name):
    title, first, *_ = docstring(name).split("\n\n")
    assert re.search(r"\d{4}", docstring(name)), "the paper's year"
    assert lineage(name)[0] in ROOTS
    if name not in ROOTS:
        relative = relative_of(name)
        assert relative in MODELS and relative != name
        assert re.search(rf"`(tinytx\.models\.)?({relative}|{MODELS[relative][0].__name__})`", first), "the first paragraph names it"
        assert re.search(r"(?i)differ|`[\w.]+` with|Its blocks are those of", first), "and says what differs"


def test_the_reading_order_has_each_model_once_after_its_relative():
    order = reading_order()
    assert sorted(order) == sorted(MODELS) and order[:3] == ["gpt", "transformer", "t5"]
    assert all(order.index(relative_of(name)) < order.index(name) for name in MODELS if name not in ROOTS)


    at = order.index("nplm")
    assert order[at : at + 3] == ["nplm", "word2vec", "glove"], "what comes from a model follows it at once"


def test_a_page_says_the_whole_way_to_its_model():
    *_, t5 = islice(model_pages.model_pages(), 3)
    way = '<a href="gpt.html">GPT</a> &rarr; <a href="transformer.html">Transformer</a>. Below is what differs'
    assert t5.path == "models/t5.html" and way in t5.body.partition("</p>")[0]


def test_the_nearest_relative_is_the_first_other_model(monkeypatch):
    monkeypatch.setattr(model_pages, "docstring", lambda name: "`Albert` and `Stack`: a `tinytx.models.bert`, no `GPT`")
    assert relative_of.__wrapped__("albert") == "bert"


def test_relatives_in_a_circle_are_refused(monkeypatch):
    monkeypatch.setattr(model_pages, "relative_of", {"a": "b", "b": "c", "c": "b"}.get)
    with pytest.raises(ValueError, match="the nearest relatives of a go in a circle: a -> b -> c -> b"):
        lineage("a")


@pytest.mark.parametrize(
    ("name", "some", "other"),
    [("gpt", {"layer_norm", "attention"}, "lstm"), ("t5", {"rms_norm"}, "layer_norm"), ("ntm", {"addressing", "memory"}, "softmax")],
)
def test_operations_of_a_model(name, some, other):
    found = operations_of(name)
    assert some <= set(found) and other not in found
    assert found == [page for page in operations() if page in found], "in the order in which to read them"


def test_names_are_links():
    text = "<code>Bert</code> <code>tinytx.models.t5</code> <code>tinytx.ops.address</code> <code>GPT</code> <code>x</code>"
    assert linked(text, "gpt") == (
        '<a href="../models/bert.html"><code>Bert</code></a> <a href="../models/t5.html"><code>tinytx.models.t5</code></a> '
        '<a href="../ops/addressing.html"><code>tinytx.ops.address</code></a> <code>GPT</code> <code>x</code>'
    )
    assert page_of_operation("attention_backward") == "attention" and page_of_operation("dropout_key") is None


def test_lists_of_a_docstring():
    """Catches an item whose second line is taken for code."""
    assert paragraphs("1. one\n   two\n2. three") == "<ol><li>one two</li><li>three</li></ol>"
    assert paragraphs("* a < b\n  c") == "<ul><li>a &lt; b c</li></ul>"
