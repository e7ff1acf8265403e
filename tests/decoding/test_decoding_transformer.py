"""Decoding of the original Transformer: the cache, the padded sources and the batch change nothing."""

import numpy as np
import pytest

from tinytx import models
from tinytx.decoding import beam_search, generate, greedy
from tinytx.tasks import SequenceToSequence

N_TOKENS = 12


@pytest.fixture(scope="module")
def model():
    """An untrained Transformer, of a seed with which some sentences end and some do not."""
    config = models.TransformerConfig(
        12, 9, d_model=16, n_heads=2, d_ff=24, n_encoder_layers=2, n_decoder_layers=2, max_len=20, tied="none"
    )
    return SequenceToSequence.around(models.Transformer, config, rng=np.random.default_rng(1), dtype=np.float64)


@pytest.fixture(scope="module")
def sources():
    """Sentences of different lengths, no word of which is padding, start or stop."""
    rng = np.random.default_rng(1)
    return [rng.integers(3, 12, size=n) for n in rng.integers(1, 12, size=16)]


def log_prob(model, source, ids):
    """Return ln p(ids | source) of one sentence, fed whole and without a cache."""
    target = np.concatenate([[model.config.start_id], ids])
    logits = model(source[None], target[None, :-1])[0]
    largest = logits.max(axis=1, keepdims=True)
    log_probs = logits - largest - np.log(np.exp(logits - largest).sum(axis=1, keepdims=True))
    return log_probs[np.arange(len(ids)), ids].sum()


def test_greedy(model, sources):
    """Catches a memory that is read with padding, a cache that is one position off, and a wrong first token."""
    decoded = greedy(model, sources, N_TOKENS)
    assert set(decoded.ended.tolist()) == {True, False}
    streamed = np.stack(list(generate(model, sources, N_TOKENS, temperature=0)), axis=1)
    np.testing.assert_array_equal(streamed, decoded.ids)
    for row, source in enumerate(sources):
        n, target = decoded.lengths[row], [model.config.start_id]
        for _ in range(n):
            target.append(int(model(source[None], np.array([target]))[0, -1].argmax()))
        assert decoded.ids[row].tolist() == target[1:] + [model.config.pad_id] * (decoded.ids.shape[1] - n)
        assert decoded.log_probs[row] == pytest.approx(log_prob(model, source, decoded.ids[row, :n]), abs=1e-12)


@pytest.mark.parametrize("alpha", [0.0, 0.6])
def test_beam_search(model, sources, alpha):
    """Catches memories that do not stay with their sentences' hypotheses: each hypothesis's log-probability is that of
    the sentence fed whole, each sentence's search is what it is alone, and none is worse than greedy."""
    found = beam_search(model, sources, N_TOKENS, beam_size=4, alpha=alpha, n_best=3)
    baseline = greedy(model, sources, N_TOKENS)
    assert (found.scores[:, 0] >= baseline.log_probs / ((5 + baseline.lengths) / 6) ** alpha).all()
    assert (found.log_probs[:, 0] > baseline.log_probs + 1e-9).any()
    for row, source in enumerate(sources):
        alone = beam_search(model, source[None], N_TOKENS, beam_size=4, alpha=alpha, n_best=3)
        np.testing.assert_array_equal(found.ids[row, :, : alone.ids.shape[-1]], alone.ids[0])
        for ids, n, expected in zip(found.ids[row], found.lengths[row], found.log_probs[row], strict=True):
            assert log_prob(model, source, ids[:n]) == pytest.approx(expected, abs=1e-12)
