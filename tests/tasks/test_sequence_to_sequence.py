"""Sequence to sequence: every gradient by name, both forms of the loss, padding that changes nothing, and learning."""

import functools

import numpy as np
import pytest
from properties import check_loss_gradient, check_shards_add_up, model_checks
from transformer_cases import PAD, START, STOP, VARIANTS, batch_of, case_of, model_of, new_model

from tinytx.core import Tape, TapeError
from tinytx.ops import cross_entropy, kl_divergence
from tinytx.training import Adam, Trainer, WarmupInverseSqrt

SAME = {"rtol": 0, "atol": 1e-12}


@model_checks
@pytest.mark.parametrize("variant", ["paper", "dropout", "pre, untied, cross-entropy", "post, untied, final norms, learned"])
def test_property(variant, check):
    """Of variants that have all parts; below is every variant's gradient by name. Catches a tied table that gets one of three gradients, a memory that only one layer's gradient reaches."""
    check(case_of(**VARIANTS[variant]), np.random.default_rng(0))


@pytest.mark.parametrize("variant", VARIANTS)
def test_loss_and_its_gradient(variant):
    """Catches a loss and a gradient that divide by different counts, or shift the target differently."""
    model, (source, target) = model_of(**VARIANTS[variant]), batch_of()
    tape = Tape(seed=1)
    model.zero_grad()
    model.loss(source, target, tape)
    model.loss_backward(tape)
    tape.check_empty()
    gradients = {path: parameter.grad for path, parameter in model.named_parameters()}
    check_loss_gradient(model, lambda: model.loss(source, target, Tape(seed=1)), gradients, 1e-6)


@pytest.mark.parametrize(
    ("loss_form", "of_a_word"),
    [("kl_divergence", functools.partial(kl_divergence, pad_id=PAD)), ("cross_entropy", cross_entropy)],
)
def test_loss_is_that_of_each_next_word(loss_form, of_a_word):
    """Catches labels that are not shifted, start among them, and padding that counts: one position at a time."""
    model, (source, target) = model_of(label_smoothing=0.2, loss_form=loss_form), batch_of()
    losses = []
    for row in range(len(target)):
        for t in range(target.shape[1] - 1):
            if target[row, t + 1] != PAD:
                logits = model(source[row : row + 1], target[row : row + 1, : t + 1])[:, -1]
                losses.append(of_a_word(logits, target[row, t + 1 : t + 2], label_smoothing=0.2)[0])
    assert model.count(source, target) == len(losses) == 5 + 4 + 3
    np.testing.assert_allclose(model.loss(source, target), np.mean(losses), rtol=1e-13)


@pytest.mark.parametrize("loss_form", ["kl_divergence", "cross_entropy"])
def test_shards_add_up_to_the_whole_batch(loss_form):
    """Catches dropout masks and counts that depend on how many threads shared the batch."""
    check_shards_add_up(model_of(dropout=0.3, loss_form=loss_form), *batch_of(b=5))


def test_which_matrices_are_one():
    """Catches ties by value, and a replica whose ties have come undone."""
    for model in (model_of(), model_of().replicate()):
        table = model.body.encoder.token.weight
        assert model.body.decoder.token.weight is table and model.head.weight is table
    two = model_of(tied="two-way")
    assert two.head.weight is two.body.decoder.token.weight is not two.body.encoder.token.weight
    none = model_of(tied="none")
    assert none.head.weight.data.shape == (6, 11) and none.body.decoder.token.weight.data.shape == (11, 6)
    assert len(none.parameters()) == len(two.parameters()) + 1 == len(model_of().parameters()) + 2


def test_wrong_order_names_the_layer_in_the_model():
    model, tape, (source, target) = model_of(), Tape(), batch_of()
    model(source, target[:, :-1], tape)
    with pytest.raises(
        TapeError, match=r"backward of body\.encoder\.blocks\.0\..*feed_forward\.norm ran, .* save was head:"
    ):
        model.body.encoder.backward(np.zeros((3, 8, 6)), tape)


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_padded_batch_gives_each_sentence_its_own_result(variant):
    """Catches padding that is looked at, or counts: logits, loss and gradients are those of each pair alone."""
    model, (source, target) = model_of(**VARIANTS[variant] | {"dropout": 0.0}), batch_of(b=4)
    logits, tape = model(source, target[:, :-1]), Tape()
    model.zero_grad()
    loss = model.loss(source, target, tape)
    model.loss_backward(tape)
    alone, count = model.replicate(), model.count(source, target)
    for row, (words, said) in enumerate(zip(source, target, strict=True)):
        words, said = words[words != PAD][None], said[said != PAD][None]
        n = said.shape[1] - 1
        np.testing.assert_allclose(logits[row : row + 1, :n], alone(words, said[:, :-1]), **SAME)
        tape = Tape()
        loss -= alone.loss(words, said, tape, count=count)
        alone.loss_backward(tape)
    assert abs(loss) < 1e-13
    for (path, one), other in zip(model.named_parameters(), alone.parameters(), strict=True):
        np.testing.assert_allclose(one.grad, other.grad, **SAME, err_msg=path)


def test_a_source_of_nothing_but_padding_gives_numbers():
    """Catches NaN from a softmax over nothing, in outputs and in gradients; other rows do not notice."""
    model, (source, target) = model_of(), batch_of()
    expected = model(source, target[:, :-1])
    source[1] = PAD
    tape = Tape()
    model.zero_grad()
    assert np.isfinite(model.loss(source, target, tape))
    model.loss_backward(tape)
    assert all(np.isfinite(parameter.grad).all() for parameter in model.parameters())
    np.testing.assert_array_equal(model(source, target[:, :-1])[::2], expected[::2])


@pytest.mark.parametrize("variant", ["paper", "pre, untied, cross-entropy"])
@pytest.mark.parametrize("threads", [1, 2])
def test_learns_to_reverse(variant, threads):
    """Catches attention that cannot look where it must: a batch is learned by heart, with the trainer as it is."""
    options = VARIANTS[variant] | {"label_smoothing": 0.0}
    model = new_model(np.random.default_rng(0), d_model=32, n_heads=4, d_ff=64, **options)
    words = np.random.default_rng(1).integers(7, 11, (8, 6))
    ends = np.full((8, 1), START), np.full((8, 1), STOP)
    target = np.concatenate([ends[0], words[:, ::-1], ends[1]], axis=1)
    trainer = Trainer(model, Adam(model, WarmupInverseSqrt(32, 20, 0.3), betas=(0.9, 0.98), eps=1e-9), threads=threads)
    first = trainer.step(words, target)
    for _ in range(79):
        trainer.step(words, target)
    assert trainer.evaluate([(words, target)]) < 0.1 * first


def test_trainer_gives_the_same_gradient_with_any_number_of_threads():
    """Catches a loss that is not a sum over its rows."""
    source, target = batch_of(b=6)
    norms = []
    for threads, accumulate in ((1, 1), (2, 1), (2, 3)):
        model = model_of(dropout=0.2).replicate()
        trainer = Trainer(model, Adam(model, 0.0), threads=threads, accumulate=accumulate)
        norms.append((trainer.step(source, target), trainer.grad_norm))
    np.testing.assert_allclose(norms[1:], [norms[0]] * 2, rtol=1e-12)


@pytest.mark.parametrize("tied", ["two-way", "none"])
def test_loss_in_chunks_is_the_loss(tied, monkeypatch):
    """Catches label smoothing or padding that only the whole logits know of, and a table's gradient not transposed."""
    model, (source, target) = model_of(tied=tied, loss_form="cross_entropy", label_smoothing=0.2), batch_of()
    results = []
    for most in (10**6, 1):
        monkeypatch.setattr("tinytx.tasks.task.LOGITS", most)
        tape = Tape()
        model.zero_grad()
        loss = model.loss(source, target, tape)
        kept = [array.shape[-1] for _, arrays, _ in tape.kept() for _, array in arrays if array.ndim]
        model.loss_backward(tape)
        results.append((loss, 11 in kept, {name: p.grad for name, p in model.named_parameters()}))
    (whole, _, expected), (chunked, logits_kept, found) = results
    assert abs(whole - chunked) < 1e-14 and not logits_kept
    for name, gradient in expected.items():
        np.testing.assert_allclose(found[name], gradient, **SAME, err_msg=name)


def test_measures(monkeypatch):
    """Catches padding that is counted, label smoothing that is part of a surprise, and rows lost between chunks."""
    model, batches = model_of(label_smoothing=0.2), [batch_of(), batch_of(seed=1, b=2)]
    nats, right = [], []
    for source, target in batches:
        logits = model(source, target[:, :-1])
        log_probs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
        for row, t in np.argwhere(target[:, 1:] != PAD):
            nats.append(-log_probs[row, t, target[row, t + 1]])
            right.append(logits[row, t].argmax() == target[row, t + 1])
    for most in (10**6, 1):
        monkeypatch.setattr("tinytx.tasks.task.LOGITS", most)
        measured = model.measure(batches)
        assert measured["perplexity"] == pytest.approx(np.exp(np.mean(nats)), rel=1e-12)
        assert measured["accuracy"] == np.mean(right)
