"""Optimisers, one file for each paper. Numbers of equations stand beside the lines that compute them.

`base` holds their common part; `groups` gives some parameters other rates and decays.
"""

from tinytx.training.optimizers.adagrad import AdaGrad
from tinytx.training.optimizers.adam import Adam, AdamW
from tinytx.training.optimizers.averaged import Averaged
from tinytx.training.optimizers.base import Optimizer
from tinytx.training.optimizers.lamb import LAMB
from tinytx.training.optimizers.lookahead import Lookahead, Ranger
from tinytx.training.optimizers.radam import RAdam
from tinytx.training.optimizers.sgd import SGD

__all__ = ["AdaGrad", "Adam", "AdamW", "Averaged", "LAMB", "Lookahead", "Optimizer", "RAdam", "Ranger", "SGD"]
