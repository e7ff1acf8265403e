"""Layers for multivectors, which commute with motions (Brehmer et al. 2023, arXiv:2305.18415): parts of a Geometric Algebra Transformer.

A vector of width 16 C is C multivectors (`tinytx.ops.multivector`), its channels. To move the input of one of these layers is
to move its output.
"""

import numpy as np

from tinytx import ops
from tinytx.arguments import check_whole
from tinytx.core import Layer, Parameter
from tinytx.layers.attention import DotProduct, MultiHeadAttention
from tinytx.layers.block import Residual
from tinytx.layers.init import uniform_fan_in
from tinytx.ops.equivariant_linear import N_MAPS
from tinytx.ops.layer_norm import check_eps
from tinytx.ops.multivector import BLADES, POINT_WEIGHT
from tinytx.shapes import check_dtype


class EquivariantLinear(Layer):
    """A linear map of multivectors that commutes with motions: `tinytx.ops.equivariant_linear`.

    Parameters
    ----------
    n_in, n_out : int
        Channels of input and output, I and O.
    bias : bool
        Whether to add a bias to the scalars; it starts at 0.
    rng : numpy.random.Generator
    dtype : float32 or float64
    init : function (rng, shape) -> array
        Initial values of each of nine matrices (I, O).

    Attributes
    ----------
    weight : Parameter (9, I, O)
    bias : Parameter (O,), or None
    """

    def __init__(self, n_in, n_out, *, bias=True, rng, dtype=np.float32, init=uniform_fan_in):
        shape = check_whole("EquivariantLinear", "n_in", n_in), check_whole("EquivariantLinear", "n_out", n_out)
        dtype = check_dtype("EquivariantLinear", dtype)
        self.weight = Parameter(np.stack([init(rng, shape) for _ in range(N_MAPS)]).astype(dtype))
        self.bias = Parameter(np.zeros(n_out, dtype)) if bias else None

    def forward(self, x, tape=None):
        """(..., 16 I) -> (..., 16 O)."""
        y, saved = ops.equivariant_linear(x, self.weight.data, self.bias.data if self.bias else None)
        if tape is not None:
            tape.push(self, saved)
        return y

    def backward(self, dy, tape):
        dx, dweight, dbias = ops.equivariant_linear_backward(dy, tape.pop(self))
        self.weight.add_grad(dweight, fresh=True)
        if self.bias:
            self.bias.add_grad(dbias, fresh=True)
        return dx


class EquivariantNorm(Layer):
    """Divides a vector of multivectors by its length: `tinytx.ops.equivariant_norm`.

    Parameters
    ----------
    eps : float
        Added to the mean square length.
    """

    def __init__(self, eps=0.01):
        self.eps = check_eps("EquivariantNorm", eps)

    def forward(self, x, tape=None):
        """(..., 16 C) -> (..., 16 C)."""
        y, saved = ops.equivariant_norm(x, self.eps)
        if tape is not None:
            tape.push(self, saved)
        return y

    def backward(self, dy, tape):
        return ops.equivariant_norm_backward(dy, tape.pop(self))


class GatedGELU(Layer):
    """Each multivector times GELU of its scalar: `tinytx.ops.gated_gelu`."""

    def forward(self, x, tape=None):
        """(..., 16 C) -> (..., 16 C)."""
        y, saved = ops.gated_gelu(x)
        if tape is not None:
            tape.push(self, saved)
        return y

    def backward(self, dy, tape):
        return ops.gated_gelu_backward(dy, tape.pop(self))


class Distances(Layer):
    """A core of `MultiHeadAttention` that compares multivectors and the distances of their points.

    The scores are the products of `tinytx.ops.distance_features`, over the root of their number.

    Parameters
    ----------
    eps : float
        Points whose weight e123 is well below its root count little.
    """

    def __init__(self, eps=1e-3):
        self.core, self.eps = DotProduct(), check_eps("Distances", eps)

    def forward(self, q, k, v, tape=None, *, mask=None):
        """Return the output of attention (B, H, T, W), from q (B, H, T, 16 C), k (B, H, S, 16 C) and v (B, H, S, W)."""
        q, saved_q = ops.distance_features(q, eps=self.eps)
        k, saved_k = ops.distance_features(k, of_keys=True, eps=self.eps)
        if tape is not None:
            tape.push(self, (saved_q, saved_k))
        return self.core(q, k, v, tape, mask=mask)

    def backward(self, dy, tape):
        """Return (dq, dk, dv)."""
        dq, dk, dv = self.core.backward(dy, tape)
        saved_q, saved_k = tape.pop(self)
        return ops.distance_features_backward(dq, saved_q), ops.distance_features_backward(dk, saved_k), dv

    def weights(self, q, k, v, *, mask=None):
        """Return the attention weights (B, H, T, S)."""
        q, k = ops.distance_features(q, eps=self.eps)[0], ops.distance_features(k, of_keys=True, eps=self.eps)[0]
        return self.core.weights(q, k, v, mask=mask)

    def compared(self, q, k, v, *, mask=None):
        """Return the features of queries and keys as they are `Compared`."""
        q, k = ops.distance_features(q, eps=self.eps)[0], ops.distance_features(k, of_keys=True, eps=self.eps)[0]
        return self.core.compared(q, k, v)


class GeometricAttention(MultiHeadAttention):
    """Multi-head attention whose linear maps are equivariant and whose heads are `Distances`; a head has C / H channels.

    Parameters
    ----------
    n_channels, n_heads : int
        C and H, a divisor of C.
    **draw
        ``rng, dtype, init``, as for `EquivariantLinear`.
    """

    def __init__(self, n_channels, n_heads, **draw):
        if check_whole("GeometricAttention", "n_channels", n_channels) % check_whole("GeometricAttention", "n_heads", n_heads):
            raise ValueError(f"GeometricAttention: n_heads {n_heads} does not divide n_channels {n_channels}")
        self.n_heads = self.n_kv_heads = n_heads
        self.query, self.key, self.value, self.output = (EquivariantLinear(n_channels, n_channels, **draw) for _ in range(4))
        self.rotary, self.core = None, Distances()


class GeometricFeedForward(Layer):
    """Products and joins of the channels of a position, a gated GELU, and a linear map.

    Parameters
    ----------
    n_channels, n_inner : int
        C, and the products as well as the joins that are made.
    **draw
        ``rng, dtype, init``, as for `EquivariantLinear`.

    Attributes
    ----------
    left, right, first, second : EquivariantLinear
        Make the factors of the products, and of the joins.
    of_products, of_joins : EquivariantLinear
        The two halves of one map, from both to 2 n_inner channels.
    output : EquivariantLinear
    """

    def __init__(self, n_channels, n_inner, **draw):
        self.left, self.right, self.first, self.second = (EquivariantLinear(n_channels, n_inner, **draw) for _ in range(4))
        self.of_products = EquivariantLinear(n_inner, 2 * n_inner, **draw)
        self.of_joins = EquivariantLinear(n_inner, 2 * n_inner, bias=False, **draw)
        self.activation = GatedGELU()
        self.output = EquivariantLinear(2 * n_inner, n_channels, bias=False, **draw)

    def forward(self, x, reference, tape=None):
        """Return (B, T, 16 C), from x (B, T, 16 C) and the reference (B,) of `tinytx.ops.join`."""
        product, saved_product = ops.geometric_product(self.left(x, tape), self.right(x, tape))
        join, saved_join = ops.join(self.first(x, tape), self.second(x, tape), reference)
        if tape is not None:
            tape.push(self, (saved_product, saved_join))
        return self.output(self.activation(self.of_products(product, tape) + self.of_joins(join, tape), tape), tape)

    def backward(self, dy, tape):
        """Return (dx, dreference)."""
        dy = self.activation.backward(self.output.backward(dy, tape), tape)
        djoin, dproduct = self.of_joins.backward(dy, tape), self.of_products.backward(dy, tape)
        saved_product, saved_join = tape.pop(self)
        dfirst, dsecond, dreference = ops.join_backward(djoin, saved_join)
        dleft, dright = ops.geometric_product_backward(dproduct, saved_product)
        dx = self.second.backward(dsecond, tape)
        dx = dx + self.first.backward(dfirst, tape)
        dx = dx + self.right.backward(dright, tape)
        return dx + self.left.backward(dleft, tape), dreference


class GeometricBlock(Layer):
    """Attention and then a feed-forward layer, each with a norm before it and a residual connection.

    Parameters
    ----------
    n_channels, n_heads, n_inner : int
    **draw
        ``rng, dtype, init``, as for `EquivariantLinear`.

    Examples
    --------
    >>> block = GeometricBlock(4, n_heads=2, n_inner=3, rng=np.random.default_rng(0))
    >>> block(np.ones((2, 5, 64), np.float32), np.ones(2, np.float32)).shape
    (2, 5, 64)
    """

    def __init__(self, n_channels, n_heads, n_inner, **draw):
        self.attention = Residual(GeometricAttention(n_channels, n_heads, **draw), EquivariantNorm())
        self.feed_forward = Residual(GeometricFeedForward(n_channels, n_inner, **draw), EquivariantNorm())

    def forward(self, x, reference, tape=None, *, mask=None):
        """Return (B, T, 16 C), from x (B, T, 16 C) and the reference (B,) of `tinytx.ops.join`."""
        return self.feed_forward(self.attention(x, tape, mask=mask), reference, tape)

    def backward(self, dy, tape):
        """Return (dx, dreference)."""
        dx, dreference = self.feed_forward.backward(dy, tape)
        return self.attention.backward(dx, tape), dreference


class Orientation(Layer):
    """The mean e123 of all channels and positions: a number for each row that only reflections change, namely its sign.

    Parameters
    ----------
    n_channels : int
        C.
    dtype : float32 or float64
    """

    def __init__(self, n_channels, dtype=np.float32):
        self.mean = np.zeros((n_channels * len(BLADES), 1), check_dtype("Orientation", dtype))
        self.mean[POINT_WEIGHT :: len(BLADES)] = 1 / n_channels

    def forward(self, x, tape=None):
        """(B, T, 16 C) -> (B,)."""
        weights, saved = ops.linear(x, self.mean)
        y, saved_pool = ops.pool(weights, ("mean",))
        if tape is not None:
            tape.push(self, (saved, saved_pool))
        return y.reshape(-1)

    def backward(self, dy, tape):
        saved, saved_pool = tape.pop(self)
        return ops.linear_backward(ops.pool_backward(dy.reshape(-1, 1), saved_pool), saved, frozen=True)[0]
