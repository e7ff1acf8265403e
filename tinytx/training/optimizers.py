r"""Optimisers: SGD with momentum, Adam, AdamW.

With g the gradient (already clipped), step t = 1, 2, ...:

SGD         u = momentum u + g,   p -= lr u                              (Sutskever et al. 2013)
Adam        m = b1 m + (1 - b1) g,   v = b2 v + (1 - b2) g^2,
            p -= lr (m / (1 - b1^t)) / (sqrt(v / (1 - b2^t)) + eps)      (Kingma and Ba 2015, arXiv:1412.6980)
AdamW       p -= lr decay p first, and then as Adam                      (Loshchilov and Hutter 2019, arXiv:1711.05101)

Adam's own weight decay is the older L2 term, decay p added to g, which the division by sqrt(v) then rescales.
Decay is for matrices only: gains and biases have one axis, and pulling them to 0 regularises nothing.
"""

import math

import numpy as np

from tinytx.kernel import kernel
from tinytx.shapes import contiguous


@kernel
def _sgd(p, u, g, scale, lr, momentum, decay):
    for i in range(p.size):
        u[i] = momentum * u[i] + (scale * g[i] + decay * p[i])
        p[i] -= lr * u[i]


@kernel
def _adam(p, m, v, g, scale, step_size, b1, b2, root, eps, coupled, decoupled):
    one = p.dtype.type(1)
    for i in range(p.size):
        gi = scale * g[i] + coupled * p[i]
        m[i] = b1 * m[i] + (one - b1) * gi
        v[i] = b2 * v[i] + (one - b2) * gi * gi
        p[i] = p[i] * decoupled - step_size * m[i] / (math.sqrt(v[i]) * root + eps)


class Optimizer:
    """What the optimisers share: a step counter, a learning rate, and arrays for each parameter.

    Parameters
    ----------
    model : Layer
        Its parameters are updated in place.
    lr : float or function (int) -> float
        The learning rate, or one for each step 0, 1, ... (`tinytx.training.schedules`).
    """

    slots = ()  # names of the arrays kept for each parameter

    def __init__(self, model, lr):
        self.named = dict(model.named_parameters())
        self.lr = lr
        self.t = 0
        self.state = {slot: {n: np.zeros_like(p.data) for n, p in self.named.items()} for slot in self.slots}

    @property
    def learning_rate(self):
        """The learning rate of the next step."""
        return self.lr(self.t) if callable(self.lr) else self.lr

    def step(self, *, scale=1.0, run=map):
        """Update every parameter from its ``grad``.

        Parameters
        ----------
        scale : float
            Multiplies the gradients: what clipping asks for.
        run : function (f, names)
            Calls f for each name; the trainer hands in one that uses its threads.
        """
        lr = self.learning_rate
        self.t += 1
        list(run(lambda name: self._update(name, self.named[name], scale, lr), self.named))

    def zero_grad(self):
        """Forget the gradients of all parameters."""
        for parameter in self.named.values():
            parameter.zero_grad()

    def state_dict(self):
        """Return {name: array}, with the step counter as "t"."""
        arrays = {f"{slot}.{n}": array for slot, own in self.state.items() for n, array in own.items()}
        return {"t": np.array(self.t), **arrays}

    def load_state_dict(self, arrays):
        """Copy what `state_dict` returned, or change nothing and raise ValueError naming all that does not fit."""
        own = self.state_dict()
        faults = [n for n in {**own, **arrays} if n not in own or n not in arrays or not _alike(own[n], arrays[n])]
        if faults:
            raise ValueError(f"{type(self).__name__}: state does not fit the model: {', '.join(sorted(faults))}")
        for name, array in own.items():
            array[...] = arrays[name]
        self.t = int(arrays["t"])

    def _update(self, name, parameter, scale, lr):
        raise NotImplementedError

    def _flat(self, name, parameter):
        """Return data, kept arrays and gradient of a parameter, each flat; and its dtype for scalars."""
        if not parameter.data.flags.c_contiguous:  # flattening would copy it, and the copy would be updated
            raise ValueError(f"{type(self).__name__}: the data of {name} is not C-contiguous: copy it first")
        arrays = (parameter.data, *(self.state[slot][name] for slot in self.slots), contiguous(parameter.grad))
        return [array.reshape(-1) for array in arrays], parameter.data.dtype.type


def _alike(a, b):
    """Return whether two arrays have one shape, and numbers of one kind in whatever precision."""
    return a.shape == b.shape and a.dtype.kind == b.dtype.kind


class SGD(Optimizer):
    """Stochastic gradient descent.

    Parameters
    ----------
    model, lr
        As for `Optimizer`.
    momentum : float in [0, 1)
    weight_decay : float
        Added to the gradient of matrices, times the parameter.
    """

    slots = ("u",)

    def __init__(self, model, lr, *, momentum=0.0, weight_decay=0.0):
        super().__init__(model, lr)
        self.momentum, self.weight_decay = momentum, weight_decay

    def _update(self, name, parameter, scale, lr):
        arrays, dtype = self._flat(name, parameter)
        decay = self.weight_decay if parameter.data.ndim > 1 else 0.0
        _sgd(*arrays, dtype(scale), dtype(lr), dtype(self.momentum), dtype(decay))


class Adam(Optimizer):
    """Adam, with optional L2 regularisation added to the gradient.

    Parameters
    ----------
    model, lr
        As for `Optimizer`.
    betas : (float, float)
        Decay of the two moments.
    eps : float
        Added to the denominator.
    weight_decay : float
        For matrices: times the parameter, added to the gradient (Adam) or subtracted times lr (AdamW).
    """

    slots = ("m", "v")
    decoupled = False

    def __init__(self, model, lr, *, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0):
        super().__init__(model, lr)
        for name, value in (("betas[0]", betas[0]), ("betas[1]", betas[1])):
            if not 0 <= value < 1:
                raise ValueError(f"{type(self).__name__}: {name} is {value}, expected a number in [0, 1)")
        self.betas, self.eps, self.weight_decay = betas, eps, weight_decay

    def _update(self, name, parameter, scale, lr):
        arrays, dtype = self._flat(name, parameter)
        b1, b2 = self.betas
        decay = self.weight_decay if parameter.data.ndim > 1 else 0.0
        coupled, kept = (0.0, 1 - lr * decay) if self.decoupled else (decay, 1.0)
        step_size = lr / (1 - b1**self.t)
        root = 1 / math.sqrt(1 - b2**self.t)
        _adam(*arrays, *(dtype(x) for x in (scale, step_size, b1, b2, root, self.eps, coupled, kept)))


class AdamW(Adam):
    """Adam with decoupled weight decay; parameters as for `Adam`, ``weight_decay`` 0.01 by default."""

    decoupled = True

    def __init__(self, model, lr, *, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.01):
        super().__init__(model, lr, betas=betas, eps=eps, weight_decay=weight_decay)
