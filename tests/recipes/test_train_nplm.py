"""``python -m tinytx train nplm``: words of a text, and the trigram model that it is compared with."""

import math

import numpy as np
import pytest
from run_files import records

from tinytx.data import tokenizer_from_dict
from tinytx.data.tokenizers.words import words_of
from tinytx.metrics import ngram_loss
from tinytx.training import load_checkpoint


@pytest.fixture(scope="module")
def run(trained):
    return trained("nplm")


def test_a_run_is_compared_with_trigrams_of_the_same_words(run, book):
    """Catches a vocabulary that knows words of the text that validates, and counts of another text."""
    folder, (code, out, err) = run
    assert code == 0, err
    last, tokenizer = records(folder)[-1], tokenizer_from_dict(load_checkpoint(folder)[2]["tokenizer"])
    assert set(last) == {"step", "val_loss", "perplexity", "trigram_perplexity"}
    assert f"Perplexity {last['perplexity']:.1f}; interpolated trigrams: {last['trigram_perplexity']:.1f}" in out
    text = book.read_text()
    parts = text[: round(0.9 * len(text))], text[round(0.9 * len(text)) :]
    assert set(tokenizer.words) == set(words_of(parts[0].lower()))
    assert set(words_of(parts[1])) - set(tokenizer.words)
    train, validation = map(tokenizer.encode, parts)
    assert f"{len(train):,} to train on, {len(validation):,} to validate" in out and "words, " in out
    losses = [ngram_loss(train, validation, tokenizer.vocab_size, strength=s) for s in (5, 10, 20, 50, 100, 200)]
    assert math.isclose(last["trigram_perplexity"], np.exp(min(losses)), rel_tol=1e-9)


def test_other_commands_take_it_or_say_why_not(run, tinytx, tmp_path):
    """Catches a command that takes every id for a character, or every row of the table for a word."""
    written = tinytx("sample", run[0], "--tokens 9 --seed 1 --prompt", ["3 times 3"])
    assert written.code == 0 and written.out.startswith("3 times 3"), written.err
    profile = tinytx("profile", run[0], "--steps 1")
    assert profile.code == 0 and "body.hidden" in profile.out, profile.err
    assert tinytx("embeddings", run[0], "--out", tmp_path).code == 0
    explain = tinytx("explain", run[0], ["1 times 1"])
    assert explain.code == 2 and "explain: NPLM has no attention and no state" in explain.err
