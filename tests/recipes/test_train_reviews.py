"""``train reviews``: two files are two classes, a part is held out, and what is learned can be asked."""

from pathlib import Path

import numpy as np
import pytest

import tinytx as package
from tinytx.recipes import reviews
from tinytx.recipes.reviews import NEGATIVE, POSITIVE, SETTINGS, prepare
from tinytx.training import load_checkpoint

DATA = Path(package.__file__).parents[2] / "shared/data"
SMALL = "--d-model 16 --n-heads 2 --n-layers 1 --max-len 12 --batch-size 8 --warmup 3 --threads 1 --lr 1e-2 --dropout 0"


@pytest.fixture
def files(tmp_path):
    """Reviews that one word decides, and a word that only held-out ones have."""
    paths = []
    for word, name in (("dull", "neg.txt"), ("fine", "pos.txt")):
        lines = [f"a {word} film about the {thing}" for thing in ("sea", "war", "law", "cat", "sun") for _ in range(8)]
        lines[9::10] = [f"{line} unseen" for line in lines[9::10]]
        (tmp_path / name).write_text("\n".join(lines) + "\n\n", encoding="utf-8")
        paths.append(str(tmp_path / name))
    return {"negative": paths[0], "positive": paths[1]}


def test_a_tenth_is_held_out(files):
    """Catches held-out texts that are trained on, or whose words are known; and classes exchanged."""
    prepared = prepare(SETTINGS(**files), None)
    ids, labels = (np.concatenate([batch[i].reshape(-1) for batch in prepared.batch.epoch()]) for i in (0, 1))
    assert len(labels) == 72 and labels.sum() == 36 and len(prepared.kept.held_out) == 8
    tokenizer = prepared.kept.tokenizer
    assert "unseen" not in tokenizer.names and tokenizer.names.index("fine") in ids
    for rows, labels in prepared.batch.epoch():
        assert ((rows == tokenizer.names.index("fine")).any(1) == labels).all() and (rows[:, 0] == tokenizer.cls_id).all()
    (whole,) = prepared.validation
    assert (whole[0] == tokenizer.unk_id).any(1).all() and whole[1].sum() == 4
    assert prepared.task_settings["n_classes"] == 2 and prepared.task_settings["pooling"] == "mean"


def test_what_is_learned_can_be_asked(tinytx, files, tmp_path, no_pictures):
    """Catches a run whose folder no pipeline reads, labels in another order, and a test that the text has not seen."""
    data = [word for name, path in files.items() for word in (f"--{name}", path)]
    result = tinytx("train reviews", data, SMALL, "--steps 40 --embedding-dropout 0 --out", tmp_path / "run")
    assert result.code == 0, result.err
    assert "Told right: 100.0% of 8 texts" in result.out and "positive (it is positive): a fine film" in result.out
    other = tinytx("train reviews --resume", tmp_path / "run", "--steps 50 --pooling concat")
    assert other.code == 2 and "--resume cannot change pooling: train a new model instead" in other.err
    (line,) = (line for line in result.out.splitlines() if line.startswith("In Python: "))
    assert eval(line.removeprefix("In Python: "), {"tinytx": package})[0]["label"] == "positive"
    classify = package.pipeline("text-classification", model=str(tmp_path / "run"))
    assert classify("a dull film about the law")[0]["label"] == "negative"
    assert load_checkpoint(tmp_path / "run")[2]["task_settings"]["n_classes"] == 2


def test_missing_texts_are_named(files):
    for given in ({}, {"positive": files["positive"]}):
        with pytest.raises(ValueError, match="there are no texts: give --positive FILE and --negative FILE"):
            prepare(SETTINGS(**given), None)
    with pytest.raises(ValueError, match="--held-out is 50, and no class has so many texts: give a smaller one"):
        prepare(SETTINGS(**files, held_out=50), None)


@pytest.mark.skipif(not (DATA / POSITIVE.name).exists(), reason="the reviews are not here")
def test_the_files_are_those_of_the_recipe():
    for file in (POSITIVE, NEGATIVE):
        assert file.differs(DATA / file.name) == ""
    prepared = reviews.prepare(SETTINGS(positive=str(DATA / POSITIVE.name), negative=str(DATA / NEGATIVE.name)), None)
    assert len(prepared.kept.held_out) == 1066 and len(prepared.batch.rows) == 9596
