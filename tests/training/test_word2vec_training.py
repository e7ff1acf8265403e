"""Plain descent takes the task's gradient, touches no other rows, and learns; examples have the shares that they should."""

import time

import numpy as np
import pytest

from tinytx.core import Tape
from tinytx.models import Word2Vec, Word2VecConfig
from tinytx.ops.logistic_rows import descend
from tinytx.tasks import NearbyWords
from tinytx.training import WordExamples, descend_words
from tinytx.vectors import nearest


def model_of(v=12, d=5, tree=False, dtype=np.float64):
    """All numbers random, as the second table begins with 0."""
    config, rng = Word2VecConfig(v, d_model=d), np.random.default_rng(0)
    model = NearbyWords.around(Word2Vec, config, rng=rng, dtype=dtype, settings={"tree": tree})
    for parameter in model.parameters():
        parameter.data[...] = rng.normal(0, 0.5, parameter.data.shape)
    return model


def changes(model, batch, rate):
    """Return {path: what one pass of descent adds to it}."""
    tables, room = (model.body.token.weight.data, model.output.data), np.empty((2, model.config.d_model))
    before = {path: array.copy() for path, array in model.state_dict().items()}
    descend(*tables, *(np.array(part, np.int64) for part in batch), rate, *room, np.empty(len(batch[1][0])))
    return {path: array - before[path] for path, array in model.state_dict().items()}


def gradients(model, batch, **options):
    tape = Tape()
    model.loss(*map(np.array, batch), tape, **options)
    model.loss_backward(tape)
    return {path: parameter.grad.copy() for path, parameter in model.named_parameters()}


@pytest.mark.parametrize(
    "batch",
    [([[3]], [[2, 7, -1, 4]], [[1, 0, 0, 0]]), ([[3, -1, 7, 3]], [[0, 5, 9]], [[1, 0, 1]]), ([[-1, -1]], [[3, 1]], [[1, 0]])],
    ids=["skip-gram", "CBOW, turns of a tree", "no word"],
)
def test_a_step_takes_the_gradient_of_the_loss(batch):
    """To rounding, for one example whose rows differ."""
    gradient, moved = gradients(model_of(), batch), changes(model_of(), batch, 0.3)
    for path in gradient:
        np.testing.assert_allclose(moved[path], -0.3 * gradient[path], rtol=0, atol=1e-15, err_msg=path)


def test_many_small_steps_take_the_gradient_of_the_sum():
    """Words and rows occur again and again: catches what is assigned, and what is forgotten between examples."""
    rng = np.random.default_rng(1)
    batch = rng.integers(-1, 12, (40, 4)), rng.integers(-1, 12, (40, 3)), rng.integers(0, 2, (40, 3))
    gradient, moved = gradients(model_of(), batch, count=1), changes(model_of(), batch, 1e-7)
    for path in gradient:
        np.testing.assert_allclose(moved[path] / -1e-7, gradient[path], rtol=0, atol=3e-5, err_msg=path)


def test_a_step_sees_what_the_step_before_changed():
    """Catches examples of one batch that all see its first weights: a large step would then be taken twice as far."""
    batch = [[3], [3]], [[2], [2]], [[1], [1]]
    one = model_of()
    for row in range(2):
        changes(one, [part[row : row + 1] for part in batch], 5.0)
    both = model_of()
    changes(both, batch, 5.0)
    np.testing.assert_array_equal(both.output.data, one.output.data)


def test_a_step_costs_what_its_words_cost():
    """2,000 times the words, the same step: catches work on whole tables, here 40 MB each."""
    batch = [np.array(part) for part in ([[3], [7]], [[2, 9], [5, 1]], [[1, 0], [1, 0]])]

    def seconds(v):
        words, table = np.zeros((2, v, 10))
        began = time.perf_counter()
        descend(words, table, *batch, 0.1, *np.empty((2, 10)), np.empty(2))
        return time.perf_counter() - began

    seconds(10)  # compiles
    assert min(seconds(500_000) for _ in range(5)) < 2e-3 + 20 * min(seconds(250) for _ in range(5))


TEXT = np.array([0, 1, 2, 3, 4, -1, 5, 6, -1, -1, 7, 8, 9, 10, 11])


@pytest.mark.parametrize("cbow", [False, True])
def test_examples_are_words_of_a_window(cbow):
    """A target's own place is none of its contexts, sentences do not mix, and windows reach 1 to 3 words, each as often."""
    examples = WordExamples(np.tile([*TEXT, -1], 500), 12, cbow=cbow, window=3, n_negatives=2, sample=0.0)
    place = {word: t for t, word in enumerate(TEXT.tolist()) if word >= 0}
    reached = np.zeros(4)
    for contexts, rows, labels in examples.epoch(0):
        np.testing.assert_array_equal(labels, [[1, 0, 0]] * len(rows))
        for words, word in zip(contexts.tolist(), rows[:, 0].tolist()):
            words = [w for w in words if w >= 0]
            assert words and (cbow or len(words) == 1)
            distances = [place[w] - place[word] for w in words]
            assert 0 not in distances and max(map(abs, distances)) <= 3 and (word in (5, 6)) == (words[0] in (5, 6))
            reached[max(map(abs, distances))] += word == 7  # with which its sentence begins
    expected = [1 / 3, 1 / 3, 1 / 3] if cbow else [1 / 2, 1 / 3, 1 / 6]  # the next word is in every window, the third in one of 3
    assert reached[1:] / reached.sum() == pytest.approx(expected, abs=0.08)


@pytest.mark.compiled
def test_negatives_are_drawn_by_count_to_the_power_of_three_quarters():
    """And are never the word itself."""
    counts = np.array([400, 100, 50, 10])
    ids = np.random.default_rng(0).permutation(np.repeat(np.arange(4), counts))
    examples, drawn = WordExamples(ids, 4, window=2, n_negatives=8, sample=0.0), np.zeros((4, 4))
    for contexts, rows, _ in (batch for epoch in range(5) for batch in examples.epoch(epoch)):
        for word in range(4):
            drawn[word] += np.bincount(rows[rows[:, 0] == word, 1:].ravel() + 1, minlength=5)[1:]
    assert (np.diag(drawn) == 0).all()
    for word in range(3):
        expected = np.where(np.arange(4) == word, 0, counts**0.75)
        assert drawn[word] / drawn[word].sum() == pytest.approx(expected / expected.sum(), abs=0.02)


@pytest.mark.compiled
def test_frequent_words_are_left_out():
    """With probability 1 - sqrt(t/f) - t/f, and the others close up."""
    ids = np.tile([0, 0, 0, 0, 0, 0, 1, 1, 1, 2], 900)  # f 0.6, 0.3, 0.1
    examples, seen = WordExamples(ids, 3, window=1, sample=0.05), np.zeros(3)
    for epoch in range(4):
        for _, rows, _ in examples.epoch(epoch):
            seen += np.bincount(rows[:, 0], minlength=3)
    f = np.array([0.6, 0.3, 0.1])
    expected = 2 * 4 * 9000 * f * np.minimum(1, np.sqrt(0.05 / f) + 0.05 / f)  # two neighbours each
    assert seen == pytest.approx(expected, rel=0.05)


@pytest.mark.compiled
@pytest.mark.parametrize("tree", [False, True])
@pytest.mark.parametrize("cbow", [False, True])
def test_words_of_one_topic_become_neighbours(cbow, tree):
    """Sentences of 4 topics, of 10 words each that never meet others: the 9 nearest words are of the topic."""
    rng = np.random.default_rng(0)
    text = np.concatenate([[*(10 * topic + rng.integers(0, 10, 8)), -1] for topic in rng.integers(0, 4, 1500)])
    examples = WordExamples(text, 40, cbow=cbow, tree=tree, sample=0.0, seed=1)
    model = model_of(40, 16, tree, np.float32)
    batch = [part.copy() for part in next(examples.epoch(9))]
    before, said = model.loss(*batch), []
    descend_words(model, examples, epochs=6, rate=0.1, update=said.append)
    assert model.loss(*batch) < 0.8 * before
    assert said[0].startswith("epoch 1 of 6, ") and said[-1] == "epoch 6 of 6, 100%"
    vectors, names = model.body.token.weight.data, [str(word) for word in range(40)]
    right = [int(name) // 10 == word // 10 for word in range(40) for name, _ in nearest(vectors, names, str(word), 9)]
    assert np.mean(right) > 0.97


def test_epochs_depend_on_seed_and_number_alone():
    def content(seed, number):
        return [[part.tolist() for part in batch] for batch in WordExamples(np.tile(TEXT, 9), 12, seed=seed).epoch(number)]

    assert content(1, 2) == content(1, 2)
    assert content(1, 2) != content(1, 3) and content(1, 2) != content(2, 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (dict(ids=[-1, -1]), r"WordExamples: there is no word in ids of shape \(2,\)"),
        (dict(ids=[0, 12]), r"WordExamples: word 12 at position \(1,\) is outside 0\.\.11"),
        (dict(window=0), "WordExamples: window is 0"),
        (dict(n_negatives=0), "WordExamples: n_negatives is 0"),
        (dict(sample=-1.0), "WordExamples: sample is -1.0"),
    ],
    ids=str,
)
def test_bad_settings_are_named(arguments, message):
    with pytest.raises(ValueError, match=message):
        WordExamples(**{"ids": TEXT, "vocab_size": 12} | arguments)


@pytest.mark.parametrize(("v", "tree", "asked_tree"), [(11, False, False), (12, True, False), (12, False, True)])
def test_tables_that_do_not_fit_are_refused(v, tree, asked_tree):
    """Catches a kernel that writes behind a table's end."""
    with pytest.raises(ValueError, match="descend_words: the tables have .* rows, expected"):
        descend_words(model_of(v, tree=tree), WordExamples(TEXT, 12, tree=asked_tree))
