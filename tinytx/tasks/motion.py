"""Motion: how far will each body move? The task of bodies that attract each other."""

import math

import numpy as np

from tinytx import ops
from tinytx.ops.multivector import BLADES, DIRECTION, POINT_WEIGHT, SCALAR
from tinytx.tasks.task import Task

PLACE = slice(1, 4)  # of a body's numbers: its mass, its position and its velocity
N_NUMBERS, N_CHANNELS = 7, 3


class Motion(Task):
    """A body of multivectors, between the numbers of each of several bodies and the step that it will take.

    The mass is a scalar, the position a point, the velocity a direction (`tinytx.ops.multivector`). Of what comes out the step
    is read as `tinytx.ops.displacement` from the body's position. So if a model commutes with motions, the answer does:
    wherever the bodies are, and however they are turned, it is the same step, turned alike. (A mirrored scene is another
    one for it: points of a mirror image have a weight of -1.)

    Parameters
    ----------
    body : Layer
        ``body(x, tape)`` turns multivectors (B, T, 48) into (B, T, 16): `tinytx.models.Gatr`.
    rng : numpy.random.Generator, optional
        Not used: the task has no parameters of its own.

    Raises
    ------
    TypeError, ValueError
        If the body's config lacks ``n_in`` or ``d_model``, or they are not 3 and 16.

    Examples
    --------
    >>> from tinytx.models import Gatr, GatrConfig
    >>> task = Motion(Gatr(GatrConfig(n_in=3, n_channels=4, n_heads=2, n_layers=1), rng=np.random.default_rng(0)))
    >>> task(np.ones((2, 5, 7), np.float32)).shape
    (2, 5, 3)
    """

    unit, quantity = "body", "squared distance"
    needs = {"n_in": "the multivectors that it reads of each body", "d_model": "16, a multivector for each body"}

    def __init__(self, body, *, rng=None):
        super().__init__(body)
        sizes = self.config.n_in, self.config.d_model
        if sizes != (N_CHANNELS, len(BLADES)):
            raise ValueError(f"Motion: the config has n_in {sizes[0]} and d_model {sizes[1]}, expected {N_CHANNELS} and 16")
        dtype, matrix = body.parameters()[0].data.dtype, np.zeros((N_NUMBERS, N_CHANNELS, len(BLADES)))
        matrix[0, 0, SCALAR], matrix[PLACE, 1], matrix[PLACE.stop :, 2] = 1, DIRECTION, DIRECTION
        weight = np.zeros((N_CHANNELS, len(BLADES)))
        weight[1, POINT_WEIGHT] = 1
        self.constants = matrix.reshape(N_NUMBERS, -1).astype(dtype), weight.ravel().astype(dtype)

    def n_tokens(self, inputs):
        """Return how many bodies are read."""
        return math.prod(inputs.shape[:2])

    def forward(self, x, tape=None):
        """Return the step of each body (B, T, 3), from its mass, position and velocity (B, T, 7)."""
        multivectors, made = ops.linear(x, *self.constants)
        y, saved = ops.displacement(self._vectors(multivectors, tape=tape), x[..., PLACE])
        if tape is not None:
            tape.push(self, (made, saved))
        return y

    def backward(self, dy, tape):
        """Add the gradients of all parameters; return that of x."""
        made, saved = tape.pop(self)
        dmultivectors, dplace = ops.displacement_backward(dy, saved)
        dx = ops.linear_backward(self.body.backward(dmultivectors, tape), made, frozen=True)[0]
        dx[..., PLACE] += dplace
        return dx

    def loss(self, x, moved, tape=None, *, count=None):
        """Return the mean squared distance of the steps from the true ones.

        Parameters
        ----------
        x : array (B, T, 7), the weights' dtype
        moved : array (B, T, 3), the weights' dtype
        tape : Tape, optional
        count : int, optional
            `count` of the whole batch, if this is a part of it.
        """
        loss, saved = ops.squared_error(self(x, tape), moved, count=count)
        if tape is not None:
            tape.push(self, saved)
        return loss

    def loss_backward(self, tape):
        """Add the gradients of `loss`; return those of x and of the true steps, which has the opposite sign of a step's."""
        dy = ops.squared_error_backward(1.0, tape.pop(self))
        return self.backward(dy, tape), -dy

    @staticmethod
    def count(x, moved):
        """Return the number of bodies, by which `loss` divides."""
        return math.prod(np.shape(moved)[:2])

    def measure(self, batches):
        """Return ``error``, the mean squared distance.

        Parameters
        ----------
        batches : iterable of (x, moved)
        """
        return {"error": self.mean_loss(batches)}

    def random_batch(self, rng, n, length):
        """Return a random batch for `loss`: n rows of ``length`` bodies."""
        dtype = self.constants[0].dtype
        return rng.normal(size=(n, length, N_NUMBERS)).astype(dtype), rng.normal(size=(n, length, 3)).astype(dtype)
