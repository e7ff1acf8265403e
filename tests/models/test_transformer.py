"""The Transformer's body: the memory's gradient, what padding and later words must not do, the weights it starts with."""


import numpy as np
import pytest
from cases import LayerCase, Seeded
from properties import (
    check_gradient,
    check_linear,
    check_rows_independent,
    check_unmodified,
)
from transformer_cases import PAD, VARIANTS, batch_of, config_of, model_of, new_model

from tinytx.layers import padding_mask
from tinytx.models import Transformer
from tinytx.tasks import SequenceToSequence

SAME = {"rtol": 0, "atol": 1e-12}


def decoder_case(**options):
    config, (source, target) = new_model(np.random.default_rng(0), **options).config, batch_of()
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


def test_words_at_padded_positions_do_not_matter():
    """The same from the other side: whatever the padded memory holds, NaN too, nobody looks."""
    model, (source, target) = model_of(), batch_of()
    memory, mask = model.body.encode(source), model.body.source_mask(source)
    expected = model.body.decode(target, memory, mask)
    memory[~mask[:, 0, 0]] = np.nan
    np.testing.assert_array_equal(model.body.decode(target, memory, mask), expected)


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


def test_initial_weights_are_xavier_uniform():
    """Catches another fan; biases other than 0, gains other than 1."""
    config = config_of(d_model=64, n_heads=4, d_ff=96, tied="none", positions="learned", norm_order="pre", max_len=50)
    state = SequenceToSequence.around(Transformer, config, rng=np.random.default_rng(0)).state_dict()
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
    assert scaled.body.encoder.token is scaled.body.decoder.token
    np.testing.assert_allclose(scaled.body.encoder.token(source), np.sqrt(6) * plain.body.encoder.token(source), rtol=1e-15)
    two = model_of(tied="two-way")
    assert two.body.encoder.token.scale == two.body.decoder.token.scale == np.sqrt(6)
