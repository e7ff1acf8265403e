"""Training: optimisers, schedules, a step on all processors, the loop around it, checkpoints and their average."""

from tinytx.training.average import average_checkpoints
from tinytx.training.checkpoint import load_checkpoint, load_state, save_checkpoint
from tinytx.training.glove import PairExamples, descend_pairs
from tinytx.training.loop import fit
from tinytx.training.optimizers import LAMB, SGD, AdaGrad, Adam, AdamW, Averaged, Lookahead, Optimizer, RAdam, Ranger
from tinytx.training.optimizers.groups import by_depth, freeze, layerwise, thaw
from tinytx.training.pair_trainer import PairTrainer
from tinytx.training.probe import Probe, fitted_probe
from tinytx.training.schedules import SlantedTriangular, WarmupCosine, WarmupInverseSqrt
from tinytx.training.trainer import NotFiniteError, Trainer
from tinytx.training.word2vec import WordExamples, descend_words
from tinytx.training.word_trainer import WordTrainer

__all__ = [
    "AdaGrad",
    "Adam",
    "AdamW",
    "Averaged",
    "LAMB",
    "Lookahead",
    "NotFiniteError",
    "Optimizer",
    "PairExamples",
    "PairTrainer",
    "Probe",
    "RAdam",
    "Ranger",
    "SGD",
    "SlantedTriangular",
    "Trainer",
    "WarmupCosine",
    "WarmupInverseSqrt",
    "WordExamples",
    "WordTrainer",
    "average_checkpoints",
    "by_depth",
    "descend_pairs",
    "descend_words",
    "fit",
    "fitted_probe",
    "freeze",
    "layerwise",
    "load_checkpoint",
    "load_state",
    "save_checkpoint",
    "thaw",
]
