"""t-SNE and its affinities, to fifty digits."""

import numpy as np
import pytest

from tinytx import ops

mpmath = pytest.importorskip("mpmath")
pytestmark = pytest.mark.oracle


def test_tsne_equals_fifty_digits():
    """Central differences of step 1e-15 in fifty digits: an error of 1e-30 in the gradient that we are held to."""
    rng = np.random.default_rng(0)
    y, near = rng.normal(size=(6, 2)), rng.exponential(size=(6, 6)) * (1 - np.eye(6))
    near[0, 1] = near[1, 0] = 0
    p = (near + near.T) / near.sum() / 2
    with mpmath.workdps(50):

        def loss_at(i, k, step):
            points = [[mpmath.mpf(c) for c in point] for point in y.tolist()]
            points[i][k] += step
            pairs = [(a, b) for a in range(6) for b in range(6) if a != b]
            w = {(a, b): 1 / (1 + sum((s - t) ** 2 for s, t in zip(points[a], points[b]))) for a, b in pairs}
            z = sum(w.values())
            return sum(p[ab] * mpmath.log(p[ab] * z / w[ab]) for ab in pairs if p[ab])

        h = mpmath.mpf(10) ** -15
        dy = [[float((loss_at(i, k, h) - loss_at(i, k, -h)) / (2 * h)) for k in (0, 1)] for i in range(6)]
        loss = float(loss_at(0, 0, 0))
    ours, saved = ops.tsne(y, p)
    assert ours == pytest.approx(loss, rel=1e-14)
    np.testing.assert_allclose(ops.tsne_backward(1.0, saved), dy, rtol=1e-13, atol=1e-16)


def test_affinities_equal_fifty_digits():
    """The equation for b is solved by mpmath's own root finder."""
    x, perplexity = np.random.default_rng(1).normal(size=(6, 3)), 2.5
    rows = []
    with mpmath.workdps(50):
        exact = [[mpmath.mpf(value) for value in row] for row in x.tolist()]
        for i in range(6):
            d = [sum((a - b) ** 2 for a, b in zip(exact[i], row)) for j, row in enumerate(exact) if j != i]

            def weights(b, d=d):
                w = [mpmath.exp(-b * value) for value in d]
                return [value / sum(w) for value in w]

            def excess(b, weights=weights):
                return -sum(v * mpmath.log(v) for v in weights(b)) - mpmath.log(perplexity)

            row = [float(v) for v in weights(mpmath.findroot(excess, (0.001, 20), solver="anderson", tol=1e-30))]
            rows.append(row[:i] + [0.0] + row[i:])
    expected = (np.array(rows) + np.array(rows).T) / 12
    np.testing.assert_allclose(ops.affinities(x, perplexity), expected, rtol=1e-9)
