"""Training: optimisers, schedules, a step on all processors, the loop around it, checkpoints and their average."""

from tinytx.training.average import average_checkpoints
from tinytx.training.checkpoint import load_checkpoint, save_checkpoint
from tinytx.training.loop import fit
from tinytx.training.optimizers import SGD, Adam, AdamW
from tinytx.training.schedules import WarmupCosine, WarmupInverseSqrt
from tinytx.training.trainer import NotFiniteError, Trainer

__all__ = [
    "Adam",
    "AdamW",
    "NotFiniteError",
    "SGD",
    "Trainer",
    "WarmupCosine",
    "WarmupInverseSqrt",
    "average_checkpoints",
    "fit",
    "load_checkpoint",
    "save_checkpoint",
]
