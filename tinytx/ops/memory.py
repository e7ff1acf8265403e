r"""Reading and writing the memory of a Neural Turing Machine (Graves, Wayne and Danihelka 2014, arXiv:1410.5401).

Derivation
----------
A memory M has N rows of W numbers. ``addressing.py`` makes a head's weights w, one for each row. What it reads is the
mean of the rows with these weights,

    r_i = sum_n w_n M_ni,                                                (1)

which is linear in both. M is the same for all heads:

    ∂r_i/∂w_n = M_ni,   dw_n = sum_i dr_i M_ni,   dM_ni = sum_heads w_n dr_i.    (2)

A head that writes first erases and then adds, in each row as much as its weight says. e says which of the W numbers are
erased, and a what is added:

    s(x) = 1 / (1 + e^-x),   e_i = s(erase_i),
    M'_ni = M_ni (1 - w_n e_i) + w_n a_i.                                (3)

With w_n = 1 and e = 1 row n is replaced by a; with w_n = 0 it stays. The rows of M, the weights, e and a each occur once
in (3), so

    dM_ni = dM'_ni (1 - w_n e_i),   da_i = sum_n w_n dM'_ni,             (4)
    dw_n = sum_i dM'_ni (a_i - M_ni e_i),                                (5)
    de_i = - sum_n w_n dM'_ni M_ni,
    ∂e_i/∂erase_i = e_i (1 - e_i),   derase_i = de_i e_i (1 - e_i).      (6)

With numbers
------------
Two rows of one number, 3 and 5. Half of the second is erased, since its weight is 0.5, and half of 8 is added:

>>> memory, w = np.array([[[3.0], [5.0]]]), np.array([[0.0, 0.5]])
>>> after, saved = write_memory(memory, w, np.array([[50.0]]), np.array([[8.0]]))
>>> after.tolist(), read_memory(np.array([[[0.5, 0.5]]]), after)[0].tolist()
([[[3.0], [6.5]]], [[[4.75]]])

A loss that grows by 1 with each row grows by 8 - 5 with the weight of the second, and by 0.5 with what is added:

>>> dmemory, dw, derase, dadd = write_memory_backward(np.ones((1, 2, 1)), saved)
>>> dmemory.tolist(), dw.tolist(), dadd.tolist()
([[[1.0], [0.5]]], [[5.0, 3.0]], [[0.5]])

The same in plain NumPy: ``read_memory`` and ``write_memory`` in ``plain.py``.
"""

import numpy as np

from tinytx.kernel import exp, kernel
from tinytx.shapes import check_axes, check_float, check_gradient, check_shape, contiguous


def read_memory(w, memory):
    """Return what each head reads.

    Parameters
    ----------
    w : array (B, H, N), float32 or float64
    memory : array (B, N, W), the dtype of w

    Returns
    -------
    r : array (B, H, W)
    saved : tuple of arrays
        w and memory.

    Raises
    ------
    TypeError, ValueError
        If dtypes differ, or shapes do not fit.
    """
    check_float("read_memory", w=w, memory=memory)
    check_axes("read_memory", "w", w, "(B, H, N)")
    check_axes("read_memory", "memory", memory, "(B, N, W)")
    check_shape("read_memory", "memory", memory, (len(w), w.shape[2], memory.shape[2]), "w of shape", w.shape)
    return w @ memory, (w, memory)  # (1)


def read_memory_backward(dy, saved):
    """Return (dw, dmemory)."""
    w, memory = saved
    shape, given = (*w.shape[:2], memory.shape[2]), ("w and memory of shapes", w.shape, "and", memory.shape)
    check_gradient("read_memory_backward", dy, shape, w.dtype, *given)
    return dy @ memory.swapaxes(1, 2), w.swapaxes(1, 2) @ dy  # (2)


@kernel
def _write(y, memory, w, erase, add):
    one = y.dtype.type(1)
    for b in range(y.shape[0]):
        for n in range(y.shape[1]):
            for m in range(y.shape[2]):
                e = one / (one + exp(-erase[b, m]))
                y[b, n, m] = memory[b, n, m] * (one - w[b, n] * e) + w[b, n] * add[b, m]  # (3)


@kernel
def _write_backward(dmemory, dw, derase, dadd, dy, memory, w, erase, add):
    """Write the first gradient, and add to the others, which are 0."""
    one = dy.dtype.type(1)
    for b in range(dy.shape[0]):
        for n in range(dy.shape[1]):
            for m in range(dy.shape[2]):
                e, d = one / (one + exp(-erase[b, m])), dy[b, n, m]
                dmemory[b, n, m] = d * (one - w[b, n] * e)  # (4)
                dadd[b, m] += w[b, n] * d
                dw[b, n] += d * (add[b, m] - memory[b, n, m] * e)  # (5)
                derase[b, m] -= w[b, n] * d * memory[b, n, m] * e * (one - e)  # (6)


def write_memory(memory, w, erase, add):
    """Return the memory after one head has written.

    Parameters
    ----------
    memory : array (B, N, W), float32 or float64
    w : array (B, N), the dtype of memory
    erase, add : arrays (B, W), the dtype of memory
        ``erase`` may be any real numbers: they are squashed to 0 < e < 1.

    Returns
    -------
    y : array (B, N, W)
    saved : tuple of arrays
        The arguments.

    Raises
    ------
    TypeError, ValueError
        If dtypes differ, or shapes do not fit.
    """
    place = "write_memory"
    check_float(place, memory=memory, w=w, erase=erase, add=add)
    check_axes(place, "memory", memory, "(B, N, W)")
    b, n, width = memory.shape
    for name, array, shape in (("w", w, (b, n)), ("erase", erase, (b, width)), ("add", add, (b, width))):
        check_shape(place, name, array, shape, "memory of shape", memory.shape)
    saved = tuple(contiguous(array) for array in (memory, w, erase, add))
    y = np.empty_like(saved[0])
    _write(y, *saved)
    return y, saved


def write_memory_backward(dy, saved):
    """Return (dmemory, dw, derase, dadd)."""
    memory = saved[0]
    check_gradient("write_memory_backward", dy, memory.shape, memory.dtype, "memory of shape", memory.shape)
    gradients = tuple(np.zeros_like(array) for array in saved)
    _write_backward(*gradients, contiguous(dy), *saved)
    return gradients
