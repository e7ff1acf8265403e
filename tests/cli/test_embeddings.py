"""``python -m tinytx embeddings``: files, neighbours and a map of a trained model's words."""

import shutil
import sys

import numpy as np
import pytest

from tinytx.pipelines import Filler, Translator, Writer, load_run
from tinytx.vectors import nearest


def read(folder):
    """Return (words, vectors) of a projector's files."""
    words = (folder / "names.tsv").read_text().splitlines()
    return words, np.loadtxt(folder / "values.tsv", delimiter="\t", ndmin=2)


def test_files_and_neighbours_of_a_bert(tinytx, filler, tmp_path):
    """Catches vectors beside other words than theirs, special tokens among them, and neighbours of another table."""
    command = ("embeddings", filler[0], "--words 5 --decimals 3 --nearest CAT dog --out", tmp_path / "out")
    code, out, err = tinytx(*command)
    assert (code, err) == (0, "")
    model, tokenizer = load_run(filler[0], Filler)
    words, vectors = read(tmp_path / "out")
    assert words == tokenizer.names[:5]
    np.testing.assert_allclose(vectors, model.body.encoder.token.weight.data[:5], atol=5.1e-4)
    lines = out.splitlines()[-2:]
    table = model.body.encoder.token.weight.data[:11]
    for word, line in zip(("cat", "dog"), lines, strict=True):
        found = ", ".join(f"{other} {cosine:.2f}" for other, cosine in nearest(table, tokenizer.names[:11], word, 8))
        assert line == f"{word}  {found}"


def test_the_folder_of_the_run_is_the_default(tinytx, finished, tmp_path):
    """Catches a GPT without words, and files that land elsewhere; its words are its characters, spaces visible."""
    folder = shutil.copytree(finished[0], tmp_path / "run")
    code, out, _ = tinytx("embeddings", folder)
    assert code == 0
    model, tokenizer = load_run(folder, Writer)
    words, vectors = read(folder / "embeddings")
    assert len(words) == tokenizer.vocab_size and words[:2] == [r"\n", r"\x20"]
    np.testing.assert_allclose(vectors, model.body.token.weight.data, atol=1e-3)
    assert len(out.split("\n\n")[1].splitlines()) == 6


@pytest.mark.parametrize("side, word", [("source", "two"), ("target", "deux")])
def test_both_sides_of_a_transformer(tinytx, translator, tmp_path, side, word):
    """Catches the encoder's table beside the decoder's words."""
    command = ("embeddings", translator[0], "--side", side, "--nearest", word, "--out", tmp_path)
    assert tinytx(*command).code == 0
    model, *tokenizers = load_run(translator[0], Translator)
    stack, tokenizer = {"source": (model.body.encoder, tokenizers[0]), "target": (model.body.decoder, tokenizers[1])}[side]
    words, vectors = read(tmp_path)
    assert words == tokenizer.names[4:]
    np.testing.assert_allclose(vectors, stack.token.weight.data[4:], atol=5e-3)


def test_a_map(tinytx, filler, tmp_path):
    """Catches a map that is not written, or of words that are not those on file, and progress that is not shown."""
    page, picture = tmp_path / "map.html", tmp_path / "map.png"
    flags = ("--perplexity 3 --iterations 5 --words 9 --out", tmp_path, "--tsne", page, "--picture", picture)
    code, out, err = tinytx("embeddings", filler[0], *flags)
    assert code == 0 and "5/5" in err
    assert f"Wrote {page}" in out and f"Wrote {picture}" in out and "of each word's 9 nearest" not in out
    assert "of each word's 8 nearest" in out
    assert '"dog"' in page.read_text() and picture.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    "flags, named",
    [
        ("--words 1", "--words is 1"),
        ("--decimals -1", "--decimals is -1"),
        ("--nearest dogs", "'dog'"),
        ("--side source", "--side is for a transformer"),
        ("--tsne m.html --iterations 0", "--iterations is 0"),
        ("--tsne m.html --seed -1", "--seed is -1"),
        ("--tsne m.html --perplexity 30", "--perplexity is 30, expected at least 1 and less than 10, for 11 words"),
        ("--tsne m.html --perplexity nan", "--perplexity is nan"),
        ("--tsne nowhere/m.html", "--tsne is 'nowhere/m.html', expected a file in a folder that exists"),
        ("--picture .", "--picture is '.'"),
    ],
)
def test_what_cannot_be(refused, filler, flags, named):
    """Catches tracebacks, and files that are already written when the error comes."""
    before = sorted(filler[0].iterdir())
    assert named in refused("embeddings", filler[0], flags)
    assert sorted(filler[0].iterdir()) == before


def test_empty_paths(refused, filler):
    """Catches ``--out "$FOLDER"`` with FOLDER unset."""
    for flag in ("--out", "--tsne", "--picture"):
        assert f"{flag} is " in refused("embeddings", filler[0], [flag, ""])


def test_without_matplotlib(refused, filler, monkeypatch):
    """Catches a map that takes its minutes before it fails for want of a picture."""
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert "needs matplotlib" in refused("embeddings", filler[0], "--picture m.png --perplexity 3")
