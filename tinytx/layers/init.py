"""Initial values: functions ``init(rng, shape) -> array`` of float64, for matrices of shape (d_in, d_out)."""

import math


def normal(std):
    """Normal with mean 0 (GPT-2 and BERT: ``std`` 0.02)."""
    return lambda rng, shape: rng.normal(0.0, std, shape)


def uniform_fan_in(rng, shape):
    """Uniform in +-1/sqrt(d_in): PyTorch's default for linear layers."""
    bound = 1 / math.sqrt(max(1, shape[0]))
    return rng.uniform(-bound, bound, shape)


def xavier_uniform(rng, shape):
    """Uniform in +-sqrt(6 / (d_in + d_out)) (Glorot and Bengio 2010)."""
    bound = math.sqrt(6 / max(1, shape[0] + shape[1]))
    return rng.uniform(-bound, bound, shape)
