"""Optimisers, one file for each paper: its equations, numbered beside the lines that compute them.

`base` is what they share, `groups` gives parameters rates and decays of their own.
"""

from tinytx.training.optimizers.adam import Adam, AdamW
from tinytx.training.optimizers.base import Optimizer
from tinytx.training.optimizers.lamb import LAMB
from tinytx.training.optimizers.lookahead import Lookahead, Ranger
from tinytx.training.optimizers.radam import RAdam
from tinytx.training.optimizers.sgd import SGD

__all__ = ["Adam", "AdamW", "LAMB", "Lookahead", "Optimizer", "RAdam", "Ranger", "SGD"]
