"""One style: what a user writes is drawn as it stands, and what no font has is said in one line."""

import ast
import re
import warnings
from pathlib import Path

import numpy as np
import pytest

import tinytx
from tinytx.viz import PictureWarning, alignment_picture, attention_picture, loss_curve, style, word_map

pytest.importorskip("matplotlib.image")
JAPANESE = "吾輩は猫"
MAPS = {"blocks.0.attention.f": np.full((1, 1, 4, 4), 0.25)}
PICTURES = {
    "alignment_picture": lambda path: alignment_picture(path, np.ones((1, 4)), list(JAPANESE), ["I"]),
    "attention_picture": lambda path: attention_picture(path, MAPS, list(JAPANESE)),
    "loss_curve": lambda path: loss_curve([{"step": 1, "val_loss": 2.0}], path, JAPANESE),
    "word_map": lambda path: word_map(list(JAPANESE), np.eye(4)[:, :2], path, size=3.0),
}


@pytest.mark.parametrize("name", PICTURES)
def test_what_no_font_has_is_said_once(name, tmp_path, monkeypatch):
    """Catches a line of matplotlib's for each character, which names a file of Python's and no remedy."""
    has = style._has
    monkeypatch.setattr(style, "_has", lambda family, c: c not in JAPANESE and has(family, c))  # wherever this runs
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        PICTURES[name](tmp_path / "a.png")
    (warning,) = caught
    assert warning.category is PictureWarning and warning.filename != style.__file__
    message = str(warning.message)
    assert message.startswith("no font has は (U+306F), 吾 (U+543E), 猫 (U+732B), 輩 (U+8F29): boxes stand for them")
    assert message.endswith('install the font "Noto Sans CJK JP"') and "\n" not in message
    assert (tmp_path / "a.png").exists()


def test_a_font_that_is_installed_is_used(tmp_path, monkeypatch):
    """STIX comes with matplotlib, and has characters that its own font lacks."""
    fonts = pytest.importorskip("matplotlib.font_manager")
    characters = set(fonts.get_font(fonts.findfont("STIXGeneral")).get_charmap())
    character = chr(min(c for c in characters if not style._has(None, chr(c)) and chr(c).isprintable()))
    monkeypatch.setattr(style, "font_for", lambda c: "STIXGeneral")
    options = style.plain("a title", character)
    assert options["fontfamily"][-1] == "STIXGeneral" and "fontfamily" not in style.plain("a title")
    loss_curve([{"step": 1, "val_loss": 2.0}], tmp_path / "a.png", character)


def test_many_characters_are_counted(monkeypatch):
    monkeypatch.setattr(style, "_has", lambda family, character: False)
    with pytest.warns(PictureWarning, match=r"U\+006C\) and 14 more: boxes .* install the font \"Noto Sans Latin\""):
        style.plain("abcdefghijklmnopqrstuvwxyz")


@pytest.mark.parametrize(
    "character, font",
    [("字", "CJK JP"), ("カ", "CJK JP"), ("ु", "Devanagari"), ("ไ", "Thai"), ("ஆ", "Tamil"), ("አ", "Ethiopic")],
)
def test_the_font_is_that_of_the_script(character, font):
    assert style.font_for(character) == f"Noto Sans {font}"


@pytest.mark.parametrize("text, n", [("abc", 3), ("दूध", 2), ("吾輩", 4), ("e\u0301", 1), ("a\u200db", 2)])
def test_columns(text, n):
    assert style.columns(text) == n


def test_red_and_amber_have_a_meaning_and_name_no_series():
    meanings = {style.OURS, style.WRONG, style.VALIDATION, style.REFERENCE}
    assert len(meanings) == 4 and style.OURS == style.RIGHT == style.TRAINING
    assert not {style.WRONG, style.VALIDATION, style.REFERENCE} & set(style.SERIES)
    assert len(set(style.SERIES)) == len(style.SERIES) == 10


ROOT = Path(tinytx.__file__).parents[1]
DRAWN = [path for folder in ("tinytx/viz", "benchmarks", "examples") for path in sorted((ROOT / folder).glob("*.py"))]


@pytest.mark.parametrize("path", [path for path in DRAWN if path.name != "style.py"], ids=lambda path: path.name)
def test_colours_are_said_in_one_place(path):
    """Catches a picture with colours of its own: red for ours in one, and for what is wrong in another."""
    texts = [node.value for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Constant)]
    assert not [text for text in texts if isinstance(text, str) and re.fullmatch("#[0-9a-fA-F]{6}", text)]
