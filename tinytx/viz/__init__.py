"""Pictures, with matplotlib (the extra ``train``), which is imported only when one is drawn."""

from tinytx.viz.attention import alignment_picture, attention_maps, attention_picture
from tinytx.viz.loss_curve import loss_curve

__all__ = ["alignment_picture", "attention_maps", "attention_picture", "loss_curve"]
