"""The optimisers once more, in plain NumPy and as their papers write them, and what the tests of all of them share."""

import numpy as np

from tinytx.core import Layer, Parameter

LR, DECAY, STEPS = 0.03, 0.2, 20


class Toy(Layer):
    """A matrix and a vector."""

    def __init__(self, dtype=np.float64):
        rng = np.random.default_rng(0)
        self.weight = Parameter(rng.standard_normal((3, 4)).astype(dtype))
        self.bias = Parameter(rng.standard_normal(4).astype(dtype))


def random_gradients(steps=STEPS):
    rng = np.random.default_rng(1)
    return [{"weight": rng.standard_normal((3, 4)), "bias": rng.standard_normal(4)} for _ in range(steps)]


def take(optimizer, grads, scale=1.0):
    """One step with given gradients."""
    optimizer.zero_grad()
    for name, g in grads.items():
        optimizer.named[name].grad = g.astype(optimizer.named[name].data.dtype)
    optimizer.step(scale=scale)


# ------------------------------------------------- one step: (p, m, v) -> (p, m, v), or (p, u, -) for SGD


def sgd(momentum=0.0):
    def formula(p, u, v, g, lr, decay, t):
        u = momentum * u + (g + decay * p)
        return p - lr * u, u, v

    return formula


def adagrad():
    def formula(p, moved, _, g, lr, decay, t):
        step = lr * (g + decay * p)
        return p - step / np.sqrt(1 + moved), moved + step**2, _

    return formula


def adam(decoupled, b1=0.8, b2=0.95, eps=1e-8):
    def formula(p, m, v, g, lr, decay, t):
        if decoupled:
            p = p - lr * decay * p
        else:
            g = g + decay * p
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        return p - lr * (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + eps), m, v

    return formula


def radam(decoupled, b1=0.8, b2=0.95, eps=1e-8, threshold=5):
    """Liu et al. 2020, algorithm 2, line by line; with PyTorch's threshold and place of eps."""

    def formula(p, m, v, g, lr, decay, t):
        if decoupled:
            p = p - lr * decay * p
        else:
            g = g + decay * p
        v = b2 * v + (1 - b2) * g**2
        m = b1 * m + (1 - b1) * g
        m_hat = m / (1 - b1**t)
        rho_inf = 2 / (1 - b2) - 1
        rho = rho_inf - 2 * t * b2**t / (1 - b2**t)
        if rho > threshold:  # the variance is tractable
            adaptive = np.sqrt(1 - b2**t) / (np.sqrt(v) + eps)
            r = np.sqrt(((rho - 4) * (rho - 2) * rho_inf) / ((rho_inf - 4) * (rho_inf - 2) * rho))
            return p - lr * r * m_hat * adaptive, m, v
        return p - lr * m_hat, m, v

    return formula


def lamb(b1=0.8, b2=0.95, eps=1e-6):
    """You et al. 2020, algorithm 2, with phi the identity."""

    def formula(x, m, v, g, lr, decay, t):
        m = b1 * m + (1 - b1) * g
        v = b2 * v + (1 - b2) * g**2
        r = (m / (1 - b1**t)) / (np.sqrt(v / (1 - b2**t)) + eps)
        u = r + decay * x
        norms = np.linalg.norm(x), np.linalg.norm(u)
        ratio = norms[0] / norms[1] if all(norms) else 1.0
        return x - lr * ratio * u, m, v

    return formula


# ------------------------------------------------- whole runs


def run(formula, start, gradients, lrs, decay=0.0):
    """Return the p that a formula arrives at."""
    state = (start.copy(), 0.0, 0.0)
    for t, (g, lr) in enumerate(zip(gradients, lrs), start=1):
        state = formula(*state, g, lr, decay, t)
    return state[0]


def lookahead(formula, start, gradients, lrs, decay=0.0, *, k, alpha):
    """Zhang et al. 2019, algorithm 1: an outer loop over slow weights, an inner one over k fast steps."""
    slow, (m, v), t = start.copy(), (0.0, 0.0), 0
    while True:
        fast = slow.copy()
        for _ in range(k):
            if t == len(gradients):
                return fast
            fast, m, v = formula(fast, m, v, gradients[t], lrs[t], decay, t + 1)
            t += 1
        slow = slow + alpha * (fast - slow)


def ranger(start, gradients, lrs, decay=0.0, *, k=6, alpha=0.5, b1=0.95, b2=0.999, eps=1e-5, n_sma_threshold=5):
    """Ranger as it was published: everything in one loop, with its own names and order of operations."""
    p, slow = start.copy(), start.copy()
    exp_avg, exp_avg_sq = np.zeros_like(p), np.zeros_like(p)
    for step, (grad, lr) in enumerate(zip(gradients, lrs), start=1):
        exp_avg_sq = b2 * exp_avg_sq + (1 - b2) * grad * grad
        exp_avg = b1 * exp_avg + (1 - b1) * grad
        n_sma_max = 2 / (1 - b2) - 1
        n_sma = n_sma_max - 2 * step * b2**step / (1 - b2**step)
        p = p - decay * lr * p
        if n_sma > n_sma_threshold:
            variance = (n_sma - 4) / (n_sma_max - 4) * (n_sma - 2) / n_sma * n_sma_max / (n_sma_max - 2)
            size = np.sqrt((1 - b2**step) * variance) / (1 - b1**step)
            p = p - size * lr * exp_avg / (np.sqrt(exp_avg_sq) + eps)
        else:
            p = p - lr / (1 - b1**step) * exp_avg
        if step % k == 0:
            slow = slow + alpha * (p - slow)
            p = slow.copy()
    return p
