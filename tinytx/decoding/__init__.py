"""Decoding: a trained model, decoder-only or encoder-decoder, writes tokens."""

from tinytx.decoding.beam import beam_search
from tinytx.decoding.choose import choose
from tinytx.decoding.generate import generate, greedy, sample
from tinytx.decoding.results import Decoded, Step

__all__ = ["Decoded", "Step", "beam_search", "choose", "generate", "greedy", "sample"]
