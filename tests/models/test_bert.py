"""BERT as a whole: every gradient by name, hidden words alone in the head, padding, parts of a batch, and learning."""

import numpy as np
import pytest
from bert_cases import PAD, VARIANTS, V, batch_of, case_of, config_of, model_of
from properties import model_checks

from tinytx import ops
from tinytx.core import Tape, TapeError
from tinytx.layers import Embedding, LayerNorm, Linear
from tinytx.models import Bert, BertConfig
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


# ---------------------------------------------------------------------------------------- gradients


@model_checks
@pytest.mark.parametrize("variant", VARIANTS)
def test_property(variant, check):
    """Catches a tied table that gets one of two gradients, a head whose gradient stops, segments passed over."""
    check(case_of(variant), np.random.default_rng(0))


@pytest.mark.parametrize("variant", VARIANTS)
def test_loss_and_its_gradient(variant):
    """Catches a loss and a gradient that divide by different counts, or one head that is left out of one of both."""
    model, rng = model_of(variant), np.random.default_rng(0)
    batch = batch_of(model.config)
    _, gradients = loss_and_gradients(model, *batch, tape=Tape(seed=1))
    for path, parameter in model.named_parameters():
        direction, step, before = rng.normal(size=parameter.data.shape), 1e-6, parameter.data
        losses = []
        for sign in (1, -1):
            parameter.data = before + sign * step * direction
            losses.append(model.loss(*batch, tape=Tape(seed=1)))
        parameter.data = before
        numeric, analytic = (losses[0] - losses[1]) / (2 * step), (gradients[path] * direction).sum()
        assert abs(numeric - analytic) < 1e-7 * max(1, np.linalg.norm(gradients[path])), path


@pytest.mark.parametrize("variant", SOUND)
def test_loss_is_a_mean_over_hidden_words_and_one_over_texts(variant):
    """Catches words that count and are not hidden, and means over the wrong things: one position at a time."""
    model = model_of(variant)
    ids, targets, segments, labels = batch = (*batch_of(model.config), None, None)[:4]
    if labels is not None:
        labels[1] = -100  # a text that nothing is asked of
    hidden = model(ids, segments=segments)
    words = [
        ops.cross_entropy(model.mlm_logits(hidden[row, t][None]), targets[row, t][None])[0]
        for row, t in np.argwhere(targets != -100)
    ]
    expected = np.mean(words)
    if labels is not None:
        texts = model.next_sentence_logits(hidden)
        expected += np.mean([ops.cross_entropy(texts[[b]], labels[[b]])[0] for b in (0, 2, 3)])
    assert list(model.count(*batch)) == [len(words), 3 if labels is not None else 0]
    assert model.loss(*batch) == pytest.approx(expected, rel=1e-13)


def loss_of_all_rows(model, ids, targets, segments, tape):
    """The same loss with logits at every position."""
    hidden = model(ids, tape, segments=segments)
    loss, saved = ops.cross_entropy(model.mlm_logits(hidden, tape), targets)
    tape.push(model, saved)
    return loss


def head_bytes(model, tape):
    """What the tape keeps for the head and the loss."""
    parts = [model] + [layer for _, layer in model.head.named_layers()]
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
    model.backward(model.head.backward(ops.cross_entropy_backward(1.0, all_rows.pop(model)), all_rows), all_rows)
    assert_same_gradients(gradients, {path: parameter.grad for path, parameter in model.named_parameters()})


def test_a_tied_table_is_one_parameter():
    for model in (model_of(), model_of().replicate()):
        assert model.head.decoder.weight is model.encoder.token.weight
        assert "head.decoder.weight" not in model.state_dict()
        assert model.state_dict()["head.decoder.bias"].shape == (V,)
    assert model_of("tutorial").state_dict()["head.weight"].shape == (6, V)


def test_wrong_order_names_the_layer_in_the_model():
    model, tape = model_of(), Tape()
    model.loss(*batch_of(model.config), tape=tape)
    with pytest.raises(TapeError, match=r"backward of encoder\..*norm ran, but the last forward to save was Bert:"):
        model.backward(np.zeros((4, 8, 6)), tape)


# ---------------------------------------------------------------------------------------- what must not matter


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


@pytest.mark.parametrize("variant", ["paper", "tutorial"])
def test_every_word_is_seen_from_everywhere(variant):
    """Catches a causal mask, and padding that is masked in the tutorial's model, or not in the paper's."""
    model = model_of(variant)
    ids, *_ = batch_of(model.config)
    expected, (row, length) = model(ids), (2, 6)
    for t in range(length):
        other = ids.copy()
        other[row, t] = 8 if other[row, t] != 8 else 9
        assert (np.abs(model(other)[row, :length] - expected[row, :length]).max(-1) > 1e-9).all(), t
    model.encoder.token.weight.data[PAD] += np.arange(6)  # what padding says
    moved = np.abs(model(ids)[row, :length] - expected[row, :length]).max(-1)
    assert (moved > 1e-9).all() if variant == "tutorial" else (moved == 0).all()


def test_rows_of_a_batch_are_independent():
    model = model_of()
    ids, _, segments, _ = batch_of(model.config)
    expected = model(ids, segments=segments)
    ids[0] = (ids[0] + 1) % V
    np.testing.assert_array_equal(model(ids, segments=segments)[1:], expected[1:])


def test_missing_segments_are_zeros():
    model = model_of()
    ids = batch_of(model.config)[0]
    np.testing.assert_array_equal(model(ids), model(ids, segments=np.zeros_like(ids)))
    assert (np.abs(model(ids) - model(ids, segments=np.ones_like(ids))).max(-1)[ids != PAD] > 1e-6).all()


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
    all_of_them = ops.softmax(model.mlm_logits(model(ids, segments=segments)))[0]
    np.testing.assert_allclose(model.fill(ids, [6, 2], segments=segments), all_of_them[:, [6, 2]], **SAME)
    own = np.array([[0, 3, 3], [1, 2, 5], [7, 7, 7], [4, 0, 1]])
    filled = model.fill(ids, own, segments=segments)
    np.testing.assert_allclose(filled, np.take_along_axis(all_of_them, own[..., None], 1), **SAME)
    np.testing.assert_allclose(filled.sum(-1), 1, rtol=1e-13)
    assert model.fill(ids, 5).shape == (4, 1, V) and model.fill(ids, own[:, :0]).shape == (4, 0, V)


# ---------------------------------------------------------------------------------------- parts of a batch


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


# ---------------------------------------------------------------------------------------- learning


@pytest.mark.parametrize("variant", ["paper", "tutorial"])
def test_learns_one_batch_by_heart(variant):
    """Catches gradients of the wrong sign or scale, with the trainer and dropout as they are."""
    config = config_of(variant, d_model=32, n_heads=4, d_ff=64)
    model = Bert(config, rng=np.random.default_rng(0))
    batch = batch_of(config)
    trainer = Trainer(model, Adam(model, 3e-3), threads=2)
    first = trainer.step(*batch)
    for _ in range(79):
        trainer.step(*batch)
    assert trainer.evaluate([batch]) < 0.1 * first


def test_initial_weights_are_those_of_the_paper():
    state = Bert(BertConfig(99, d_model=64, n_heads=4, n_layers=2), rng=np.random.default_rng(0)).state_dict()
    for path, array in state.items():
        if path.endswith("bias"):
            assert not array.any(), path
        elif "norm" in path:
            assert (array == 1).all(), path
        else:
            assert abs(array.std() / 0.02 - 1) < 5 / np.sqrt(array.size), path


def test_initial_weights_are_those_of_pytorch():
    """Catches another fan, and biases at 0: a linear map's are both uniform in +-1/sqrt(d_in), embeddings normal."""
    config = BertConfig(99, d_model=64, n_heads=4, n_layers=2, init="pytorch", head="untied")
    model = Bert(config, rng=np.random.default_rng(0))
    for path, layer in model.named_layers():
        if isinstance(layer, Linear):
            bound = 1 / np.sqrt(len(layer.weight.data))
            for array in [layer.weight.data] + ([layer.bias.data] if layer.bias else []):
                assert np.abs(array).max() <= bound, path
                assert array.size < 50 or abs(array.std() / (bound / np.sqrt(3)) - 1) < 4 / np.sqrt(array.size), path
        elif isinstance(layer, Embedding):
            assert abs(layer.weight.data.std() - 1) < 5 / np.sqrt(layer.weight.data.size), path


def test_dropout_is_where_the_tutorial_has_it():
    """Catches dropout on the embeddings, or none inside the feed-forward layers; the paper has it the other way."""

    def rates(config):
        encoder = Bert(config, rng=np.random.default_rng(0)).encoder
        attention, feed_forward = encoder.blocks[0].attention, encoder.blocks[0].feed_forward
        parts = encoder.dropout, attention.f, attention.dropout, feed_forward.f.dropout, feed_forward.dropout
        return [part.p for part in parts]

    assert rates(BertConfig.tutorial(20)) == [0.0, 0.1, 0.1, 0.1, 0.1]
    assert rates(BertConfig(20, d_model=12, n_layers=1)) == [0.1, 0.1, 0.1, 0.0, 0.1]


def test_the_tutorials_parts():
    model = Bert(BertConfig.tutorial(20, n_layers=2), rng=np.random.default_rng(0))
    assert len(model.encoder.blocks) == 2 and model.encoder.norm and model.encoder.embedding_norm is None
    assert model.next_sentence is None and model.encoder.segment is None and model.config.pad_id == 17


@pytest.mark.parametrize(("make", "eps"), [(BertConfig, 1e-12), (BertConfig.tutorial, 1e-5)])
def test_every_norm_has_the_configs_eps(make, eps):
    """Catches a norm that keeps its default: 1e-12 and 1e-5 differ where a row is nearly constant."""
    model = Bert(make(20, d_model=16, n_heads=2, n_layers=1), rng=np.random.default_rng(0))
    assert {layer.eps for _, layer in model.named_layers() if isinstance(layer, LayerNorm)} == {eps}


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_checkpoint_brings_the_model_back(tmp_path, variant):
    model = model_of(variant)
    save_checkpoint(tmp_path, model)
    loaded, _, _ = load_checkpoint(tmp_path)
    batch = batch_of(model.config)
    assert loaded.config == model.config and loaded.loss(*batch) == model.loss(*batch)
