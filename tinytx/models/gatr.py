"""Geometric Algebra Transformer (Brehmer, de Haan, Behrends and Cohen 2023, arXiv:2305.18415).

The difference from an encoder such as `tinytx.models.ViT`: the vectors are not lists of numbers, but of points, directions,
planes and motions, 16 numbers each (`tinytx.ops.multivector`), and every layer commutes with motions. If all inputs are
rotated, shifted or reflected, all outputs are too, exactly, for any weights. So nothing about the choice of coordinates has
to be learned, and data far from all training data, but of the same shape, is no different from them.

There are no positions: inputs are a set. Constants come from the bias of the first map alone; the last ones have none. What
is made of numbers such as masses, and what is read off the outputs, is a task's: `tinytx.tasks.Motion`. Left out of the
paper's model are the channels of plain numbers beside the multivectors: a number is the scalar of a multivector.
"""

import numpy as np

from tinytx.core import Layer
from tinytx.layers import EquivariantLinear, GeometricBlock, Orientation
from tinytx.models.config import MOST_LAYERS
from tinytx.settings import Settings, setting
from tinytx.shapes import check_float, check_shape


class GatrConfig(Settings):
    """What a Geometric Algebra Transformer is made of; the defaults are the paper's for moving bodies."""

    n_in: int = setting(3, "multivectors that are read at each position, I", minimum=1)
    n_out: int = setting(1, "multivectors that are put out at each position, O", minimum=1)
    n_channels: int = setting(16, "multivectors at each position, C", minimum=1)
    n_heads: int = setting(8, "attention heads, H, a divisor of C", minimum=1)
    n_layers: int = setting(10, "blocks", minimum=1, maximum=MOST_LAYERS)
    n_inner: int | None = setting(None, "products, and joins, in each feed-forward layer; C if not given", minimum=1)

    def __post_init__(self):
        super().__post_init__()
        if self.n_channels % self.n_heads:
            raise ValueError(f"GatrConfig: n_heads {self.n_heads} does not divide n_channels {self.n_channels}")

    @property
    def d_model(self):
        """The width of the output."""
        return 16 * self.n_out


class Gatr(Layer):
    """A transformer of multivectors.

    Parameters
    ----------
    config : GatrConfig
    rng : numpy.random.Generator
    dtype : float32 or float64

    Examples
    --------
    >>> config = GatrConfig(n_in=3, n_channels=4, n_heads=2, n_layers=2)
    >>> body = Gatr(config, rng=np.random.default_rng(0))
    >>> body(np.zeros((2, 5, 48), np.float32)).shape
    (2, 5, 16)
    """

    def __init__(self, config, *, rng, dtype=np.float32):
        self.config, c, draw = config, config.n_channels, {"rng": rng, "dtype": dtype}
        self.orientation = Orientation(config.n_in, dtype)
        self.input = EquivariantLinear(config.n_in, c, **draw)
        self.blocks = [GeometricBlock(c, config.n_heads, config.n_inner or c, **draw) for _ in range(config.n_layers)]
        self.output = EquivariantLinear(c, config.n_out, bias=False, **draw)

    def forward(self, x, tape=None):
        """Return the outputs of each position.

        Parameters
        ----------
        x : array (B, T, 16 I), the weights' dtype
        tape : Tape, optional

        Returns
        -------
        array (B, T, 16 O)

        Raises
        ------
        TypeError, ValueError
            If x has another dtype or shape.
        """
        check_float("Gatr", x=x, weights=self.input.weight.data)
        check_shape("Gatr", "x", x, (*x.shape[:2], 16 * self.config.n_in), "B, T and 16 n_in of the config")
        reference, x = self.orientation(x, tape), self.input(x, tape)
        for block in self.blocks:
            x = block(x, reference, tape)
        return self.output(x, tape)

    def backward(self, dy, tape):
        """Return dx (B, T, 16 I)."""
        dx, dreference = self.output.backward(dy, tape), 0.0
        for block in reversed(self.blocks):
            dx, dmore = block.backward(dx, tape)
            dreference = dreference + dmore
        dx = self.input.backward(dx, tape)
        return dx + self.orientation.backward(dreference, tape)
