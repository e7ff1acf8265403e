"""Decoding: the cache changes nothing, and a sample has the distribution that it is said to have."""

import math

import numpy as np
import pytest

from tinytx.decoding import choose, generate
from tinytx.models import GPT, GPTConfig

V, MAX_LEN = 11, 8


@pytest.fixture(scope="module")
def model():
    """A GPT with weights large enough that its logits differ clearly."""
    config = GPTConfig(vocab_size=V, max_len=MAX_LEN, d_model=12, n_heads=3, n_layers=2)
    model, rng = GPT(config, rng=np.random.default_rng(0), dtype=np.float64), np.random.default_rng(1)
    for parameter in model.parameters():
        parameter.data[...] = rng.standard_normal(parameter.data.shape)
    return model


def written(model, ids, n_tokens, **options):
    """The new tokens (B, n_tokens)."""
    return np.stack(list(generate(model, ids, n_tokens, **options)), axis=1)


def prompts(length, n_rows=2):
    return np.random.default_rng(2).integers(V, size=(n_rows, length))


@pytest.mark.parametrize("length", [1, 3, MAX_LEN, MAX_LEN + 5])
@pytest.mark.parametrize("n_tokens", [4, 3 * MAX_LEN])
def test_greedy_equals_recomputing_everything(model, length, n_tokens):
    """Catches a cache that is one position off, and a window that is wrong once ``max_len`` positions are full."""
    start = prompts(length)
    window, expected = start[:, -MAX_LEN:], []
    for i in range(n_tokens):
        if window.shape[1] > MAX_LEN:
            window = window[:, -(MAX_LEN // 2) :]
        expected.append(model(window)[:, -1].argmax(axis=-1))
        window = np.concatenate([window, expected[-1][:, None]], axis=1)
    np.testing.assert_array_equal(written(model, start, n_tokens, temperature=0), np.stack(expected, axis=1))


def test_max_len_of_one():
    """Catches half of 1 rounded down to no context at all."""
    config = GPTConfig(vocab_size=V, max_len=1, d_model=4, n_heads=1, n_layers=1)
    model = GPT(config, rng=np.random.default_rng(0))
    assert written(model, prompts(3), 4, temperature=0).shape == (2, 4)


def test_sequences_of_a_batch_do_not_see_each_other(model):
    """Catches a cache shared between rows."""
    both = written(model, prompts(3), 12, temperature=0)
    for row in range(2):
        np.testing.assert_array_equal(written(model, prompts(3)[row : row + 1], 12, temperature=0), both[row : row + 1])


def test_one_of_the_likeliest_is_greedy(model):
    """Catches a top-k that keeps the wrong end, and a greedy choice that draws."""
    greedy = written(model, prompts(3), 12, temperature=0)
    np.testing.assert_array_equal(written(model, prompts(3), 12, temperature=0), greedy)
    for seed in range(3):
        rng = np.random.default_rng(seed)
        np.testing.assert_array_equal(written(model, prompts(3), 12, temperature=5.0, top_k=1, rng=rng), greedy)


def test_a_seed_gives_the_same_text(model):
    """Catches a draw from another generator than the one handed in."""

    def text(seed):
        return written(model, prompts(3), 20, rng=np.random.default_rng(seed)).tobytes()

    assert text(0) == text(0) != text(1)


def test_arguments_are_left_alone_and_no_token_is_none(model):
    """Catches a prompt that grows in the caller's hands, and an extra token where none is asked for."""
    ids = prompts(3)
    ids.flags.writeable = False
    assert list(generate(model, ids, 0, temperature=0)) == []
    assert written(model, ids, 3, temperature=0).dtype == np.int64


LOGITS = np.array([0.5, -1.0, 2.0, 0.0, -30.0, 1.0, -np.inf, 0.0])


@pytest.mark.parametrize("temperature, top_k", [(1.0, None), (0.5, None), (3.0, None), (1.0, 3), (2.0, 100)])
def test_frequencies_follow_the_softmax(temperature, top_k):
    """Catches a temperature that multiplies, a missing normalisation after top-k, and a draw that is off by one token:
    chi-squared of 100,000 draws stays within six standard deviations of its mean."""
    n_draws = 100_000
    kept = LOGITS >= np.sort(LOGITS)[-min(top_k or V, len(LOGITS))]
    p = np.where(kept, np.exp(LOGITS / temperature), 0)
    expected = n_draws * p / p.sum()
    logits = np.broadcast_to(LOGITS, (n_draws, len(LOGITS)))
    counts = np.bincount(choose(logits, temperature, top_k, np.random.default_rng(0)), minlength=len(LOGITS))
    assert counts[p == 0].sum() == 0
    often = expected >= 5  # the rest, which is less than one draw, may come up a few times
    assert counts[~often].sum() <= 5
    chi_squared = ((counts - expected)[often] ** 2 / expected[often]).sum()
    freedom = often.sum() - 1
    assert chi_squared < freedom + 6 * math.sqrt(2 * freedom)


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


@pytest.mark.parametrize(
    "options, message",
    [
        ({"temperature": -1.0}, "temperature -1.0"),
        ({"temperature": math.nan}, "temperature nan"),
        ({"temperature": math.inf}, "temperature inf"),
        ({"top_k": 0}, "top_k 0"),
        ({"top_k": -1}, "top_k -1"),
        ({"rng": None}, "needs rng"),
        ({"ids": np.zeros((1, 0), int)}, "at least one token"),
        ({"ids": np.zeros(3, int)}, r"shape \(3,\)"),
    ],
)
def test_settings_out_of_range(model, options, message):
    """Catches errors that come only with the first token, when a caller has printed the prompt already."""
    settings = {"ids": prompts(3), "temperature": 1.0, "rng": np.random.default_rng(0)} | options
    with pytest.raises(ValueError, match=message):
        generate(model, settings.pop("ids"), 5, **settings)


@pytest.mark.parametrize("token", [V, -1])
def test_ids_outside_the_vocabulary(model, token):
    """Catches memory read outside the embedding's table."""
    with pytest.raises(ValueError, match=f"token id {token}"):
        next(generate(model, np.array([[0, token]]), 1, temperature=0))
