"""``train reformer``: what is copied, and that the rounds that are asked for are those that are measured."""

import re

import numpy as np

from tinytx.recipes.reformer import LETTERS, RECIPE, ROUNDS, measure, prepare, read_with, rows
from tinytx.tasks import NextToken


def test_the_second_word_is_asked():
    """Catches a letter that is asked where it cannot be known, a word that is not the first one, and rows that come back."""
    prepared = prepare(RECIPE.settings(length=5, batch_size=3), None)
    batches = [prepared.batch(0), prepared.batch(1), *prepared.validation]
    for ids, targets in batches:
        assert ids.shape == targets.shape == (len(ids), 11) and (targets[:, :6] == -100).all()
        np.testing.assert_array_equal(ids[:, [0, 6]], 0)
        np.testing.assert_array_equal(targets[:, 6:], ids[:, 1:6])
        np.testing.assert_array_equal(ids[:, 7:], ids[:, 1:5])
        assert ids[:, 1:6].min() > 0
    assert len({ids.tobytes() for ids, _ in batches}) == len(batches)
    assert rows(np.random.default_rng(0), 99, 9)[0].max() == len(LETTERS) - 1
    assert prepared.config.max_len == 12 and prepare(RECIPE.settings(seed=1), None).batch(0)[0].shape == (8, 255)


def test_the_same_weights_in_other_rounds():
    """Catches a model that is measured with its own rounds, and weights drawn anew."""
    prepared = prepare(RECIPE.settings(length=15, chunk=4, n_buckets=8, n_rounds=2), None)
    model = NextToken.around(RECIPE.model, prepared.config, rng=np.random.default_rng(3))
    for parameter in model.parameters():
        parameter.data += np.random.default_rng(4).normal(0, 0.3, parameter.data.shape).astype(parameter.data.dtype)
    (ids, _), same = prepared.validation[0], read_with(model, n_rounds=2)
    np.testing.assert_array_equal(same(ids), model(ids))
    assert (read_with(model, n_rounds=8)(ids) != model(ids)).any()
    measured, said = measure(model, prepared)
    assert measured["rounds_2"] == measured["accuracy"] and said.keys() == {*(f"rounds_{n}" for n in ROUNDS), "seen_whole"}
    whole = read_with(model, chunk=32, n_rounds=1)(ids)
    np.testing.assert_allclose(whole, read_with(model, chunk=32, n_rounds=8)(ids), atol=1e-4)
    right = np.mean([whole.argmax(-1)[0, 15 + i] == ids[0, i] for i in range(1, 16)])
    assert measured["seen_whole"] != measured["rounds_1"] and np.isclose(right, 1 - said["seen_whole"].count(".") / 15)


def test_a_run_says_what_rounds_are_worth(trained):
    _, (code, out, _) = trained("reformer")
    lines = re.findall(r"^(1 round |[248] rounds|all words seen) +(\d\.\d{3})  ([a-z.]{7})$", out, re.MULTILINE)
    assert code == 0 and len(lines) == 5 and "it was trained with 4 rounds" in out
