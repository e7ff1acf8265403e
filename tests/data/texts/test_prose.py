import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinytx.data import DataError, builtin_corpus, documents, sentences


@pytest.mark.parametrize(
    "text, expected",
    [
        ("One.\nTwo.\n", [["One.", "Two."]]),
        ("One.\n\nTwo.\n \t\n\n\nThree", [["One."], ["Two."], ["Three"]]),
        ("  a\tb  c \n- d", [["a b c", "- d"]]),
        ("a\n***\n...\n\n??\n\nb", [["a"], ["b"]]),
        ("A. B. C.", [["A. B. C."]]),
        ("a\u2028b\x85c", [["a b c"]]),
    ],
)
def test_lines(text, expected):
    assert documents(text) == documents(text, "lines") == expected


@pytest.mark.parametrize(
    "text, expected",
    [
        ("The first one is\nwrapped. The second\n   too!", [["The first one is wrapped.", "The second too!"]]),
        ("It is (so far.) And \"it is so.\" Or is 'it?' Yes, it is.",
         [["It is (so far.)", 'And "it is so."', "Or is 'it?'", "Yes, it is."]]),
        ("In 3.5 it was e.g. this and i.e. that. And more of it.",
         [["In 3.5 it was e.g. this and i.e. that.", "And more of it."]]),
        ("* If it is so.\n\n  * Or if not, then.\n\n1. The first of all.",
         [["If it is so."], ["Or if not, then."], ["The first of all."]]),
        ("The *name* is there. The **rest** is * too.", [["The *name* is there.", "The **rest** is * too."]]),
        ("A heading of it\n***************\n\nThe text of it:\n\n   x = 3\n\nNote:\n\nIt goes on. Then x = 3",
         [["The text of it:"], ["It goes on."]]),
        ("What is it? \"Élan vital\" is it. «Où?» dit-il alors.",
         [["What is it?", '"Élan vital" is it.', "«Où?» dit-il alors."]]),
        ("See also. It says more.\n\nSee below.\n\nOne two three.", [["It says more."], ["One two three."]]),
        ("यह किताब बहुत अच्छी है। मुझे दो किलो चावल चाहिए। वह",
         [["यह किताब बहुत अच्छी है।", "मुझे दो किलो चावल चाहिए।"]]),
        ("Is this the end … or is it not? No, it continues…",
         [["Is this the end … or is it not?", "No, it continues…"]]),
    ],
)  # fmt: skip
def test_prose(text, expected):
    assert documents(text, "prose") == expected
    assert sentences(text, "prose") == [sentence for document in expected for sentence in document]


@given(st.text(st.sampled_from("aB.? \n*\"'1:")), st.sampled_from(["lines", "prose"]))
def test_every_sentence_has_a_word_and_no_line_end(text, layout):
    try:
        found = documents(text, layout)
    except DataError:
        return
    assert all(found)
    for sentence in sentences(text, layout):
        assert any(map(str.isalnum, sentence)) and " ".join(sentence.split()) == sentence
        assert sentence in " ".join(text.split())


def test_the_builtin_corpus():
    found = documents(builtin_corpus(), "prose")
    flat = sentences(builtin_corpus(), "prose")
    assert 1000 < len(found) < 4000 and 2000 < len(flat) < 8000
    assert sum(len(document) > 1 for document in found) > 500
    assert flat[0] == "Assert statements are a convenient way to insert debugging assertions into a program:"
    assert flat == sentences(builtin_corpus(), "prose")
    assert 10 < sum(len(sentence.split()) for sentence in flat) / len(flat) < 25
    assert not any(sentence.startswith((">>>", "+-")) or "****" in sentence for sentence in flat)


@pytest.mark.parametrize("layout", ["lines", "prose"])
@pytest.mark.parametrize("text", ["", " \n\n", "...\n\n***"])
def test_texts_without_a_sentence(text, layout):
    with pytest.raises(DataError, match=f"documents: there is no sentence in a text of {len(text)} characters"):
        documents(text, layout)


def test_lines_are_suggested_where_prose_has_no_end():
    with pytest.raises(DataError, match="try layout='lines'"):
        documents("no end\n\nand none here", "prose")


def test_layouts_that_there_are_not():
    with pytest.raises(ValueError, match="layout is 'words', expected 'lines' or 'prose'"):
        sentences("a", "words")
