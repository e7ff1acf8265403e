"""Pictures, and HTML pages: of attention, of gradients, of runs, and a map of words. Pictures need matplotlib (the extra ``train``)."""

from tinytx.viz.attention import attention_maps
from tinytx.viz.attention_page import attention_page, model_attention_page
from tinytx.viz.attention_pictures import alignment_picture, attention_picture
from tinytx.viz.gradient_page import gradient_page
from tinytx.viz.image_attention import image_attention_picture
from tinytx.viz.loss_curve import loss_curve
from tinytx.viz.memory_picture import memory_picture
from tinytx.viz.report_page import AttentionShown, RunShown, report_page
from tinytx.viz.style import PictureWarning
from tinytx.viz.unit_picture import unit_picture
from tinytx.viz.word_map import word_map
from tinytx.viz.word_page import word_page

__all__ = [
    "AttentionShown",
    "PictureWarning",
    "RunShown",
    "alignment_picture",
    "attention_maps",
    "attention_page",
    "attention_picture",
    "gradient_page",
    "image_attention_picture",
    "loss_curve",
    "memory_picture",
    "model_attention_page",
    "report_page",
    "unit_picture",
    "word_map",
    "word_page",
]
