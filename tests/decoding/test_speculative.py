"""Speculative decoding: the distribution is that of the target alone, the greedy text its own, and both caches hold what was accepted."""

import itertools
import math

import numpy as np
import pytest
from toys import Pairs, Table, random_gpt

from tinytx.decoding import Speculation, generate, min_new_tokens, no_repeated_ngrams, speculate
from tinytx.decoding.sessions import Session
from tinytx.models import NPLM, CharRNN, CharRNNConfig, NPLMConfig
from tinytx.tasks import NextToken

N, V, LENGTH, PROMPT = 1200, 3, 3, (1, 0)


def plain(table, past, temperature, top_k, top_p, rules):
    """p (V,) of the next token, computed plainly from its definition."""
    logits = table.row(past).copy()
    if rules:
        logits[[token for token in past if rules]] = -np.inf
    order = np.argsort(-logits)[: top_k or len(logits)]
    p = np.zeros(len(logits))
    p[order] = np.exp(logits[order] / temperature)
    p /= p.sum()
    if top_p is not None:
        n = next(n for n in range(1, len(p) + 1) if p[order[:n]].sum() >= top_p)
        p[order[n:]] = 0
    return p / p.sum()


CASES = {
    "plain": (4, V, {}),
    "top k": (1, V, {"top_k": 2}),
    "top p": (2, V, {"top_p": 0.7, "temperature": 1.5}),
    "rules": (2, 6, {"rules": [no_repeated_ngrams(1)]}),
}


@pytest.mark.parametrize("name", CASES)
def test_frequencies_follow_the_target(name):
    """Catches whatever lets the draft, which likes other tokens, speak for itself: chi-squared of the first tokens stays within six
    standard deviations of its mean."""
    k, v, options = CASES[name]
    target, draft, rng = Table(v, seed=1), Table(v, seed=2), np.random.default_rng(0)
    settings = {"temperature": 1.0, "top_k": None, "top_p": None, "rules": ()} | options
    length, counts, drawn = LENGTH if v == V else 2, Speculation(), {}  # the rule leaves 4 x 3 x 2 of 6
    for _ in range(N):
        ids = tuple(int(token[0]) for token in speculate(
            target, draft, PROMPT, length + 1, draft_tokens=k, rng=rng, counts=counts, **settings))[:length]  # fmt: skip
        drawn[ids] = drawn.get(ids, 0) + 1
    chi_squared = freedom = 0
    for ids in itertools.product(range(v), repeat=length):
        p = math.prod(plain(target, (*PROMPT, *ids[:i]), **settings)[token] for i, token in enumerate(ids))
        if p == 0:
            assert ids not in drawn
        else:
            chi_squared, freedom = chi_squared + (drawn.get(ids, 0) - N * p) ** 2 / (N * p), freedom + 1
    assert freedom > 5 and 0.1 < counts.acceptance < 0.9
    assert chi_squared <= freedom - 1 + 6 * math.sqrt(2 * (freedom - 1))


def written(tokens):
    return [int(token[0]) for token in tokens]


def recurrent(model=CharRNN, config=CharRNNConfig(11, d_embedding=5, d_model=6)):
    rng = np.random.default_rng(0)
    return NextToken(model(config, rng=rng), rng=rng)


DRAFTS = {
    "another": lambda: random_gpt(seed=5),
    "itself": random_gpt,
    "fewer positions": lambda: random_gpt(seed=5, max_len=5),
    "one position": lambda: random_gpt(seed=5, max_len=1),
    "more positions": lambda: random_gpt(max_len=64, dtype=np.float32),
    "recurrent": recurrent,
}


@pytest.mark.parametrize("k", [1, 2, 4, 30])
@pytest.mark.parametrize("draft", DRAFTS)
def test_greedy_is_the_text_of_the_target_alone(draft, k):
    """Catches a cache that holds what was rejected, or lacks what was accepted, and windows of either model that slide at another place."""
    target, other = random_gpt(), DRAFTS[draft]()
    for length, n in ((1, 40), (7, 13), (12, 20), (30, 3)):
        ids = np.random.default_rng(length).integers(0, 11, length)
        counts = Speculation()
        expected = written(generate(target, ids[None], n, temperature=0))
        assert written(speculate(target, other, ids, n, draft_tokens=k, temperature=0, counts=counts)) == expected
        assert counts.tokens == n and 0 <= counts.accepted <= counts.proposed
        assert draft != "itself" or k > 4 or length > 7 or counts.acceptance > 0.8


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("is_rounded", [False, True])
def test_other_precisions(dtype, is_rounded):
    target, draft = random_gpt(dtype=dtype, max_len=50), random_gpt(dtype=np.float32, max_len=50).quantized()
    target, counts = target.quantized() if is_rounded else target, Speculation()
    tokens = written(speculate(target, draft, [3, 1], 40, temperature=0, counts=counts))
    assert tokens == written(generate(target, np.array([[3, 1]]), 40, temperature=0))
    assert counts.acceptance > 0.9 and counts.calls < 12


class Watched(Table):
    """A table that notes what it has read whenever it is asked."""

    def row(self, past):
        self.pasts.append(past.tolist())
        return super().row(past)


@pytest.mark.parametrize("k", [1, 2, 4])
def test_the_draft_has_read_the_text(k):
    """And of proposals those that stand before the next one: the text would be right without, but few proposals."""
    draft, text, tokens = Watched(V, max_len=90, seed=2), [*PROMPT], []
    draft.pasts = []
    for token in speculate(Table(V, max_len=90, seed=1), draft, PROMPT, 60, draft_tokens=k, rng=np.random.default_rng(0)):
        tokens += token.tolist()
    text += tokens
    assert len(draft.pasts) > 40
    for past in draft.pasts:
        n = max(0, len(past) - k + 1)
        assert past[:n] == text[:n]


def test_a_draft_that_is_the_target_is_always_right():
    """Catches q of another position, and a call too many: one for the prompt, one for each five tokens, one for the last."""
    model, counts = random_gpt(max_len=64), Speculation()
    tokens = speculate(model, model, [1, 2], 22, draft_tokens=4, temperature=1.2, top_p=0.9, rng=np.random.default_rng(0), counts=counts)
    assert len(list(tokens)) == 22
    assert (counts.tokens, counts.calls, counts.proposed, counts.accepted) == (22, 6, 16, 16)
    assert counts.acceptance == 1 and counts.tokens_per_call == 22 / 6


@pytest.mark.parametrize("seed", range(4))
def test_the_first_stop_token_ends_the_text(seed):
    """Wherever it stands: among proposals, behind them, or first of all."""
    model = random_gpt(max_len=64, scale=0.3)
    for draft in (model, random_gpt(seed=5)):
        tokens = written(speculate(model, draft, [seed], 60, rng=np.random.default_rng(seed), stop=[0, 1]))
        assert tokens[-1] in (0, 1) and not {0, 1} & set(tokens[:-1])


def test_rules_know_what_is_new():
    """Catches a prompt that counts as written: no stop token is among the first four new ones, and often the fifth is one."""
    model, draft, lengths = random_gpt(max_len=64, scale=0.1), random_gpt(seed=5, max_len=64, scale=0.1), []
    for seed in range(12):
        rules, rng = [min_new_tokens(4)], np.random.default_rng(seed)
        lengths.append(len(written(speculate(model, draft, range(7), 30, rng=rng, stop=range(8), rules=rules))))
    assert min(lengths) == 5


def test_few_tokens():
    model = random_gpt()
    for n in range(3):
        assert len(written(speculate(model, random_gpt(seed=5), [[1]], n, draft_tokens=8, rng=np.random.default_rng(0)))) == n
    assert math.isnan(Speculation().acceptance) and math.isnan(Speculation().tokens_per_call)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_sessions_go_back(dtype):
    """Catches positions, a window or a program that hold what was left out, also where the arrays grew or the window slid in between."""
    model, rng = random_gpt(max_len=200, dtype=dtype), np.random.default_rng(0)
    ids, tolerance = rng.integers(0, 11, (1, 190)), 1e-10 if dtype == np.float64 else 1e-3
    session = Session(model, ids[:, :40], slide=True, n_back=60)
    session.logits(session.first)
    session.logits(ids[:, 40:41])
    for n in (30, 29):
        mark, new, length = session.mark(), ids[:, 100 : 100 + n], session.state.length
        expected = model(np.concatenate([ids[:, :length], new], axis=1))[:, length:]
        np.testing.assert_allclose(session.all_logits(new), expected, rtol=tolerance, atol=tolerance)
        session.rewind(mark, keep=0)
        session.all_logits(ids[:, length : length + n])
        session.rewind(mark, keep=7)
        assert session.left == 200 - length - 7 == 200 - session.state.length
        np.testing.assert_allclose(session.logits(ids[:, length + 7 : length + 8]), model(ids[:, : length + 8])[:, -1], rtol=tolerance, atol=tolerance)
    for t in range(session.state.length, 190):
        session.logits(ids[:, t : t + 1])
    mark = session.mark()
    assert session.left == 10
    for _ in range(3):
        for token in range(15):  # slides in between
            session.logits(np.array([[token % 11]]))
        session.rewind(mark)
        assert session.left == 10
    window = np.concatenate([ids[:, 101:], np.arange(11)[None]], axis=1)
    for token in range(11):
        logits = session.logits(np.array([[token]]))
    np.testing.assert_allclose(logits, model(window)[:, -1], rtol=tolerance, atol=tolerance)


def test_what_cannot_be_is_said():
    model, draft, rng = random_gpt(), random_gpt(seed=5), np.random.default_rng(0)
    for ids in ([[1, 2], [3, 4]], [], [[]]):
        with pytest.raises(ValueError, match="ids have shape"):
            speculate(model, draft, ids, 5, rng=rng)
    with pytest.raises(ValueError, match="ids are of several lengths, expected \\(T,\\), one prompt"):
        speculate(model, draft, [[1], [2, 3]], 5, rng=rng)
    with pytest.raises(ValueError, match="the model has 11 tokens and the draft 9, expected the same ones"):
        speculate(model, random_gpt(9), [1], 5, rng=rng)
    with pytest.raises(TypeError, match="counts is 3, expected a Speculation, .* or None"):
        speculate(model, draft, [1], 5, rng=rng, counts=3)
    with pytest.raises(ValueError, match="draft_tokens is 0, expected a whole number of at least 1"):
        speculate(model, draft, [1], 5, rng=rng, draft_tokens=0)
    with pytest.raises(ValueError, match="sampling needs rng"):
        speculate(model, draft, [1], 5)
    for name, both in (("model", (Pairs(Table(11), 0, 1, 2), draft)), ("draft", (model, Pairs(Table(11), 0, 1, 2)))):
        with pytest.raises(TypeError, match=f"the {name} is of Pairs, which has no all_logits"):
            speculate(*both, [1], 5, rng=rng)
    with pytest.raises(ValueError, match="CharRNN remembers something of all tokens together, such as a recurrent state"):
        speculate(recurrent(), draft, [1], 5, rng=rng)
    with pytest.raises(ValueError, match="NPLM remembers something of all tokens together"):
        speculate(recurrent(NPLM, NPLMConfig(11, d_embedding=4, d_hidden=5)), draft, [1], 5, rng=rng)
    with pytest.raises(ValueError, match="the rules forbid every token after 1 ids"):
        list(speculate(model, draft, [1], 5, rng=rng, rules=[lambda past, scores: np.full_like(scores, -np.inf)]))


def test_a_damaged_draft_is_not_taken_for_a_damaged_model():
    draft = random_gpt(seed=5)
    draft.parameters()[0].data[...] = np.nan
    with pytest.raises(ValueError, match="^speculate, draft: decoding: the largest logit is nan: the model's weights are damaged"):
        list(speculate(random_gpt(), draft, [1], 5, temperature=0))
    with pytest.raises(ValueError, match="^decoding: the largest logit is nan"):
        list(speculate(draft, random_gpt(), [1], 5, temperature=0))
