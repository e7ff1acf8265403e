"""Linformer: which matrices are shared, what it costs, and that it is BERT where it compresses nothing."""

import numpy as np
import pytest

from tinytx.core import Tape
from tinytx.layers import Compress, Compressed, DotProduct
from tinytx.models import Bert, BertConfig, Linformer, LinformerConfig
from tinytx.ops.attention_patterns import CAUSAL

SIZES = {"d_model": 6, "n_heads": 3, "n_layers": 2, "d_ff": 7}
IDS = np.random.default_rng(0).integers(1, 11, (2, 5))


def linformer(**options):
    config = LinformerConfig(11, **SIZES | {"max_len": 9, "n_sums": 4} | options)
    return Linformer(config, rng=np.random.default_rng(0), dtype=np.float64)


@pytest.mark.parametrize(("sharing", "n"), [("none", 4 * 3), ("heads", 4), ("keys_and_values", 2), ("blocks", 1)])
def test_each_sharing_has_its_number_of_matrices(sharing, n):
    """Two blocks of three heads; catches copies, of which each learns by itself."""
    body = linformer(sharing=sharing)
    bert = Bert(BertConfig(11, **SIZES, max_len=9), rng=np.random.default_rng(0))
    ours, theirs = (sum(p.data.size for p in model.parameters()) for model in (body, bert))
    assert ours - theirs == n * 4 * 9


@pytest.mark.parametrize("sharing", ["none", "heads", "blocks"])
def test_with_identity_matrices_it_is_bert(sharing):
    """Outputs and the gradients of all that both have, to the bit of float64; random parameters, dropout on."""
    body = linformer(sharing=sharing, n_sums=5, max_len=5)
    bert = Bert(BertConfig(11, **SIZES, max_len=5), rng=np.random.default_rng(0), dtype=np.float64)
    theirs = dict(body.named_parameters())
    rng = np.random.default_rng(1)
    for path, parameter in bert.named_parameters():
        parameter.data[...] = theirs[path].data[...] = rng.normal(size=parameter.data.shape)
    for path in theirs.keys() - dict(bert.named_parameters()).keys():
        theirs[path].data[...] = np.eye(5)
    ys, tapes = zip(*((model(IDS, tape), tape) for model, tape in ((body, Tape(seed=3)), (bert, Tape(seed=3)))))
    np.testing.assert_allclose(*ys, rtol=0, atol=1e-12)
    dy = rng.normal(size=ys[0].shape)
    body.backward(dy, tapes[0])
    bert.backward(dy, tapes[1])
    for path, parameter in bert.named_parameters():
        np.testing.assert_allclose(theirs[path].grad, parameter.grad, rtol=0, atol=1e-11 * np.abs(parameter.grad).max(), err_msg=path)


def test_padding_does_not_move_a_text():
    """Catches padding in the sums: the text alone, and with padding behind it."""
    body = linformer()
    alone = body(IDS[:1, :3])
    padded = body(np.append(IDS[:1, :3], [[0, 0, 0]], axis=1))
    np.testing.assert_allclose(padded[:, :3], alone, rtol=0, atol=1e-13)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"pattern": CAUSAL}, r"Compressed: pattern is Band.*expected FULL: each sum"),
        ({"mask": np.ones((2, 1, 4, 4), bool)}, r"Compressed: mask has shape \(2, 1, 4, 4\), expected .*\(2, 1, 1, 4\)"),
    ],
)
def test_what_the_sums_cannot_do_is_refused(settings, message):
    """A causal mask would leak: each sum holds the last word."""
    core = Compressed(DotProduct(), *(Compress(3, 4, rng=np.random.default_rng(0)) for _ in range(2)))
    x = np.ones((2, 3, 4, 5), np.float32)
    for call in (core, core.weights):
        with pytest.raises(ValueError, match=message):
            call(x, x, x, **settings)


def test_weights_are_those_of_the_sums():
    core = Compressed(DotProduct(), *(Compress(3, 4, rng=np.random.default_rng(n)) for n in range(2)))
    x = np.random.default_rng(2).normal(size=(2, 3, 4, 5)).astype(np.float32)
    weights = core.weights(x, x, x)
    assert weights.shape == (2, 3, 4, 3)
    np.testing.assert_allclose(weights @ core.values(x), core(x, x, x), rtol=0, atol=1e-6)
