"""``train sentiment_unit``: what is read, how units are judged, and what is printed of a run."""

import re

import numpy as np
import pytest

from tinytx.data import stream_batch
from tinytx.models import CharRNN
from tinytx.recipes.sentiment_unit import SETTINGS, Reading, along, cells_after, cells_along, encoded, measure, prepare
from tinytx.tasks import NextToken


@pytest.fixture(scope="module")
def prepared():
    return prepare(SETTINGS(n_reviews=100, held_out=5, batch_size=3, length=9, d_model=6, min_count=1), None)


def model_of(prepared, seed=0):
    config = prepared.config
    return NextToken(CharRNN(config, rng=np.random.default_rng(seed)), rng=np.random.default_rng(1))


def test_the_reviews(prepared):
    """Catches a held-out review that is trained on, reviews without a mark between them, an order by class."""
    tokenizer, train, held_out = prepared.kept
    assert (len(train), len(held_out)) == (80, 20) and sum(label for _, label in held_out) == 10
    assert not {text for text, _ in train} & {text for text, _ in held_out}
    assert [label for _, label in train] != [0, 1] * 40
    ids = np.concatenate([encoded(tokenizer, text) for text, _ in train])
    assert (ids == tokenizer.stop_id).sum() == 80 and ids[0] == tokenizer.stop_id
    for own, expected in zip(prepared.batch(7), stream_batch(ids, length=9, batch_size=3, step=7)):
        np.testing.assert_array_equal(own, expected)
    total = sum(len(encoded(tokenizer, text)) for text, _ in held_out) - 1
    assert 0 <= total - sum((targets >= 0).sum() for _, targets in prepared.validation) < 256


def test_cells_are_those_after_the_last_word(prepared):
    """Catches padding that is read, h in place of c, and a unit's values that stand beside the wrong words."""
    model, tokenizer = model_of(prepared), prepared.kept.tokenizer
    rows = [encoded(tokenizer, text) for text, _ in prepared.kept.held_out]
    cells = cells_after(model.body, rows)
    for row, own in zip(rows, cells):
        _, _, c = model.body.recurrent(model.body.token(row[None]), final=True)
        np.testing.assert_allclose(own, c[0], rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(cells_along(model.body, row)[-1], own, rtol=1e-5, atol=1e-6)
    text = prepared.kept.held_out[0][0]
    unit = measure(model, prepared)[1].unit
    words = along(model, tokenizer, unit, text)
    assert [word for word, _ in words] == text.split()
    for n in (1, 4):
        part = cells_after(model.body, [rows[0][: n + 1]])[0, unit.unit]
        assert words[n - 1][1] == pytest.approx(float(part), rel=1e-4, abs=1e-5)


def test_units_are_judged_on_other_reviews_than_they_are_chosen_on(prepared):
    """By the threshold of those they were chosen on."""
    model = model_of(prepared)
    measured, reading = measure(model, prepared)
    assert isinstance(reading, Reading) and len(reading.values) == 20
    labels = np.array([label for _, label in prepared.kept.held_out])
    says = (reading.values > reading.unit.threshold) == reading.unit.rises
    assert measured["unit_accuracy"] == np.mean(says == labels) != reading.unit.accuracy
    assert 0 <= measured["units"] <= 6 and 0 <= measured["accuracy"] <= 1


def test_a_unit_that_is_planted_is_found(prepared, monkeypatch):
    """The cell states are random numbers, but for one that has the label in it."""
    rng = np.random.default_rng(0)
    known = {text: label for part in prepared.kept[1:] for text, label in part}
    tokenizer = prepared.kept.tokenizer
    labels = {encoded(tokenizer, text).tobytes(): label for text, label in known.items()}

    def planted(body, rows):
        cells = rng.normal(size=(len(rows), 6))
        cells[:, 4] = [3 - labels[row.tobytes()] + 0.1 * rng.normal() for row in rows]
        return cells

    monkeypatch.setattr("tinytx.recipes.sentiment_unit.cells_after", planted)
    measured, reading = measure(model_of(prepared), prepared)
    assert measured["unit_accuracy"] == measured["accuracy"] == 1 and reading.unit.unit == 4 and not reading.unit.rises


def test_a_run_says_what_it_learned(trained):
    _, (code, out, _) = trained("sentiment_unit")
    assert code == 0 and "Nothing says which of them praise" in out
    assert re.search(r"^Told apart, of 6 reviews held out: \d+\.\d% by unit \d alone,$", out, re.MULTILINE)
    assert re.search(r"^\d+\.\d% by \d of 8 units \(L1 penalty\)", out, re.MULTILINE)
    for name in ("blame", "praise"):
        assert re.search(rf"^{name}: (\S+[+-]\d\.\d ?)+$", out, re.MULTILINE)


def test_reviews_of_two_files(tinytx, tmp_path, no_pictures):
    (tmp_path / "good").write_text("a fine film\n\n" * 20)
    (tmp_path / "bad").write_text("a poor film\n" * 20)
    files = ["--positive", str(tmp_path / "good"), "--negative", str(tmp_path / "bad")]
    result = tinytx("train sentiment_unit --d-model 4 --length 5 --batch-size 2 --steps 2 --out", tmp_path / "run", files)
    assert result.code == 0 and "36 reviews of 144 words to train on, 4 to validate; 6 words" in result.out
    result = tinytx("train sentiment_unit --steps 2", files[:2])
    assert result.code == 2 and "give --positive FILE and --negative FILE, or neither" in result.err
