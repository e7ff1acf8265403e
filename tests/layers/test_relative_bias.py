"""RelativePositionBias: its buckets are T5's, for each side, and what does not fit is refused."""

import math

import numpy as np
import pytest

from tinytx.layers import RelativePositionBias
from tinytx.layers.relative_bias import bucket_starts


def bias(**options):
    return RelativePositionBias(2, rng=np.random.default_rng(0), dtype=np.float64, **options)


def with_logarithms(distance, n_buckets, max_distance):
    """One side's bucket as T5's authors compute it."""
    exact = n_buckets // 2
    if distance < exact:
        return distance
    share = math.log(distance / exact) / math.log(max_distance / exact)
    return min(n_buckets - 1, exact + int(share * (n_buckets - exact) + 1e-12))


@pytest.mark.parametrize(("n_buckets", "max_distance"), [(16, 128), (32, 128), (8, 64), (4, 20), (32, 256)])
def test_starts_are_those_of_the_logarithms(n_buckets, max_distance):
    """Catches a ratio that is off by one bucket, and a last bucket that ends at max_distance."""
    starts = bucket_starts(n_buckets, max_distance)
    distances = np.arange(300)
    found = np.searchsorted(starts, distances, side="right") - 1
    assert found.tolist() == [with_logarithms(d, n_buckets, max_distance) for d in distances]


def test_one_sided_buckets():
    """The decoder's first distances of its wide buckets, as published; later keys share bucket 0."""
    layer = bias(two_sided=False)
    assert layer.starts[16:].tolist() == [16, 19, 21, 24, 27, 31, 35, 40, 46, 52, 59, 67, 77, 87, 99, 113]
    assert layer.buckets([3], np.arange(7)).tolist() == [[3, 2, 1, 0, 0, 0, 0]]


def test_two_sided_buckets():
    """Keys after the query have the second half of the table."""
    assert bias().buckets([3], np.arange(7)).tolist() == [[3, 2, 1, 0, 17, 18, 19]]


def test_a_bias_depends_on_the_distance_alone():
    """Catches a new word in a cache that is taken for the first."""
    layer = bias()
    whole = layer(np.arange(40), np.arange(40))
    np.testing.assert_array_equal(layer(np.arange(37, 40), np.arange(40)), whole[:, :, 37:])
    np.testing.assert_array_equal(layer(np.arange(5) + 7, np.arange(5) + 7), whole[:, :, :5, :5])
    assert whole.shape == (1, 2, 40, 40) and (whole[0, :, 0, 3] == layer.weight.data[19]).all()


@pytest.mark.parametrize("options", [{"n_buckets": 2}, {"n_buckets": 7}, {"n_buckets": 32, "max_distance": 8}])
def test_what_does_not_fit_is_refused(options):
    with pytest.raises(ValueError, match=r"RelativePositionBias: n_buckets is \d+ and max_distance \d+, expected"):
        bias(**options)
