"""gradcheck: each verdict is reached and right, in each mode, for pairs of functions and for layers."""

import copy
import math

import numpy as np
import pytest

from tinytx import ops
from tinytx.core import Layer, Parameter, Tape
from tinytx.layers import Block, Dropout, Embedding, FeedForward, LayerNorm, MultiHeadAttention
from tinytx.testing import gradcheck



def draw(*shape, seed=0):
    return np.random.default_rng((seed, *shape)).normal(size=shape)


def rng():
    return np.random.default_rng(1)


X = draw(2, 3, 5)


def square(x):
    return x * x, x


def square_backward(dy, x):
    return 2 * dy * x


class Scale(Layer):
    """The example in the docstring of tinytx.core."""

    def __init__(self, d_model):
        self.weight = Parameter(np.ones(d_model))

    def forward(self, x, tape=None):
        if tape is not None:
            tape.push(self, x)
        return self.weight.data * x

    def backward(self, dy, tape):
        x = tape.pop(self)
        self.weight.add_grad((dy * x).sum(axis=(0, 1)))
        return dy * self.weight.data


# ---------------------------------------------------------------------------------------- verdicts


def test_pass():
    report = gradcheck(square, X, backward=square_backward)
    assert report and report.verdict == "PASS"
    x = report["x"]
    assert x.checked == X.size and x.shape == X.shape and x.hint == x.reason == ""
    assert math.isclose(x.analytic, x.numeric, rel_tol=1e-9) and x.error < 1e-9


def test_fail():
    """With the worst entry, both numbers, their ratio and a hint."""
    report = gradcheck(square, X, backward=lambda dy, x: 3 * dy * x)
    x = report["x"]
    assert not report and report.verdict == x.verdict == "FAIL"
    assert np.abs(X[x.index]) == np.abs(X).max()
    assert math.isclose(x.ratio, 1.5) and "analytic = 1.5 x numeric" in x.hint
    with pytest.raises(AssertionError, match="1.5"):
        report.raise_for_failure()


@pytest.mark.parametrize("size", [1e-8, 1e-4, 1e4])
def test_small_gradients_are_checked_as_large_ones_are(size):
    """No absolute tolerance: a gradient of 1e-8 that is off by a thousandth is wrong."""
    f = lambda x: (size * np.sin(x), x)  # noqa: E731
    assert gradcheck(f, X, backward=lambda dy, x: size * dy * np.cos(x))
    assert gradcheck(f, X, backward=lambda dy, x: 1.001 * size * dy * np.cos(x)).verdict == "FAIL"


def test_one_small_entry_among_large_ones():
    """An error of a millionth of the typical entry is seen in an entry that is itself small."""
    wrong = lambda dy, x: 2 * dy * x + 1e-6 * (np.arange(x.size).reshape(x.shape) == 7)  # noqa: E731
    report = gradcheck(square, X, backward=wrong)
    assert report.verdict == "FAIL" and report["x"].index == (0, 1, 2) and "1 of 30 entries" in report["x"].reason


class TestKink:
    """relu at 0, where slopes from 0 to 1 are subgradients."""

    x = np.array([[0.5, 0.0, -1.0], [2.0, -0.3, 0.0]])

    @pytest.mark.parametrize("slope", [0.0, 0.4, 1.0])
    def test_a_subgradient(self, slope):
        backward = lambda dy, y: dy * np.where(self.x == 0, slope, self.x > 0)  # noqa: E731
        report = gradcheck(ops.relu, self.x, backward=backward)
        assert report.verdict == "KINK" and not report
        assert "2 of 6 entries are at a kink" in report["x"].reason and "0 on " in report["x"].reason
        assert gradcheck(ops.relu, self.x, backward=backward, accept_kinks=True)

    @pytest.mark.parametrize("slope", [-0.1, 1.1])
    def test_no_subgradient(self, slope):
        backward = lambda dy, y: dy * np.where(self.x == 0, slope, self.x > 0)  # noqa: E731
        report = gradcheck(ops.relu, self.x, backward=backward, accept_kinks=True)
        assert report.verdict == "FAIL" and self.x[report["x"].index] == 0

    def test_a_mistake_elsewhere(self):
        """A kink does not hide a wrong entry."""
        backward = lambda dy, y: dy * (self.x > 0) * np.where(self.x == 2, 1 + 1e-6, 1)  # noqa: E731
        report = gradcheck(ops.relu, self.x, backward=backward, accept_kinks=True)
        assert report.verdict == "FAIL" and report["x"].index == (1, 0)

    @pytest.mark.parametrize("distance", [1e-3, 1e-5, 1e-7])
    def test_near_a_kink(self, distance):
        """Smaller steps find the slope on the side that x is on."""
        x = np.array([1.0, distance, -distance])
        assert gradcheck(ops.relu, x, backward=ops.relu_backward)
        assert gradcheck(ops.relu, x, backward=lambda dy, y: dy * (x > -2 * distance)).verdict == "FAIL"

    def test_all_at_a_kink(self):
        """More entries than are looked at closely one by one: no FAIL by exhaustion."""
        assert gradcheck(ops.relu, np.zeros((7, 9)), backward=ops.relu_backward).verdict == "KINK"

    @pytest.mark.parametrize("mode", ["directional", "auto"])
    def test_directions_through_kinks(self, mode):
        """A direction takes one kink's left slope and another's right one: they are left out, the rest is checked."""
        x = draw(30, 20)
        x[::3, ::4] = 0
        assert gradcheck(ops.relu, x, backward=ops.relu_backward, mode=mode).verdict == "KINK"
        wrong = lambda dy, y: dy * (x > 0) * (1 + 1e-4 * (x == x[10, 13]))  # noqa: E731
        x[10, 13] = 1.3
        report = gradcheck(ops.relu, x, backward=wrong, mode=mode, accept_kinks=True)
        assert report.verdict == "FAIL" and report["x"].index == (10, 13)

    def test_inside_a_layer(self):
        """relu's kinks inside a feed-forward layer are seen from the parameters before it; x has no weight there."""
        layer = FeedForward(4, 6, activation="relu", rng=rng())
        layer.expand.weight.data[:, 2] = 0
        report = gradcheck(layer, draw(1, 1, 4), randomize=False)
        kinks = [tensor.name for tensor in report.tensors if tensor.verdict == "KINK"]
        assert kinks == ["expand.weight", "expand.bias"]
        assert report.verdict == "KINK" and report["expand.weight"].index[1] == 2


class TestInconclusive:
    def test_float32_inside(self):
        """The reason names it. What is further off than that noise is wrong all the same."""
        f = lambda x: (np.sin(x.astype(np.float32)).astype(float), x)  # noqa: E731
        report = gradcheck(f, X, backward=lambda dy, x: dy * np.cos(x))
        assert report.verdict == "INCONCLUSIVE" and not report
        assert "float32 inside" in report["x"].reason
        assert gradcheck(f, X, backward=lambda dy, x: 1.01 * dy * np.cos(x)).verdict == "FAIL"

    def test_unseeded_randomness(self):
        noise = rng()
        report = gradcheck(lambda x: (x * noise.normal(size=x.shape), x), X, backward=square_backward)
        assert report.verdict == "INCONCLUSIVE" and "two forwards of the same input differ" in report.reason

    def test_dropout_with_a_seed_is_no_randomness(self):
        assert gradcheck(Dropout(0.5), X, tape=lambda: Tape(seed=3))

    def test_output_not_finite(self):
        report = gradcheck(lambda x: (np.log(x), x), np.array([1.0, 0.0]), backward=lambda dy, x: dy / x)
        assert report.verdict == "INCONCLUSIVE" and "not finite" in report.reason

    def test_surroundings_not_finite(self):
        """Finite at x, on one side of it only."""
        f = lambda x: (np.where(x > 1, np.nan, x), x)  # noqa: E731
        report = gradcheck(f, np.array([1.0, 0.5]), backward=lambda dy, x: dy)
        assert report.verdict == "INCONCLUSIVE" and "not finite" in report["x"].reason

    def test_gradient_not_finite(self):
        """The forward is fine: that is wrong, and no matter of precision."""
        report = gradcheck(square, X, backward=lambda dy, x: np.where(x > 1, np.inf, 2 * dy * x))
        assert report.verdict == "FAIL" and "not finite" in report["x"].hint

    def test_a_saturated_softmax(self):
        """Scores of thousands: the gradient is below backward's own rounding, and the reason says so."""
        q, k, v = 1e2 * draw(1, 3, 6, 5), 1e2 * draw(1, 3, 7, 5), draw(1, 3, 7, 5, seed=1)
        report = gradcheck(ops.attention, q, k, v, backward=ops.attention_backward)
        assert report["v"].verdict == "PASS" and report["q"].verdict == "INCONCLUSIVE"
        assert "rounded anew" in report["q"].reason


def test_a_zero_gradient_is_right():
    """A key's bias shifts all scores alike: its gradient is rounding error, and its quotient says nothing."""
    report = gradcheck(MultiHeadAttention(6, 2, rng=rng()), draw(2, 3, 6))
    assert report and report["key.bias"].norm < 1e-12


# ---------------------------------------------------------------------------------------- modes


BIG = np.random.default_rng(3).normal(size=(37, 41))


def planted(error):
    """Return a backward of square that is wrong at (20, 17)."""

    def backward(dy, x):
        dx = 2 * dy * x
        dx[20, 17] += error
        return dx

    return backward


@pytest.mark.parametrize("mode", ["auto", "full", "sampled", "directional"])
def test_modes_pass(mode):
    report = gradcheck(square, BIG, backward=square_backward, mode=mode)
    assert report and report.mode == {"auto": "sampled and directional"}.get(mode, mode)
    assert report["x"].checked == {"full": BIG.size, "sampled": 48, "directional": 3, "auto": 51}[mode]


@pytest.mark.parametrize("mode", ["auto", "full", "directional"])
@pytest.mark.parametrize("error", [1.0, 1e-5])
def test_modes_find_one_wrong_entry(mode, error):
    """Directions bisect to it."""
    report = gradcheck(square, BIG, backward=planted(error), mode=mode)
    assert report.verdict == "FAIL" and report["x"].index == (20, 17)
    assert math.isclose(report["x"].analytic - report["x"].numeric, error, rel_tol=1e-3)


def test_samples_alone_miss_one_entry():
    """They are for mistakes that are everywhere; the ends and the largest gradients are always among them."""
    assert gradcheck(square, BIG, backward=planted(1e-3), mode="sampled")
    last = lambda dy, x: 2 * dy * x + (np.arange(x.size).reshape(x.shape) == x.size - 1)  # noqa: E731
    assert gradcheck(square, BIG, backward=last, mode="sampled")["x"].index == (36, 40)


def test_complex():
    """No error but rounding's, for functions that take complex input: in layers, too."""
    report = gradcheck(square, X, backward=square_backward, mode="complex")
    assert report and report["x"].error < 1e-13
    assert gradcheck(square, X, backward=lambda dy, x: 2.000001 * dy * x, mode="complex").verdict == "FAIL"
    layer = gradcheck(Scale(5), X, mode="complex")
    assert layer and all(0 < tensor.error < 1e-12 for tensor in layer.tensors)


def test_complex_input_refused():
    """The library's own operations take floats only."""
    report = gradcheck(ops.gelu, X, backward=ops.gelu_backward, mode="complex")
    assert report.verdict == "INCONCLUSIVE" and "no complex input" in report["x"].reason


def test_another_seed_checks_the_same():
    assert all(gradcheck(ops.gelu, X, backward=ops.gelu_backward, seed=seed) for seed in range(5))


def test_unknown_mode():
    with pytest.raises(ValueError, match="mode is 'quick', expected one of auto, full"):
        gradcheck(square, X, backward=square_backward, mode="quick")


# ---------------------------------------------------------------------------------------- what can be checked


def test_names_come_from_the_signature():
    arguments = draw(2, 3), draw(3, 4), draw(4)
    report = gradcheck(ops.linear, *arguments, backward=ops.linear_backward)
    assert [tensor.name for tensor in report.tensors] == ["x", "weight", "bias"]
    report = gradcheck(lambda *xs: (xs[0] * xs[1], xs), X, X + 1, backward=lambda dy, xs: (dy * xs[1], dy * xs[0]))
    assert report and [tensor.name for tensor in report.tensors] == ["input0", "input1"]


def test_integers_are_passed_on():
    """Token ids have no gradient, whether backward leaves them out or returns None for them."""
    ids, weight = np.array([[0, 2], [2, 1]]), draw(3, 4)
    for backward in (ops.embedding_backward, lambda dy, saved: (None, ops.embedding_backward(dy, saved))):
        report = gradcheck(ops.embedding, ids, weight, backward=backward)
        assert report and [tensor.name for tensor in report.tensors] == ["weight"]
    assert gradcheck(Embedding(3, 4, rng=rng()), ids)


def test_tuples():
    """Two inputs, two outputs, two gradients."""

    def rotate(x, y):
        return (0.6 * x - 0.8 * y, x * y), (x, y)

    def backward(dy, saved):
        (da, db), (x, y) = dy, saved
        return 0.6 * da + db * y, -0.8 * da + db * x

    report = gradcheck(rotate, X, X[::-1], backward=backward)
    assert report and [tensor.name for tensor in report.tensors] == ["x", "y"]
    swapped = gradcheck(rotate, X, X[::-1], backward=lambda dy, saved: backward(dy, saved)[::-1])
    assert [tensor.verdict for tensor in swapped.tensors] == ["FAIL", "FAIL"]


def test_a_loss():
    """A float comes back, and backward gets a float: not 1, so that forgetting it shows."""
    logits, targets = draw(2, 3, 5), np.array([[0, 4, -100], [2, 2, 1]])
    loss = lambda logits: ops.cross_entropy(logits, targets, label_smoothing=0.1)  # noqa: E731
    assert gradcheck(loss, logits, backward=lambda dloss, saved: ops.cross_entropy_backward(saved, dloss))
    forgot = gradcheck(loss, logits, backward=lambda dloss, saved: ops.cross_entropy_backward(saved))
    assert forgot.verdict == "FAIL" and "a constant factor" in forgot["logits"].hint


def test_wrong_shape():
    report = gradcheck(square, X, backward=lambda dy, x: (2 * dy * x).sum(axis=0))
    assert report.verdict == "FAIL" and "has shape (3, 5), expected (2, 3, 5)" in report["x"].reason


def test_no_gradient():
    """None is wrong where there is one, and right where it is 0."""
    product = lambda x, y: (x * 2 + 0 * y, None)  # noqa: E731
    assert gradcheck(product, X, X, backward=lambda dy, saved: (2 * dy, None))
    report = gradcheck(product, X, X, backward=lambda dy, saved: (None, 0 * dy))
    assert report["x"].verdict == "FAIL" and report["x"].reason == "backward returned no gradient"
    assert report["y"].verdict == "PASS"


def test_too_few_gradients():
    with pytest.raises(ValueError, match=r"1 gradients for 2 float inputs \(x, y\)"):
        gradcheck(lambda x, y: (x * y, None), X, X, backward=lambda dy, saved: dy)


def test_a_memory_among_the_options():
    """Cross-attention's second input is checked, and its gradient comes after dx."""
    layer, x, memory = MultiHeadAttention(6, 2, rng=rng()), draw(2, 3, 6), draw(2, 4, 6)
    options = {"memory": memory, "mask": draw(2, 1, 3, 4) < 0.8}
    report = gradcheck(layer, x, options=options)
    assert report and [tensor.name for tensor in report.tensors][:2] == ["x", "memory"]

    class KeepsMemory(MultiHeadAttention):
        def backward(self, dy, tape):
            return super().backward(dy, tape)[0]

    report = gradcheck(KeepsMemory(6, 2, rng=rng()), x, options=options)
    assert report["memory"].reason == "backward returned no gradient" and report["x"].verdict == "PASS"


def test_nothing_is_modified():
    """Neither the layer nor the inputs, in values or dtype; not even by a backward that writes to its dy."""
    layer, x = Block(6, 2, 9, rng=np.random.default_rng(1)), draw(2, 3, 6).astype(np.float32)
    memory = {"mask": np.ones((2, 1, 3, 3), bool)}
    before = copy.deepcopy((layer.state_dict(), x, memory))
    assert gradcheck(layer, x, options=memory, mode="directional")
    after = layer.state_dict(), x, memory
    for old, new in zip(before, after):
        old, new = ({"x": value} if isinstance(value, np.ndarray) else value for value in (old, new))
        assert all(np.array_equal(old[name], new[name]) and old[name].dtype == new[name].dtype for name in old)
    assert not any(parameter.grad.any() for parameter in layer.parameters())


def test_a_backward_that_writes_to_dy_is_judged_by_what_it_got():
    """The cotangent is the checker's: were it changed by backward, both sides would agree on the changed one."""

    def backward(dy, x):
        dy[0] = 0
        return 2 * dy * x

    assert gradcheck(square, X, backward=backward).verdict == "FAIL"


def test_empty_inputs():
    """Nothing to compare is no failure."""
    assert gradcheck(square, np.empty((0, 3)), backward=square_backward)


# ---------------------------------------------------------------------------------------- a layer of the user's


class TestUsersLayer:
    x = np.random.default_rng(5).normal(size=(3, 4, 5))

    def test_passes(self):
        assert gradcheck(Scale(5), self.x)

    @pytest.mark.parametrize(
        ("change", "tensor", "says"),
        [
            (lambda self, dy, x: (dy * self.weight.data, 2 * (dy * x).sum(axis=(0, 1))), "weight", "2 too many"),
            (lambda self, dy, x: (dy * self.weight.data, (dy * x).mean(axis=(0, 1))), "weight", "12 = 3 x 4"),
            (lambda self, dy, x: (-dy * self.weight.data, (dy * x).sum(axis=(0, 1))), "x", "the sign"),
            (lambda self, dy, x: (dy, (dy * x).sum(axis=(0, 1))), "x", ""),
            (lambda self, dy, x: (dy * self.weight.data, 0 * x[0, 0]), "weight", "all zero"),
        ],
        ids=["twice", "mean", "sign", "weight forgotten", "zero"],
    )
    def test_fails_with_a_hint(self, change, tensor, says):
        class Wrong(Scale):
            def backward(self, dy, tape):
                dx, dweight = change(self, dy, tape.pop(self))
                self.weight.add_grad(dweight)
                return dx

        report = gradcheck(Wrong(5), self.x)
        assert [t.name for t in report.tensors if t.verdict == "FAIL"] == [tensor]
        assert says in report[tensor].hint

    def test_initial_values_are_moved(self):
        """At a gain of 1 a backward that forgets the gain is right: only moved parameters show it."""

        class Forgets(Scale):
            def backward(self, dy, tape):
                super().backward(dy, tape)
                return dy

        assert gradcheck(Forgets(5), self.x, randomize=False)
        assert gradcheck(Forgets(5), self.x).verdict == "FAIL"


# ---------------------------------------------------------------------------------------- as sharp as it must be


def layer_norm_without_eps(dy, saved):
    """Its variance from r is without eps."""
    return ops.layer_norm_backward(dy, saved._replace(rstd=1 / np.sqrt(1 / saved.rstd**2 - 1e-5)))


@pytest.mark.parametrize("scale", [1.0, 3.0])
def test_layer_norm_that_forgets_eps(scale):
    """Off by a few millionths at scale 1; torch.autograd.gradcheck passes it."""
    x, weight, bias = scale * draw(2, 3, 8), draw(8), draw(8)
    assert gradcheck(ops.layer_norm, x, weight, bias, backward=ops.layer_norm_backward)
    report = gradcheck(ops.layer_norm, x, weight, bias, backward=layer_norm_without_eps)
    assert report["x"].verdict == "FAIL" and "an eps left out" in report["x"].hint


def test_gelu_with_a_short_constant():
    """0.0447 for 0.044715; torch.autograd.gradcheck passes it."""

    def backward(dy, x):
        c, a = math.sqrt(2 / math.pi), 0.0447
        t = np.tanh(c * (x + a * x**3))
        return dy * ((1 + t) / 2 + x / 2 * (1 - t * t) * c * (1 + 3 * a * x * x))

    report = gradcheck(ops.gelu_tanh, X, backward=backward)
    assert report.verdict == "FAIL" and "a constant cut short" in report["x"].hint


def test_zeros_for_a_small_gradient():
    """1e-6 sin(x) whose gradient is all zero; torch.autograd.gradcheck passes it."""
    report = gradcheck(lambda x: (1e-6 * np.sin(x), x), X, backward=lambda dy, x: np.zeros_like(x))
    assert report.verdict == "FAIL" and "all zero" in report["x"].hint


@pytest.mark.parametrize("scale", [1e-3, 1e-2, 1.0, 10.0])
def test_right_at_every_scale(scale):
    x = scale * draw(2, 3, 6)
    for target in (LayerNorm(6), Block(6, 2, 9, causal=True, rng=rng())):
        assert gradcheck(target, x, mode="sampled", samples=3).verdict == "PASS"
