"""How exact a problem's forward and backward are: what no comparison can resolve."""

import numpy as np

from tinytx.testing.numeric import EPS, rounding_noise


def rms(array):
    """Return the root mean square of the finite entries, 0 where there is none."""
    finite = array[np.isfinite(array)]
    return float(np.sqrt(np.mean(np.square(finite)))) if finite.size else 0.0


def cotangent(rng, shape):
    """Return random weights, none of them small: a sign times 0.5 to 1.5."""
    return rng.choice((-1.0, 1.0), shape) * rng.uniform(0.5, 1.5, shape)


def along(problem, dy, tensor, direction, raised=None):
    """Return f(h): the objective sum(dy * y) with a tensor moved by h times a direction, and the size of its terms.

    Where the forward raises, f is NaN: a function outside of its domain is not finite there. What it raised is
    appended to the list ``raised``.
    """
    kept = tensor.copy()

    def f(h):
        np.multiply(direction, h, out=tensor)
        np.add(tensor, kept, out=tensor)
        try:
            return problem.value(dy)
        except Exception as error:  # a function of the user's may raise anything
            if raised is not None:
                raised.append(error)
            return np.nan, np.nan
        finally:
            tensor[...] = kept

    return f


def forward_noise(problem, dy, rng):
    """Return {name: the rounding error of sum(dy * y) as that tensor moves, relative to the size of its terms}."""
    noise = {}
    for name, tensor in problem.tensors.items():
        direction = np.where(np.isfinite(tensor), tensor, 0.0) * rng.uniform(-1, 1, tensor.shape)
        noise[name] = rounding_noise(along(problem, dy, tensor, direction), 1e-7)
    return noise


def backward_wobble(problem, dy, analytic, rng):
    """Return {name: how far any entry of its gradient moves} where every tensor is rounded anew."""
    kept = {name: tensor.copy() for name, tensor in problem.tensors.items()}
    wobble = dict.fromkeys(kept, 0.0)
    try:
        for _ in range(2):
            for name, array in kept.items():
                problem.tensors[name][...] = array * (1 + 2 * EPS * rng.choice((-1.0, 1.0), array.shape))
            for name, gradient in problem.gradients(dy).items():
                if gradient is not None and np.shape(gradient) == np.shape(analytic[name]):
                    moved = np.abs(gradient - analytic[name])
                    wobble[name] = max(wobble[name], float(moved[np.isfinite(moved)].max(initial=0.0)))
    finally:
        for name, array in kept.items():
            problem.tensors[name][...] = array
    return wobble
