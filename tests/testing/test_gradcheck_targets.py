"""gradcheck: what it takes, a layer of the user's, and how sharp it is."""

import copy
import math

import numpy as np
import pytest
from blocks import make_block
from gradcheck_cases import Scale, X, draw, rng, square

from tinytx import ops
from tinytx.core import Layer, Parameter
from tinytx.layers import Embedding, LayerNorm, MultiHeadAttention
from tinytx.testing import gradcheck

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


def test_a_models_loss_of_numbers():
    """Catches a check that drops the gradient of inputs that are numbers, such as images: right backwards then FAIL."""

    class Squares(Layer):
        """The sum of (x w)^2."""

        def __init__(self, factor):
            self.weight, self.factor = Parameter(draw(3)), factor

        def loss(self, x, tape=None):
            tape.push(self, x)
            return float(((x * self.weight.data) ** 2).sum())

        def loss_backward(self, tape):
            x, w = tape.pop(self), self.weight.data
            self.weight.add_grad((2 * x**2 * w).sum(axis=0))
            return self.factor * 2 * x * w**2

    for factor, wrong in ((1.0, []), (1.01, ["input0"])):
        report = gradcheck(Squares(factor).loss, draw(2, 3))
        assert [tensor.name for tensor in report.tensors] == ["input0", "weight"]
        assert [tensor.name for tensor in report.tensors if tensor.verdict == "FAIL"] == wrong


def test_a_loss():
    """A float comes back, and backward gets a float: not 1, so that forgetting it shows."""
    logits, targets = draw(2, 3, 5), np.array([[0, 4, -100], [2, 2, 1]])
    loss = lambda logits: ops.cross_entropy(logits, targets, label_smoothing=0.1)  # noqa: E731
    assert gradcheck(loss, logits, backward=ops.cross_entropy_backward)
    forgot = gradcheck(loss, logits, backward=lambda dloss, saved: ops.cross_entropy_backward(1.0, saved))
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


def test_a_second_input():
    """Cross-attention's second input is checked, and its gradient comes after dx."""
    layer, x, memory = MultiHeadAttention(6, 2, rng=rng()), draw(2, 3, 6), draw(2, 4, 6)
    options = {"mask": draw(2, 1, 3, 4) < 0.8}
    report = gradcheck(layer, x, memory, options=options)
    assert report and [tensor.name for tensor in report.tensors][:2] == ["x", "memory"]

    class KeepsMemory(MultiHeadAttention):
        def backward(self, dy, tape):
            return super().backward(dy, tape)[0]

    report = gradcheck(KeepsMemory(6, 2, rng=rng()), x, memory, options=options)
    assert report["memory"].reason == "backward returned no gradient" and report["x"].verdict == "PASS"


def test_nothing_is_modified():
    """Neither the layer nor the inputs, in values or dtype; not even by a backward that writes to its dy."""
    layer, x = make_block(6, 2, 9, rng=np.random.default_rng(1)), draw(2, 3, 6).astype(np.float32)
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

    @pytest.mark.parametrize("start", [1.0, 0.0])
    def test_initial_values_are_moved(self, start):
        """A gain starts at 1, a bias at 0. There a backward that forgets it is right: only moved parameters show it."""

        class Forgets(Scale):  # y = (1 - start + weight) x
            def __init__(self, d_model):
                self.weight = Parameter(np.full(d_model, start))

            def forward(self, x, tape=None):
                return super().forward(x, tape) + (1 - start) * x

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
    for target in (LayerNorm(6), make_block(6, 2, 9, causal=True, rng=rng())):
        assert gradcheck(target, x, mode="sampled", samples=3).verdict == "PASS"


def test_labels_are_a_jump():
    """A label is compared with 1: the loss holds one value there and another beside it, and no slope."""

    def hinge(x, label):
        return float(np.where(label == 1, x, np.maximum(0, 1 - x)).sum()), label

    report = gradcheck(hinge, X, np.ones_like(X), backward=lambda dy, label: (dy * (label == 1), 0 * label))
    assert [tensor.verdict for tensor in report.tensors] == ["PASS", "KINK"]
    assert "here the value jumps" in report["label"].reason


def test_what_is_frozen_is_checked():
    """Its gradient is not recorded in training, but it is the layer's all the same; the layer stays frozen."""
    layer = Scale(5)
    layer.weight.frozen = True
    report = gradcheck(layer, X)
    assert report and report["weight"].norm > 0 and layer.weight.frozen
