"""Tokens that are decoded from folders, beside transformers' own ``generate``: greedy and beam search, and its settings."""

from contextlib import contextmanager

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("safetensors")
pytestmark = pytest.mark.oracle

from published import PAD, all_in_float64, batch_of, new  # noqa: E402

from tinytx.decoding import (  # noqa: E402
    bad_words,
    beam_search,
    forced_first,
    forced_last,
    greedy,
    min_length,
    min_new_tokens,
    no_repeated_ngrams,
    renormalised,
    repetition_penalty,
)
from tinytx.hub import load  # noqa: E402

LONGER = {"gpt2": {"n_positions": 20}, "t5": {"num_layers": 1, "num_decoder_layers": 1}, "bart": {}, "marian": {}}
N = 6


def both(tmp_path, name, seed):
    """Return (prompts, our model, a token that ends some, function that returns ids and scores of their generate)."""
    theirs, (ids, *_) = new(name, seed=seed, **LONGER[name]), batch_of(name, seed=seed).ours
    theirs.save_pretrained(tmp_path)
    prompts = list(ids) if name != "gpt2" else [row[n:] for n, row in enumerate(ids)]  # of three lengths
    told = np.stack([np.pad(row, (ids.shape[1] - len(row), 0), constant_values=PAD) for row in prompts])
    seen = told != PAD if name != "gpt2" else np.arange(ids.shape[1]) >= np.arange(len(ids))[:, None]
    skip, ours = ids.shape[1] if name == "gpt2" else 1, load(tmp_path)
    stop = int(greedy(ours, prompts, 3, stop=()).ids[0, 2])

    def generate(**options):
        with all_in_float64(), torch.no_grad(), default_float64():
            found = theirs.generate(
                input_ids=torch.tensor(told), attention_mask=torch.tensor(seen).long(), max_new_tokens=N, do_sample=False,
                eos_token_id=stop, pad_token_id=PAD, use_cache=False, return_dict_in_generate=True, output_scores=True,
                **options,
            )  # fmt: skip
        return found.sequences.numpy()[:, skip:], found.get("sequences_scores")

    return prompts, ours, stop, generate


@contextmanager
def default_float64():
    """Their bad words are numbers of the default dtype."""
    kept = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(kept)


def filled(rows, width):
    return np.pad(rows, ((0, 0), (0, width - rows.shape[1])), constant_values=PAD)


@pytest.mark.parametrize("name", LONGER)
def test_greedy_tokens_are_theirs(tmp_path, name):
    """With stop tokens, and for GPT-2 prompts of several lengths, which theirs pads on the left and ours does not."""
    for seed in range(2):
        prompts, model, stop, generate = both(tmp_path, name, seed)
        ours = greedy(model, prompts, N, stop=stop, pad=PAD)
        np.testing.assert_array_equal(filled(ours.ids, N), filled(generate()[0], N))
        assert ours.ended.any()


@pytest.mark.parametrize(("power", "early_stopping"), [(0.0, True), (1.0, False), (2.0, "never")])
@pytest.mark.parametrize("name", LONGER)
def test_the_best_of_a_beam_search_are_theirs(tmp_path, name, power, early_stopping):
    """Several answers with a length penalty."""
    check_beams(*both(tmp_path, name, 0), power, early_stopping)


def check_beams(prompts, model, stop, generate, power, early_stopping, rules=(), **asked):
    """Two of three beams are the same tokens with the same scores as theirs."""
    n = 2
    ours = beam_search(
        model, prompts, N, beam_size=3, n_best=n, alpha=power, penalty="length", early_stopping=early_stopping, greedy=False,
        stop=stop, pad=PAD, rules=rules,
    )  # fmt: skip
    ids, scores = generate(
        num_beams=3, num_return_sequences=n, length_penalty=power, early_stopping=early_stopping, **asked
    )
    np.testing.assert_array_equal(filled(ours.ids.reshape(len(prompts) * n, -1), N), filled(ids, N))
    np.testing.assert_allclose(ours.scores.ravel(), scores.numpy(), rtol=1e-5)


BAD = [[3], [7], [8, 9], [15, 4]]
RULES = {
    "penalty": ({"repetition_penalty": 1.7}, [repetition_penalty(1.7)]),
    "no token twice": ({"no_repeat_ngram_size": 1}, [no_repeated_ngrams(1)]),
    "no pair twice": ({"no_repeat_ngram_size": 2}, [no_repeated_ngrams(2)]),
    "bad words": ({"bad_words_ids": BAD}, [bad_words(BAD)]),
    "min new": ({"min_new_tokens": 4}, [min_new_tokens(4)]),
    "min": ({"min_length": 5}, [min_length(5)]),
    "first": ({"forced_bos_token_id": 5}, [forced_first(5)]),
    "last": ({"forced_eos_token_id": 6}, [forced_last(6)]),
    "renormalised": (
        {"repetition_penalty": 0.6, "no_repeat_ngram_size": 2, "renormalize_logits": True},
        [repetition_penalty(0.6), no_repeated_ngrams(2), renormalised],
    ),
    "several": (
        {"repetition_penalty": 1.3, "no_repeat_ngram_size": 2, "min_new_tokens": 3, "forced_bos_token_id": 5, "forced_eos_token_id": 6},
        [repetition_penalty(1.3), no_repeated_ngrams(2), min_new_tokens(3), forced_first(5), forced_last(6)],
    ),
}
OF_PAIRS = ("min", "first", "several")  # theirs count padding as length, and force the first of all tokens, of a prompt too


@pytest.mark.parametrize("name", LONGER)
def test_rules_are_theirs(tmp_path, name):
    """Each rule with two of the four models, and several together, greedily and by beams: the same tokens and scores."""
    prompts, model, stop, generate = both(tmp_path, name, 0)
    plain, n_changed = filled(greedy(model, prompts, N, stop=stop, pad=PAD).ids, N), 0
    for n, (rule, (asked, rules)) in enumerate(RULES.items()):
        own = n % 2 == (name in ("bart", "gpt2")) or rule in OF_PAIRS
        if own and (name != "gpt2" or rule not in OF_PAIRS):
            ours = filled(greedy(model, prompts, N, stop=stop, pad=PAD, rules=rules).ids, N)
            np.testing.assert_array_equal(ours, filled(generate(**asked)[0], N), rule)
            n_changed += (ours != plain).any()
            check_beams(prompts, model, stop, generate, n % 3, (False, True, "never")[n // 3 % 3], rules, **asked)
    assert n_changed
