import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinytx.metrics import perplexity

LOSSES = st.lists(st.floats(0, 20), min_size=1, max_size=40)


@given(LOSSES, st.data())
def test_batching_does_not_matter(losses, data):
    """Catches a mean of batches' means."""
    cuts = sorted(data.draw(st.sets(st.integers(0, len(losses)), max_size=5)))
    batches = np.split(np.array(losses), cuts)
    ours = perplexity([batch.sum() for batch in batches], [len(batch) for batch in batches])
    assert ours == pytest.approx(math.exp(np.mean(losses)), rel=1e-12)


@given(LOSSES, st.randoms())
def test_the_order_of_batches_does_not_change_a_bit(losses, random):
    shuffled = random.sample(losses, len(losses))
    assert perplexity(losses, [1] * len(losses)) == perplexity(shuffled, [1] * len(losses))


@pytest.mark.parametrize("v", [1, 2, 50])
def test_one_of_v_equally_likely_tokens(v):
    assert perplexity(7 * math.log(v), 7) == pytest.approx(v)


def test_numpy_scalars_float32_and_batches_without_targets():
    assert perplexity(np.float32(2), np.int64(1)) == pytest.approx(math.exp(2))
    assert perplexity([2.0, 0.0], [1, 0]) == perplexity([2.0], [1])


@pytest.mark.parametrize("loss_sum", [1e6, math.inf])
def test_hopeless_models_have_infinite_perplexity(loss_sum):
    assert perplexity([loss_sum], [10]) == math.inf


def test_counts_that_are_no_counts():
    with pytest.raises(TypeError, match="counts have dtype float64, expected integers"):
        perplexity([1.0, 2.0], [1.5, 2.0])


@pytest.mark.parametrize(
    "loss_sums, counts, match",
    [
        ([], [], "0 tokens in 0 batches"),
        ([0.0], [0], "0 tokens in 1 batches"),
        ([1.0, 1.0], [2, -1], "1 tokens"),
        ([1.0, math.nan], [1, 2], r"loss_sums\[1\] is NaN"),
        ([1.0], [1, 2], r"\(1,\) and counts \(2,\)"),
        ([[1.0]], [[1]], r"\(1, 1\)"),
    ],
)
def test_errors(loss_sums, counts, match):
    with pytest.raises(ValueError, match=match):
        perplexity(loss_sums, counts)
