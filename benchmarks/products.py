"""The products of a GPT's training step and nothing else: no step with NumPy's products can take less time.

Shapes, threads and order are those of the library's step: a shard of the batch for each thread, BLAS with one thread in
each, forward and then backward. The numbers are arbitrary.
"""

import numpy as np

from tinytx import workers
from tinytx.ops.attention_patterns import CAUSAL
from tinytx.ops.attention_tiles import KEY_STOP, QUERY, lists_of_tiles


class Products:
    """The products of a step.

    Parameters
    ----------
    shape : Shape
    threads : int
    dtype : str
    """

    def __init__(self, shape, threads, dtype="float32"):
        self._dtype, self._pool = dtype, workers.Pool(threads)
        d, layers = shape.d_model, shape.n_layers
        sizes = [size for _ in range(layers) for size in [(d, d)] * 4 + [(d, 4 * d), (4 * d, d)]]
        weights = [self._array(size) for size in sizes] + [self._array((shape.vocab_size, d)).T]
        edges = [shape.batch * i // threads for i in range(threads + 1)]
        self._shards = [self._products(shape, b - a, weights) for a, b in zip(edges, edges[1:]) if a < b]

    def step(self, *batch):
        """Make them; the batch is not used, but for its shape, which is the model's."""
        with workers.use(self._pool):
            workers.map(_multiply, self._shards)

    def _array(self, shape):
        return np.ones(shape, self._dtype)

    def _products(self, shape, n, weights):
        """Return [(a, b, out), ...] of a shard of n rows, in the order in which they are made."""
        forward, backward, gradients = [], [], {}
        for number, weight in enumerate(weights):
            if number % 6 == 3:  # between the maps to queries, keys and values and the map of their output
                ahead, back = self._attention(shape, n)
                forward += ahead
                backward += back[::-1]
            x, y = (self._array((n * shape.max_len, width)) for width in weight.shape)
            a, b = (x, y) if weight.flags.c_contiguous else (y, x)  # a table's gradient is laid out as the table is
            size = a.shape[1], b.shape[1]
            if size not in gradients:  # one array for all layers, as in a step a shard keeps none
                gradients[size] = self._array(size)
            forward.append((x, weight, y))
            backward += [(a.T, b, gradients[size]), (y, weight.T, np.empty_like(x))]
        return forward + backward[::-1]

    def _attention(self, shape, n):
        """Return the products of attention's forward and backward, in tiles."""
        t, heads = shape.max_len, shape.n_heads
        q, k, v, y, dq, dk, dv, dy = (
            self._array((n, t, heads, shape.d_model // heads)).swapaxes(1, 2) for _ in range(8)
        )
        columns = self._array((n, heads, shape.d_model // heads, t))  # of keys and of values, copied
        forward, backward = [], []
        for t0, t1, s0, s1 in lists_of_tiles((1, 1, 1, t), t, CAUSAL)[0][:, QUERY : KEY_STOP + 1]:
            queries, keys = np.s_[:, :, t0:t1], np.s_[:, :, s0:s1]  # of all heads in one product
            p, across = self._array((n, heads, t1 - t0, s1 - s0)), columns[..., s0:s1]
            score = q[queries], across, p
            forward += [score, (p, v[keys], y[queries])]
            backward += [score, (dy[queries], across, p), (p.swapaxes(2, 3), dy[queries], dv[keys])]
            backward += [(p, k[keys], dq[queries]), (p.swapaxes(2, 3), q[queries], dk[keys])]
        return forward, backward


def _multiply(products):
    for a, b, out in products:
        np.matmul(a, b, out=out)
