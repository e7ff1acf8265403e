"""How exact a problem's forward and backward are: what no comparison can resolve."""

import numpy as np

from tinytx.testing.numeric import EPS, rounding_noise


def forward_noise(problem, dy, rng):
    """Return the rounding error of sum(dy * y), relative to the size of its terms."""
    kept = {name: tensor.copy() for name, tensor in problem.tensors.items()}
    ways = {name: rng.uniform(-1, 1, tensor.shape) for name, tensor in kept.items()}

    def f(step):
        _set(problem, {name: array * (1 + step * ways[name]) for name, array in kept.items()})
        return problem.value(dy)

    noise = rounding_noise(f, 1e-7)
    _set(problem, kept)
    return noise


def backward_wobble(problem, dy, analytic, rng):
    """Return {name: how far any entry of its gradient moves} where every tensor is rounded anew."""
    kept = {name: tensor.copy() for name, tensor in problem.tensors.items()}
    wobble = dict.fromkeys(kept, 0.0)
    for _ in range(2):
        moved = {name: array * (1 + 2 * EPS * rng.choice((-1.0, 1.0), array.shape)) for name, array in kept.items()}
        _set(problem, moved)
        for name, gradient in problem.gradients([part.copy() for part in dy]).items():
            if gradient is not None and np.shape(gradient) == np.shape(analytic[name]):
                wobble[name] = max(wobble[name], float(np.abs(gradient - analytic[name]).max(initial=0.0)))
    _set(problem, kept)
    return wobble


def _set(problem, arrays):
    for name, array in arrays.items():
        problem.tensors[name][...] = array
