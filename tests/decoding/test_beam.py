"""Beam search against what it must be at its two ends: greedy at width 1, the exact answer at full width."""

import math
import re

import numpy as np
import pytest
from toys import Listed, Pairs, Table, all_sequences, random_gpt

from tinytx.decoding import beam_search, greedy

PROMPTS = np.array([[1, 2], [0, 1], [2, 2], [2, 0], [1, 1]])
STOP = 0


def same(a, b, log_probs=1e-12):
    """Both are the same sequences with the same log-probabilities."""
    np.testing.assert_array_equal(a.ids, b.ids)
    np.testing.assert_array_equal(a.lengths, b.lengths)
    np.testing.assert_array_equal(a.ended, b.ended)
    np.testing.assert_allclose(a.log_probs, b.log_probs, rtol=0, atol=log_probs)


@pytest.mark.parametrize("alpha", [0.0, 0.6, 5.0])
@pytest.mark.parametrize("stop", [STOP, (0, 3), ()])
def test_a_beam_of_one_is_greedy(alpha, stop):
    """Catches a hypothesis that has ended and is continued all the same, by the second best token."""
    for seed in range(5):
        model = Table(4, seed=seed)
        best, expected = (
            beam_search(model, PROMPTS, 6, beam_size=1, alpha=alpha, stop=stop),
            greedy(model, PROMPTS, 6, stop=stop, pad=0),
        )
        np.testing.assert_array_equal(best.ids[:, 0], expected.ids)
        np.testing.assert_array_equal(best.lengths[:, 0], expected.lengths)
        np.testing.assert_allclose(best.log_probs[:, 0], expected.log_probs, rtol=0, atol=1e-12)


@pytest.mark.parametrize("n_tokens", [1, 2, 4])
@pytest.mark.parametrize(("alpha", "penalty"), [(0.0, "wu"), (0.6, "wu"), (2.0, "wu"), (1.0, "length"), (0.6, "length")])
@pytest.mark.parametrize("impossible", [(), (2,)])
def test_a_beam_as_wide_as_everything_is_exact(n_tokens, alpha, penalty, impossible):
    """Catches scores of the wrong length, hypotheses of the wrong parent, a search that ends too early, and sequences
    of probability 0 among the best: all sequences, ordered, are those of brute force."""
    for seed in range(3):
        model = Table(3, seed=seed, impossible=impossible)
        width = len(list(all_sequences(model, PROMPTS[0], n_tokens, STOP)))
        options = {"beam_size": width, "alpha": alpha, "penalty": penalty, "n_best": width, "stop": STOP}
        found = beam_search(model, PROMPTS, n_tokens, **options)
        for row, prompt in enumerate(PROMPTS):
            scored = [
                (log_p / ((5 + len(ids)) / 6 if penalty == "wu" else len(ids)) ** alpha, log_p, ids)
                for ids, log_p in all_sequences(model, prompt, n_tokens, STOP)
                if log_p > -math.inf
            ]
            scored.sort(reverse=True)
            n = len(scored)
            np.testing.assert_allclose(found.scores[row, :n], [score for score, _, _ in scored], rtol=1e-12)
            np.testing.assert_allclose(found.log_probs[row, :n], [log_p for _, log_p, _ in scored], rtol=1e-12)
            assert [tuple(ids[:k]) for ids, k in zip(found.ids[row].tolist(), found.lengths[row], strict=True)] == [
                ids for _, _, ids in scored
            ] + [()] * (width - n)
            assert found.ended[row, :n].tolist() == [ids[-1] == STOP for _, _, ids in scored]
            assert (found.scores[row, n:] == -np.inf).all()


@pytest.mark.parametrize("beam_size", [2, 3, 8])
def test_never_below_greedy(beam_size):
    """The promise of the docstring, on 400 sentences; and that the search finds something better on many of them."""
    better = 0
    for seed in range(8):
        model, prompts = Table(6, seed=seed), np.random.default_rng(seed).integers(6, size=(50, 3))
        baseline = greedy(model, prompts, 8, stop=STOP)
        found = beam_search(model, prompts, 8, beam_size=beam_size, stop=STOP)
        assert (found.log_probs[:, 0] >= baseline.log_probs).all()
        better += (found.log_probs[:, 0] > baseline.log_probs + 1e-9).sum()
    assert better > 100


def plainly(table, prompt, n_tokens, beam_size, alpha):
    """Scores of a beam search that never asks what can still win, the best first: to `beam_size` ends, or the limit."""
    best = greedy(table, prompt[None], n_tokens, stop=STOP)
    candidates = {tuple(best.words()[0]) + (STOP,) * bool(best.ended[0]): best.log_probs[0]}
    followed, n_ended = [(0.0, ())], 0
    for _ in range(n_tokens):
        if n_ended >= beam_size:
            break
        longer = [
            (log_p + more, (*ids, token))
            for log_p, ids in followed
            for token, more in enumerate(table.log_probs([*prompt, *ids]))
        ]
        longer.sort(reverse=True)
        ended = [(log_p, ids) for log_p, ids in longer[:beam_size] if ids[-1] == STOP]
        candidates |= {ids: log_p for log_p, ids in ended}
        n_ended += len(ended)
        followed = [(log_p, ids) for log_p, ids in longer if ids[-1] != STOP][:beam_size]
    else:
        candidates |= {ids: log_p for log_p, ids in followed}
    return sorted((log_p / ((5 + len(ids)) / 6) ** alpha for ids, log_p in candidates.items()), reverse=True)


@pytest.mark.parametrize("n_best", [1, 2, 4])
@pytest.mark.parametrize("alpha", [0.0, 0.6, 5.0])
def test_ending_early_changes_nothing(alpha, n_best):
    """Catches a search that ends before the n-th best is sure, or before a longer sequence has had its chance."""
    for seed in range(6):
        table = Table(5, seed=seed, scale=2.0)
        found = beam_search(table, PROMPTS, 7, beam_size=4, alpha=alpha, n_best=n_best, stop=STOP)
        for row, prompt in enumerate(PROMPTS):
            expected = plainly(table, prompt, 7, 4, alpha)[:n_best]
            np.testing.assert_allclose(found.scores[row], expected, rtol=1e-12)


# Greedy says 1 1 stop: 0.4 times 0.4, and then certain. But 2 1 and 2 2 have 0.175 each, with 0.4 for the best end.
TRAP = {(1,): [0, 0.4, 0.35, 0.25], (1, 1): [0, 0.4, 0.3, 0.3], (1, 2): [0, 0.5, 0.5, 0], (1, 1, 1): [1.0, 0, 0, 0]}
TRAP |= {(1, 2, 1): [0.4, 0.25, 0.2, 0.15], (1, 2, 2): [0.3, 0.25, 0.25, 0.2]}


def test_the_trap_in_which_a_beam_loses_to_greedy():
    """Catches a search without greedy's hypothesis: it leaves a beam of 2 in the second step, and the others then come
    to 0.07 at best."""
    found = beam_search(Listed(4, TRAP), np.array([[1]]), 4, beam_size=2, n_best=2, stop=STOP, trace=True)
    assert found.steps[1].parents.tolist() == [[1, 1]]  # greedy's hypothesis, the first, is not followed
    assert found.ids[0, :, :3].tolist() == [[1, 1, 0], [2, 1, 0]]
    np.testing.assert_allclose(np.exp(found.log_probs), [[0.16, 0.07]])


def test_the_case_for_beams():
    """A likely first token with unlikely ones behind it, against a less likely one with a certain end. Catches a search
    that goes on when nothing that it follows, at most 0.18, can come to beat 0.4."""
    model = Listed(4, {(1,): [0, 0.4, 0.6, 0], (1, 2): [0.2, 0.3, 0.25, 0.25], (1, 1): [1.0, 0, 0, 0]})
    assert greedy(model, np.array([[1]]), 6, stop=STOP).ids[0, :2].tolist() == [2, 1]
    found = beam_search(model, np.array([[1]]), 6, beam_size=2, stop=STOP, trace=True)
    assert found.ids[0, 0, :2].tolist() == [1, 0] and found.lengths.tolist() == [[2]]
    assert found.log_probs[0, 0] == pytest.approx(math.log(0.4))
    assert len(found.steps) == 2


def test_the_next_best_takes_the_place_of_what_ends():
    """Catches a beam that narrows: where the best of three ends, the next three are followed."""
    model = Listed(5, {(1,): [0.4, 0.3, 0.15, 0.1, 0.05]})
    found = beam_search(model, np.array([[1]]), 3, beam_size=3, n_best=3, stop=STOP, trace=True)
    assert found.steps[0].chosen.tolist() == [[0, 1, 2]]
    assert found.steps[1].fed.tolist() == [[1], [2], [3]]


def test_every_token_ends():
    """Catches ends that are followed where there is nothing else to follow."""
    found = beam_search(Table(4), PROMPTS, 5, beam_size=6, n_best=6, stop=range(4))
    assert (found.lengths == [1, 1, 1, 1, 0, 0]).all()
    np.testing.assert_allclose(np.exp(found.log_probs).sum(axis=1), 1.0)


def test_the_length_penalty_prefers_longer_sequences():
    """Catches an exponent of the wrong sign: stop at once has 0.52; 1 1 1 stop has 0.48."""
    chain = {(1,) * n: [0, 1.0, 0] for n in range(2, 4)} | {(1,): [0.52, 0.48, 0], (1, 1, 1, 1): [1.0, 0, 0]}
    model = Listed(3, chain)
    for alpha, ids in ((0.0, [0]), (1.0, [1, 1, 1, 0])):
        found = beam_search(model, np.array([[1]]), 5, beam_size=3, alpha=alpha, stop=STOP)
        assert found.ids[0, 0, : found.lengths[0, 0]].tolist() == ids
        assert found.scores[0, 0] == pytest.approx(found.log_probs[0, 0] / ((5 + len(ids)) / 6) ** alpha)


@pytest.mark.parametrize("alpha", [0.0, 0.6, 5.0])
def test_a_batch_is_its_rows(alpha):
    """Catches rows that see each other's hypotheses, a search that ends for all when it ends for one, and one that goes
    on after its end because others do."""
    model = Table(5, seed=3)
    settings = {"beam_size": 3, "n_best": 3, "alpha": alpha, "stop": STOP}
    together = beam_search(model, PROMPTS, 7, **settings)
    assert len(set(together.lengths.ravel().tolist())) > 1
    for row in range(len(PROMPTS)):
        alone = beam_search(model, PROMPTS[row : row + 1], 7, **settings)
        n = alone.ids.shape[-1]
        np.testing.assert_array_equal(together.ids[row, :, :n], alone.ids[0])
        assert (together.ids[row, :, n:] == STOP).all()  # padding
        np.testing.assert_array_equal(together.scores[row], alone.scores[0])


def test_prompts_of_different_lengths():
    """Catches results in the order of the groups instead of the order of the prompts."""
    model, prompts = Table(5), [np.array([3, 1, 4]), np.array([1]), np.array([2, 2, 2]), np.array([4, 0])]
    settings = {"beam_size": 3, "n_best": 2, "stop": STOP}
    together = beam_search(model, prompts, 7, **settings)
    for row, prompt in enumerate(prompts):
        alone = beam_search(model, prompt[None], 7, **settings)
        np.testing.assert_array_equal(together.ids[row, :, : alone.ids.shape[-1]], alone.ids[0])
        np.testing.assert_array_equal(together.log_probs[row], alone.log_probs[0])


@pytest.mark.parametrize("n_best", [1, 4])
def test_a_gpt_with_its_cache(n_best):
    """Catches a cache whose rows do not follow their hypotheses: log-probabilities are those of the whole sequence fed
    at once, to 1e-12."""
    model, prompts = random_gpt(scale=0.6), np.random.default_rng(2).integers(11, size=(6, 3))
    found = beam_search(model, prompts, 8, beam_size=4, n_best=n_best, stop=STOP)
    assert (found.log_probs[:, 0] >= greedy(model, prompts, 8, stop=STOP).log_probs).all()
    for row, i in np.ndindex(found.lengths.shape):
        n = found.lengths[row, i]
        ids = np.concatenate([prompts[row], found.ids[row, i, :n]])
        logits = model(ids[None, :-1])[0, 2:]
        log_probs = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
        assert found.log_probs[row, i] == pytest.approx(log_probs[np.arange(n), ids[3:]].sum(), abs=1e-12)


def test_an_encoder_decoder_uses_its_own_stop_and_pad():
    """Catches memory and mask that are not repeated with the hypotheses, and a start token that is not fed."""
    table = Table(6, seed=1)
    model = Pairs(table, pad_id=5, start_id=4, stop_id=3)
    sources = [np.array([0, 1, 2]), np.array([2]), np.array([1, 1])]
    found = beam_search(model, sources, 6, beam_size=3, n_best=2)
    for row, source in enumerate(sources):
        alone = beam_search(table, np.array([[*source, 4]]), 6, beam_size=3, n_best=2, stop=3, pad=5)
        np.testing.assert_array_equal(found.ids[row, :, : alone.ids.shape[-1]], alone.ids[0])
        np.testing.assert_allclose(found.scores[row], alone.scores[0], atol=1e-12)
    for words, ids, n, ended in zip(found.words(), found.ids, found.lengths, found.ended, strict=True):
        assert [w.tolist() for w in words] == [i[: k - e].tolist() for i, k, e in zip(ids, n, ended, strict=True)]


def test_the_trace_tells_the_search():
    """Catches a step that shows other ids than the model was fed: totals add up along the parents."""
    model = Table(5, seed=2)
    found = beam_search(model, PROMPTS, 5, beam_size=3, stop=(), trace=True)
    first, *rest = found.steps
    assert first.fed.shape == PROMPTS.shape and (first.parents == 0).all()
    np.testing.assert_array_equal(first.totals, first.log_probs)
    rows = np.arange(len(PROMPTS))[:, None]
    for before, step in zip(found.steps, rest, strict=False):
        np.testing.assert_array_equal(step.fed, before.chosen.reshape(-1, 1))  # nothing ends here
        np.testing.assert_allclose(step.totals, before.totals[rows, step.parents] + step.log_probs, atol=1e-12)
        assert (np.diff(step.totals, axis=1) <= 0).all()
    assert beam_search(model, PROMPTS, 5).steps is None


@pytest.mark.parametrize(
    "options, message",
    [
        ({"beam_size": 0}, "beam_size is 0, expected a whole number of at least 1"),
        ({"n_best": 5}, "n_best is 5, expected a whole number of at least 1 and at most 4, beam_size"),
        ({"n_best": 0}, "n_best is 0"),
        ({"alpha": -0.1}, "alpha is -0.1"),
        ({"alpha": math.nan}, "alpha is nan"),
        ({"alpha": math.inf}, "alpha is inf"),
        ({"alpha": 1e9}, r"alpha is 1000000000.0, and the length penalty of 3 tokens, 1.33\^alpha, is too large"),
        ({"n_tokens": 0}, "n_tokens is 0"),
        ({"n_tokens": 20}, "n_tokens is 20, but after 2 tokens .* leaves room for 19: ask for fewer"),
        ({"stop": 9}, "stop token 9 .* outside 0..3"),
        ({"ids": [[1], [1, 2]], "trace": True}, "trace=True with prompts of 2 lengths"),
    ],
)
def test_settings_out_of_range(options, message):
    settings = {"ids": PROMPTS, "n_tokens": 3} | options
    with pytest.raises(ValueError, match=message):
        beam_search(Table(4), **settings)


@pytest.mark.parametrize(
    "options, message",
    [
        ({"beam_size": 2.5}, "beam_size is 2.5, expected a whole number"),
        ({"n_best": True}, "n_best is True"),
        ({"alpha": "0.6"}, "alpha is '0.6', expected a finite number"),
        ({"alpha": np.ones(2)}, r"alpha is an array of shape \(2,\)"),
        ({"alpha": None}, "alpha is None"),
        ({"n_tokens": 2.0}, "n_tokens is 2.0"),
    ],
)
def test_settings_of_another_kind(options, message):
    settings = {"ids": PROMPTS, "n_tokens": 3} | options
    with pytest.raises(TypeError, match=message):
        beam_search(Table(4), **settings)


def test_the_largest_penalties():
    """Scores are tiny then, and still ordered: the longest sequence comes first."""
    decoded = beam_search(Table(4), PROMPTS, 3, alpha=900, n_best=2, stop=0)
    assert np.isfinite(decoded.scores).all() and (decoded.lengths[:, 0] == 3).all()


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_logits_that_are_not_finite(bad):
    """Catches NaN that sorts behind all others and so stays unseen."""
    model = Table(4)
    model._known[(1, 2)] = np.array([0.0, bad, 1.0, 2.0])
    with pytest.raises(ValueError, match=re.escape(f"largest logit is {bad}")):
        beam_search(model, PROMPTS, 3)
