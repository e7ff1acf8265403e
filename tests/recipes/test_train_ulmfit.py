"""``train ulmfit``: three stages in one run, what each reads and asks, and how fast and how deep the last one learns."""

import re

import numpy as np
import pytest

import tinytx as package
from tinytx.models import AwdLSTM
from tinytx.recipes.train import build, make_trainer
from tinytx.recipes.ulmfit import RECIPE, SETTINGS, groups_of, prepare, shuffled
from tinytx.tasks import TextClassesNextToken
from tinytx.training.optimizers.groups import by_depth

SIZES = "--d-model 16 --d-hidden 16 --max-len 10 --batch-size 8 --labelled 40 --threads 1"


@pytest.fixture
def files(tmp_path):
    """General text, and texts that one word decides; a word that only held-out ones have."""
    lines = {"general": ["the sea <unk> is deep and the sun is far ."] * 20}
    for word, name in (("dull", "negative"), ("fine", "positive")):
        lines[name] = [f"a {word} film about the {thing} ." for thing in ("sea", "war", "law", "cat", "sun") for _ in range(8)]
        lines[name][9::10] = [f"{line} unseen" for line in lines[name][9::10]]
    for name, own in lines.items():
        (tmp_path / name).write_text("\n".join(own) + "\n")
    return {name: str(tmp_path / name) for name in lines}


def prepared_of(files, **options):
    given = {"labelled": 12, "batch_size": 4, "max_len": 10, "general_steps": 5, "text_steps": 7, "thaw_every": 2, "steps": 22, "d_model": 6, "d_hidden": 8}
    settings = SETTINGS(**files | given | options)
    return settings, prepare(settings, None)


def test_each_stage_reads_its_texts(files):
    """Catches a stage that begins a step early or late, labels in the first two, and held-out texts that are read."""
    _, prepared = prepared_of(files)
    tokenizer = prepared.kept.tokenizer
    names = np.array(tokenizer.names)
    film, deep = (tokenizer.names.index(word) for word in ("film", "deep"))
    assert "unseen" not in names and not {"<", "unk"} & set(names)
    for step in range(22):
        ids, labels = prepared.batch(step)
        assert (labels == -100).all() == (step < 12) and (ids == film).any() == (step >= 5) and (ids == deep).any() == (step < 5)
    general = np.concatenate([prepared.batch(step)[0].ravel() for step in range(5)])
    assert (general == tokenizer.unk_id).any()
    rows = [" ".join(names[row[row != tokenizer.pad_id]]) for step in range(12, 15) for row in prepared.batch(step)[0]]
    labels = np.concatenate([prepared.batch(step)[1] for step in range(12, 15)])
    written = [bool(re.fullmatch(r"\[CLS\] a (dull|fine) film about the \w+ . \[SEP\]", row)) for row in rows]
    assert len(rows) == 12 and labels.sum() == 6 and np.mean(written == labels) > 0.9
    assert len(prepared.kept.rows) == 8 and all((row == tokenizer.unk_id).any() for row in prepared.kept.rows)


def test_words_are_shuffled_between_the_ends():
    row = np.arange(12)
    mixed = shuffled(row, np.random.default_rng(0))
    assert sorted(mixed) == [*row] and (mixed != row).any()
    np.testing.assert_array_equal(mixed[[0, 1, -2, -1]], [0, 1, 10, 11])


def test_the_class_may_be_the_file(files):
    _, prepared = prepared_of(files, asks="file")
    fine = prepared.kept.tokenizer.names.index("fine")
    for batch in [prepared.batch(step) for step in range(12, 15)] + prepared.validation:
        assert ((batch[0] == fine).any(1) == batch[1]).all()
    assert prepared.tokenizers["labels"] == ["negative", "positive"]


def test_each_stage_has_a_triangle_of_its_own(files):
    settings, prepared = prepared_of(files, lr=0.5, class_lr=0.25)
    rates = np.array([prepared.schedule(step) for step in range(22)])
    for first, last, peak in ((0, 5, 0.5), (5, 12, 0.5), (12, 22, 0.25)):
        assert rates[first:last].max() == pytest.approx(peak) and rates[last - 1] == rates[first:last].min() or last == 22
    _, longer = prepared_of(files, lr=0.5, class_lr=0.25, steps=40, decay_steps=22)
    np.testing.assert_array_equal([longer.schedule(step) for step in range(22)], rates)


def test_the_last_stage_thaws_from_the_head_down(files):
    settings, prepared = prepared_of(files, depth_factor=2.0)
    task = TextClassesNextToken.around(AwdLSTM, prepared.config, rng=np.random.default_rng(0), settings=prepared.task_settings)
    factors = {path: group["lr_factor"] for path, group in groups_of(task, settings)}
    assert set(factors) == {path for path, _ in task.named_parameters()}
    for depth, paths in enumerate(by_depth(task)):
        for path in paths:
            assert [factors[path](step) for step in (0, 11)] == [1, 1]
            own = [factors[path](step) for step in range(12, 22)]
            assert own == [0.0] * min(10, 2 * depth) + [2.0**-depth] * max(0, 10 - 2 * depth)


def test_a_run_takes_its_rates_and_groups_from_the_recipe(files):
    """Catches a trainer that forgets one of them: the body would move before it is thawed, or by the rate of all steps."""
    settings, prepared = prepared_of(files, general_steps=2, text_steps=0, thaw_every=5, steps=12)
    task = build(RECIPE, prepared, settings, None)
    trainer = make_trainer(RECIPE, task, settings, prepared, None)
    assert [trainer.optimizer.lr(step) for step in range(12)] == [prepared.schedule(step) for step in range(12)]
    for step in range(3):
        before = {path: parameter.data.copy() for path, parameter in task.named_parameters()}
        trainer.step(*prepared.batch(step))
        moved = {path for path, parameter in task.named_parameters() if (parameter.data != before[path]).any()}
    assert "texts.classifier.weight" in moved and not any(path.startswith("body.") for path in moved)


def test_what_is_learned_can_be_asked(tinytx, files, tmp_path, no_pictures):
    """Catches a run whose folder no pipeline reads, and labels in another order."""
    data = [word for name, path in files.items() for word in (f"--{name}", path)]
    stages = "--asks file --general-steps 5 --text-steps 5 --steps 110 --thaw-every 4 --class-lr 4e-2 --depth-factor 1 --weight-drop 0 --input-dropout 0 --dropout 0"
    result = tinytx("train ulmfit", data, SIZES, stages, "--out", tmp_path / "run")
    assert result.code == 0, result.err
    assert "Told right: 100.0% of 8 texts" in result.out
    classify = package.pipeline("text-classification", model=str(tmp_path / "run"))
    assert classify("a fine film about the war .")[0]["label"] == "positive"
    assert classify("a dull film about the law , and so on and so on and so on .")[0]["label"] == "negative"


def test_missing_texts_are_named(files):
    with pytest.raises(ValueError, match="texts are missing: give --general FILE, --negative FILE and --positive FILE"):
        prepare(SETTINGS(positive=files["positive"], negative=files["negative"]), None)
