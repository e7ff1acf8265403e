"""``python -m tinytx attention``: what each kind of model reads, beside its words; and what cannot be shown."""

import base64
import json
import re
import zlib

import numpy as np
import pytest
from PIL import Image

from tinytx.data import read_images
from tinytx.pipelines import Writer, load_run
from tinytx.pipelines.attention import write_attention_page

NUMBERS = "one two".split()
STEPS = ["mark", "101", "011", "copy", "copy", "copy"]
ROWS = [f"row {i}" for i in range(5)]
CASES = {  # recipe -> what is read, (tokens that look, and that are looked at) of each part, and heads of a layer
    "gpt": ("1 times", [("1␣times",) * 2], 2),
    "transformer": ("one two", [(NUMBERS, NUMBERS), None, None], 2),
    "unilm": ("one two", [None], 2),
    "reviews": ("The cat", [(["[CLS]", "the", "cat", "[SEP]"],) * 2], 2),
    "bert": ("the [MASK]", [(["the", "<mask>"],) * 2], 2),
    "pointer": ("0.7 0.2 0.5", [(None, ["0.7", "0.2", "0.5"])], 1),
    "ntm": ("101 011", [(STEPS, ROWS)], 2),
}


def views_of(path):
    text = path.read_text(encoding="utf-8")
    return json.loads(re.search(r'<script id="data"[^>]*>(.*?)</script>', text, re.DOTALL)[1])["views"]


@pytest.mark.parametrize("name", CASES)
def test_a_page_of_each_kind_of_model(tinytx, trained, tmp_path, name):
    """Catches words of another side, or places of a row that are not words."""
    text, parts, n_heads = CASES[name]
    result = tinytx("attention", trained(name)[0], [text], "--out", tmp_path / "a.html")
    assert (result.code, result.out) == (0, f"Wrote {tmp_path / 'a.html'}\n"), result.err
    views = views_of(tmp_path / "a.html")
    assert len(views) == len(parts)
    for view, part in zip(views, parts, strict=True):
        assert [len(layer["heads"]) for layer in view["layers"]] == [n_heads]
        for side, tokens in zip(("tokens", "keys"), part or ()):
            assert tokens is None or view[side] == [*tokens]
    assert (views[0]["layers"][0]["vectors"] is None) == (name == "ntm")
    if name == "gpt":
        assert views[0]["writes"] == [*" times".replace(" ", "␣"), ""]  # what the last one is to say is not known


def test_one_stack_that_translates(tinytx, trained, tmp_path):
    """The source is seen whole, and sees nothing of the target, which sees what comes before; catches a row without its prefix."""
    folder, path = trained("unilm")[0], tmp_path / "a.html"
    assert tinytx("attention", folder, ["one two"], "--second", ["deux un"], "--out", path).code == 0
    (view,) = views_of(path)
    assert view["tokens"] == view["keys"] and view["tokens"][1:3] == NUMBERS and view["tokens"][4:] == ["deux", "un"]
    raw = re.search(f'id="{view["layers"][0]["weights"]}">(.*?)</script>', path.read_text(encoding="utf-8"))[1]
    seen = np.frombuffer(zlib.decompress(base64.b64decode(raw)), np.uint8, offset=4 * 2 * 6).reshape(2, 6, 6) > 0
    expected = np.tri(6, dtype=bool)
    expected[:4, :4] = True
    np.testing.assert_array_equal(seen, [expected] * 2)


def test_a_right_translation_and_a_right_order(tinytx, trained, tmp_path):
    """Catches the model's own in its place, and a target that is not shifted."""
    folder, path = trained("transformer")[0], tmp_path / "a.html"
    assert tinytx("attention", folder, ["one two"], "--second", ["deux un"], "--out", path).code == 0
    encoder, decoder, across = views_of(path)
    assert decoder["tokens"] == decoder["keys"] == across["tokens"] == ["<start>", "deux", "un"] and across["keys"] == NUMBERS
    assert across["writes"] == ["deux", "un", "<stop>"] and encoder["writes"] is None
    assert tinytx("attention", trained("pointer")[0], ["0.7 0.2 0.5"], "--second", ["1 2 0"], "--out", path).code == 0
    (view,) = views_of(path)
    assert (view["tokens"], view["writes"]) == (["<start>", "0.2", "0.5"], ["0.2", "0.5", "0.7"])


def test_a_picture(tinytx, trained, pictures, tmp_path):
    """The class token looks at 16 patches, or at 4: the last words are those of the image."""
    images, _ = read_images(pictures)
    Image.fromarray((images[0, :, :, 0] * 255 / images.max()).astype(np.uint8)).save(tmp_path / "a.png")
    result = tinytx("attention", trained("digits")[0], tmp_path / "a.png", "--out", tmp_path / "a.html")
    assert result.code == 0, result.err
    assert "<title>a.png</title>" in (tmp_path / "a.html").read_text(encoding="utf-8")
    (view,) = views_of(tmp_path / "a.html")
    n = view["image"]["rows"] * view["image"]["columns"]
    assert len(view["keys"]) == n + 1 and view["keys"][:2] == ["class token", "row 0, column 0"]
    assert view["keys"][-1] == f"row {view['image']['rows'] - 1}, column {view['image']['columns'] - 1}" and n == 4
    assert view["keys"][2] == "row 0, column 1"
    assert (view["image"]["height"], view["image"]["width"]) == (4, 4)


def test_what_cannot_be_shown(refused, trained, tinytx):
    gpt = trained("gpt")[0]
    assert "a second text is given, and GPT reads one: leave it out" in refused("attention", gpt, ["1"], "--second 2")
    assert "the model reads at most 8" in refused("attention", gpt, ["1 times 1 is 1"])
    assert "expected a file in a folder that exists" in refused("attention", gpt, ["1"], "--out nowhere/a.html")
    assert "--out is 'a.png', and the file will be HTML: name it a.html" in refused("attention", gpt, ["1"], "--out a.png")
    assert "is empty" in refused("attention", gpt, [""])
    pages = load_run(gpt, Writer)
    with pytest.raises(TypeError, match="attention: trained is a NextToken, expected one of Writer, Translator"):
        write_attention_page("a.html", pages.model, "text")
