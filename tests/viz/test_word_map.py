"""The picture of words: everything is drawn, no label covers another, and a word may be anything."""

import sys

import numpy as np
import pytest

from tinytx.extras import MissingExtra
from tinytx.viz import word_map as draw
from tinytx.viz.word_map import COLORS, check_color, groups_of

image = pytest.importorskip("matplotlib.image")
figure_module = pytest.importorskip("matplotlib.figure")


def words_and_map(n=60, seed=0):
    return [f"word{i}" for i in range(n)], np.random.default_rng(seed).normal(size=(n, 2))


@pytest.fixture
def drawn(monkeypatch):
    """Return the list of figures drawn."""
    figures, savefig = [], figure_module.Figure.savefig

    def watched(self, *arguments, **options):
        figures.append(self)
        return savefig(self, *arguments, **options)

    monkeypatch.setattr(figure_module.Figure, "savefig", watched)
    return figures


def test_labels_cover_none_and_the_frequent_come_first(tmp_path, drawn):
    """Measured in the picture that is written: catches boxes taken at another resolution."""
    words, y = words_and_map(400)
    labelled = draw(words, y, tmp_path / "map.png", size=5.0)
    assert image.imread(tmp_path / "map.png").shape == (750, 750, 4)
    axes = drawn[0].axes[0]
    boxes = [text.get_window_extent() for text in axes.texts]
    assert [text.get_text() for text in axes.texts] == labelled
    assert not any(a.overlaps(b) for i, a in enumerate(boxes) for b in boxes[:i])
    assert labelled[0] == "word0" and 50 < len(labelled) < 400
    assert labelled == sorted(labelled, key=words.index)


def test_labels_at_most(tmp_path):
    words, y = words_and_map()
    assert set(draw(words, y, tmp_path / "map.png", labels=5, size=8.0)) <= set(words[:5])
    assert draw(words, y, tmp_path / "map.png", labels=0, size=3.0) == []


def test_a_word_may_be_anything(tmp_path, drawn):
    r"""Catches "$x" and "$^$" taken for formulas, labels two lines high, and a warning for a glyph."""
    words = ["$x$", "$^$", "a\nb", "\ud800", "", "_", "\U0001f600", "\x00"]
    labelled = draw(
        words, words_and_map(8)[1], tmp_path / "map.png", title="$^", color=["$_", "_b", *"cdefgh"], size=6.0
    )
    assert labelled == words
    assert [text.get_text() for text in drawn[0].axes[0].texts][:4] == ["$x$", "$^$", r"a\nb", r"\ud800"]


def test_colors_show_what_they_are_told_to(tmp_path, drawn):
    words, y = words_and_map(6)
    draw(words, y, tmp_path / "map.png", color=["b", "a", "b", "c", "b", "a"], color_name="kind", size=4.0)
    legend = drawn[0].axes[0].get_legend()
    assert legend.get_title().get_text() == "kind" and [t.get_text() for t in legend.get_texts()] == ["b", "a", "c"]
    draw(words, y, tmp_path / "map.png", color=[1, 5, 2, 3, 9, 1], color_name="count", size=4.0)
    assert [axes.get_xlabel() for axes in drawn[1].axes][1] == "count"
    dots = drawn[1].axes[0].collections[0]
    assert dots.get_clim() == (1, 9)
    assert len(drawn[1].axes[0].collections[0].get_offsets()) == 6


def test_groups():
    names, ids = groups_of(["b", "a", "c", "c", "a", "c"])
    assert names == ["c", "a", "b"] and ids.tolist() == [2, 1, 0, 0, 1, 0]
    assert len(set(COLORS)) == 10


def test_more_groups_than_colors_and_words_on_one_spot(tmp_path):
    words, y = words_and_map(25)
    draw(words, 0 * y, tmp_path / "map.png", color=[f"g{i}" for i in range(25)], size=4.0)


def test_no_global_state(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    draw(*words_and_map(3), tmp_path / "map.png", size=2.0)


def test_wrong_arguments(tmp_path):
    words, y = words_and_map(3)
    with pytest.raises(ValueError, match=r"word_map: the array for 3 words has shape \(3, 3\), expected \(3, 2\)"):
        draw(words, np.zeros((3, 3)), tmp_path / "map.png")
    with pytest.raises(ValueError, match=r"color has shape \(2,\), expected one value for each of 3 words"):
        draw(words, y, tmp_path / "map.png", color=[1, 2])
    with pytest.raises(ValueError, match="color 1 is not finite"):
        check_color("here", [1, np.nan, 2], 3)
    assert list(tmp_path.iterdir()) == []


def test_without_matplotlib(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtra, match="drawing the map of words needs matplotlib"):
        draw(*words_and_map(3), tmp_path / "map.png")
