"""Token by token: the cache changes nothing, rows do not see each other, stop tokens end them."""

import math

import numpy as np
import pytest
from toys import Pairs, Table, random_gpt

from tinytx.decoding import generate, greedy, sample
from tinytx.models import GPT, GPTConfig
from tinytx.tasks import NextToken

V, MAX_LEN = 11, 8


@pytest.fixture(scope="module")
def model():
    """A GPT with weights large enough that its logits differ clearly."""
    return random_gpt(V, MAX_LEN)


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
    model = NextToken(GPT(config, rng=np.random.default_rng(0)))
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


@pytest.mark.parametrize(
    "options, message",
    [
        ({"temperature": -1.0}, "temperature is -1.0"),
        ({"temperature": math.nan}, "temperature is nan"),
        ({"temperature": math.inf}, "temperature is inf"),
        ({"top_k": 0}, "top_k is 0"),
        ({"top_k": -1}, "top_k is -1"),
        ({"top_p": 0}, "top_p is 0"),
        ({"stop": V}, f"stop token {V} .* outside 0..{V - 1}"),
        ({"stop": [1, -1]}, "stop token -1"),
        ({"pad": V}, f"pad token {V}"),
        ({"n_tokens": -1}, "n_tokens is -1, expected a whole number of at least 0"),
        ({"rng": None}, "needs rng"),
        ({"ids": np.zeros((1, 0), int)}, "at least one token"),
        ({"ids": np.zeros(3, int)}, r"shape \(3,\)"),
        ({"ids": [[1, 2], []]}, r"row 1 of ids has shape \(0,\)"),
        ({"ids": [1, 2]}, r"row 0 of ids has shape \(\)"),
        ({"ids": []}, r"ids have shape \(0,\)"),
    ],
)
def test_settings_out_of_range(model, options, message):
    """Catches errors that come only with the first token, when a caller has printed the prompt already."""
    settings = {"ids": prompts(3), "n_tokens": 5, "temperature": 1.0, "rng": np.random.default_rng(0)} | options
    with pytest.raises(ValueError, match=message):
        generate(model, **settings)


@pytest.mark.parametrize("token", [V, -1])
def test_ids_outside_the_vocabulary(model, token):
    """Catches memory read outside the embedding's table."""
    with pytest.raises(ValueError, match=f"token id {token}"):
        next(generate(model, np.array([[0, token]]), 1, temperature=0))


# ---------------------------------------------------------------------------------------- stop tokens, lengths


def test_a_row_ends_with_its_stop_token():
    """Catches a stop token that is not yielded, a row that goes on after it, and a stream that outlives its rows."""
    model, start = Table(6, max_len=40), np.random.default_rng(0).integers(6, size=(5, 2))
    free = written(model, start, 30, temperature=0)
    for stop in (0, [0], (0, 3), np.array([5])):
        stops = np.atleast_1d(stop)
        ends = [int(np.argmax(np.isin(row, stops))) if np.isin(row, stops).any() else 30 for row in free]
        text = written(model, start, 30, temperature=0, stop=stop, pad=1)
        assert text.shape[1] == min(30, max(ends) + 1)
        for row, expected, end in zip(text, free, ends, strict=True):
            np.testing.assert_array_equal(row[: end + 1], expected[: end + 1])
            assert (row[end + 1 :] == 1).all()
    np.testing.assert_array_equal(written(model, start, 30, temperature=0, stop=()), free)


def test_prompts_of_different_lengths_get_what_they_get_alone(model):
    """Catches padding that is read as text, and positions that are shifted by it; also where the window slides."""
    rng = np.random.default_rng(0)
    starts = [rng.integers(V, size=n) for n in (3, 1, 3, MAX_LEN + 2, 2)]
    stop, n_tokens = 4, 2 * MAX_LEN
    together = written(model, starts, n_tokens, temperature=0, stop=stop)
    for row, start in enumerate(starts):
        alone = written(model, start[None], n_tokens, temperature=0, stop=stop)[0]
        np.testing.assert_array_equal(together[row, : len(alone)], alone)
        assert (together[row, len(alone) :] == stop).all()


def test_greedy_is_the_stream_with_its_log_probabilities(model):
    """Catches a log-probability of the wrong token or of padding, and lengths that miss the stop token; and with the
    cache they are those of the whole text, to 1e-12."""
    starts = np.random.default_rng(0).integers(V, size=(20, 2))
    stop = int(greedy(model, starts, 6).ids[0, 3])
    decoded = greedy(model, starts, 6, stop=stop, pad=9)
    np.testing.assert_array_equal(decoded.ids, written(model, starts, 6, temperature=0, stop=stop, pad=9))
    assert set(decoded.ended.tolist()) == {True, False}
    for row, n in enumerate(decoded.lengths):
        ids = decoded.ids[row]
        assert (ids[n:] == 9).all() and stop not in ids[: n - 1] and (ids[n - 1] == stop) == decoded.ended[row]
        logits = model(np.concatenate([starts[row], ids[:n]])[None, :-1])[0, 1:]
        log_probs = logits - logits.max(axis=1, keepdims=True)
        log_probs -= np.log(np.exp(log_probs).sum(axis=1, keepdims=True))
        assert decoded.log_probs[row] == pytest.approx(log_probs[np.arange(n), ids[:n]].sum(), abs=1e-12)
        np.testing.assert_array_equal(decoded.words()[row], ids[: n - decoded.ended[row]])


@pytest.mark.parametrize("n_tokens", range(1, 6))
def test_ended_says_whether_the_last_token_is_a_stop(n_tokens):
    """Catches a stop at the very limit of tokens, or the last row's, that counts as cut off."""
    starts, model = np.arange(12).reshape(6, 2) % 4, Table(4)
    rng = np.random.default_rng(n_tokens)
    for decoded in (greedy(model, starts, n_tokens, stop=0), sample(model, starts, n_tokens, stop=0, rng=rng)):
        last = decoded.ids[np.arange(6), decoded.lengths - 1]
        np.testing.assert_array_equal(decoded.ended, last == 0)


def test_the_trace_shows_what_was_fed(model):
    """Catches a token that is fed twice, or not at all: prompt first, then one token at a time, the one just chosen."""
    starts = prompts(3, n_rows=4)
    decoded = greedy(model, starts, 5, stop=4, trace=True)
    np.testing.assert_array_equal(decoded.steps[0].fed, starts)
    for i, step in enumerate(decoded.steps):
        np.testing.assert_array_equal(step.chosen, decoded.ids[:, i])
        if i:
            np.testing.assert_array_equal(step.fed, decoded.ids[:, i - 1 : i])
    np.testing.assert_allclose(sum(step.log_probs for step in decoded.steps), decoded.log_probs, atol=1e-12)
    np.testing.assert_array_equal(decoded.steps[-1].totals, decoded.log_probs)
    assert greedy(model, starts, 5).steps is None
    with pytest.raises(ValueError, match="trace=True with prompts of 2 lengths"):
        greedy(model, [[1], [1, 2]], 3, trace=True)


def test_samples_have_the_log_probability_of_the_model():
    """Catches log-probabilities of the sharpened distribution; sampling without truncation estimates the entropy."""
    model = Table(3, seed=4)
    starts = np.ones((2000, 1), int)
    for options in ({}, {"temperature": 0.7}, {"top_k": 2}, {"top_p": 0.8}):
        decoded = sample(model, starts, 3, rng=np.random.default_rng(0), stop=0, **options)
        for row in range(0, 2000, 100):
            n, past = decoded.lengths[row], [1]
            expected = 0
            for token in decoded.ids[row, :n].tolist():
                expected += model.log_probs(past)[token]
                past.append(token)
            assert decoded.log_probs[row] == pytest.approx(expected, abs=1e-12)


def test_an_encoder_decoder():
    """Catches a start token that is yielded, or not fed; sources of different lengths, and its own stop and pad."""
    table = Table(6, seed=1)
    model = Pairs(table, pad_id=5, start_id=4, stop_id=3)
    sources = [np.array([0, 1, 2]), np.array([2]), np.array([1, 1])]
    decoded = greedy(model, sources, 9, trace=True)
    assert (decoded.steps[0].fed == 4).all() and decoded.steps[0].fed.shape == (3, 1)
    np.testing.assert_array_equal(decoded.ids, written(model, sources, 9, temperature=0))
    for row, source in enumerate(sources):
        alone = greedy(table, np.array([[*source, 4]]), 9, stop=3)
        n = alone.lengths[0]
        np.testing.assert_array_equal(decoded.ids[row, :n], alone.ids[0])
        assert (decoded.ids[row, n:] == 5).all()
        assert decoded.log_probs[row] == pytest.approx(alone.log_probs[0], abs=1e-12)
    with pytest.raises(ValueError, match=r"n_tokens is 21, .* leaves room for 20: ask for fewer$"):
        generate(model, sources, 21, temperature=0)


def test_whole_sequences_fit_into_the_model(model):
    """Catches a limit that is one off: of max_len + 1 positions the last is chosen, and never fed."""
    assert greedy(model, prompts(3), MAX_LEN - 2).ids.shape == (2, MAX_LEN - 2)
    with pytest.raises(ValueError, match=f"leaves room for {MAX_LEN - 2}: ask for fewer, or use generate"):
        greedy(model, prompts(3), MAX_LEN - 1)
    with pytest.raises(ValueError, match="n_tokens is 0"):
        greedy(model, prompts(3), 0)
    with pytest.raises(ValueError, match="sample: sampling needs rng"):
        sample(model, prompts(3), 2)


def test_each_token_is_fed_once(model, monkeypatch):
    """Catches a text that is fed again for every token: work per token would grow with its length."""
    fed, forward = [], GPT.forward
    monkeypatch.setattr(GPT, "forward", lambda self, ids, **more: fed.append(ids.shape) or forward(self, ids, **more))
    greedy(model, prompts(3), 5)
    assert fed == [(2, 3), (2, 1), (2, 1), (2, 1), (2, 1)]
