"""Neural Turing Machine (Graves, Wayne and Danihelka 2014, arXiv:1410.5401): a controller beside a memory.

The difference from `tinytx.models.char_rnn`: what it remembers is not the state of its units but a memory of rows, which
heads read and write. The number of weights does not depend on the size of the memory, so a procedure that is learned on
short sequences ("write row after row, go back, read row after row") also holds for longer ones. The controller is
feed-forward: all that goes from one step to the next are the memory, the places of the heads, and what was read.

The output is the controller's units and what was read, side by side; `tinytx.tasks.Bits` makes bits of it. How a step
goes is in `tinytx.layers.memory`, the equations in `tinytx.ops.addressing` and `tinytx.ops.memory`.
"""

import numpy as np

from tinytx.core import Layer
from tinytx.layers import ExternalMemory
from tinytx.settings import Settings, setting
from tinytx.shapes import check_float, check_shape


class NTMConfig(Settings):
    """What a Neural Turing Machine is made of; the defaults are the paper's for copying."""

    d_in: int = setting(help="width of what it reads", minimum=1)
    d_controller: int = setting(100, "units of the controller", minimum=1)
    n_rows: int = setting(128, "rows of the memory, N", minimum=1)
    d_row: int = setting(20, "numbers in a row, W", minimum=1)
    n_reads: int = setting(1, "heads that read; one more writes", minimum=1, maximum=64)

    @property
    def d_model(self):
        """The width of the output: the controller's units and what each head read."""
        return self.d_controller + self.n_reads * self.d_row


class NTM(Layer):
    """A Neural Turing Machine: it turns a sequence of vectors into one vector for each step.

    Parameters
    ----------
    config : NTMConfig
    rng : numpy.random.Generator
    dtype : float32 or float64

    Examples
    --------
    >>> body = NTM(NTMConfig(d_in=5, d_controller=8, d_row=4), rng=np.random.default_rng(0))
    >>> x = np.zeros((2, 7, 5), np.float32)
    >>> body(x).shape, body.memory.attention_weights(x).shape  # a head that reads and one that writes, 128 rows
    ((2, 7, 12), (2, 2, 7, 128))
    """

    def __init__(self, config, *, rng, dtype=np.float32):
        self.config = config
        self.memory = ExternalMemory(
            config.d_in, config.d_controller, config.n_rows, config.d_row, config.n_reads, rng=rng, dtype=dtype
        )

    def forward(self, x, tape=None):
        """Return [h, r] of each step.

        Parameters
        ----------
        x : array (B, T, d_in), the weights' dtype
        tape : Tape, optional

        Returns
        -------
        array (B, T, D)

        Raises
        ------
        TypeError, ValueError
            If x has another dtype or shape.
        """
        check_float("NTM", x=x, weights=self.memory.bias_in.data)
        check_shape("NTM", "x", x, (*x.shape[:2], self.config.d_in), "B, T and d_in of the config")
        return self.memory(x, tape)

    def backward(self, dy, tape):
        """Return dx (B, T, d_in)."""
        return self.memory.backward(dy, tape)
