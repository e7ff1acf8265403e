"""Small BERTs for the tests: configs, cases for the properties, batches with padding, hidden words and two parts."""

import numpy as np
from cases import LayerCase, Seeded

from tinytx.core import Layer, Tape
from tinytx.models import Bert, BertConfig
from tinytx.tasks import HiddenWords

# Every value of each option; the last two are changes of the tutorial's.
VARIANTS = {
    "paper": {"n_layers": 2},
    "pre, sinusoidal, gelu_tanh": {"norm_order": "pre", "positions": "sinusoidal", "activation": "gelu_tanh"},
    "untied, pre, tanh": {"head": "untied", "norm_order": "pre", "activation": "tanh"},
    "no segments, no embedding norm": {"n_segments": 0, "embedding_norm": False},
    "three segments, padding seen": {"n_segments": 3, "masks_padding": False},
    "dropout": {"dropout": 0.2, "feed_forward_dropout": 0.3, "embedding_dropout": 0.1},
    "tutorial": {"feed_forward_dropout": 0.0, "head": "untied"},
    "tutorial, dropout": {"dropout": 0.2, "head": "untied"},
}
HEADS = ("head", "next_sentence")  # settings of the task, among those of a variant
V, PAD = 11, 4


def config_of(variant="paper", **options):
    """Return a config of pairwise distinct sizes; padding is neither the first word nor the last."""
    small = {"max_len": 9, "d_model": 6, "n_heads": 2, "d_ff": 7, "n_layers": 1, "dropout": 0.0, "pad_id": PAD}
    make = BertConfig.tutorial if variant.startswith("tutorial") else BertConfig
    options = small | VARIANTS[variant] | options
    return make(V, **{name: value for name, value in options.items() if name not in HEADS})


def heads_of(config, variant="paper", **options):
    """Return the settings of a variant's task; two segments are a pair, of which the model says if the second followed."""
    options = {"next_sentence": config.n_segments == 2} | VARIANTS[variant] | options
    return {name: value for name, value in options.items() if name in HEADS}


def task_of(variant="paper", dtype=np.float64, **options):
    """Return the task of a variant around a new body."""
    config = config_of(variant, **options)
    settings = heads_of(config, variant, **options)
    return HiddenWords.around(Bert, config, rng=np.random.default_rng(0), settings=settings, dtype=dtype)


def batch_of(config, seed=0, b=4, t=8):
    """Return what the config's loss takes; texts of several lengths, row 0 full, row 1 with no hidden word."""
    rng = np.random.default_rng(seed)
    ids = rng.choice(np.setdiff1d(np.arange(V), [PAD]), (b, t))
    targets = np.where(rng.random((b, t)) < 0.4, ids, -100)
    targets[:, 2], targets[1] = ids[:, 2], -100
    for row in range(b):
        ids[row, t - row :], targets[row, t - row :] = PAD, -100
    ids[targets >= 0] = 3
    if not config.n_segments:
        return ids, targets
    segments = np.sort(rng.integers(0, config.n_segments, (b, t)), axis=1)
    return (ids, targets, segments, np.arange(b) % 3 % 2) if config.n_segments == 2 else (ids, targets, segments)


class Whole(Layer):
    """A Bert up to all its logits, those of the words at all positions (B, T·V) and those of the texts (B, 2)."""

    def __init__(self, model):
        self.model = model

    def forward(self, ids, tape=None, *, segments=None):
        hidden = self.model.body(ids, tape, segments=segments)
        words = self.model.word_logits(hidden, tape)
        if not self.model.next_sentence:
            return words.reshape(len(ids), -1)
        return np.concatenate([words.reshape(len(ids), -1), self.model.text_logits(hidden, tape)], axis=1)

    def backward(self, dy, tape):
        dhidden, size = 0, dy.shape[1]
        if self.model.next_sentence:
            size -= 2
            dhidden = self.model.next_sentence.backward(dy[:, size:], tape)
        dwords = dy[:, :size].reshape(len(dy), -1, V)
        self.model.body.backward(dhidden + self.model.word_logits_backward(dwords, tape), tape)


def case_of(variant="paper", seed=0, **options):
    """Return the model as a pair of functions of all its parameters, from ids to all logits."""
    config = config_of(variant, **options)
    ids, _, segments, *_ = *batch_of(config), None
    return LayerCase(
        Seeded(seed),
        lambda dtype: Whole(task_of(variant, dtype, **options)),
        {},
        before=(ids,),
        reach=0.01 if config.activation == "relu" else 0.25,
        shares=heads_of(config, variant).get("head") != "untied",
        tape=(lambda: Tape(seed=1, step=2)) if variant.endswith("dropout") else Tape,
        **({"segments": segments} if config.n_segments else {}),
    )


def model_of(variant="paper", seed=0, **options):
    """Return a float64 model at random parameters, biases and gains included."""
    model, make = task_of(variant, **options), Seeded(seed)
    for parameter in model.parameters():
        shape = parameter.data.shape
        parameter.data = make.array(*shape, scale=1 / np.sqrt(shape[0]) if len(shape) == 2 else 1.0)
    return model
