"""Metrics of a model's probabilities and of its texts. They take numbers and strings, and know no model."""

from tinytx.metrics.alignment import alignment_error_rate, read_links
from tinytx.metrics.bleu import Bleu, corpus_bleu
from tinytx.metrics.exact_match import exact_match
from tinytx.metrics.induction import induction_scores
from tinytx.metrics.logistic import Logistic, Unit, best_unit, logistic_regression
from tinytx.metrics.ngrams import ngram_loss
from tinytx.metrics.perplexity import perplexity

__all__ = [
    "Bleu",
    "Logistic",
    "Unit",
    "alignment_error_rate",
    "best_unit",
    "corpus_bleu",
    "exact_match",
    "induction_scores",
    "logistic_regression",
    "ngram_loss",
    "perplexity",
    "read_links",
]
