"""Decoding: a trained model, decoder-only or encoder-decoder, writes tokens."""

from tinytx.decoding.beam import beam_search
from tinytx.decoding.choose import choose
from tinytx.decoding.generate import generate, greedy, sample
from tinytx.decoding.results import Decoded, Step
from tinytx.decoding.rules import (
    Past,
    bad_words,
    forced_first,
    forced_last,
    min_length,
    min_new_tokens,
    no_repeated_ngrams,
    renormalised,
    repetition_penalty,
)
from tinytx.decoding.speculative import Speculation, speculate

__all__ = [
    "Decoded",
    "Past",
    "Speculation",
    "Step",
    "bad_words",
    "beam_search",
    "choose",
    "forced_first",
    "forced_last",
    "generate",
    "greedy",
    "min_length",
    "min_new_tokens",
    "no_repeated_ngrams",
    "renormalised",
    "repetition_penalty",
    "sample",
    "speculate",
]
