"""Initial values: functions ``init(rng, shape)`` that return a float64 array, for matrices of shape (d_in, d_out)."""

import math

import numpy as np


def normal(std):
    """Return an ``init`` of normal values with mean 0 and standard deviation ``std`` (GPT-2 and BERT: 0.02)."""
    return lambda rng, shape: rng.normal(0.0, std, shape)


def uniform_fan_in(rng, shape):
    """Return values uniform in +-1/sqrt(d_in): PyTorch's default for linear layers."""
    bound = 1 / math.sqrt(max(1, shape[0]))
    return rng.uniform(-bound, bound, shape)


def xavier_uniform(rng, shape):
    """Return values uniform in +-sqrt(6 / (d_in + d_out)) (Glorot and Bengio 2010)."""
    bound = math.sqrt(6 / max(1, shape[0] + shape[1]))
    return rng.uniform(-bound, bound, shape)


class Zeros:
    """Stands for a random generator while a model is made whose values are loaded afterwards: its draws are zeros.

    Parameters
    ----------
    held : int
        The number of values to load. If a model draws more than twice as many (a bias may start as the sum of two
        draws), the draw raises ValueError before it allocates memory.
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
