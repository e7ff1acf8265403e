"""The page of words: one file, whose data is right, which no word can break. In a browser: tests/pages."""

import configparser
import json
import re
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

import tinytx
from tinytx.vectors import nearest
from tinytx.viz import word_page
from tinytx.viz.page import as_script, fill
from tinytx.viz.word_page import GRID

WORDS = [
    "le",
    "</script><script>document.title='broken'</script>",
    "<!--",
    "<b>&amp;",
    "a\nb",
    "\ud800",
    "{{NOTE}}",
    "été",
]


def arrays(n=8):
    rng = np.random.default_rng(0)
    return rng.normal(size=(n, 2)) * [3, 1], rng.normal(size=(n, 4)).astype(np.float32)


class Page(HTMLParser):
    """The elements of a page, what each has written in it, and every attribute."""

    def __init__(self, path):
        super().__init__()
        self.elements, self.attributes, self.text = [], [], {}
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        self.elements.append(tag)
        self.attributes += attrs

    def handle_data(self, data):
        if data.strip():
            self.text.setdefault(self.elements[-1], []).append(data)

    @property
    def data(self):
        return json.loads(self.text["script"][0])


def written(tmp_path, words=WORDS, **options):
    y, vectors = arrays(len(words))
    word_page(words, y, vectors, tmp_path / "words.html", **options)
    assert [path.name for path in tmp_path.iterdir()] == ["words.html"]
    return Page(tmp_path / "words.html"), y, vectors


def test_positions_and_neighbours_are_those_given(tmp_path):
    page, y, vectors = written(tmp_path, n=3)
    data = page.data
    shown = np.c_[data["x"], -np.array(data["y"])]
    assert shown.min() >= -GRID and np.ptp(shown[:, 0]) == pytest.approx(GRID, abs=1)
    scale = GRID / np.ptp(y[:, 0])
    np.testing.assert_allclose(shown - shown[0], (y - y[0]) * scale, atol=1.5)
    for i, word in enumerate(WORDS):
        expected = nearest(vectors, WORDS, word, 3)
        assert [WORDS[j] for j in data["near"][i]] == [other for other, _ in expected]
        np.testing.assert_allclose(np.array(data["cosine"][i]) / 1000, [c for _, c in expected], atol=6e-4)


def test_no_word_breaks_the_page(tmp_path):
    """Catches a word that ends the script, begins a comment, is taken for an element, or for a place to fill."""
    page, _, _ = written(tmp_path, title="</title><script>", note="<img src=x onerror=alert(1)>")
    plain, _, _ = written(tmp_path, words=[f"w{i}" for i in range(8)])
    assert page.elements == plain.elements
    assert page.data["words"][1:4] == WORDS[1:4] and page.data["words"][4:7] == [r"a\nb", r"\ud800", "{{NOTE}}"]
    raw = (tmp_path / "words.html").read_text().partition('id="data"')[2].partition("</script>")[0]
    assert "<" not in raw.partition(">")[2]


@pytest.mark.parametrize("words", [["</script>"], ["<!--<script>"], ["]]>", "&lt;", "\u2028", "\u2029"]])
def test_as_script(words):
    text = as_script({"words": words})
    assert json.loads(text)["words"] == words
    assert not re.search("[<>&\u2028\u2029]", text)


def test_fill_looks_at_nothing_twice():
    assert fill("a {{X}} b {{Y}}{{X}} c", {"X": "{{Y}}", "Y": "}}{{X"}) == "a {{Y}} b }}{{X{{Y}} c"
    with pytest.raises(KeyError):
        fill("{{Z}}", {})


def test_it_loads_nothing(tmp_path):
    page, _, _ = written(tmp_path)
    names = dict(page.attributes)
    assert not {"src", "href", "action", "srcset"} & names.keys() and "link" not in page.elements
    policy = next(value for _, value in page.attributes if value and "default-src" in value)
    assert policy.startswith("default-src 'none'")
    text = (tmp_path / "words.html").read_text()
    assert not re.search(
        r"https?://|@import|url\(|fetch\(|XMLHttp|innerHTML|insertAdjacent|document\.write|eval\(", text
    )


def test_colors(tmp_path):
    page, _, _ = written(tmp_path, color=[4, 2, 3, 2, 2, 2, 2, 4], color_name="count")
    assert page.data["color"] == [1, 0, 0.5, 0, 0, 0, 0, 1] and page.data["ends"] == [2, 4]
    page, _, _ = written(tmp_path, color=list("abbcbbbc"), color_name="kind")
    assert page.data["groups"] == ["b", "c", "a"] and page.data["color"] == [2, 0, 0, 1, 0, 0, 0, 1]
    page, _, _ = written(tmp_path, color=[7] * 8)
    assert set(page.data["color"]) == {0}


def test_few_words_and_words_on_one_spot(tmp_path):
    word_page(["a", "b"], np.zeros((2, 2)), np.zeros((2, 3)), tmp_path / "words.html", n=10)
    assert Page(tmp_path / "words.html").data["near"] == [[1], [0]]


def test_wrong_arguments(tmp_path):
    y, vectors = arrays()
    with pytest.raises(ValueError, match=r"word_page: the array for 8 words has shape \(8, 4\), expected \(8, 2\)"):
        word_page(WORDS, vectors, y, tmp_path / "words.html")
    with pytest.raises(ValueError, match="word_page: color has shape"):
        word_page(WORDS, y, vectors, tmp_path / "words.html", color=[1])
    with pytest.raises(ValueError, match="row 2, that of '<!--', has a NaN"):
        word_page(WORDS, np.where(np.arange(8)[:, None] == 2, np.nan, y), vectors, tmp_path / "words.html")
    assert list(tmp_path.iterdir()) == []


def test_the_template_is_packed():
    """An installed package without it fails at the first page."""
    root = Path(tinytx.__file__).parents[1]
    if not (root / "setup.cfg").exists():
        pytest.skip("installed without its source")
    config = configparser.ConfigParser()
    config.read(root / "setup.cfg")
    assert config["options.package_data"]["tinytx.viz"].split(", ") == ["*.html", "*.js"]
