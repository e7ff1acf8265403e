"""Small encoder-decoders for the tests: configs, cases for the properties, batches with padding."""

import numpy as np
from cases import LayerCase, Seeded

from tinytx.core import Tape
from tinytx.models import RecurrentSeq2SeqConfig, Transformer, TransformerConfig
from tinytx.tasks import SequenceToSequence

# Pairwise: every value of each option, and every pair of norm order, tying and final norms.
VARIANTS = {  # two decoder layers, whose gradients of the memory add up, in both orders of norms; one in the others
    "paper": {"n_encoder_layers": 2},
    "pre, two-way, learned, gelu": {
        "norm_order": "pre",
        "tied": "two-way",
        "positions": "learned",
        "activation": "gelu",
        "n_decoder_layers": 1,
    },
    "pre, untied, cross-entropy": {"norm_order": "pre", "tied": "none", "loss_form": "cross_entropy"},
    "post, untied, final norms, learned": {"tied": "none", "final_norm": True, "positions": "learned", "n_decoder_layers": 1},
    "post, two-way, final norms, unscaled": {"tied": "two-way", "final_norm": True, "scaled_embedding": False, "n_decoder_layers": 1},
    "pre, three-way, no final norms": {"norm_order": "pre", "final_norm": False, "activation": "gelu_tanh", "n_decoder_layers": 1},
    "dropout": {"dropout": 0.2, "n_decoder_layers": 1, "loss_form": "cross_entropy"},
}
V_SOURCE, V_TARGET, PAD, START, STOP = 13, 11, 4, 1, 6


def config_of(**options):
    """Return a config of pairwise distinct sizes; padding is neither the first word nor the last."""
    small = {
        "source_vocab_size": V_SOURCE,
        "target_vocab_size": V_SOURCE if options.get("tied", "three-way") == "three-way" else V_TARGET,
        "d_model": 6,
        "n_heads": 2,
        "d_ff": 7,
        "n_encoder_layers": 1,
        "n_decoder_layers": 2,
        "max_len": 10,
        "dropout": 0.0,
        "pad_id": PAD,
        "start_id": START,
        "stop_id": STOP,
    }
    return TransformerConfig(**small | options)


def recurrent_config_of(**options):
    """Return a config of recurrent nets with the same ids."""
    small = {"source_vocab_size": V_SOURCE, "target_vocab_size": V_TARGET, "d_embedding": 5, "d_model": 6, "max_len": 10}
    return RecurrentSeq2SeqConfig(**small | {"pad_id": PAD, "start_id": START, "stop_id": STOP} | options)


def new_model(rng, dtype=np.float32, **options):
    """Return a new model; options are its config's and its loss's."""
    loss = {name: options.pop(name) for name in ("label_smoothing", "loss_form") if name in options}
    return SequenceToSequence.around(Transformer, config_of(**options), rng=rng, settings=loss, dtype=dtype)


def batch_of(seed=0, b=3, s=8, t=5):
    """Return source (B, S) and target (B, T + 1), padded to several lengths; row 0 is full."""
    rng = np.random.default_rng(seed)
    words = np.setdiff1d(np.arange(V_TARGET), [PAD, START, STOP])
    source, target = rng.choice(words, (b, s)), rng.choice(words, (b, t + 1))
    target[:, 0] = START
    for row in range(b):
        source[row, s - row :] = PAD
        target[row, t - row] = STOP
        target[row, t - row + 1 :] = PAD
    return source, target


def case_of(seed=0, **options):
    """Return the model as a pair of functions of all its parameters, from ids to logits."""
    source, target = batch_of()
    config = new_model(np.random.default_rng(0), **options).config
    return LayerCase(
        Seeded(seed),
        lambda dtype: new_model(np.random.default_rng(0), dtype, **options),
        {},
        before=(source, target[:, :-1]),
        reach=0.01 if config.activation == "relu" else 0.25,
        shares=config.tied != "none",
        tape=(lambda: Tape(seed=1, step=2)) if config.dropout else Tape,
    )


def model_of(seed=0, **options):
    """Return a float64 model at random parameters, biases and gains included."""
    case = case_of(seed, **options)
    return case.bind(case.arrays)
