"""GPT as a whole: every gradient by name, causality, cached decoding, and a batch that can be learned by heart."""

import numpy as np
import pytest
from cases import LayerCase, Seeded
from properties import check_shards_add_up, model_checks

from tinytx.core import Tape, TapeError
from tinytx.layers import KeyValueCache
from tinytx.models import GPT, GPTConfig

# Pairwise: every value of each option, and every pair of the first three.
VARIANTS = {
    "tied, pre, gelu_tanh": {},
    "untied, pre, gelu": {"tied_head": False, "activation": "gelu", "n_layers": 1},
    "tied, post, gelu": {"norm_order": "post", "activation": "gelu"},
    "untied, post, gelu_tanh": {"tied_head": False, "norm_order": "post", "n_layers": 1},
    "tied, pre, relu": {"activation": "relu", "n_layers": 1},
    "untied, post, relu": {"tied_head": False, "norm_order": "post", "activation": "relu", "n_layers": 1},
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
        shares=config.tied_head,
        tape=(lambda: Tape(seed=1, step=2)) if config.dropout else Tape,
    )


def model_of(seed=0, **options):
    """Return a float64 model at random parameters, biases and gains included."""
    case = case_of(seed, **options)
    return case.bind(case.arrays)


def ids_of(*shape, vocab_size=11, seed=3):
    return np.random.default_rng(seed).integers(0, vocab_size, shape)


# ---------------------------------------------------------------------------------------- gradients


@model_checks
@pytest.mark.parametrize("variant", VARIANTS)
def test_property(variant, check):
    """Catches a residual branch left out, norms in the wrong order, a tied head that adds one of two contributions."""
    check(case_of(**VARIANTS[variant]), np.random.default_rng(0))


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_loss_and_its_gradient(dropout):
    """Catches a loss and a gradient that divide by different counts."""
    model, ids, targets = model_of(dropout=dropout), ids_of(3, 5), ids_of(3, 5, seed=4)
    targets[0, :2] = -100
    rng = np.random.default_rng(0)
    tape = Tape(seed=1)
    model.zero_grad()
    assert 1 < model.loss(ids, targets, tape) < 10
    model.loss_backward(tape)
    tape.check_empty()
    assert model.count(ids, targets) == 13
    for path, parameter in model.named_parameters():
        direction, step, before = rng.normal(size=parameter.data.shape), 1e-5, parameter.data
        losses = []
        for sign in (1, -1):
            parameter.data = before + sign * step * direction
            losses.append(model.loss(ids, targets, Tape(seed=1)))
        parameter.data = before
        numeric, analytic = (losses[0] - losses[1]) / (2 * step), (parameter.grad * direction).sum()
        assert abs(numeric - analytic) < 1e-7 * max(1, np.linalg.norm(parameter.grad)), path


@pytest.mark.parametrize("tied", [False, True])
def test_loss_in_chunks_is_the_loss(tied, monkeypatch):
    """Catches a table's gradient that is not transposed back, or that is lost, where the logits do not exist whole."""
    config = GPTConfig(vocab_size=11, max_len=7, d_model=12, n_heads=3, n_layers=2, tied_head=tied)
    model = GPT(config, rng=np.random.default_rng(0), dtype=np.float64)
    ids, targets = np.random.default_rng(1).integers(0, 11, (2, 3, 7))
    results = []
    for most in (10**6, 1):
        monkeypatch.setattr("tinytx.models.gpt.LOGITS", most)
        model.zero_grad()
        tape = Tape()
        loss = model.loss(ids, targets, tape)
        kept = [array.shape[-1] for _, arrays, _ in tape.kept() for _, array in arrays if array.ndim]
        model.loss_backward(tape)
        tape.check_empty()
        results.append((loss, 11 in kept, {name: p.grad for name, p in model.named_parameters()}))
    (whole, _, expected), (chunked, logits_kept, found) = results
    assert abs(whole - chunked) < 1e-14 and not logits_kept
    for name, gradient in expected.items():
        np.testing.assert_allclose(found[name], gradient, rtol=0, atol=1e-14, err_msg=name)


@pytest.mark.parametrize("most", [10**6, 1])
def test_shards_add_up_to_the_whole_batch(most, monkeypatch):
    """Catches dropout masks and counts that depend on how many threads shared the batch; in chunks of logits, too."""
    monkeypatch.setattr("tinytx.models.gpt.LOGITS", most)
    ids, targets = ids_of(5, 6), ids_of(5, 6, seed=4)
    targets[3:, 2:] = -100
    check_shards_add_up(model_of(dropout=0.3), ids, targets)


def test_a_tied_table_is_one_parameter():
    tied, untied = model_of(), model_of(tied_head=False)
    assert tied.head.weight is tied.token.weight
    assert "head.weight" not in tied.state_dict() and untied.state_dict()["head.weight"].shape == (6, 11)
    assert len(untied.parameters()) == len(tied.parameters()) + 1


def test_wrong_order_names_the_layer_in_the_model():
    model, tape = model_of(), Tape()
    model(ids_of(2, 5), tape)
    query = model.blocks[0].attention.f.query
    with pytest.raises(TapeError, match=r"backward of blocks\.0\.attention\.f\.query ran, .* to save was head:"):
        query.backward(np.zeros((2, 5, 6)), tape)


# ---------------------------------------------------------------------------------------- causality and decoding


@pytest.mark.parametrize("norm_order", ["pre", "post"])
def test_logits_do_not_depend_on_later_tokens(norm_order):
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
    """Catches a mask that hides too much: the last logits depend on each token before."""
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
    cache, parts, start = KeyValueCache(2), [], 0
    for size in chunks:
        parts.append(model(ids[:, start : start + size], cache=cache))
        start += size
    np.testing.assert_allclose(np.concatenate(parts, 1), model(ids), rtol=0, atol=1e-12)
    assert cache.length == 9
    with pytest.raises(ValueError, match=r"\(3, 1\) after 9 cached positions.* max_len = 9"):
        model(ids[:, :1], cache=cache)


# ---------------------------------------------------------------------------------------- learning


@pytest.mark.parametrize("variant", ["tied, pre, gelu_tanh", "untied, post, relu"])
def test_learns_one_batch_by_heart(variant):
    """Catches a gradient of the wrong sign or scale: 60 steps of Adam, written out, from the usual start."""
    config = config_of(d_model=16, d_ff=32, **VARIANTS[variant])
    model = GPT(config, rng=np.random.default_rng(0))
    ids = ids_of(4, 9)
    inputs, targets = ids[:, :-1], ids[:, 1:]
    moments = [(np.zeros_like(p.data), np.zeros_like(p.data)) for p in model.parameters()]
    first = model.loss(inputs, targets)
    assert abs(first - np.log(11)) < 0.3  # nothing known yet: the log of the vocabulary
    for step in range(1, 61):
        model.zero_grad()
        tape = Tape()
        model.loss(inputs, targets, tape)
        model.loss_backward(tape)
        for parameter, (m, v) in zip(model.parameters(), moments, strict=True):
            m += 0.1 * (parameter.grad - m)
            v += 0.05 * (parameter.grad**2 - v)
            parameter.data -= 0.02 * (m / (1 - 0.9**step)) / (np.sqrt(v / (1 - 0.95**step)) + 1e-8)
    assert model.loss(inputs, targets) < 0.1 * first


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
        ([0, 1], ValueError, r"GPT: ids have shape \(2,\)"),
        (np.zeros((2, 0), int), ValueError, r"GPT: ids have shape \(2, 0\)"),
        (np.zeros((0, 2), int), ValueError, r"GPT: ids have shape \(0, 2\)"),
        (np.zeros((2, 10), int), ValueError, r"GPT: ids have shape \(2, 10\) .* max_len = 9"),
    ],
)
def test_bad_ids_are_named(ids, error, message):
    with pytest.raises(error, match=message):
        model_of()(np.asarray(ids))


def test_bad_targets_are_named():
    with pytest.raises(ValueError, match=r"target 11 at position \(1, 0\)"):
        model_of().loss(np.zeros((2, 1), int), np.array([[0], [11]]))
