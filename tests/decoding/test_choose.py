"""One token from logits: the frequencies are those of the distribution that the docstring states."""

import math

import numpy as np
import pytest

from tinytx.decoding import choose
from tinytx.decoding.choose import largest_columns, log_normaliser

N_DRAWS = 100_000
LOGITS = np.array([0.5, -1.0, 2.0, 0.1, -30.0, 1.0, -np.inf, 0.0])


def probabilities(temperature=1.0, top_k=None, top_p=None):
    """The distribution, computed plainly from its definition, one token after the other."""
    order = np.argsort(-LOGITS, kind="stable")[: top_k or len(LOGITS)]
    p = np.zeros(len(LOGITS))
    p[order] = np.exp(LOGITS[order] / temperature)
    p /= p.sum()
    if top_p is not None:
        nucleus = []
        for token in order:
            if sum(p[nucleus]) < top_p:
                nucleus.append(token)
        p[[token for token in range(len(p)) if token not in nucleus]] = 0
    return p / p.sum()


@pytest.mark.parametrize(
    "temperature, top_k, top_p",
    [
        (1.0, None, None),
        (0.5, None, None),
        (3.0, None, None),
        (1.0, 3, None),
        (2.0, 100, None),
        (1.0, 2, None),
        (1.0, None, 0.8),
        (1.0, None, 0.97),
        (1.0, None, 1.0),
        (2.0, None, 0.6),
        (1.0, 3, 0.9),
        (1.0, 1, 0.5),
        (1.0, None, 1e-9),
    ],
)
def test_frequencies_follow_the_distribution(temperature, top_k, top_p):
    """Catches a temperature that multiplies, or that comes after the nucleus; a missing normalisation after top-k; a
    nucleus one token too small or too large; a draw that is off by one token: chi-squared of 100,000 draws stays within
    six standard deviations of its mean."""
    p = probabilities(temperature, top_k, top_p)
    expected = N_DRAWS * p
    logits = np.broadcast_to(LOGITS, (N_DRAWS, len(LOGITS)))
    counts = np.bincount(choose(logits, temperature, top_k, np.random.default_rng(0), top_p), minlength=len(LOGITS))
    assert counts[p == 0].sum() == 0
    often = expected >= 5  # the rest, which is less than one draw, may come up a few times
    assert counts[~often].sum() <= 5
    chi_squared = ((counts - expected)[often] ** 2 / expected[often]).sum()
    freedom = often.sum() - 1
    assert chi_squared <= freedom + 6 * math.sqrt(2 * freedom)


def test_each_row_has_its_own_distribution():
    """Catches an order, or an edge of the nucleus, of one row that is used for another."""
    rng = np.random.default_rng(0)
    logits = rng.standard_normal((20_000, 7)) * 3
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    for options, rows_in in (
        ({"top_k": 2}, lambda token: (logits > np.take_along_axis(logits, token, 1)).sum(axis=1) < 2),
        ({"top_p": 0.7}, lambda token: np.where(p > np.take_along_axis(p, token, 1), p, 0).sum(axis=1) < 0.7),
    ):
        token = choose(logits, 1.0, rng=rng, **options)
        assert rows_in(token[:, None]).all()
        assert (token != logits.argmax(axis=1)).mean() > 0.1


@pytest.mark.parametrize("k", [1, 3, 7])
def test_exactly_k_tokens_where_all_are_equal(k):
    """Catches a threshold instead of a choice: with ties at the k-th place it lets all of them through."""
    drawn = choose(np.zeros((5000, 9)), 1.0, k, np.random.default_rng(0))
    assert len(set(drawn.tolist())) == k


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("temperature", [1e-3, 1e-40, 5e-324, 1e300])
def test_extreme_temperatures(dtype, temperature):
    """Catches overflow, after which NaN makes every token the first: close to 0 is greedy, far above it uniform."""
    logits = np.tile(np.array([-1e4, 3.0, 2.0, 1e4], dtype), (3000, 1))
    counts = np.bincount(choose(logits, temperature, None, np.random.default_rng(0)), minlength=4)
    assert counts[3] == 3000 if temperature < 1 else counts.min() > 600


@pytest.mark.parametrize("temperature", [0, 1.0])
@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_logits_that_are_not_finite(temperature, bad):
    """Catches a model that diverged and writes its first token for ever."""
    with pytest.raises(ValueError, match=f"largest logit is .*{bad}"):
        choose(np.array([[1.0, 2.0], [0.0, bad]]), temperature, None, np.random.default_rng(0))


class Edge:
    """A generator whose draw is the largest that there is below 1, or exactly 0."""

    def __init__(self, value):
        self.value = value

    def random(self, shape):
        return np.full(shape, self.value)


@pytest.mark.parametrize("value, token", [(0.0, 1), (np.nextafter(1.0, 0.0), 3)])
def test_impossible_tokens_at_the_ends_are_never_drawn(value, token):
    """Catches an id beyond the vocabulary, and a token of probability 0, at the two ends of the interval."""
    logits = np.array([[-np.inf, 0.1, 0.2, 0.3, -np.inf]])
    assert choose(logits, 1.0, None, Edge(value)) == [token]
    assert choose(logits, 1.0, None, Edge(value), 1.0) == [3 if value == 0 else 1]  # in the order of probability


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_largest_columns(dtype):
    """Catches the k smallest, and columns out of their order, of which the first of equal tokens is lost."""
    x = np.random.default_rng(0).standard_normal((20, 9)).astype(dtype)
    for k in (1, 4, 9, 12):
        expected = np.sort(np.argsort(-x, axis=1)[:, :k], axis=1)
        np.testing.assert_array_equal(largest_columns(x, k), expected)


def test_log_normaliser():
    """Catches overflow, and float32 sums: 100,000 equal logits are ln 100,000 above each."""
    logits = np.full((2, 100_000), 300.0, np.float32)
    np.testing.assert_allclose(log_normaliser(logits) - 300, math.log(100_000), atol=1e-9)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shift, temperature", [(0, 1.0), (-50, 1.0), (40, 0.5), (7, 3.0)])
@pytest.mark.parametrize(
    "shares, top_p, kept", [([3, 1, 1, 5], 0.8, 2), ([1, 2, 7], 0.7, 1), ([1, 2, 7], 0.9, 2), ([1] * 10, 0.3, 3)]
)
def test_a_nucleus_that_adds_up_to_top_p_exactly(shares, top_p, kept, shift, temperature, dtype):
    """Catches a sum that is top_p but for its last digit, and taken for less: one token too many is kept."""
    p = np.array(shares) / sum(shares)
    logits = (temperature * (np.log(p) + shift)).astype(dtype)
    drawn = choose(np.tile(logits, (400, 1)), temperature, None, np.random.default_rng(0), top_p)
    assert len(set(drawn.tolist())) == kept


@pytest.mark.parametrize("top_p, kept", [(0.8 + 1e-6, 3), (0.8 - 1e-6, 2), (0.5 + 1e-6, 2)])
def test_a_nucleus_just_beside_a_boundary(top_p, kept):
    """Catches a tolerance that is not one of rounding."""
    drawn = choose(np.tile(np.log([0.3, 0.1, 0.1, 0.5]), (2000, 1)), 1.0, None, np.random.default_rng(0), top_p)
    assert len(set(drawn.tolist())) == kept


@pytest.mark.parametrize("top_k, top_p, kept", [(3, 0.8, 2), (3, 0.89, 3), (2, 0.7, 2), (2, 0.6, 1), (100, 0.5, 1)])
def test_top_p_of_what_top_k_kept(top_k, top_p, kept):
    """Of the shares 5, 3, 1, 1 three are 5/9, 3/9, 1/9; two are 5/8 and 3/8."""
    logits = np.tile(np.log([3, 1, 1, 5]), (2000, 1))
    drawn = choose(logits, 1.0, top_k, np.random.default_rng(0), top_p)
    assert len(set(drawn.tolist())) == kept


@pytest.mark.parametrize(
    "options, message",
    [
        ({"temperature": "1"}, "choose: temperature is '1', expected a finite number"),
        ({"temperature": np.ones(2)}, "temperature is an array"),
        ({"top_k": 2.5}, "top_k is 2.5, expected a whole number of at least 1, or None"),
        ({"top_k": math.nan}, "top_k is nan"),
        ({"top_k": True}, "top_k is True"),
        ({"top_p": "0.9"}, "top_p is '0.9'"),
        ({"top_p": True}, "top_p is True"),
        ({"rng": 0}, "rng is 0, expected a generator, such as np.random.default_rng"),
    ],
)
def test_settings_of_another_kind(options, message):
    settings = {"temperature": 1.0, "rng": np.random.default_rng(0)} | options
    with pytest.raises(TypeError, match=message):
        choose(np.zeros((1, 3)), **settings)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"temperature": -1.0}, "temperature is -1.0, expected a finite number of at least 0"),
        ({"top_k": 0}, "top_k is 0, expected a whole number of at least 1"),
        ({"top_p": 0.0}, r"top_p is 0.0, expected a number in \(0, 1\]"),
        ({"top_p": 1.1}, "top_p is 1.1"),
        ({"top_p": math.nan}, "top_p is nan"),
        ({"rng": None}, "needs rng, such as np.random.default_rng"),
    ],
)
def test_settings_out_of_range(options, message):
    settings = {"temperature": 1.0, "rng": np.random.default_rng(0)} | options
    with pytest.raises(ValueError, match=message):
        choose(np.zeros((1, 3)), **settings)
