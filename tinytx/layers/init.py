"""Initial values: functions ``init(rng, shape) -> array`` of float64, for matrices of shape (d_in, d_out)."""

import math

import numpy as np


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


class Zeros:
    """In place of a generator of random numbers, where values are loaded afterwards: it draws zeros, not more than needed.

    Parameters
    ----------
    held : int
        How many numbers there are to load. A model whose config asks for more than twice as many (a bias may start as
        the sum of two draws) raises ValueError before it takes memory.
    """

    def __init__(self, held):
        self.held, self.left = held, 2 * held

    def normal(self, mean, std, shape):
        """Return zeros of a shape."""
        self.left -= math.prod(np.atleast_1d(shape).tolist())
        if self.left < 0:
            raise ValueError(f"the config asks for more weights than the {self.held:,} numbers that there are")
        return np.zeros(shape)

    uniform = normal
