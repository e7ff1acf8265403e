"""Attention over several sets of keys, merged, is attention over all of them: output, log-sum-exp, every gradient."""

import numpy as np
import pytest
from properties import assert_same

from tinytx.ops import attention, attention_backward, merge, merge_backward
from tinytx.ops.attention_patterns import CAUSAL, Band

B, H, T, S, K, W = 2, 3, 5, 12, 4, 6


def problem():
    rng = np.random.default_rng(0)
    return [rng.normal(size=(B, H, n, k)) for n, k in ((T, K), (S, K), (S, W), (T, W))], rng.normal(size=(B, H, T))


@pytest.mark.parametrize("cuts", [(0, 12), (0, 1, 12), (0, 5, 12), (0, 3, 3, 8, 12), (0, *range(1, 13))])
def test_sets_of_keys_merged_are_all_keys(cuts):
    """Catches a share that is forgotten, and the gradient of a log-sum-exp: the sum of each set depends on q and k."""
    (q, k, v, dy), dlse = problem()
    k[:, :, 4] *= 40  # one set has nearly all the weight of some queries
    mask = np.random.default_rng(1).random((B, H, T, S)) < 0.7
    mask[0, 1, 2] = False  # sees no key
    mask[1, :, :, 3:8] = False  # sees none of a whole set
    expected, saved = attention(q, k, v, mask=mask, scale=0.8, log_sum_exp=True)
    gradients = dict(zip(("dq", "dk", "dv"), attention_backward((dy, dlse), saved), strict=True))

    sets = [slice(*ends) for ends in zip(cuts, cuts[1:], strict=False)]
    kept = [attention(q, k[:, :, at], v[:, :, at], mask=mask[..., at], scale=0.8, log_sum_exp=True) for at in sets]
    merged, saved = merge(np.stack([y for (y, _), _ in kept]), np.stack([lse for (_, lse), _ in kept]))
    for actual, whole in zip(merged, expected, strict=True):
        np.testing.assert_allclose(actual, whole, rtol=1e-13, atol=1e-13)
    assert not merged[0][0, 1, 2].any() and merged[1][0, 1, 2] == -np.inf

    dq, dk, dv = np.zeros_like(q), np.zeros_like(k), np.zeros_like(v)
    for at, (_, of_set), dys, dlses in zip(sets, kept, *merge_backward((dy, dlse), saved), strict=True):
        one, dk[:, :, at], dv[:, :, at] = attention_backward((dys, dlses), of_set)
        dq += one
    assert_same({"dq": dq, "dk": dk, "dv": dv}, gradients, "merged", 1e-12)


def test_patterns_that_share_no_key_are_merged():
    """A window and what is beyond it are the causal attention."""
    (q, k, v, _), _ = problem()
    q = np.repeat(q, 3, axis=2)[:, :, :S]
    beyond = ~Band(3, 0).allowed(slice(0, B), slice(0, S), slice(0, S))
    parts = [
        attention(q, k, v, pattern=pattern, mask=mask, log_sum_exp=True)[0]
        for pattern, mask in ((CAUSAL & Band(3, None), None), (CAUSAL, beyond))
    ]
    (y, _), _ = merge(*map(np.stack, zip(*parts, strict=True)))
    np.testing.assert_allclose(y, attention(q, k, v, pattern=CAUSAL)[0], rtol=0, atol=1e-14)


def test_nan_is_not_hidden_and_infinity_is_no_share():
    lses = np.array([[0.0, np.nan, -np.inf], [1.0, 2.0, -np.inf]])
    (y, lse), saved = merge(np.ones((2, 3, 4)), lses)
    assert np.isnan(y[1]).all() and np.isnan(lse[1])
    assert not y[2].any() and lse[2] == -np.inf
    dys, dlses = merge_backward((np.ones_like(y), np.ones_like(lse)), saved)
    assert not dys[:, 2].any() and not dlses[:, 2].any()


def test_refuses_what_does_not_fit():
    with pytest.raises(ValueError, match=r"merge: lses has shape \(2, 4\), expected \(2, 3\) from ys of shape"):
        merge(np.zeros((2, 3, 4)), np.zeros((2, 4)))
    _, saved = merge(np.zeros((2, 3, 4)), np.zeros((2, 3)))
    with pytest.raises(TypeError, match=r"merge_backward: dy is not the pair \(dy, dlse\)"):
        merge_backward(np.zeros((3, 4)), saved)
