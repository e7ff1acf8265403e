"""GloVe's own training: the steps of the authors' program, restated."""

import numpy as np
import pytest
from model_cases import MODEL_CASES

from tinytx.data import WordPairs, cooccurrences
from tinytx.models import GloVe, GloVeConfig
from tinytx.ops.glove_loss import descend, weights
from tinytx.tasks import Cooccurrences
from tinytx.training import descend_pairs
from tinytx.vectors import nearest


def glove_c(tables, squares, pairs, x_max, alpha, eta):
    """The update of glove.c (version 1.0), one pair at a time, in its words: W and gradsq hold vectors and biases."""
    cost = 0.0
    for i, j, x in pairs:
        W1, W2, gradsq1, gradsq2 = (np.append(rows[k][n], rows[k + 2][n]) for rows in (tables, squares) for k, n in ((0, i), (1, j)))
        diff = W1[:-1] @ W2[:-1] + W1[-1] + W2[-1] - np.log(x)
        fdiff = diff if x > x_max else (x / x_max) ** alpha * diff
        cost += fdiff * diff
        temp1, temp2 = (eta * np.append(np.clip(fdiff * W[:-1], -100, 100), fdiff) for W in (W2, W1))
        W1, W2 = W1 - temp1 / np.sqrt(gradsq1), W2 - temp2 / np.sqrt(gradsq2)
        new = [(W1, W2), (gradsq1 + temp1**2, gradsq2 + temp2**2)]
        for rows, (first, second) in zip((tables, squares), new):
            rows[0][i], rows[2][i], rows[1][j], rows[3][j] = first[:-1], first[-1], second[:-1], second[-1]
    return cost


@pytest.mark.parametrize("size", [0.5, 30.0], ids=["small", "components above 100"])
def test_steps_are_those_of_the_program(size):
    """Catches squares that are added before the step, the rate outside them, and pairs that do not see each other's changes."""
    rng, ours = np.random.default_rng(0), MODEL_CASES["glove"](np.float64)
    tables = [size * table.data for table in ours.task.tables]
    squares = [rng.uniform(1, 2, table.shape) for table in tables]
    words, contexts, counts = ours.batch
    theirs, total = ([array.copy() for array in arrays] for arrays in (tables, squares)), np.zeros(1)
    their_tables, their_squares = theirs
    order = rng.permutation(60)
    cost = glove_c(their_tables, their_squares, [(words[n], contexts[n], counts[n]) for n in order], 2.0, 0.75, 0.05)
    descend(*tables, *squares, words, contexts, np.log(counts), weights(counts, 2.0, 0.75), order, 0.05, total)
    for own, expected in zip([*tables, *squares], [*their_tables, *their_squares]):
        np.testing.assert_allclose(own, expected, rtol=1e-11, atol=1e-12)
    assert total[0] == pytest.approx(cost, rel=1e-12)


def test_an_epoch_goes_through_all_pairs_once(monkeypatch):
    """In an order of its own. Catches a part of the pairs that is left out."""
    monkeypatch.setattr("tinytx.training.glove.CHUNK", 25)
    task, batch = MODEL_CASES["glove"](np.float64)
    said, before = [], task.loss(*batch)
    assert descend_pairs(task, WordPairs(*batch), epochs=3, rate=0.0, update=said.append) == pytest.approx(3 * [before], rel=1e-12)
    assert len(said) == 9 and said[0].startswith("epoch 1 of 3, loss ") and said[-1] == f"epoch 3 of 3, loss {before:.4f}"
    tables = []
    for seed, epochs in ((0, 1), (1, 1), (0, 2)):
        task, _ = MODEL_CASES["glove"](np.float64)
        descend_pairs(task, WordPairs(*batch), epochs=epochs, seed=seed)
        tables.append(task.body.token.weight.data)
    assert (tables[0] != tables[1]).any()
    task, _ = MODEL_CASES["glove"](np.float64)
    orders = []
    monkeypatch.setattr("tinytx.training.glove.descend", lambda *arguments: orders.append(arguments[-3]))
    descend_pairs(task, WordPairs(*batch), epochs=2)
    first, second = np.concatenate(orders[:3]), np.concatenate(orders[3:])
    assert sorted(first) == sorted(second) == [*range(60)] and (first != second).any()


@pytest.mark.compiled
def test_words_of_one_topic_become_neighbours():
    """Sentences of 4 topics of 10 words; of the words every fourth is any: pairs that never occur would teach nothing."""
    rng = np.random.default_rng(0)
    topics = 10 * np.repeat(rng.integers(0, 4, 1500), 8) + rng.integers(0, 10, 12_000)
    words = np.where(rng.random(12_000) < 0.25, rng.integers(0, 40, 12_000), topics)
    text = np.insert(words, np.arange(8, 12_000, 8), -1)
    task = Cooccurrences(GloVe(GloVeConfig(40, 16), rng=rng), x_max=100.0)
    losses = descend_pairs(task, cooccurrences(text, 40, window=5), epochs=20)
    assert (np.diff(losses) < 0).all() and losses[-1] < 0.1 * losses[0]
    vectors, names = task(np.arange(40)), [str(word) for word in range(40)]
    right = [int(name) // 10 == word // 10 for word in range(40) for name, _ in nearest(vectors, names, str(word), 9)]
    assert np.mean(right) > 0.97


def test_bad_input_is_named():
    task, (words, contexts, counts) = MODEL_CASES["glove"](np.float64)
    with pytest.raises(ValueError, match=r"glove_loss: word 11 at position \(0,\) is outside"):
        descend_pairs(task, WordPairs([11, *words[1:]], contexts, counts))
    for setting, value in (("epochs", 0), ("rate", -1.0), ("rate", np.inf)):
        with pytest.raises(ValueError, match=f"descend_pairs: {setting} is {value}"):
            descend_pairs(task, WordPairs(words, contexts, counts), **{setting: value})
