"""What a step does to each layer: the norm of its gradient, and how far its weights go relative to their size.

With p for all parameters of a layer before the step, p' for those after it, and g for their gradient before clipping:

    gradient norm  =  |g|                           (1)
    update ratio   =  |p' - p| / |p|                (2)

(2) says what a learning rate means to a layer, whatever the optimiser makes of the gradient. A common rule of thumb is
about 0.001 for weights that are neither learning too slowly nor thrown about; a layer that is far from its neighbours
is worth a look. It is infinite where a layer at 0 moves, as one that begins there does in its first step.
"""

import math

import numpy as np

from tinytx import workers
from tinytx.kernel import kernel
from tinytx.recording import empty, result
from tinytx.shapes import contiguous

GRAD_NORMS, UPDATE_RATIOS = "grad_norms", "update_ratios"  # the keys of records, which hold {path of a layer: number}


@kernel
def _sum_of_squares(out, g):
    total = 0.0  # float64: 100 million squares in float32 would lose three digits
    for i in range(g.size):
        total += np.float64(g[i]) * np.float64(g[i])
    out[0] = total


@kernel
def _squares_of_a_step(out, before, after):
    moved = size = 0.0
    for i in range(before.size):
        step = np.float64(after[i]) - np.float64(before[i])
        moved += step * step
        size += np.float64(before[i]) * np.float64(before[i])
    out[0], out[1] = moved, size


def squares(array):
    """Return the sum of an array's squares, a float."""
    out = empty(1, np.float64)
    _sum_of_squares(out, contiguous(array).reshape(-1))
    return result(np.ndarray.item, out)


class Before:
    """The weights before a step, a copy: made after backward, when the memory of the activations is free again.

    Parameters
    ----------
    named : dict of str to Parameter
        Those that the step changes, by their paths, with their gradients.
    """

    def __init__(self, named):
        self._named = named
        copies = workers.map(lambda name: named[name].data.copy(), named)
        self._copies = dict(zip(named, copies, strict=True))

    def to_now(self, rate=None):
        """Return what the step that was taken since did to each layer.

        Parameters
        ----------
        rate : float, optional
            For steps without gradients in the parameters: then g of (1) is (p - p') / rate; 0 where the rate is 0.

        Returns
        -------
        dict
            {``grad_norms``: (1), ``update_ratios``: (2)}, each a dict from the path of a layer to a float.
        """

        def measured(name):
            out, parameter = np.empty(2), self._named[name]
            _squares_of_a_step(out, self._copies[name].reshape(-1), contiguous(parameter.data).reshape(-1))
            gradient = squares(parameter.grad) if rate is None else out[0] / rate**2 if rate else 0.0
            return gradient, *out

        rows = {}
        for name, sums in zip(self._named, workers.map(measured, self._named), strict=True):
            rows.setdefault(layer_of(name), []).append(sums)
        norms = {path: [math.sqrt(math.fsum(column)) for column in zip(*sums)] for path, sums in rows.items()}
        return {
            GRAD_NORMS: {path: gradient for path, (gradient, _, _) in norms.items()},
            UPDATE_RATIOS: {path: ratio(moved, size) for path, (_, moved, size) in norms.items()},
        }


def layer_of(name):
    """Return the path of the layer that a parameter belongs to; that of a parameter of the model itself is its name.

    >>> layer_of("body.blocks.0.norm.weight"), layer_of("weight")
    ('body.blocks.0.norm', 'weight')
    """
    return name.rpartition(".")[0] or name


def ratio(moved, size):
    """Return (2) of two norms: 0 where nothing moved.

    >>> ratio(0.5, 2.0), ratio(1.0, 0.0), ratio(0.0, 0.0)
    (0.25, inf, 0.0)
    """
    return moved / size if size else math.inf if moved else 0.0
