"""Maps of points; pages; and pictures, with matplotlib (the extra ``train``), imported only when one is drawn."""

from tinytx.viz.attention import attention_maps
from tinytx.viz.attention_pictures import alignment_picture, attention_picture
from tinytx.viz.loss_curve import loss_curve
from tinytx.viz.neighbours import neighbours, unit_rows
from tinytx.viz.projection import neighbours_kept, pca, tsne_map
from tinytx.viz.style import PictureWarning
from tinytx.viz.word_map import word_map
from tinytx.viz.word_page import word_page
from tinytx.viz.word_vectors import nearest, write_projector

__all__ = [
    "PictureWarning",
    "alignment_picture",
    "attention_maps",
    "attention_picture",
    "loss_curve",
    "nearest",
    "neighbours",
    "neighbours_kept",
    "pca",
    "tsne_map",
    "unit_rows",
    "word_map",
    "word_page",
    "write_projector",
]
