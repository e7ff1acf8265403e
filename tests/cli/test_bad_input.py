"""Input that cannot be used: said by the words of the command, with a remedy that its user has, before any work."""

import unicodedata

import pytest

from tinytx.pipelines import Filler, load_run


@pytest.fixture(scope="module")
def accents(tinytx, tiny, tmp_path_factory):
    """A folder with a text whose accented letters are single characters, and the run of a GPT that read it."""
    folder = tmp_path_factory.mktemp("accents")
    (folder / "text.txt").write_text(unicodedata.normalize("NFC", "déjà vu, là où ça été " * 30), encoding="utf-8")
    assert tinytx("train --data", folder / "text.txt", tiny, "--steps 1 --out", folder / "run").code == 0
    return folder


@pytest.mark.parametrize(
    "words",
    [
        ["sample", "RUN", "--prompt", "Ω"],
        ["sample", "RUN", "--stop", "Ω"],
        ["explain", "RUN", "vu Ω"],
        ["train", "--resume", "RUN", "--steps", "9", "--data", "OTHER"],
    ],
)
def test_characters_that_a_trained_model_does_not_know(tinytx, accents, words, tmp_path):
    """Catches the advice to build another tokenizer: the model is trained already."""
    other = tmp_path / "other.txt"
    other.write_text("vu Ω " * 50, encoding="utf-8")
    paths = {"RUN": str(accents / "run"), "OTHER": str(other)}
    result = tinytx([paths.get(word, word) for word in words])
    assert result.code == 2 and "has 'Ω', which the model was not trained on; it knows ' ," in result.err
    assert "from_text" not in result.err and "<unk>" not in result.err


def test_accents_in_another_form_of_unicode(tinytx, accents):
    """Catches a prompt refused, or read as unknown, although it looks as the text does: accents apart from letters."""
    prompt = unicodedata.normalize("NFD", "déjà")
    assert prompt != "déjà" and len(prompt) == 6
    result = tinytx(["sample", str(accents / "run"), "--prompt", prompt, "--tokens", "2", "--seed", "0"])
    assert result.code == 0 and result.out.startswith("déjà")
    assert tinytx(["explain", str(accents / "run"), prompt]).code == 0


def test_words_in_another_form_of_unicode(tinytx, tiny_bert, tmp_path, no_pictures):
    """Catches <unk> for a word that the vocabulary has, and that looks the same."""
    data = tmp_path / "data.txt"
    data.write_text("le café est là .\nle thé est là .\n\n" * 20, encoding="utf-8")
    assert tinytx("train bert --data", data, tiny_bert, "--steps 1 --out", tmp_path / "run").code == 0
    assert "café" in load_run(tmp_path / "run", Filler).tokenizer.names
    result = tinytx(["fill", str(tmp_path / "run"), unicodedata.normalize("NFD", "le café <mask> là")])
    assert (result.code, result.err) == (0, "")


@pytest.mark.parametrize(
    "command, named",
    [
        ("train --out FILE", "--out is FILE, and FILE is a file: name a folder"),
        ("train bert --out FILE/run", "--out is FILE/run, and FILE is a file"),
        ("embeddings BERT --out FILE", "--out is FILE, and FILE is a file"),
        ("embeddings BERT --tsne map.pdf", "the file will be HTML: name it map.html"),
        ("embeddings BERT --picture nowhere/map.png", "expected a file in a folder that exists"),
        ("translate TRANSFORMER one --picture nowhere/x.png", "--picture is 'nowhere/x.png', expected a file"),
        ("translate TRANSFORMER one --picture .", "--picture is '.', expected a file"),
        ("translate TRANSFORMER one --picture x.jpg", "the file will be PNG: name it x.png"),
        ("explain TRANSFORMER one --picture nowhere/x.png", "expected a file in a folder that exists"),
        ("explain GPT 12 --picture x.svg", "name it x.png"),
        ("sample GPT --temperature -1", "sample: --temperature is -1.0, expected a finite number of at least 0"),
        ("sample GPT --temperature nan", "--temperature is nan"),
        ("sample GPT --top-k 0", "--top-k is 0, expected a whole number of at least 1"),
        ("sample GPT --top-p 2", "--top-p is 2.0, expected a number in (0, 1]"),
        ("train bert --mask-rate 2", "--mask-rate is 2.0, expected a number in [0, 1]"),
    ],
)
def test_said_before_any_work(refused, finished, filler, translator, book, command, named):
    """Catches an Errno, a word that only the library's callers know, and a check that comes after the work."""
    for name, value in {"FILE": book, "GPT": finished[0], "BERT": filler[0], "TRANSFORMER": translator[0]}.items():
        command, named = command.replace(name, str(value)), named.replace(name, str(value))
    assert named in refused(command)


@pytest.mark.parametrize(
    "name, command", [("translator", "translate"), ("translator", "explain"), ("finished", "explain")]
)
def test_a_picture_that_cannot_be_drawn(request, tinytx, no_pictures, tmp_path, name, command):
    """Catches a page that is worked out and printed before it is known that matplotlib is missing."""
    folder = request.getfixturevalue(name)[0]
    result = tinytx(command, folder, "one" if name == "translator" else "12", "--picture", tmp_path / "x.png")
    assert (result.code, result.out) == (2, "") and "needs matplotlib" in result.err


def test_a_batch_cut_into_more_parts_than_it_has_rows(tinytx, tiny, book, tmp_path, no_pictures):
    """Catches silence about parts that stay empty."""
    result = tinytx("train --data", book, tiny, "--accumulate 9 --steps 7 --out", tmp_path / "run")
    assert result.code == 0 and "--accumulate is 9, and --batch-size only 4" in result.err
