"""A memory beside a controller: the recurrent layer of the Neural Turing Machine (Graves et al. 2014, arXiv:1410.5401).

The controller reads x_t and r_(t-1), what was read from the memory in the step before, and moves the heads::

    h_t = tanh([x_t, r_(t-1)] W_in + b_in)
    key, strength, gate, shift and sharpness of each head, erase, add = h_t W_heads + b_heads
    w_t = address(..., w_(t-1), M_(t-1))
    r_t = read_memory(w_t of the reading heads, M_(t-1))
    M_t = write_memory(M_(t-1), w_t of the head that writes, erase, add)

and [h_t, r_t] is the output. So all heads find their rows in the memory before the step, reading comes before writing, and
what step t writes is read in step t + 1 or later. The memory begins with the same small number everywhere (Collier and
Beel 2018, arXiv:1807.08518), each head on row 0, and r_0 is 0.

Backward goes through the steps from the last to the first. Three gradients go along: of M_t, which the step itself gives
on three ways (reading, addressing, writing); of w_t, which is the gate's and the shift's start in the next step; and of
r_t, which the next step reads. Both weight matrices are used in all steps, so their gradients are those of a linear map
of the rows of all steps, and are made after the loop, as in `tinytx.ops.recurrent`.
"""

from typing import NamedTuple

import numpy as np

from tinytx import ops
from tinytx.arguments import check_sizes
from tinytx.core import Layer, Parameter
from tinytx.layers.init import xavier_uniform
from tinytx.ops.addressing import Steering, steering
from tinytx.ops.linear import Saved as SavedLinear
from tinytx.ops.recurrent import Carried
from tinytx.shapes import check_axes, check_dtype

BLANK = 1e-6  # what each number of the memory begins with
DISTANCES = 3  # a head stays where it is, or moves one row back or forward


class Saved(NamedTuple):
    x: np.ndarray  # (T, B, D + H W), what the controller reads
    h: np.ndarray  # (T, B, C)
    steps: list  # what address, read_memory and write_memory saved in each step


def _beside(*arrays):
    """Arrays (B, ...) -> (B, all their numbers), side by side."""
    return np.concatenate([array.reshape(len(array), -1) for array in arrays], axis=1)


class ExternalMemory(Layer):
    """A controller, which is one layer of tanh units, with heads that read a memory and one that writes to it.

    Parameters
    ----------
    d_in : int
        Width of the input, D.
    d_controller : int
        Units of the controller, C.
    n_rows, d_row : int
        Rows of the memory, N, and numbers in each, W.
    n_reads : int
        Heads that read, H.
    rng : numpy.random.Generator
        Draws the matrices, Xavier uniform.
    dtype : float32 or float64

    Attributes
    ----------
    weight_in : Parameter (D + H W, C)
    bias_in : Parameter (C,)
    weight_heads : Parameter (C, (H + 1) (W + 6) + 2 W)
        Columns: keys of the heads that read and of the one that writes; their strengths, gates, shifts of three numbers,
        sharpnesses; erase and add.
    bias_heads : Parameter
    """

    def __init__(self, d_in, d_controller, n_rows, d_row, n_reads=1, *, rng, dtype=np.float32):
        place = type(self).__name__
        check_sizes(place, d_in=d_in, d_controller=d_controller, n_rows=n_rows, d_row=d_row, n_reads=n_reads)
        dtype, self.n_rows, self.d_row, self.n_reads = check_dtype(place, dtype), n_rows, d_row, n_reads
        self.d_read = n_reads * d_row
        self.weight_in = Parameter(xavier_uniform(rng, (d_in + self.d_read, d_controller)).astype(dtype))
        self.bias_in = Parameter(np.zeros(d_controller, dtype))
        self.weight_heads = Parameter(xavier_uniform(rng, (d_controller, self._edges()[-1])).astype(dtype))
        self.bias_heads = Parameter(np.zeros(self._edges()[-1], dtype))

    def _shapes(self):
        """Return the shapes of what the heads get: key, strength, gate, shift, sharpness; erase and add."""
        heads, w = self.n_reads + 1, self.d_row
        return [(heads, w), (heads,), (heads,), (heads, DISTANCES), (heads,), (w,), (w,)]

    def _edges(self):
        """Return where each of them ends among the columns of weight_heads."""
        return np.cumsum([np.prod(shape) for shape in self._shapes()])

    def forward(self, x, tape=None):
        """Return [h_t, r_t] of each step.

        Parameters
        ----------
        x : array (B, T, D)
        tape : Tape, optional

        Returns
        -------
        array (B, T, C + H W)
        """
        y, saved = self._run(x)
        if tape is not None:
            tape.push(self, saved)
        return y

    def attention_weights(self, x):
        """Return the weights (B, H + 1, T, N) of each head: those that read, then the one that writes."""
        _, saved = self._run(x)
        return np.stack([address.w for address, _, _ in saved.steps], axis=2)

    def steering(self, x):
        """Return how each head came to its weights in each step, for pages and pictures.

        Returns
        -------
        tinytx.ops.addressing.Steering
            With an axis T behind that of heads: a gate is (B, H + 1, T), content is (B, H + 1, T, N).
        """
        _, saved = self._run(x)
        steps = [steering(address) for address, _, _ in saved.steps]
        return Steering(*(np.stack(arrays, axis=2) for arrays in zip(*steps)))

    def carried(self, x):
        """Return what goes from step to step beside the memory, for pages: h of the controller, and r, what was read.

        Returns
        -------
        tinytx.ops.recurrent.Carried
        """
        y, _ = self._run(x)
        n = y.shape[2] - self.d_read
        return Carried(x, {"h": y[:, :, :n], "r": y[:, :, n:]}, {})

    def _run(self, x):
        """Return (y, saved)."""
        check_axes(type(self).__name__, "x", x, "(B, T, D)")
        if not x.shape[1]:
            raise ValueError(f"{type(self).__name__}: x has shape {x.shape}, expected at least one step")
        (b, t, _), dtype, n_heads, edges = x.shape, x.dtype, self.n_reads + 1, self._edges()[:-1]
        memory = np.full((b, self.n_rows, self.d_row), BLANK, dtype)
        w, r = np.zeros((b, n_heads, self.n_rows), dtype), np.zeros((b, self.d_read), dtype)
        w[:, :, 0] = 1
        inputs, outputs, steps = [], [], []
        for step in range(t):
            inputs.append(_beside(x[:, step], r))
            h, _ = ops.tanh(ops.linear(inputs[-1], self.weight_in.data, self.bias_in.data)[0])
            columns, _ = ops.linear(h, self.weight_heads.data, self.bias_heads.data)
            parts = [a.reshape(b, *shape) for a, shape in zip(np.split(columns, edges, axis=1), self._shapes())]
            w, address = ops.address(*parts[:5], w, memory)
            r, read = ops.read_memory(w[:, :-1], memory)
            memory, write = ops.write_memory(memory, w[:, -1], *parts[5:])
            outputs.append(_beside(h, r))
            steps.append((address, read, write))
        y = np.stack(outputs, axis=1)
        return y, Saved(np.stack(inputs), y[:, :, : h.shape[1]].swapaxes(0, 1), steps)

    def backward(self, dy, tape):
        """Return dx (B, T, D)."""
        x, h, steps = tape.pop(self)
        (t, b, width), n = h.shape, self.d_read
        dcontroller, dcolumns = np.zeros_like(h), np.zeros((t, b, self._edges()[-1]), h.dtype)
        dx, dr = np.zeros((b, t, x.shape[2] - n), h.dtype), np.zeros((b, n), h.dtype)
        dmemory, dw = np.zeros_like(steps[-1][0].memory), np.zeros_like(steps[-1][0].w)
        for step in reversed(range(t)):
            address, read, write = steps[step]
            dh, dr = dy[:, step, :width], dr + dy[:, step, width:]
            dmemory, dw_write, *dwritten = ops.write_memory_backward(dmemory, write)
            dw_read, dmemory_read = ops.read_memory_backward(dr.reshape(b, self.n_reads, self.d_row), read)
            dw = dw + _beside(dw_read, dw_write).reshape(dw.shape)
            *dheads, dw, dmemory_found = ops.address_backward(dw, address)
            dmemory = dmemory + dmemory_read + dmemory_found
            dcolumns[step] = _beside(*dheads, *dwritten)
            dh = dh + ops.linear(dcolumns[step], self.weight_heads.data.T)[0]
            dcontroller[step] = ops.tanh_backward(dh, h[step])
            dinput, _ = ops.linear(dcontroller[step], self.weight_in.data.T)
            dx[:, step], dr = dinput[:, :-n], dinput[:, -n:]
        self._add_gradients(self.weight_in, self.bias_in, x, dcontroller)
        self._add_gradients(self.weight_heads, self.bias_heads, h, dcolumns)
        return dx

    @staticmethod
    def _add_gradients(weight, bias, x, dy):
        """Add the gradients of a linear map of the rows x of all steps."""
        _, dweight, dbias = ops.linear_backward(dy, SavedLinear(x, weight.data, True))
        weight.add_grad(dweight, fresh=True)
        bias.add_grad(dbias, fresh=True)
