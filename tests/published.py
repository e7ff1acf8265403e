"""Small models of transformers, as it makes and writes them, and the same batches for them and for ours."""

from contextlib import contextmanager
from typing import NamedTuple

import numpy as np
import torch
import transformers

PAD = 1
CONFIGS = {  # name -> (class, its config); sizes are distinct, so that no transpose goes unseen
    "gpt2": ("GPT2LMHeadModel", dict(n_positions=9, n_embd=8, n_head=2, n_layer=2, n_inner=12)),
    "gpt2 body": ("GPT2Model", dict(n_positions=9, n_embd=8, n_head=4, n_layer=1)),
    "gpt2 untied, erf": (
        "GPT2LMHeadModel",
        dict(n_positions=9, n_embd=8, n_head=2, n_layer=1, tie_word_embeddings=False, activation_function="gelu",
             layer_norm_epsilon=0.1),
    ),
    "gpt1": ("OpenAIGPTLMHeadModel", dict(n_positions=9, n_embd=8, n_head=2, n_layer=2, layer_norm_epsilon=0.01)),
    "gpt1 body": ("OpenAIGPTModel", dict(n_positions=9, n_embd=8, n_head=2, n_layer=1, afn="relu")),
    "t5": ("T5ForConditionalGeneration", dict(d_model=8, d_kv=6, d_ff=10, num_heads=2, num_layers=2, num_decoder_layers=3)),
    "t5 body": (  # our body ends with the scale that theirs has in front of the output layer, where there is one
        "T5Model", dict(d_model=8, d_kv=6, d_ff=10, num_heads=2, num_layers=1, tie_word_embeddings=False)
    ),
    "t5 v1.1": (
        "T5ForConditionalGeneration",
        dict(d_model=8, d_kv=6, d_ff=10, num_heads=2, num_layers=2, feed_forward_proj="gated-gelu",
             tie_word_embeddings=False, relative_attention_num_buckets=8, relative_attention_max_distance=7,
             layer_norm_epsilon=0.1),
    ),
}  # fmt: skip
SHARED = {
    "GPT2": dict(bos_token_id=0, eos_token_id=0),
    "T5": dict(pad_token_id=PAD, decoder_start_token_id=PAD, eos_token_id=2),
}
V = 20


class Batch(NamedTuple):
    ours: tuple  # what our model is called with
    theirs: dict
    seen: np.ndarray | None = None  # rows that anybody asks for: where there is no padding


@contextmanager
def all_in_float64(needed=True):
    """Let transformers' own casts to float32 be casts to float64, while a model is made and while it runs."""
    kept = torch.float32, torch.float, torch.Tensor.float
    if needed:
        torch.float32 = torch.float = torch.float64
        torch.Tensor.float = torch.Tensor.double
    try:
        yield
    finally:
        torch.float32, torch.float, torch.Tensor.float = kept


def new(name, dtype=np.float64, seed=0, **changes):
    """Return a model of transformers with random weights everywhere, biases and gains too."""
    cls, sizes = CONFIGS[name]
    cls = getattr(transformers, cls)
    shared = next((options for start, options in SHARED.items() if cls.__name__.startswith(start)), {})
    config = cls.config_class(vocab_size=V, attn_implementation="eager", **shared | sizes | changes)
    generator, double = torch.Generator().manual_seed(seed), dtype == np.float64
    with all_in_float64(double):
        model = cls(config).to(torch.float64 if double else torch.float32).eval()
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.copy_(0.4 * torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype))
    return model


def batch_of(name, seed=0, rows=3, t=7):
    """Return a `Batch` of random ids; sources are padded to several lengths."""
    rng, family = np.random.default_rng(seed), name.split()[0]
    ids = rng.integers(3, V, (rows, t))
    if family.startswith("gpt"):
        return Batch((ids,), {"input_ids": torch.tensor(ids)})
    for row in range(rows):
        ids[row, t - 2 * row :] = PAD
    seen = torch.tensor(ids != PAD).long()
    target = rng.integers(3, V, (rows, t - 2))
    return Batch((ids, target), {"input_ids": torch.tensor(ids), "attention_mask": seen, "decoder_input_ids": torch.tensor(target)})


def outputs_of(model, batch):
    """Return the logits of a model of transformers, or a body's vectors, as a tensor with a gradient."""
    found = model(**batch.theirs)
    return found.logits if "logits" in found else found.last_hidden_state
