"""ELMo's language model: what each direction reads, padding, both losses, the learned mix, its config and its errors."""

import numpy as np
import pytest
from cases import LayerCase, Seeded
from properties import model_checks

from tinytx import ops
from tinytx.data import spelled
from tinytx.layers import ScalarMix
from tinytx.models import Elmo, ElmoConfig
from tinytx.tasks import NextAndPrevious
from tinytx.testing import batch_check
from tinytx.training import load_checkpoint, save_checkpoint


def task_of(**options):
    config = ElmoConfig(**{"vocab_size": 11, "d_model": 6} | options)
    task, make = NextAndPrevious.around(Elmo, config, rng=np.random.default_rng(0), dtype=np.float64), Seeded(1)
    for parameter in task.parameters():
        parameter.data[...] = make.array(*parameter.data.shape, scale=0.5)
    return task


def ids_of(*shape):
    return np.random.default_rng(3).integers(1, 11, shape)


@model_checks
def test_property(check):
    """Of the body alone, whose vectors all have a gradient: in the loss only those of the last layer do."""
    make = Seeded(0)
    ids = make.ids(10, 3, 5) + 1
    ids[0, 3:] = 0
    config = ElmoConfig(11, d_model=6, n_layers=3)
    check(LayerCase(make, lambda dtype: Elmo(config, rng=np.random.default_rng(0), dtype=dtype), {}, before=(ids,)), np.random.default_rng(0))


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_neither_direction_sees_what_it_is_to_say(cell):
    """Catches the great leak: a layer that reads the other direction's outputs, and with them the word that is asked for.

    In each layer, a word changes the first half of the vectors from its position on, the second half up to its position,
    and no other.
    """
    body, ids = task_of(n_layers=3, cell=cell).body, ids_of(1, 8)
    before, positions = body(ids), np.arange(8)
    for s in positions:
        other = ids.copy()
        other[0, s] = ids[0, s] % 10 + 1
        changed = (body(other) != before).reshape(8, 4, 2, 3).any(axis=-1)  # positions, layers, halves
        assert (changed[:, 0] == (positions == s)[:, None]).all()
        assert (changed[:, 1:, 0] == (positions >= s)[:, None]).all()
        assert (changed[:, 1:, 1] == (positions <= s)[:, None]).all()


def test_a_sentence_is_read_by_itself():
    """Catches padding that the direction from the right begins with, and a state that goes on to the next sentence."""
    body, ids = task_of().body, ids_of(3, 6)
    batch_check(body, ids)
    ids[1, 4:] = 0
    whole = body(ids)
    np.testing.assert_array_equal(whole[1, :4], body(ids[1:2, :4])[0])
    assert not whole[1, 4:, 1:].any()


def test_words_by_their_letters_are_read_sentence_by_sentence():
    """Catches a body that takes padding for words; and a word that the vocabulary lacks is read like any other."""
    body = task_of(words="characters", max_characters=7, n_filters=4).body
    letters = spelled("the dog walks they walk home".split(), 7).reshape(2, 3, 7)
    batch_check(body, letters)
    letters[1, 2] = 0
    whole = body(letters)
    np.testing.assert_allclose(whole[1, :2], body(letters[1:, :2])[0], rtol=0, atol=1e-13)
    assert not whole[1, 2:, 1:].any() and whole.shape == (2, 3, 3, 6)
    with pytest.raises(ValueError, match=r"Elmo: letters has shape \(2, 3\), expected \(B, T, C\)"):
        body(letters[:, :, 0])
    with pytest.raises(ValueError, match="Elmo: letter 516 at position"):
        body(letters + 259)


def test_the_layers_are_those_of_the_paper():
    """The token's vector twice; the first layer as it is; the second with the first added; from the right as from the left."""
    task, ids = task_of(), ids_of(2, 5)
    body = task.body
    for left, right in zip(body.left_to_right, body.right_to_left):
        for ours, theirs in zip(left.parameters(), right.parameters()):
            theirs.data[...] = ours.data
    layers, x = body(ids), body.token(ids)
    first = body.left_to_right[0](x)
    np.testing.assert_array_equal(layers[:, :, 0], np.concatenate([x, x], axis=-1))
    np.testing.assert_array_equal(layers[:, :, 1, :3], first)
    np.testing.assert_array_equal(layers[:, :, 2, :3], body.left_to_right[1](first) + first)
    np.testing.assert_allclose(body(ids[:, ::-1])[:, ::-1, :, 3:], layers[..., :3], rtol=0, atol=1e-14)


def test_the_loss_is_the_sum_of_both_directions():
    """By hand: catches targets of the word itself, padding that counts, and a mean over the two directions."""
    task, ids = task_of(), np.array([[5, 6, 7, 8], [9, 10, 0, 0], [3, 0, 0, 0]])
    ignored = -100
    expected = [[[6, ignored], [7, 5], [8, 6], [ignored, 7]], [[10, ignored], [ignored, 9], [ignored] * 2, [ignored] * 2], [[ignored] * 2] * 4]
    assert task.targets(ids).tolist() == expected and task.count(ids) == 4
    logits = task(ids)
    log_p = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    after = log_p[0, 0, 0, 6] + log_p[0, 1, 0, 7] + log_p[0, 2, 0, 8] + log_p[1, 0, 0, 10]
    before = log_p[0, 1, 1, 5] + log_p[0, 2, 1, 6] + log_p[0, 3, 1, 7] + log_p[1, 1, 1, 9]
    assert task.loss(ids) == pytest.approx(-(after + before) / 4, rel=1e-12)
    measured = task.measure([(ids[:1],), (ids[1:],)])
    assert measured == pytest.approx({"next_perplexity": np.exp(-after / 4), "previous_perplexity": np.exp(-before / 4)}, rel=1e-12)


def test_the_logits_of_each_direction_have_their_half():
    task, ids = task_of(), ids_of(2, 5)
    top = task.body(ids)[:, :, -1]
    for n, half in enumerate(np.split(top, 2, axis=-1)):
        np.testing.assert_allclose(task(ids)[:, :, n], half @ task.head.weight.data, rtol=0, atol=1e-13)


def test_the_mix_begins_as_the_mean_and_a_large_score_picks_a_layer():
    layers, mix = task_of().body(ids_of(2, 5)), ScalarMix(3, dtype=np.float64)
    np.testing.assert_allclose(mix(layers), layers.mean(axis=2), rtol=0, atol=1e-15)
    mix.scores.data[...], mix.gamma.data[...] = [0, 1000, 1000], 2
    np.testing.assert_array_equal(mix(layers), layers[:, :, 1] + layers[:, :, 2])
    dscores = ops.scalar_mix_backward(np.ones_like(layers[:, :, 0]), ops.scalar_mix(layers, mix.scores.data, mix.gamma.data)[1])[1]
    assert dscores[0] == 0 and dscores.sum() == pytest.approx(0, abs=1e-14)


def test_a_checkpoint_holds_it(tmp_path):
    task = task_of(n_layers=1, cell="gru")
    save_checkpoint(tmp_path, task)
    loaded = load_checkpoint(tmp_path)[0]
    assert type(loaded) is NextAndPrevious and loaded.config == task.config
    np.testing.assert_array_equal(loaded(ids_of(2, 4)), task(ids_of(2, 4)))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [("d_model", 7, "has no half for each direction: give an even"), ("pad_id", 11, "pad_id"), ("n_layers", 0, "n_layers"), ("cell", "mlp", "cell")],
)
def test_a_bad_config_is_refused(field, value, message):
    with pytest.raises(ValueError, match=f"ElmoConfig: .*{message}"):
        task_of(**{field: value})


@pytest.mark.parametrize(
    ("ids", "error", "message"),
    [
        ([[0, 1, 11]], ValueError, r"Elmo: token id 11 at position \(0, 2\) is outside 0\.\.10"),
        ([[0.0, 1.0]], TypeError, "expected integers"),
        ([0, 1], ValueError, r"Elmo: ids have shape \(2,\), expected \(B, T\)"),
        (np.zeros((2, 0), int), ValueError, r"Elmo: ids have shape \(2, 0\)"),
    ],
)
def test_bad_ids_are_named(ids, error, message):
    with pytest.raises(error, match=message):
        task_of().body(np.asarray(ids))


@pytest.mark.parametrize("ids", [[[5], [6]], [[5, 0], [6, 0]]])
def test_sentences_of_one_word_have_nothing_to_predict(ids):
    with pytest.raises(ValueError, match="NextAndPrevious: none of . targets counts"):
        task_of().loss(np.array(ids))
