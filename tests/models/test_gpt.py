"""GPT, the body: every gradient by name, causality, cached decoding, the weights it starts with, and its errors."""

import numpy as np
import pytest
from cases import LayerCase, Seeded
from properties import model_checks

from tinytx.core import Tape
from tinytx.models import GPT, GPTConfig
from tinytx.state import State

VARIANTS = {
    "pre, gelu_tanh": {},
    "pre, gelu": {"activation": "gelu", "n_layers": 1},
    "post, gelu": {"norm_order": "post", "activation": "gelu"},
    "post, gelu_tanh": {"norm_order": "post", "n_layers": 1},
    "pre, relu": {"activation": "relu", "n_layers": 1},
    "post, relu": {"norm_order": "post", "activation": "relu", "n_layers": 1},
    "dropout": {"dropout": 0.2, "n_layers": 1},
}


def config_of(**options):
    return GPTConfig(**{"vocab_size": 11, "max_len": 9, "d_model": 6, "n_heads": 2, "n_layers": 2, "d_ff": 7} | options)


def case_of(seed=0, **options):
    make, config = Seeded(seed), config_of(**options)
    return LayerCase(
        make,
        lambda dtype: GPT(config, rng=np.random.default_rng(0), dtype=dtype),
        {},
        before=(make.ids(config.vocab_size, 3, 5),),
        reach=0.01 if config.activation == "relu" else 0.25,
        tape=(lambda: Tape(seed=1, step=2)) if config.dropout else Tape,
    )


def model_of(seed=0, **options):
    """Return a float64 model at random parameters, biases and gains included."""
    case = case_of(seed, **options)
    return case.bind(case.arrays)


def ids_of(*shape, vocab_size=11, seed=3):
    return np.random.default_rng(seed).integers(0, vocab_size, shape)


@model_checks
@pytest.mark.parametrize("variant", VARIANTS)
def test_property(variant, check):
    """Catches a residual branch left out, norms in the wrong order, positions that get no gradient."""
    check(case_of(**VARIANTS[variant]), np.random.default_rng(0))


# ---------------------------------------------------------------------------------------- causality and decoding


@pytest.mark.parametrize("norm_order", ["pre", "post"])
def test_vectors_do_not_depend_on_later_tokens(norm_order):
    """Catches a causal mask that is off by one, and a cache of a sequence's statistics."""
    model, ids = model_of(norm_order=norm_order), ids_of(3, 9)
    expected = model(ids)
    for t in range(1, 9):
        other = ids.copy()
        other[:, t:] = (other[:, t:] + 1) % 11
        moved = model(other)
        np.testing.assert_array_equal(moved[:, :t], expected[:, :t])
        assert (np.abs(moved[:, t] - expected[:, t]).max(-1) > 1e-6).all()


def test_every_earlier_token_counts():
    """Catches a mask that hides too much: the last vector depends on each token before."""
    model, ids = model_of(), ids_of(1, 9)
    expected = model(ids)[0, -1]
    for t in range(9):
        other = ids.copy()
        other[0, t] = (other[0, t] + 1) % 11
        assert np.abs(model(other)[0, -1] - expected).max() > 1e-9


def test_rows_of_a_batch_are_independent():
    model, ids = model_of(), ids_of(4, 6)
    other = ids.copy()
    other[0] = (other[0] + 1) % 11
    np.testing.assert_array_equal(model(other)[1:], model(ids)[1:])


@pytest.mark.parametrize("norm_order", ["pre", "post"])
@pytest.mark.parametrize("chunks", [[1] * 9, [4, 5], [3, 1, 1, 4], [8, 1]])
def test_cached_decoding_equals_the_full_forward(chunks, norm_order):
    """Catches positions counted from the chunk, and keys of another layer."""
    model, ids = model_of(norm_order=norm_order), ids_of(3, 9)
    state, parts, start = State(), [], 0
    for size in chunks:
        parts.append(model(ids[:, start : start + size], state=state))
        start += size
    np.testing.assert_allclose(np.concatenate(parts, 1), model(ids), rtol=0, atol=1e-12)
    assert state.length == 9
    with pytest.raises(ValueError, match=r"\(3, 1\) after 9 cached positions.* max_len = 9"):
        model(ids[:, :1], state=state)


# ---------------------------------------------------------------------------------------- starting


def test_initial_weights_are_those_of_gpt2():
    """Catches residual projections that are not scaled down, biases that are not 0, gains that are not 1."""
    state = GPT(GPTConfig(vocab_size=99, d_model=64, n_layers=8), rng=np.random.default_rng(0)).state_dict()
    for path, array in state.items():
        if path.endswith("bias"):
            assert not array.any(), path
        elif "norm" in path:
            assert (array == 1).all(), path
        else:
            deep = path.endswith(("output.weight", "contract.weight"))
            assert abs(array.std() / (0.02 / 4 if deep else 0.02) - 1) < 0.06, path


# ---------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *((name, value) for name in ("vocab_size", "max_len", "d_model", "n_heads", "n_layers", "d_ff")
          for value in (0, -1, 2.5, "4", True, 10**12)),
        ("vocab_size", None),
        ("n_heads", 4),
        ("dropout", 1.0),
        ("dropout", -0.1),
        ("norm_order", "middle"),
        ("activation", "swish"),
    ],
)  # fmt: skip
def test_a_bad_config_is_refused_before_anything_is_allocated(field, value):
    with pytest.raises((TypeError, ValueError), match=f"GPTConfig: .*{field}"):
        config_of(**{field: value})


@pytest.mark.parametrize(
    ("ids", "error", "message"),
    [
        ([[0, 1, 11]], ValueError, r"token id 11 at position \(0, 2\) is outside 0\.\.10"),
        ([[0, -1, 1]], ValueError, r"token id -1 at position \(0, 1\)"),
        ([[0.0, 1.0]], TypeError, "expected integers"),
        ([0, 1], ValueError, r"GPT: ids has shape \(2,\)"),
        (np.zeros((2, 0), int), ValueError, r"GPT: ids has shape \(2, 0\)"),
        (np.zeros((0, 2), int), ValueError, r"GPT: ids has shape \(0, 2\)"),
        (np.zeros((2, 10), int), ValueError, r"GPT: ids has shape \(2, 10\) .* max_len = 9"),
    ],
)
def test_bad_ids_are_named(ids, error, message):
    with pytest.raises(error, match=message):
        model_of()(np.asarray(ids))
