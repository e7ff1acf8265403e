"""Pictures, with matplotlib (the extra ``train``), which is imported only when one is drawn."""

from tinytx.viz.loss_curve import loss_curve

__all__ = ["loss_curve"]
