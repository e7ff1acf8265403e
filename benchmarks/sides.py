"""The sides that benchmarks compare: each trains the same model from the same weights.

The library and PyTorch are imported where they are used: a side pays for its own imports only (startup.py times them).
"""

import time
from typing import NamedTuple

import numpy as np

LR, BETAS, DECAY, CLIP = 1e-3, (0.9, 0.99), 0.1, 1.0


class Shape(NamedTuple):
    """A GPT and its batch."""

    vocab_size: int
    max_len: int
    d_model: int
    n_heads: int
    n_layers: int
    batch: int

    @property
    def sizes(self):
        """Everything but the batch: the arguments of a config."""
        return {name: value for name, value in self._asdict().items() if name != "batch"}


SHAPES = {
    "nano": Shape(65, 64, 128, 4, 4, 12),
    "baby": Shape(65, 256, 384, 6, 6, 16),
    "gpt2": Shape(50257, 64, 768, 12, 12, 4),
    "long": Shape(65, 4096, 384, 6, 6, 1),
}


def make_model(shape, dtype=np.float32, dropout=0.0):
    """Return a GPT of a `Shape`, the same each time."""
    from tinytx.models import GPT, GPTConfig
    from tinytx.tasks import NextToken

    return NextToken(GPT(GPTConfig(**shape.sizes, dropout=dropout), rng=np.random.default_rng(0), dtype=dtype))


def make_batch(shape):
    """Return ids and targets (B, T), the same each time."""
    return tuple(np.random.default_rng(1).integers(0, shape.vocab_size, (2, shape.batch, shape.max_len)))


def ours(model, threads, lr=LR):
    """Return the library's Trainer: step(ids, targets) -> loss is forward, backward, clip at 1, AdamW."""
    from tinytx.training import AdamW, Trainer

    return Trainer(model, AdamW(model, lr, betas=BETAS, weight_decay=DECAY), clip=CLIP, threads=threads)


def torch_eager(model, threads, lr=LR, compiled=False):
    """Return PyTorch's counterpart, from the same weights, in the same precision."""
    import torch
    from torch_gpt import TorchGPT

    rival = TorchGPT(model.config).to(torch.from_numpy(model.body.token.weight.data).dtype)
    rival.load_ours(model.body.state_dict())
    return torch_trainer(rival, threads, lr, compiled)


def torch_trainer(rival, threads, lr=LR, compiled=False):
    """Return a TorchTrainer with the settings of `ours`."""
    import torch
    from torch_gpt import TorchTrainer

    torch.set_num_threads(threads)
    return TorchTrainer(rival, lr, betas=BETAS, weight_decay=DECAY, clip=CLIP, compiled=compiled)


def torch_compile(model, threads, lr=LR):
    """Return the same for PyTorch's compiler."""
    return torch_eager(model, threads, lr, compiled=True)


SIDES = {"ours": ours, "torch_eager": torch_eager, "torch_compile": torch_compile}


def product_peak(dtype=np.float32, seconds=1.0):
    """Return the best rate of NumPy's product, in GFLOP/s, with the threads that it takes by itself."""
    a = np.random.default_rng(0).random((2048, 2048), dtype=dtype)
    best, until = np.inf, time.perf_counter() + seconds
    while time.perf_counter() < until:
        began = time.perf_counter()
        a @ a
        best = min(best, time.perf_counter() - began)
    return 2 * 2048**3 / best / 1e9


def flops(shape):
    """Return the floating-point operations of the products of a `Shape`'s step, with the causal half of attention."""
    v, t, d, _, layers, b = shape
    products = 3 * 2 * b * t * d * (12 * d * layers + v)  # forward, and twice as many in backward
    attention = 6 * b * t * t * d * layers  # six products of T x T x D, half of each
    return products + attention
