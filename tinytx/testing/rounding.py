"""Measures the rounding errors of a problem's forward and backward, which limit every comparison."""

import numpy as np

from tinytx.testing.numeric import EPS, rounding_noise

JUMP = 1e-6  # rounding changes a gradient by less than this share of its natural size


def rms(array):
    """Return the root mean square of the finite entries, or 0 if there are none."""
    finite = array[np.isfinite(array)]
    return float(np.sqrt(np.mean(np.square(finite)))) if finite.size else 0.0


def cotangent(rng, shape):
    """Return random weights, none of them small: a sign times 0.5 to 1.5."""
    return rng.choice((-1.0, 1.0), shape) * rng.uniform(0.5, 1.5, shape)


def along(problem, dy, tensor, direction, raised=None):
    """Return f(h): the objective sum(dy * y) with a tensor moved by h times a direction, and the size of its terms.

    Where the forward raises an exception, f is NaN, as outside the domain of a function. The exception is appended to
    the list ``raised``.
    """
    kept = tensor.copy()

    def f(h):
        np.multiply(direction, h, out=tensor)
        np.add(tensor, kept, out=tensor)
        try:
            return problem.value(dy)
        except Exception as error:  # a user's function may raise any exception
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


def natural_sizes(problem, dy):
    """Return {name: the size that the gradient would have if the tensor mattered}: the forward's size over the tensor's."""
    size = problem.value(dy)[1]
    return {name: size / (rms(tensor) or 1.0) for name, tensor in problem.tensors.items()}


def backward_wobble(problem, dy, analytic, rng):
    """Return {name: the largest change of an entry of its gradient} when each tensor in turn is rounded differently.

    A gradient that jumps when *another* tensor is rounded does not count: the other tensor is then only compared with
    something, as labels of 1 and -1 are.
    """
    wobble, natural = dict.fromkeys(problem.tensors, 0.0), natural_sizes(problem, dy)
    for moved, tensor in problem.tensors.items():
        kept = tensor.copy()
        for _ in range(2):
            tensor[...] = kept * (1 + 2 * EPS * rng.choice((-1.0, 1.0), kept.shape))
            try:
                gradients = problem.gradients(dy)
            except Exception:  # outside its domain a user's function may raise any exception
                gradients = {}
            finally:
                tensor[...] = kept
            for name, gradient in gradients.items():
                if gradient is not None and np.shape(gradient) == np.shape(analytic[name]):
                    change = np.abs(gradient - analytic[name])
                    change = float(change[np.isfinite(change)].max(initial=0.0))
                    if moved == name or change <= JUMP * natural[name]:
                        wobble[name] = max(wobble[name], change)
    return wobble
