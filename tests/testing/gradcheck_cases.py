"""What the tests of gradcheck check: a function, and a layer of a user's."""

import numpy as np

from tinytx.core import Layer, Parameter


def draw(*shape, seed=0):
    return np.random.default_rng((seed, *shape)).normal(size=shape)


def rng():
    return np.random.default_rng(1)


X = draw(2, 3, 5)


def square(x):
    return x * x, x


def square_backward(dy, x):
    return 2 * dy * x


class Scale(Layer):
    """The example in the docstring of tinytx.core."""

    def __init__(self, d_model):
        self.weight = Parameter(np.ones(d_model))

    def forward(self, x, tape=None):
        if tape is not None:
            tape.push(self, x)
        return self.weight.data * x

    def backward(self, dy, tape):
        x = tape.pop(self)
        self.weight.add_grad((dy * x).sum(axis=(0, 1)))
        return dy * self.weight.data
