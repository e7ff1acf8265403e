"""``python -m tinytx fill``: texts with hidden words in, likely words out."""

import io
import sys

import numpy as np
import pytest

from tinytx.files import load_arrays, save_arrays
from tinytx.pipelines import Filler, load_run
from tinytx.training.checkpoint import NAME


@pytest.fixture(scope="module")
def folder(filler):
    return filler[0]


@pytest.fixture(scope="module")
def run(folder):
    """Model and tokenizer of the run."""
    return load_run(folder, Filler)


def test_words_and_how_likely_they_are(tinytx, folder, run):
    """Catches another word's probability, bars that do not grow with it, and a text filled with another word."""
    model, tokenizer = run
    code, out, err = tinytx("fill", folder, ["The <mask> sees the dog."], "--top 3")
    assert (code, err) == (0, "")
    text, *lines, last = out.splitlines()
    assert text == "The <mask> sees the dog."
    ids = tokenizer.encode("the cat sees the dog.")
    ids[1] = tokenizer.mask_id
    p = model.fill(ids[None], [1])[0, 0]
    best = np.argsort(-p)[:3]
    width = max(len(tokenizer.names[i]) for i in best)
    bars = ["#" * round(30 * p[i]) for i in best]
    expected = [f"  {tokenizer.names[i]:<{width}}  {p[i]:6.1%}  {b}".rstrip() for i, b in zip(best, bars, strict=True)]
    assert lines == expected and bars[0]
    assert last == f"-> the {tokenizer.names[best[0]]} sees the dog ."
    filled = run.fill("The <mask> sees the dog.", top=3)
    assert filled.text == last[3:]
    assert filled.guesses == [[(tokenizer.names[i], float(p[i])) for i in best]]


def test_several_words_and_several_texts(tinytx, folder, monkeypatch):
    """Catches a second hidden word that is left out, and texts that change places."""
    monkeypatch.setattr(sys, "stdin", io.StringIO("a <MASK>\n\nthe [mask] ."))
    code, out, err = tinytx("fill", folder, ["<mask> cat <mask>", "-"], "--top 1")
    assert code == 0
    assert err == "Note: not in the vocabulary, read as <oov>: 'a' in 'a'\n"
    blocks = out.split("\n\n")
    assert [block.splitlines()[0] for block in blocks] == ["<mask> cat <mask>", "a <MASK>", "the [mask] ."]
    assert "hidden word 1:" in blocks[0] and "hidden word 2:" in blocks[0] and "hidden word" not in blocks[1]
    assert [len(block.splitlines()) for block in blocks] == [6, 3, 3]


def test_a_frame_where_the_model_had_one(tinytx, tiny_bert, tales, tmp_path, no_pictures):
    """Catches a text without the [CLS] and [SEP] that it was trained with, and positions that they shift."""
    flags = f"{tiny_bert} --pairs next --max-len 12 --steps 1 --out"
    assert tinytx("train bert --data", tales, flags, tmp_path / "run").code == 0
    filler = load_run(tmp_path / "run", Filler)
    model, tokenizer = filler
    ids = filler.encode("the <mask> sees")
    whole = [[tokenizer.cls_id, *ids, tokenizer.sep_id]]
    p = model.fill(whole, [2])[0, 0]
    ((best,),) = filler.likely(ids, 1)
    assert best == (int(p.argmax()), float(p.max()))
    assert len(filler.encode("the " * 9 + "<mask>")) == 10
    with pytest.raises(ValueError, match="at most 10"):
        filler.encode("the " * 10 + "<mask>")


@pytest.mark.parametrize(
    "arguments, named",
    [
        ((["the cat"],), 'text 1 hides no word: write <mask> for each, as in "the <mask> of it"'),
        ((["<mask>", "the <masc>"],), "text 2 hides no word"),
        ((["<mask>", " "],), "text 2 is empty"),
        ((["<mask> " + "the " * 8],), "text 1 has 9 tokens, and the model reads at most 8"),
        (("<mask> --top 0",), "fill: --top is 0, expected a whole number of at least 1"),
        (("<mask> --top 15",), "top is 15, expected a whole number of at least 1 and at most 14"),
        (("- -",), "can be read once"),
    ],
)
def test_what_cannot_be_filled(refused, folder, arguments, named):
    """Catches tracebacks, and guesses that are already printed when the error comes."""
    assert named in refused("fill", folder, *arguments)


def test_folders_that_hold_another_model(refused, folder, finished, translator):
    """Catches a GPT asked to fill, and a BERT asked to write; the message says what each can do."""
    assert "no checkpoint.npz in nowhere" in refused("fill nowhere <mask>")
    assert f"python -m tinytx sample {finished[0]}" in refused("fill", finished[0], "<mask>")
    assert f"python -m tinytx translate {translator[0]}" in refused("fill", translator[0], "<mask>")
    for command in (("sample", folder), ("translate", folder, "x"), ("explain", folder, "x")):
        assert f"python -m tinytx fill {folder}" in refused(*command)


@pytest.mark.parametrize(
    "change, named",
    [
        ({"words": ["a"]}, "the tokenizer has 4 tokens, expected 14"),
        ({"special": ["<oov>", "<ignore>", "<mask>"]}, "pad_id of the tokenizer is 12, expected 11"),
        ({"special": ["<ignore>", "<oov>", "<musk>"]}, "expected one that hides a word"),
        ({"kind": "wordpiece"}, "tokenizer_from_dict"),
    ],
)
def test_a_tokenizer_that_does_not_fit(refused, folder, tmp_path_factory, change, named):
    """Catches ids outside the model's table, and a model that is asked about padding."""
    arrays, meta = load_arrays(folder / NAME)
    strange = tmp_path_factory.mktemp("strange")
    save_arrays(strange / NAME, arrays, meta | {"tokenizer": meta["tokenizer"] | change})
    assert named in refused("fill", strange, "<mask>")


def test_a_diverged_model(refused, folder, tmp_path_factory):
    """Catches NaN that comes out as Python's word about integers, and not as what has happened."""
    arrays, meta = load_arrays(folder / NAME)
    broken = tmp_path_factory.mktemp("diverged")
    name = next(name for name in arrays if name.startswith("model.") and name.endswith("token.weight"))
    save_arrays(broken / NAME, arrays | {name: np.full_like(arrays[name], np.nan)}, meta)
    assert "diverged" in refused("fill", broken, ["the <mask>"])


def test_standard_input_that_is_no_text(refused, folder, monkeypatch):
    """Catches a codec's message that names neither the place nor the remedy."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xff <mask>\n"), encoding="utf-8"))
    line = refused("fill", folder, "-")
    assert "standard input is not UTF-8" in line and "save it as UTF-8" in line
