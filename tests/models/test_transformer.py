"""The Transformer as a whole: every gradient by name, what padding and later words must not do, and learning."""

import functools

import numpy as np
import pytest
from cases import LayerCase, Seeded
from properties import (
    check_gradient,
    check_linear,
    check_rows_independent,
    check_shards_add_up,
    check_unmodified,
    model_checks,
)
from transformer_cases import PAD, START, STOP, VARIANTS, batch_of, case_of, config_of, model_of

from tinytx.core import Tape, TapeError
from tinytx.layers import padding_mask
from tinytx.models import Transformer
from tinytx.ops import cross_entropy, kl_divergence
from tinytx.training import Adam, Trainer, WarmupInverseSqrt

SAME = {"rtol": 0, "atol": 1e-12}

# ---------------------------------------------------------------------------------------- gradients


@model_checks
@pytest.mark.parametrize("variant", VARIANTS)
def test_property(variant, check):
    """Catches a tied table that gets one of three gradients, a memory that only one layer's gradient reaches."""
    check(case_of(**VARIANTS[variant]), np.random.default_rng(0))


def decoder_case(**options):
    config, (source, target) = config_of(**options), batch_of()
    make = Seeded(0)
    return LayerCase(
        make,
        lambda dtype: Transformer(config, rng=np.random.default_rng(0), dtype=dtype).decoder,
        {"memory": make.array(*source.shape, config.d_model)},
        before=(target[:, :-1],),
        reach=0.01,
        memory_mask=padding_mask(source, PAD),
    )


@pytest.mark.parametrize("check", [check_gradient, check_linear, check_rows_independent, check_unmodified])
@pytest.mark.parametrize("variant", ["paper", "pre, untied, cross-entropy"])
def test_gradient_of_the_memory(variant, check):
    """Catches dmemory of one layer alone: both read it."""
    check(decoder_case(**VARIANTS[variant]), np.random.default_rng(0))


@pytest.mark.parametrize("variant", VARIANTS)
def test_loss_and_its_gradient(variant):
    """Catches a loss and a gradient that divide by different counts, or shift the target differently."""
    model, (source, target) = model_of(**VARIANTS[variant]), batch_of()
    rng = np.random.default_rng(0)
    tape = Tape(seed=1)
    model.zero_grad()
    model.loss(source, target, tape)
    model.loss_backward(tape)
    tape.check_empty()
    for path, parameter in model.named_parameters():
        direction, step, before = rng.normal(size=parameter.data.shape), 1e-6, parameter.data
        losses = []
        for sign in (1, -1):
            parameter.data = before + sign * step * direction
            losses.append(model.loss(source, target, Tape(seed=1)))
        parameter.data = before
        numeric, analytic = (losses[0] - losses[1]) / (2 * step), (parameter.grad * direction).sum()
        assert abs(numeric - analytic) < 1e-7 * max(1, np.linalg.norm(parameter.grad)), path


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
        table = model.encoder.token.weight
        assert model.decoder.token.weight is table and model.decoder.head.weight is table
    two = model_of(tied="two-way")
    assert two.decoder.head.weight is two.decoder.token.weight is not two.encoder.token.weight
    none = model_of(tied="none")
    assert none.decoder.head.weight.data.shape == (6, 11) and none.decoder.token.weight.data.shape == (11, 6)
    assert len(none.parameters()) == len(two.parameters()) + 1 == len(model_of().parameters()) + 2


def test_wrong_order_names_the_layer_in_the_model():
    model, tape, (source, target) = model_of(), Tape(), batch_of()
    model(source, target[:, :-1], tape)
    with pytest.raises(
        TapeError, match=r"backward of encoder\.blocks\.0\..*feed_forward\.norm ran, .* save was decoder\.head:"
    ):
        model.encoder.backward(np.zeros((3, 8, 6)), tape)


# ---------------------------------------------------------------------------------------- what must not matter


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


def test_words_at_padded_positions_do_not_matter():
    """The same from the other side: whatever the padded memory holds, NaN too, nobody looks."""
    model, (source, target) = model_of(), batch_of()
    memory, mask = model.encode(source), model.source_mask(source)
    expected = model.decode(target, memory, mask)
    memory[~mask[:, 0, 0]] = np.nan
    np.testing.assert_array_equal(model.decode(target, memory, mask), expected)


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


def test_logits_do_not_depend_on_later_words():
    model, (source, target) = model_of(), batch_of()
    expected = model(source, target)
    for t in range(1, target.shape[1]):
        other = target.copy()
        other[:, t:] = (other[:, t:] + 1) % 11
        moved = model(source, other)
        np.testing.assert_array_equal(moved[:, :t], expected[:, :t])
        assert (np.abs(moved[:, t] - expected[:, t]).max(-1) > 1e-6).all()


def test_every_word_counts():
    """Catches a mask that hides too much: the last logits depend on each word of the source and of the target."""
    model, (source, target) = model_of(), batch_of(b=1)
    expected = model(source, target)[0, -1]
    for name, ids in (("source", source), ("target", target)):
        for t in range(ids.shape[1]):
            other = ids.copy()
            other[0, t] = 2 if other[0, t] != 2 else 3
            pair = (other, target) if name == "source" else (source, other)
            assert np.abs(model(*pair)[0, -1] - expected).max() > 1e-9, (name, t)


# ---------------------------------------------------------------------------------------- learning


def test_initial_weights_are_xavier_uniform():
    """Catches another fan; biases other than 0, gains other than 1."""
    config = config_of(d_model=64, n_heads=4, d_ff=96, tied="none", positions="learned", norm_order="pre", max_len=50)
    state = Transformer(config, rng=np.random.default_rng(0)).state_dict()
    for path, array in state.items():
        if path.endswith("bias"):
            assert not array.any(), path
        elif "norm" in path:
            assert (array == 1).all(), path
        else:
            bound = np.sqrt(6 / sum(array.shape))
            assert 0.97 * bound < np.abs(array).max() <= bound, path
            assert abs(array.std() / (bound / np.sqrt(3)) - 1) < 0.1, path


def test_scaled_embeddings():
    """Catches sqrt(D) on one side only, or on the positions too."""
    scaled, plain = model_of(), model_of(scaled_embedding=False)
    source = batch_of()[0]
    assert scaled.encoder.token is scaled.decoder.token
    np.testing.assert_allclose(scaled.encoder.token(source), np.sqrt(6) * plain.encoder.token(source), rtol=1e-15)
    two = model_of(tied="two-way")
    assert two.encoder.token.scale == two.decoder.token.scale == np.sqrt(6)


@pytest.mark.parametrize("variant", ["paper", "pre, untied, cross-entropy"])
@pytest.mark.parametrize("threads", [1, 2])
def test_learns_to_reverse(variant, threads):
    """Catches attention that cannot look where it must: a batch is learned by heart, with the trainer as it is."""
    config = config_of(d_model=32, n_heads=4, d_ff=64, **VARIANTS[variant] | {"label_smoothing": 0.0})
    model = Transformer(config, rng=np.random.default_rng(0))
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
