"""Vectors as points: nearest neighbours, maps in the plane, and the words that the vectors stand for."""

from tinytx.vectors.analogies import Analogies, analogies, read_questions
from tinytx.vectors.neighbours import neighbours, neighbours_kept, unit_rows
from tinytx.vectors.projection import pca, tsne_map
from tinytx.vectors.word_vectors import nearest, purity, write_projector

__all__ = [
    "Analogies",
    "analogies",
    "nearest",
    "neighbours",
    "neighbours_kept",
    "pca",
    "purity",
    "read_questions",
    "tsne_map",
    "unit_rows",
    "write_projector",
]
