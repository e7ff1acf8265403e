"""Metrics: how good a model's probabilities are, and its texts. They know numbers and strings, and no model."""

from tinytx.metrics.bleu import Bleu, corpus_bleu
from tinytx.metrics.exact_match import exact_match
from tinytx.metrics.perplexity import perplexity

__all__ = ["Bleu", "corpus_bleu", "exact_match", "perplexity"]
