"""Hidden words: every gradient by name, hidden words alone in the head, padding, parts of a batch, and learning."""

import numpy as np
import pytest
from bert_cases import PAD, VARIANTS, V, batch_of, case_of, model_of, task_of
from properties import check_loss_gradient, model_checks

from tinytx import ops
from tinytx.core import Tape, TapeError
from tinytx.training import SGD, Adam, Trainer, load_checkpoint, save_checkpoint

SAME = {"rtol": 0, "atol": 1e-12}
SOUND = [variant for variant in VARIANTS if not variant.endswith("dropout")]


def loss_and_gradients(model, *batch, tape=None, **options):
    """Return the loss, and {path: gradient}."""
    tape = Tape() if tape is None else tape  # an empty one is false
    model.zero_grad()
    loss = model.loss(*batch, tape=tape, **options)
    model.loss_backward(tape)
    tape.check_empty()
    return loss, {path: parameter.grad for path, parameter in model.named_parameters()}


def assert_same_gradients(actual, expected):
    assert actual.keys() == expected.keys()
    for path, gradient in expected.items():
        np.testing.assert_allclose(actual[path], gradient, **SAME, err_msg=path)


@model_checks
@pytest.mark.parametrize("variant", VARIANTS)
def test_property(variant, check):
    """Catches a tied table that gets one of two gradients, a head whose gradient stops, segments passed over."""
    check(case_of(variant), np.random.default_rng(0))


@pytest.mark.parametrize("variant", VARIANTS)
def test_loss_and_its_gradient(variant):
    """Catches a loss and a gradient that divide by different counts, or one head that is left out of one of both."""
    model = model_of(variant)
    batch = batch_of(model.config)
    _, gradients = loss_and_gradients(model, *batch, tape=Tape(seed=1))
    check_loss_gradient(model, lambda: model.loss(*batch, tape=Tape(seed=1)), gradients, 1e-6)


@pytest.mark.parametrize("variant", SOUND)
def test_loss_is_a_mean_over_hidden_words_and_one_over_texts(variant):
    """Catches words that count and are not hidden, and means over the wrong things: one position at a time."""
    model = model_of(variant)
    ids, targets, segments, labels = batch = (*batch_of(model.config), None, None)[:4]
    if labels is not None:
        labels[1] = -100  # a text that nothing is asked of
    hidden = model.body(ids, segments=segments)
    words = [
        ops.cross_entropy(model.word_logits(hidden[row, t][None]), targets[row, t][None])[0]
        for row, t in np.argwhere(targets != -100)
    ]
    expected = np.mean(words)
    if labels is not None:
        texts = model.text_logits(hidden)
        expected += np.mean([ops.cross_entropy(texts[[b]], labels[[b]])[0] for b in (0, 2, 3)])
    assert list(model.count(*batch)) == [len(words), 3 if labels is not None else 0]
    assert model.loss(*batch) == pytest.approx(expected, rel=1e-13)


def loss_of_all_rows(model, ids, targets, segments, tape):
    """The same loss with logits at every position."""
    loss, saved = ops.cross_entropy(model(ids, tape, segments=segments), targets)
    tape.push(model, saved)
    return loss


def head_bytes(model, tape):
    """What the tape keeps for the head and the loss."""
    heads = [part for part in (model.transform, model.head) if part]
    parts = [model] + [layer for head in heads for _, layer in head.named_layers()]
    return sum(size for layer, _, size in tape.kept() if layer in parts)


@pytest.mark.parametrize("variant", ["paper", "tutorial"])
def test_the_head_sees_hidden_words_only(variant):
    """The same loss and gradients as with logits everywhere, from a sixth of the bytes where a sixth is hidden."""
    model = model_of(variant, max_len=24, next_sentence=False)
    ids = np.random.default_rng(0).integers(5, V, (5, 24))
    targets = np.where(np.arange(24) % 6 == 1, ids, -100)
    segments = ids % 2 if model.config.n_segments else None
    few, all_rows = Tape(), Tape()

    loss = model.loss(ids, targets, segments, tape=few)
    assert loss == pytest.approx(loss_of_all_rows(model, ids, targets, segments, all_rows), rel=1e-14)
    numbers = 8 * len(np.flatnonzero(targets + 100))  # the rows' indices, which the other way does not need
    assert head_bytes(model, few) - numbers == head_bytes(model, all_rows) / 6
    logits = {array.shape for _, arrays, _ in few.kept() for _, array in arrays if array.shape[-1:] == (V,)}
    assert (20, V) in logits and not any(len(shape) == 3 for shape in logits)

    model.zero_grad()
    model.loss_backward(few)
    gradients = {path: parameter.grad for path, parameter in model.named_parameters()}
    model.zero_grad()
    model.backward(ops.cross_entropy_backward(1.0, all_rows.pop(model)), all_rows)
    assert_same_gradients(gradients, {path: parameter.grad for path, parameter in model.named_parameters()})


def test_a_tied_table_is_one_parameter():
    for model in (model_of(), model_of().replicate()):
        assert model.head.weight is model.body.encoder.token.weight
        assert "head.weight" not in model.state_dict()
        assert model.state_dict()["head.bias"].shape == (V,)
    assert model_of("tutorial").state_dict()["head.weight"].shape == (6, V)


def test_wrong_order_names_the_layer_in_the_model():
    model, tape = model_of(), Tape()
    model.loss(*batch_of(model.config), tape=tape)
    match = r"backward of body\.encoder\..*norm ran, but the last forward to save was HiddenWords:"
    with pytest.raises(TapeError, match=match):
        model.body.backward(np.zeros((4, 8, 6)), tape)


@pytest.mark.parametrize("variant", [v for v in SOUND if v not in ("tutorial", "three segments, padding seen")])
def test_a_padded_batch_gives_each_text_its_own_result(variant):
    """Catches padding that is looked at, or counts: loss and gradients are those of each text alone."""
    model = model_of(variant)
    batch = batch_of(model.config)
    loss, gradients = loss_and_gradients(model, *batch)
    alone, count = model.replicate(), model.count(*batch)
    for row in range(4):
        seen = batch[0][row] != PAD
        parts = [array[row : row + 1] if array.ndim == 1 else array[row, seen][None] for array in batch]
        tape = Tape()
        loss -= alone.loss(*parts, tape=tape, count=count)
        alone.loss_backward(tape)
    assert abs(loss) < 1e-13
    assert_same_gradients({path: parameter.grad for path, parameter in alone.named_parameters()}, gradients)


def test_a_text_of_nothing_but_padding_gives_numbers():
    model = model_of()
    ids, targets, segments, labels = batch_of(model.config)
    ids[3], targets[3] = PAD, -100
    loss, gradients = loss_and_gradients(model, ids, targets, segments, labels)
    assert np.isfinite(loss) and all(np.isfinite(gradient).all() for gradient in gradients.values())


def test_fill_is_how_probable_each_word_is():
    """Catches positions counted in the whole batch, and those of one text used for all."""
    model = model_of()
    ids, _, segments, _ = batch_of(model.config)
    all_of_them = ops.softmax(model.word_logits(model.body(ids, segments=segments)))[0]
    np.testing.assert_allclose(model.fill(ids, [6, 2], segments=segments), all_of_them[:, [6, 2]], **SAME)
    own = np.array([[0, 3, 3], [1, 2, 5], [7, 7, 7], [4, 0, 1]])
    filled = model.fill(ids, own, segments=segments)
    np.testing.assert_allclose(filled, np.take_along_axis(all_of_them, own[..., None], 1), **SAME)
    np.testing.assert_allclose(filled.sum(-1), 1, rtol=1e-13)
    assert model.fill(ids, 5).shape == (4, 1, V) and model.fill(ids, own[:, :0]).shape == (4, 0, V)


@pytest.mark.parametrize("variant", ["paper", "dropout", "tutorial, dropout"])
@pytest.mark.parametrize(("threads", "accumulate"), [(1, 1), (2, 1), (2, 2), (3, 1)])
def test_gradient_does_not_depend_on_how_the_batch_is_cut(variant, threads, accumulate):
    """Catches one count for two means, and a shard without a hidden word, which is row 1 alone."""
    model = model_of(variant)
    batch = batch_of(model.config)
    loss, expected = loss_and_gradients(model, *batch, tape=Tape(seed=5))
    trainer = Trainer(model, SGD(model, 0.0), threads=threads, accumulate=accumulate, seed=5)
    assert trainer.step(*batch) == pytest.approx(loss, abs=1e-12)
    assert_same_gradients({path: parameter.grad for path, parameter in model.named_parameters()}, expected)


@pytest.mark.parametrize("threads", [1, 2, 4])
@pytest.mark.parametrize("variant", ["paper", "tutorial"])
def test_nothing_hidden(variant, threads):
    """Catches 0/0, and a step by weight decay alone: a batch that asks nothing is refused."""
    model = model_of(variant)
    ids, targets, *rest = batch_of(model.config)
    rest = [rest[0], np.full_like(rest[1], -100)] if rest else []
    trainer = Trainer(model, SGD(model, 1.0), threads=threads)
    before = {path: array.copy() for path, array in model.state_dict().items()}
    with pytest.raises(ValueError, match=r"step 0: by the model's count there are \[0 0\] targets"):
        trainer.step(ids, np.full_like(targets, -100), *rest)
    assert trainer.optimizer.t == 0
    for path, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[path], err_msg=path)


@pytest.mark.parametrize("variant", ["paper", "tutorial"])
def test_evaluate_is_the_loss_of_all_batches_as_one(variant):
    """Catches a mean of means, and one count that divides both sums."""
    model = model_of(variant)
    batch = batch_of(model.config)
    parts = [tuple(array[rows] for array in batch) for rows in (slice(0, 1), slice(1, 2), slice(2, 4))]
    trainer = Trainer(model, SGD(model, 0.0), threads=2)
    assert trainer.evaluate(parts) == pytest.approx(model.loss(*batch), rel=1e-13)


@pytest.mark.parametrize("variant", ["paper", "tutorial"])
def test_learns_one_batch_by_heart(variant):
    """Catches gradients of the wrong sign or scale, with the trainer and dropout as they are."""
    model = task_of(variant, np.float32, d_model=32, n_heads=4, d_ff=64)
    batch = batch_of(model.config)
    trainer = Trainer(model, Adam(model, 3e-3), threads=2)
    first = trainer.step(*batch)
    for _ in range(79):
        trainer.step(*batch)
    assert trainer.evaluate([batch]) < 0.1 * first


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_checkpoint_brings_the_model_back(tmp_path, variant):
    model = model_of(variant)
    save_checkpoint(tmp_path, model)
    loaded, _, _ = load_checkpoint(tmp_path)
    batch = batch_of(model.config)
    assert loaded.config == model.config and loaded.loss(*batch) == model.loss(*batch)


@pytest.mark.parametrize("variant", ["paper", "tutorial"])
def test_measures(variant):
    """Catches words that are not hidden and count, a batch without any, and shares of the wrong thing."""
    model = model_of(variant)
    ids, targets, *pairs = batch = batch_of(model.config)
    logits, asked = model(ids, segments=pairs[0] if pairs else None), targets != -100
    nats = ops.cross_entropy(logits, targets)[0]
    measured = model.measure([tuple(array[rows] for array in batch) for rows in (slice(0, 1), slice(1, 2), slice(2, 4))])
    assert measured["perplexity"] == pytest.approx(np.exp(nats), rel=1e-12)
    assert measured["accuracy"] == (logits.argmax(-1) == targets)[asked].mean()
    if pairs:
        told = model.text_logits(model.body(ids, segments=pairs[0])).argmax(-1) == pairs[1]
        assert measured["pair_accuracy"] == told.mean()
    assert ("pair_accuracy" in measured) == bool(pairs)
