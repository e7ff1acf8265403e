"""What equations mean: each kind of expression against plain NumPy."""

import math

import numpy as np
import pytest

from tinytx.derivations.evaluate import Environment
from tinytx.derivations.named import Named
from tinytx.derivations.notation import parse
from tinytx.derivations.tree import NotationError

RNG = np.random.default_rng(0)
X, W, V = RNG.normal(size=(2, 3)), RNG.normal(size=(3, 4)), RNG.normal(size=4)
R = RNG.normal(size=(2, 3))
IDS = np.array([2, 0])


def environment():
    values = {
        "X": Named(X, ("0", "1")), "W": Named(W, ("0", "1")), "v": Named(V, ("0",)), "ids": Named(IDS, ("0",)),
        "r": Named(R, ("rows", "0")), "a": Named(np.asarray(0.3)), "t": Named(IDS, ("rows",)),
    }  # fmt: skip
    return Environment(values, {})


def value(text):
    """Return the array that z is after ``z = text``, or after z with indices."""
    env = environment()
    chain = parse(text)
    env.state(chain)
    return env.values[chain.sides[0].base].data


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("z_ij = sum_k X_ik W_kj", X @ W),
        ("z = X W + v", X @ W + V),
        ("z = W v", W @ V),
        ("z = W^T X^T", W.T @ X.T),
        ("z_ji = X_ij", X.T),
        ("z_j = sum_i X_ij - a", X.sum(0) - 0.3),
        ("z_j = (1/2) sum_i X_ij^2 - 2a", 0.5 * (X**2).sum(0) - 0.6),
        ("z_i = max_j X_ij", X.max(1)),
        ("z_i = mean_j X_ij", X.mean(1)),
        ("z_ij = X_ij^(-2)", X**-2.0),
        ("z_ij = |X_ij|^(1/2) + max(X_ij, 0)", np.sqrt(abs(X)) + np.maximum(X, 0)),
        ("z_ij = e^-X_ij + exp(2X_ij)", np.exp(-X) + np.exp(2 * X)),
        ("z_ij = [i = j]  + 0 X_ij", np.eye(2, 3)),
        ("z_ij = X_ij [X_ij > 0]", X * (X > 0)),
        ("z_nd = W_{ids_n, d}", W[IDS]),
        ("z_vd = sum_{n : ids_n = v} X_nd + 0 sum_k W_vk", np.stack([X[1], 0 * X[0], X[0]])),
        ("z_i = sum_{j : j > 0} X_ij ln j", X[:, 2] * np.log(2)),
        ("z = v . v", V @ V),
        ("z = tanh a + erf(a) + sin(a) - pi", math.tanh(0.3) + math.erf(0.3) + math.sin(0.3) - math.pi),
        ("z = cosh^2 a - sinh^2 a + 0 a", 1.0),
        ("z = mean(v)", V.mean()),
        ("z = sum_rows r_t", R[[0, 1], IDS].sum()),
        ("z_i = r_i - mean(r)", R - R.mean(1, keepdims=True)),
        ("z_i = [i = t] + 0 r_i", np.eye(3)[IDS]),
    ],
)
def test_values(text, expected):
    np.testing.assert_allclose(value(text), expected, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize(
    ("statements", "shape"),
    [
        (["s(a) = 1 / (1 + e^(-a))", "y = s(v)", "s'(v) = y * (1 - y)"], ()),
        (["y_j = e^(v_j) / sum_k e^(v_k)", "∂y_i/∂v_j = y_i ([i = j] - y_j)"], (4, 4)),
        (["m = mean(r)", "q = m^2", "∂q/∂r_i = 2 m / 3", "∂q/∂m = 2 m"], ()),
        (["∂/∂v_j ln sum_k e^(v_k) = e^(v_j) / sum_k e^(v_k)"], (4,)),
        (["y_i = |r_i|^3", "∂y_i/∂r_j = 3 r_i |r_i| [i = j]"], ()),
    ],
)
def test_statements_that_hold(statements, shape):
    env = environment()
    for text in statements:
        assert max(env.state(parse(text))) < 1e-12


@pytest.mark.parametrize(
    ("statements", "message"),
    [
        (["X_ij = X_ij + 1e-8"], "does not hold"),
        (["s(a) = a^2", "s'(v) = v"], "does not hold"),
        (["s(a) = a^2 = a"], "does not hold"),
        (["y_i = v_j"], "index j of the right side does not stand at y"),
        (["v_j = v_j + 0 W_ij"], "index i stands on the right side only"),
        (["y = foo"], "foo is not known"),
        (["y_j = sum_i v_j"], "does not depend on it"),
        (["y_j = a(1 + v_j)"], "reads as a function"),
        (["y_ij = X_ij W_ij"], "index i goes to 2 elsewhere, and W has 3 here"),
        (["y = X_i"], "X has 2 indices, not 1"),
        (["s = sum_rows r_t", "s = 0"], "does not hold: "),
        (["y_i = r_i - mean_rows r_i", "∂y_i/∂r_j = 0 r_j"], "from one of the rows to another"),
        (["y_j = v_j / a v_j"], "a / b c can be read in two ways"),
        (["y = v W"], "4 columns meet 3 rows"),
    ],
)
def test_statements_that_do_not_hold(statements, message):
    env = environment()
    with pytest.raises(NotationError, match=message):
        for text in statements:
            env.state(parse(text))
