"""The sides that benchmarks compare: each makes a training step of the same model from the same weights."""

import time

import numpy as np

from tinytx.models import GPT, GPTConfig
from tinytx.training import AdamW, Trainer

LR, BETAS, DECAY, CLIP = 1e-3, (0.9, 0.99), 0.1, 1.0
SHAPES = {  # vocabulary, positions, width, heads, layers, batch
    "nano": (65, 64, 128, 4, 4, 12),
    "baby": (65, 256, 384, 6, 6, 16),
    "gpt2": (50257, 64, 768, 12, 12, 4),
    "long": (65, 4096, 384, 6, 6, 1),
}


def make_model(shape):
    """Return a GPT of a shape, and a batch of ids and targets."""
    v, t, d, h, layers, b = SHAPES[shape]
    config = GPTConfig(vocab_size=v, max_len=t, d_model=d, n_heads=h, n_layers=layers)
    rng = np.random.default_rng(0)
    model = GPT(config, rng=rng)
    return model, rng.integers(0, v, (b, t)), rng.integers(0, v, (b, t))


def ours(model, threads):
    """Return a function (ids, targets) -> loss that takes one step: forward, backward, clip at 1, AdamW."""
    return Trainer(model, AdamW(model, LR, betas=BETAS, weight_decay=DECAY), clip=CLIP, threads=threads).step


def torch_eager(model, threads, compiled=False):
    """Return the same for PyTorch."""
    import torch
    from torch_gpt import TorchGPT

    torch.set_num_threads(threads)
    rival = TorchGPT(model.config)
    rival.load_ours(model.state_dict())
    optimizer = rival.adamw(LR, BETAS, DECAY)
    forward = torch.compile(rival) if compiled else rival

    def step(ids, targets):
        loss = forward(torch.from_numpy(ids), torch.from_numpy(targets))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(rival.parameters(), CLIP)
        optimizer.step()
        return loss.item()

    return step


def torch_compile(model, threads):
    """Return the same for PyTorch's compiler."""
    return torch_eager(model, threads, compiled=True)


SIDES = {"ours": ours, "torch_eager": torch_eager, "torch_compile": torch_compile}


def sgemm_peak(seconds=1.0):
    """Return the best rate of NumPy's float32 product, in GFLOP/s, with the threads that it takes by itself."""
    a = np.random.default_rng(0).random((2048, 2048), dtype=np.float32)
    best, until = np.inf, time.perf_counter() + seconds
    while time.perf_counter() < until:
        began = time.perf_counter()
        a @ a
        best = min(best, time.perf_counter() - began)
    return 2 * 2048**3 / best / 1e9


def flops(shape):
    """Return the floating-point operations of a step's products, with the causal half of attention."""
    v, t, d, _, layers, b = SHAPES[shape]
    products = 3 * 2 * b * t * d * (12 * d * layers + v)  # forward, and twice as many in backward
    attention = 6 * b * t * t * d * layers  # six products of T x T x D, half of each
    return products + attention
