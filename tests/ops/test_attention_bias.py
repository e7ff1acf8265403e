"""Bias and its gradient, groups of heads, scale, and the row's log-sum-exp."""

import numpy as np
import pytest
from cases import Backwards
from properties import assert_same

from tinytx import workers
from tinytx.ops import attention, attention_backward, attention_saved, attention_tiles, attention_weights
from tinytx.ops.attention_patterns import CAUSAL, FULL
from tinytx.testing import gradcheck

B, H, G, T, S, K, W = 3, 6, 2, 5, 7, 4, 3
BIASES = [(B, H, T, S), (1, H, T, S), (B, 1, T, S), (1, 1, T, S), (1, H, 1, S), (B, 1, T, 1)]


def arrays(*shapes):
    rng = np.random.default_rng(0)
    return [rng.normal(size=shape) for shape in shapes]


def results(q, k, v, bias, dy, **options):
    y, saved = attention(q, k, v, bias, **options)
    return dict(zip(("y", "dq", "dk", "dv", "dbias"), (y, *attention_backward(dy, saved)), strict=True))


@pytest.mark.compiled
@pytest.mark.parametrize("shape", BIASES)
def test_gradient_of_a_bias(shape, monkeypatch):
    """Catches a sum over the wrong axes, and c in the bias's gradient: c is not 1, no two sizes are equal."""
    monkeypatch.setattr(attention_tiles, "BLOCK", 2)
    monkeypatch.setattr(attention_tiles, "KEYS", 3)
    inputs = arrays((B, H, T, K), (B, G, S, K), (B, G, S, W), shape)
    report = gradcheck(
        lambda *inputs: attention(*inputs, scale=0.6, pattern=CAUSAL), *inputs, backward=attention_backward
    )
    assert report.verdict == "PASS", report


@pytest.mark.parametrize("shape", BIASES)
@pytest.mark.parametrize("parts", [1, 2, 5])
def test_gradient_of_a_bias_does_not_depend_on_threads(shape, parts, monkeypatch):
    """Catches a race: each bit is the same however many lists there are, in which order and in how many threads."""
    monkeypatch.setattr(attention_tiles, "BLOCK", 2)
    monkeypatch.setattr(attention_saved, "LARGE", 1)
    inputs = arrays((B, H, 40, K), (B, G, S, K), (B, G, S, W), tuple(40 if n == T else n for n in shape))
    dy = arrays((B, H, 40, W))[0].astype(np.float32)
    inputs = [array.astype(np.float32) for array in inputs]
    expected = results(*inputs, dy, scale=0.6)
    _, saved = attention(*inputs, scale=0.6)
    for pool in (workers.Pool(parts), Backwards(parts)):
        with workers.use(pool):
            gradients = attention_backward(dy, saved)
        for name, gradient in zip(("dq", "dk", "dv", "dbias"), gradients, strict=True):
            np.testing.assert_array_equal(gradient, expected[name], err_msg=name)


def test_weights_for_pictures_are_those_that_values_get():
    """Catches weights without the bias, or with another scale; heads of a group share their values."""
    q, k, v, bias = arrays((B, H, T, K), (B, G, S, K), (B, G, S, W), (B, H, T, S))
    y, saved = attention(q, k, v, bias, scale=0.6, pattern=CAUSAL)
    np.testing.assert_allclose(attention_weights(saved) @ v.repeat(H // G, axis=1), y, rtol=0, atol=1e-13)


def test_a_bias_of_minus_infinity_is_a_mask():
    q, k, v, dy = arrays((B, H, T, K), (B, H, S, K), (B, H, S, W), (B, H, T, W))
    mask = np.random.default_rng(1).random((B, H, T, S)) < 0.6
    mask[0, 0, 2] = False
    bias = np.where(mask, 0.0, -np.inf)
    expected = results(q, k, v, np.zeros_like(bias), dy, mask=mask, scale=0.6)
    assert_same(results(q, k, v, bias, dy, scale=0.6), expected, "bias", 1e-13)


def test_hidden_scores_take_no_bias():
    """Catches a bias that is added behind the mask: NaN where nobody looks."""
    q, k, v, bias, dy = arrays((B, H, T, K), (B, H, S, K), (B, H, S, W), (1, 1, T, S), (B, H, T, W))
    mask = np.random.default_rng(1).random((T, S)) < 0.6
    expected = results(q, k, v, bias, dy, mask=mask)
    actual = results(q, k, v, np.where(mask, bias, np.nan), dy, mask=mask)
    assert_same(actual, expected, "hidden bias", 1e-13)
    assert not actual["dbias"][..., ~mask].any()


@pytest.mark.parametrize("pattern", [FULL, CAUSAL])
@pytest.mark.parametrize("block", [2, 64])
def test_grouped_keys_are_repeated_keys(pattern, block, monkeypatch):
    """Catches head h reading group h mod G, and a gradient of one of the group's heads."""
    monkeypatch.setattr(attention_tiles, "BLOCK", block)
    q, k, v, bias, dy = arrays((B, H, T, K), (B, G, S, K), (B, G, S, W), (1, H, T, S), (B, H, T, W))
    repeated = [np.repeat(array, H // G, axis=1) for array in (k, v)]
    expected = results(q, *repeated, bias, dy, pattern=pattern, dropout=0.3, key=8)
    for name in ("dk", "dv"):
        expected[name] = expected[name].reshape(B, G, H // G, S, -1).sum(axis=2)
    assert_same(results(q, k, v, bias, dy, pattern=pattern, dropout=0.3, key=8), expected, "groups", 1e-12)


def test_scale_is_what_is_given():
    q, k, v = arrays((B, H, T, K), (B, H, S, K), (B, H, S, W))
    expected = attention(q * 3, k, v)[0]
    np.testing.assert_allclose(attention(q, k, v, scale=1.5)[0], expected, rtol=0, atol=1e-14)  # 3 / sqrt(K)


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("size", [1.0, 1e4])
def test_log_sum_exp(bias, size, monkeypatch):
    """Catches an overflow, and a maximum that is kept without c: scores of any size, keys in several tiles."""
    monkeypatch.setattr(attention_tiles, "KEYS", 3)
    q, k, v, b = arrays((B, H, T, K), (B, H, S, K), (B, H, S, W), (1, H, T, S))
    q, scores = q * size, 0.6 * size * q @ k.swapaxes(2, 3) + (b if bias else 0)
    mask = np.random.default_rng(1).random((B, H, T, S)) < 0.6
    mask[0, 0, 2] = False
    (_, lse), _ = attention(q, k, v, b if bias else None, scale=0.6, mask=mask, log_sum_exp=True)
    expected = np.logaddexp.reduce(np.where(mask, scores, -np.inf), axis=3)
    assert lse[0, 0, 2] == -np.inf
    np.testing.assert_allclose(lse, expected, rtol=1e-13, atol=1e-13)


def test_two_outputs_have_two_gradients():
    q, k, v = arrays((B, H, T, K), (B, H, S, K), (B, H, S, W))
    (y, _), saved = attention(q, k, v, log_sum_exp=True)
    with pytest.raises(TypeError, match=r"attention_backward: dy is not the pair \(dy, dL\)"):
        attention_backward(y, saved)
