"""AWD-LSTM: where it drops, what it pays for, its widths, its state, its config and its errors."""

import numpy as np
import pytest

from tinytx.core import Tape
from tinytx.models import AwdLSTM, AwdLSTMConfig
from tinytx.state import State
from tinytx.tasks import NextToken, TextClasses
from tinytx.testing import batch_check, leak_check
from tinytx.training import SGD, Trainer, load_checkpoint, save_checkpoint
from tinytx.training.optimizers.groups import by_depth, layerwise

DROPOUTS = ("word_dropout", "input_dropout", "hidden_dropout", "dropout", "weight_drop")
OFF = dict.fromkeys((*DROPOUTS, "alpha", "beta"), 0.0)


def task_of(kind=NextToken, dtype=np.float64, **options):
    config = AwdLSTMConfig(11, **{"d_model": 4, "d_hidden": 6} | OFF | options)
    return kind.around(AwdLSTM, config, rng=np.random.default_rng(0), dtype=dtype)


def ids_of(*shape):
    return np.random.default_rng(3).integers(0, 11, shape)


def test_the_last_layer_is_as_wide_as_a_word():
    """So that the output layer can share the table; its bias is its own."""
    task = task_of()
    assert [layer.weight_h.data.shape[0] for layer in task.body.recurrent.layers] == [6, 6, 4]
    assert task.head.weight is task.body.token.weight and task.head.bias.data.shape == (11,)
    assert np.abs(task.body.token.weight.data).max() <= 0.1


@pytest.mark.parametrize("name", DROPOUTS)
def test_each_dropout_has_its_place(name):
    """Catches a setting that reaches no layer; without a seed all are off."""
    body, plain, ids = task_of(**{name: 0.5}).body, task_of().body, ids_of(2, 5)
    np.testing.assert_array_equal(body(ids, Tape()), plain(ids))
    assert (body(ids, Tape(seed=1)) != plain(ids)).any()


def test_masks_of_vectors_are_those_of_all_positions():
    """Where each position reads the same word and an LSTM keeps nothing, equal masks give equal outputs."""
    body, ids = task_of(n_layers=2, input_dropout=0.5, hidden_dropout=0.5, dropout=0.5).body, np.full((3, 4), 7)
    for layer in body.recurrent.layers:
        layer.weight_h.data[...] = 0
        layer.bias.data[layer.weight_h.data.shape[0] : 2 * layer.weight_h.data.shape[0]] = -50  # closes the forget gate
    y = body(ids, Tape(seed=1))
    np.testing.assert_allclose(y, np.broadcast_to(y[:, :1], y.shape), rtol=1e-12)
    assert not np.allclose(y[0], y[1])


@pytest.mark.parametrize(("alpha", "beta"), [(0.7, 0.0), (0.0, 0.4), (0.7, 0.4)])
def test_training_pays_the_penalty_and_validation_does_not(alpha, beta):
    """2 mean squares: catches alpha at the steps, outputs before dropout, and a perplexity with the penalty in it."""
    ids, targets, ours = ids_of(3, 5), ids_of(3, 5), {"alpha": alpha, "beta": beta, "dropout": 0.5}
    task, free = task_of(**ours), task_of(dropout=0.5)
    raw, y = task_of().body(ids), free.body(ids, Tape(seed=1))
    expected = alpha * np.mean(y**2) + beta * np.mean(np.diff(raw, axis=1) ** 2)
    paid = task.loss(ids, targets, Tape(seed=1)) - free.loss(ids, targets, Tape(seed=1))
    np.testing.assert_allclose(paid, expected, rtol=1e-10)
    for tape in (None, Tape()):
        assert task.loss(ids, targets, tape) == free.loss(ids, targets)


def test_another_task_asks_it():
    """The classes of whole texts, ULMFiT's last stage: labels without dropout in the body, and the penalty with it."""
    task = task_of(TextClasses, alpha=0.7)
    ids, labels = ids_of(3, 5), np.array([0, 1, 1])
    tape = Tape(seed=1)
    assert task.loss(ids, labels, tape=tape) > task.loss(ids, labels)
    task.loss_backward(tape)
    tape.check_empty()


def test_fine_tuning_thaws_it_from_the_head_down(tmp_path):
    """ULMFiT's last stage on the body of its language model: rates fall with depth, and each epoch trains one layer more."""
    save_checkpoint(tmp_path, task_of())
    body = load_checkpoint(tmp_path)[0].body
    task = TextClasses(body, n_classes=2, pad_id=0, pooling="concat", rng=np.random.default_rng(1))
    assert task.head.classifier.weight.data.shape == (3 * 4, 2)
    depths = by_depth(task)
    assert [depth[0].rpartition(".")[0] for depth in depths] == [
        "head.classifier", *(f"body.recurrent.layers.{n}" for n in (2, 1, 0)), "body.token"
    ]  # fmt: skip
    trainer = Trainer(task, SGD(task, 0.1, groups=layerwise(task, factor=2.6, every=1)), threads=1)
    for epoch in range(5):
        before = {path: np.copy(parameter.data) for path, parameter in task.named_parameters()}
        trainer.step(np.array([[3, 5, 2, 0], [4, 1, 7, 9]]), np.array([0, 1]))
        moved = [any((before[path] != dict(task.named_parameters())[path].data).any() for path in depth) for depth in depths]
        assert moved == [depth <= epoch for depth in range(5)]


def test_later_words_and_other_rows_reach_nothing():
    body, ids = task_of().body, ids_of(3, 6)
    leak_check(body, ids)
    batch_check(body, ids)


def test_a_text_in_parts_is_the_text():
    body, ids, state = task_of().body, ids_of(2, 7), State()
    parts = [body(part, state=state) for part in (ids[:, :3], ids[:, 3:4], ids[:, 4:])]
    np.testing.assert_allclose(np.concatenate(parts, axis=1), body(ids), rtol=0, atol=1e-14)


def test_a_checkpoint_keeps_it(tmp_path):
    task = task_of(dropout=0.3, alpha=0.2)
    task.head.bias.data[...] = 0.5
    save_checkpoint(tmp_path, task)
    again = load_checkpoint(tmp_path)[0]
    assert again.config == task.config
    np.testing.assert_array_equal(again(ids_of(2, 3)), task(ids_of(2, 3)))


@pytest.mark.parametrize("name", [*DROPOUTS, "alpha", "beta", "d_hidden", "n_layers"])
def test_a_setting_out_of_range_is_refused(name):
    with pytest.raises(ValueError, match=f"AwdLSTMConfig: {name} is -1"):
        AwdLSTMConfig(11, **{name: -1})


def test_ids_are_refused_in_words():
    body = task_of().body
    for ids in (np.zeros(3, int), np.zeros((0, 3), int)):
        with pytest.raises(ValueError, match=r"AwdLSTM: ids have shape .*, expected \(B, T\)"):
            body(ids)
    with pytest.raises(ValueError, match="AwdLSTM: .*11"):
        body(np.full((1, 2), 11))
