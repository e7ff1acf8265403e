"""Rules of decoding against plain loops over the model's own probabilities, and what they refuse."""

import numpy as np
import pytest
from toys import Listed, Pairs, Table, random_gpt

from tinytx.decoding import (
    Past,
    bad_words,
    beam_search,
    forced_first,
    forced_last,
    generate,
    greedy,
    min_length,
    min_new_tokens,
    no_repeated_ngrams,
    renormalised,
    repetition_penalty,
    sample,
)

PROMPTS = np.array([[1, 2], [0, 1], [2, 2]])
STOP, N = 0, 5


def ngrams(ids, n):
    return [tuple(ids[i : i + n]) for i in range(len(ids) - n + 1)]


KEEPS = {  # rule -> whether a sequence of a prompt, ids and length keeps it
    "min_new_tokens": (min_new_tokens(4), lambda prompt, ids: STOP not in ids[:4]),
    "min_length": (min_length(5), lambda prompt, ids: STOP not in [*prompt, *ids][len(prompt) : 5]),
    "no token twice": (no_repeated_ngrams(1), lambda prompt, ids: not set(ids) & set(prompt) and len(set(ids)) == len(ids)),
    "no pair twice": (
        no_repeated_ngrams(2),
        lambda prompt, ids: len(set(ngrams([*prompt, *ids], 2))) == len(prompt) + len(ids) - 1,
    ),
    "forced_first": (forced_first(3), lambda prompt, ids: ids[0] == 3),
    "forced_last": (forced_last(4), lambda prompt, ids: len(ids) < N or ids[-1] == 4),
    "bad_words": (
        bad_words([[2], [3, 4], [STOP]]),
        lambda prompt, ids: 2 not in ids and (3, 4) not in ngrams([prompt[-1], *ids], 2),
    ),
}


@pytest.mark.parametrize("name", KEEPS)
def test_every_sequence_keeps_its_rule(name):
    """Greedy, drawn and found by beams: none breaks the rule, and without it one does."""
    rule, keeps = KEEPS[name]
    broken = 0
    for seed in range(3):
        model = Table(9, seed=seed)
        for rules in ([rule], []):
            rng, options = np.random.default_rng(seed), {"stop": STOP, "rules": rules}
            decoded = [greedy(model, PROMPTS, N, **options), sample(model, PROMPTS, N, rng=rng, **options)]
            decoded += [beam_search(model, PROMPTS, N, beam_size=3, greedy=with_greedy, **options) for with_greedy in (True, False)]
            for found in decoded:
                for prompt, ids, n in zip(PROMPTS.tolist(), found.ids.reshape(3, -1).tolist(), found.lengths.ravel(), strict=True):
                    kept = keeps(prompt, ids[:n])
                    assert kept or not rules
                    broken += not kept
    assert broken


def test_a_forced_token_is_certain():
    """Catches a score that counts against a forced token, and one that a rule has not changed."""
    model = Table(5)
    rules = [forced_first(3), forced_last([4])]
    found = beam_search(model, PROMPTS, 2, beam_size=2, stop=(), rules=rules)
    assert (found.ids[:, 0] == [3, 4]).all() and (found.log_probs == 0).all()
    told = greedy(model, PROMPTS, 2, stop=(), rules=rules)  # a sequence's own log-probability is the model's
    np.testing.assert_allclose(told.log_probs, [model.log_probs(p)[3] + model.log_probs([*p, 3])[4] for p in PROMPTS])


def test_what_is_forbidden_after_given_ids():
    """Exactly: catches another token of an n-gram, a word that begins where the text does, and a stop token that is a bad word."""
    past = Past(np.array([[5, 1, 2, 3, 1, 2], [1, 2, 1, 2, 1, 2]]), 2, 9, np.arange(6) == 4)

    def forbidden(rule):
        return [np.flatnonzero(row == -np.inf).tolist() for row in rule(past, np.zeros((2, 6)))]

    assert forbidden(no_repeated_ngrams(1)) == [[1, 2, 3, 5], [1, 2]]
    assert forbidden(no_repeated_ngrams(3)) == [[3], [1]]
    assert forbidden(no_repeated_ngrams(7)) == [[], []]
    assert forbidden(bad_words([[4], [0], [1, 2, 5], [5, 1, 3], [2, 1, 2, 4], [0, 5, 1, 2, 3, 1, 2, 3]])) == [[0, 5], [0, 4, 5]]


def test_repetition_penalty():
    """In a beam search of log-probabilities, which are negative, and greedily of logits of both signs."""
    table = Listed(4, {(1,): [0.1, 0.4, 0.3, 0.2]})
    table._known[(1,)] = np.array([-2.0, 1.0, 0.8, -3.0])
    assert greedy(table, [[1]], 1, stop=()).ids.item() == 1
    assert greedy(table, [[1]], 1, stop=(), rules=[repetition_penalty(1.2)]).ids.item() == 1
    assert greedy(table, [[1]], 1, stop=(), rules=[repetition_penalty(1.3)]).ids.item() == 2
    log_probs = table.log_probs([1])
    for rules, expected in (([], log_probs), ([renormalised], log_probs - np.log(np.exp(log_probs * [1, 0.5, 1, 1]).sum()))):
        found = beam_search(table, [[1]], 1, beam_size=4, n_best=4, stop=(), rules=[repetition_penalty(0.5), *rules])
        expected = np.where(np.arange(4) == 1, expected + (log_probs[1] * 0.5 - log_probs[1]), expected)
        np.testing.assert_allclose(found.scores[0], sorted(expected)[::-1])
        assert found.ids[0, 0, 0] == 1


@pytest.mark.parametrize("decode", [greedy, lambda *args, **more: beam_search(*args, beam_size=3, n_best=2, **more)])
def test_prompts_of_several_lengths_obey_as_each_alone(decode):
    """Catches a history that is another row's, or another hypothesis's."""
    model = random_gpt()
    rules = [repetition_penalty(1.5), no_repeated_ngrams(2), min_length(6)]
    prompts = [[1, 2, 3, 1], [5], [6, 6, 1, 2], [7, 2]]
    together = decode(model, prompts, 6, stop=(4, 5), rules=rules)
    for row, prompt in enumerate(prompts):
        alone = decode(model, [prompt], 6, stop=(4, 5), rules=rules)
        np.testing.assert_array_equal(together.ids[row][..., : alone.ids.shape[-1]], alone.ids[0])
        np.testing.assert_allclose(together.scores[row], alone.scores[0])
    stream = np.stack(list(generate(model, prompts, 6, temperature=0, stop=(4, 5), rules=rules)), axis=1)
    if decode is greedy:
        np.testing.assert_array_equal(stream, together.ids)


def test_an_encoder_decoder_remembers_what_it_wrote():
    """``start_id`` counts, and a source does not."""
    model = Pairs(Table(5), pad_id=0, start_id=4, stop_id=1)
    found = greedy(model, [[2, 3, 2], [3, 3]], 3, stop=(), rules=[no_repeated_ngrams(1)])
    assert all(sorted([*row, 4]) == sorted({*row, 4}) for row in found.ids.tolist())
    assert (found.ids == 2).any() and (found.ids == 3).any()


def test_rows_that_have_ended_cannot_break_a_rule():
    """A row of padding has no token left that is allowed, and that is no error."""
    model = Listed(3, {(1,): [0.98, 0.01, 0.01], (2,): [0.01, 0.98, 0.01]})
    found = greedy(model, [[1], [2]], 2, stop=0, pad=1, rules=[bad_words([[0, 0], [0, 1], [0, 2]])])
    assert found.lengths.tolist() == [1, 2]


def test_what_a_user_adds():
    """Rules are functions: any may join, in the order of the list, and one that writes into what it is given harms nobody."""
    model, seen = Table(6), []

    def even(past, scores):
        seen.append((past.n_new, past.n_first, past.n_tokens))
        scores[:, 1::2] = -np.inf
        return scores

    found = greedy(model, PROMPTS, 3, stop=(), rules=[even])
    assert (found.ids % 2 == 0).all() and seen == [(0, 2, 3), (1, 2, 3), (2, 2, 3)]
    np.testing.assert_allclose(found.log_probs[0], sum(model.log_probs([*PROMPTS[0], *found.ids[0, :i]])[found.ids[0, i]] for i in range(3)))
    assert greedy(model, PROMPTS, 1, stop=(), rules=[even, forced_first(3)]).ids.tolist() == [[3]] * 3
    for wrong, held in ((lambda past, scores: scores[0], r"an array of shape \(6,\)"), (lambda past, scores: scores * np.nan, "NaN or inf")):
        for decode in (greedy, beam_search):
            with pytest.raises(ValueError, match=f"decoding: rule .*<lambda> returned {held}, expected finite scores or -inf, of shape"):
                decode(model, PROMPTS, 3, rules=[wrong], stop=())


def test_rules_that_leave_nothing():
    everything = bad_words([[i] for i in range(4)])
    with pytest.raises(ValueError, match="decoding: the rules forbid every token after 2 ids: give fewer rules"):
        greedy(Table(4), PROMPTS, 2, stop=(), rules=[everything])
    with pytest.raises(ValueError, match="beam_search: the rules forbid every token that a hypothesis could go on with"):
        beam_search(Table(4), PROMPTS, 2, stop=(), rules=[everything, renormalised])


@pytest.mark.parametrize(
    "make, error, message",
    [
        (lambda: min_new_tokens(0), ValueError, "min_new_tokens: n is 0, expected a whole number of at least 1"),
        (lambda: min_length(2.0), TypeError, "min_length: n is 2.0, expected a whole number"),
        (lambda: no_repeated_ngrams(0), ValueError, "no_repeated_ngrams: n is 0, expected a whole number of at least 1"),
        (lambda: repetition_penalty(0), ValueError, r"repetition_penalty: penalty is 0, expected a finite number above 0 \(1 is no"),
        (lambda: bad_words([[1], []]), ValueError, r"bad_words: a word has shape \(0,\), expected \(n,\), a list of at least"),
        (lambda: bad_words([1]), ValueError, r"bad_words: a word has shape \(\), expected"),
        (lambda: bad_words("ab"), TypeError, "bad_words: words is a str, 'ab', expected a list of lists of tokens"),
    ],
)
def test_senseless_rules(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(
    "rule, message",
    [
        (min_new_tokens(6), "min_new_tokens: n is 6, but n_tokens 5 allows 5: ask for more tokens, or a smaller n"),
        (min_length(8), "min_length: n is 8, but n_tokens 5 allows 7: ask"),
        (forced_first(9), "forced_first: token 9 at position .* is outside 0..5"),
        (forced_last(-1), "forced_last: token -1 at position"),
        (bad_words([[1, 6]]), "bad_words: token 6 at position .* is outside 0..5"),
    ],
)
def test_rules_that_do_not_fit_the_model(rule, message):
    for decode in (greedy, beam_search):
        with pytest.raises(ValueError, match=message):
            decode(Table(6), PROMPTS, N, stop=STOP, rules=[rule])


def test_when_a_search_ends():
    """True ends with two hypotheses. False does, too: the third has ln p / 2 = -1.15 so far, and these -0.99 and -0.92. "never"
    knows that it is divided by 4 if it goes on."""
    table = {(1,): [0.37, 0.115, 0.4, 0.115], (1, 2): [0.4, 0.175, 0.25, 0.175]}
    model = Listed(4, table | {(1, 2, 2): [0.01, 0.01, 0.97, 0.01], (1, 2, 2, 2): [0.97, 0.01, 0.01, 0.01]})
    found = {}
    for early_stopping in (True, False, "never"):
        best = beam_search(
            model, [[1]], 4, beam_size=2, alpha=1.0, penalty="length", stop=0, greedy=False, early_stopping=early_stopping
        )
        found[early_stopping] = best.ids[0, 0, : best.lengths[0, 0]].tolist()
    assert found == {True: [2, 0], False: [2, 0], "never": [2, 2, 2, 0]}
    for wrong in ("always", 1, None):
        with pytest.raises(ValueError, match=f"beam_search: early_stopping is {wrong!r}, expected True, False or 'never'"):
            beam_search(model, [[1]], 3, early_stopping=wrong)
