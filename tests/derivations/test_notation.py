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
H, K = RNG.normal(size=(2, 3, 4)), RNG.normal(size=(2, 4))  # at each time, and before


def environment():
    """q of 5 numbers and Q of (2, 3) are outputs, and k goes to 2 where it stands in computed indices only."""
    values = {
        "X": Named(X, ("0", "1")), "W": Named(W, ("0", "1")), "v": Named(V, ("0",)), "ids": Named(IDS, ("0",)),
        "r": Named(R, ("rows", "0")), "a": Named(np.asarray(0.3)), "t": Named(IDS, ("rows",)),
        "dq": Named(np.ones(5), ("0",)), "dQ": Named(np.ones((2, 3)), ("0", "1")),
        "h": Named(H, ("rows", "time", "0")), "f": Named(K, ("rows", "0")),
    }  # fmt: skip
    return Environment(values, {"q": "dq", "Q": "dQ"}, {"k": 2})


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
        ("z = (sum_i v_i)^2 - (mean(v))^2 + sum_i v_i^2", V.sum() ** 2 - V.mean() ** 2 + (V**2).sum()),
        ("z = sum_rows r_t", R[[0, 1], IDS].sum()),
        ("z_i = r_i - mean(r)", R - R.mean(1, keepdims=True)),
        ("z_i = [i = t] + 0 r_i", np.eye(3)[IDS]),
        ("z_ij = [i > 0] X_{i-1, j} + 0 X_ij", np.vstack([0 * X[0], X[0]])),
        ("z_i = sum_{j : j > 0} (X_{i, j-1} + 0 X_ij)", X[:, :2].sum(1)),
        ("z_i = max_{j : j != 1} X_ij", X[:, [0, 2]].max(1)),
        ("z_i = min_{j : X_ij > 0} j + 0 X_i0", (X > 0).argmax(1)),
        ("z_ij = v_{mod(i - j, 3)} + 0 X_ij", V[np.subtract.outer(np.arange(2), np.arange(3)) % 3]),
        ("z = (v, a v)", np.r_[V, 0.3 * V]),
        ("z = (f, v, f)", np.stack([np.r_[row, V, row] for row in K])),
        ("z = tanh'(v) + abs'(v)", 1 - np.tanh(V) ** 2 + np.sign(V)),
        ("z = before(h, f)", np.concatenate([K[:, None], H[:, :-1]], 1)),
        ("z = after(2h, f)", np.concatenate([2 * H[:, 1:], K[:, None]], 1)),
        ("z = first(h) - last(h)", H[:, 0] - H[:, -1]),
        ("z_i = before(h_i, f_i)", np.concatenate([K[:, None], H[:, :-1]], 1)),
        ("z = before(before(h, f), 0)", np.concatenate([0 * K[:, None], K[:, None], H[:, :1]], 1)),
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
        (["(b, c) = v", "(b, c) = v", "∂b_i/∂v_j = [i = j]", "∂c_i/∂v_j = [i + 2 = j]"], (2, 4)),
        (["y = before(z, f)", "z = y * h", "z = before(z, f) * h", "last(z) = f * first(h) * last(h) * last(before(h, f))"], ()),
        (["y = after(z, f)", "x = y + h", "z = 2 x", "first(z) = 2 first(h) + 4 first(after(h, f)) + 8 last(h) + 8 f"], ()),
        (["z = before(x, f)", "x = before(w, f)", "w = h^2", "last(z) = first(h)^2"], ()),
        (["y_i = |r_i|^3", "∂y_i/∂r_j = 3 r_i |r_i| [i = j]"], ()),
        (["q_i = i + a", "q_0 = a"], ()),  # the length of i is that of dq
        (["q_j = v_j + a", "q_4 = 7", "∂q_i/∂a = [i < 4]"], ()),  # in parts
        (["q_{2k} = a", "q_{2k+1} = k + a^2", "q_4 = 0", "q_3 = 1 + a^2", "∂q_i/∂a = [i = 0] + [i = 2] + 2a [mod(i, 2) = 1]"], ()),
        (["Q_0j = r_j", "Q_1j = a r_j", "∂Q_ij/∂a = i r_j"], ()),
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
        (["y_j = v_{j+1} + v_j"], "an index from 4 to 4 of 4"),
        (["y_j = [j > 0] v_{j+1} + v_j"], "an index from 4 to 4 of 4"),  # the condition excludes another one
        (["y_j = [j < 3] v_j v_{j+1} + v_{j+1}"], "an index from 4 to 4 of 4"),  # outside of the condition's product
        (["y_j = sum_{i : i < 2} W_ij v_{j-1}"], "an index from -1 to -1 of 4"),
        (["z_i = prod_{j : j > 0} X_ij"], "a condition stands at sum, max and min only"),
        (["q_j = v_j"], "q is defined in part"),
        (["q_{2k} = a", "y = q_0"], "q_0 is defined in part so far"),
        (["q_{2k} = a", "q_i = i"], r"q is written twice at \(0\)"),
        (["q_{3k} = a", "q_{k+2} = a"], r"q is written twice at \(3\)"),
        (["q_{2k} = a", "q_kj = v_j"], "q has 1 indices, not 2"),
        (["q_{5k} = a"], "an index from 5 to 5 of 5"),
        (["q_{2k} = v_j"], "index j of the right side does not stand at q"),
        (["q_{2k} = a = 2a"], "does not hold"),
        (["y = (v, W)"], "puts vectors without indices behind each other"),
        (["y = (v, a)"], "puts vectors without indices behind each other"),
        (["(b, c, d) = v"], "3 equal parts: right of = stands no vector"),
        (["(b, c) = W"], "2 equal parts: right of = stands no vector"),
        (["(b, c) = v", "(c, b) = v"], "does not hold"),
        (["(b, c_i) = v"], "index -1 of the right side does not stand at c"),
        (["y = before(h)"], r"expected before\(h, h_0\), after"),
        (["y = last(h, f)"], r"expected before\(h, h_0\), after"),
        (["y = before(h, h)"], "has an axis time, and what stands at an end has none"),
        (["y = before(f, f)"], "has an axis time, and what stands at an end has none"),
        (["y = first(z)"], "z is not known"),
        (["y = before(z, f)", "x = 2 y"], "uses z, which no equation defines"),
        (["y = before(z, f)", "x = 2 y = 3 y", "z = x * h"], "x = 3 y does not hold"),
        (["y = before(z, f)", "z = y * h", "z = after(z, f) * h"], "does not hold"),
        (["y = before(z, f)", "x = after(z, f)", "z = x + y"], "z: the recurrence comes to no end"),
    ],
)
def test_statements_that_do_not_hold(statements, message):
    env = environment()
    with pytest.raises(NotationError, match=message):
        for text in statements:
            env.state(parse(text))
        env.finished()


def test_a_step_goes_on_through_a_recurrence():
    """Gradients of each position's y, z and h, by hand; catches a step that stays at its own position."""
    env = environment()
    env.values["dz"] = env.values["h"]
    env.outputs = {"z": "dz"}
    env.state(parse("y = before(z, f)"))
    env.state(parse("z = y * h"))
    axes = "rows", "time", "0"
    z, dz, y = env.values["z"].ordered(axes), H.copy(), env.values["y"].ordered(axes)
    for t in (1, 0):
        dz[:, t] += dz[:, t + 1] * H[:, t + 1]
    np.testing.assert_allclose(y, np.concatenate([K[:, None], z[:, :-1]], 1))
    np.testing.assert_allclose(env.gradient("z").ordered(axes), dz)
    np.testing.assert_allclose(env.gradient("y").ordered(axes), dz * H)
    np.testing.assert_allclose(env.gradient("h").data, dz * y)
    np.testing.assert_allclose(env.gradient("f").data, (dz * H)[:, 0])
