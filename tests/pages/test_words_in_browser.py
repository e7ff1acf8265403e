"""The page of words in a browser: its address, its search and its keys open a word, and its neighbours stand beside it."""

import re

import numpy as np
import pytest
from browser import told

from tinytx.vectors import nearest
from tinytx.viz import word_page

WORDS = ["le", "</script><script>document.title='broken'</script>", "<!--", "<b>&amp;", "a\nb", "été", "chat", "chien"]
READY = "#legend:has-text('rank')"


@pytest.fixture
def written(tmp_path):
    """A page, and the vectors of its words."""
    rng = np.random.default_rng(0)
    y, vectors = rng.normal(size=(8, 2)) * [3, 1], rng.normal(size=(8, 4)).astype(np.float32)
    word_page(WORDS, y, vectors, tmp_path / "words.html", n=3)
    return tmp_path / "words.html", vectors


def shown(word):
    return word.replace("\n", r"\n")


def shows(page, vectors, word):
    """Assert that a word and its neighbours are shown."""
    told(page, "#word", f"^{re.escape(shown(word))}$")
    expected = nearest(vectors, WORDS, word, 3)
    cosines = [float(text) for text in page.locator("#near li span:last-child").all_text_contents()]
    np.testing.assert_allclose(cosines, [cosine for _, cosine in expected], atol=0.006)
    assert page.locator("#near li span:first-child").all_text_contents() == [shown(other) for other, _ in expected]


@pytest.mark.parametrize(("address", "word"), [("#%C3%A9t%C3%A9", "été"), ("#%3C!--", "<!--")])
def test_an_address_opens_a_word(opened, written, address, word):
    page = opened(written[0], READY, address=address)
    shows(page, written[1], word)
    assert page.title() == "Words"


@pytest.mark.parametrize("dark", [False, True])
def test_a_word_is_found_in_a_narrow_window(opened, written, dark):
    page = opened(written[0], READY, address="#%E0%A4%A", width=360, dark=dark)  # no text in UTF-8: no word
    assert page.text_content("#word") == "" and page.locator("#near li").count() == 0
    page.fill("#search", "cha")
    page.press("#search", "Enter")
    shows(page, written[1], "chat")
    page.click("#near li button >> nth=0")
    shows(page, written[1], nearest(written[1], WORDS, "chat", 1)[0][0])
    page.focus("#map")
    for key in ("+", "ArrowLeft", "0"):
        page.keyboard.press(key)
