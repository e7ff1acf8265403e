"""A layer that is right, and the same layer with one mistake: BROKEN says which check has to reject it, and how."""

import numpy as np

from tinytx.core import Layer, Parameter
from tinytx.testing import promises


class Scale(Layer):
    """y = weight * x, as in the docstring of tinytx.core."""

    def __init__(self, d_model):
        self.weight = Parameter(np.ones(d_model, np.float32))

    def forward(self, x, tape=None):
        if tape is not None:
            tape.push(self, x)
        return self.weight.data * x

    def backward(self, dy, tape):
        x = tape.pop(self)
        self.weight.add_grad((dy * x).sum(axis=(0, 1)))
        return dy * self.weight.data


class ScaleByGrad(Scale):
    """The same, written with ``+=``: right."""

    def backward(self, dy, tape):
        self.weight.grad += (dy * tape.pop(self)).sum(axis=(0, 1))
        return dy * self.weight.data


class HalfGradient(Scale):
    def backward(self, dy, tape):
        return super().backward(dy, tape) / 2


class NoGradient(Scale):
    def backward(self, dy, tape):
        super().backward(dy, tape)


class CountsItsCalls(Scale):
    calls = 0

    def forward(self, x, tape=None):
        self.calls += 1
        return super().forward(x, tape) + self.calls


class NoisyBackward(Scale):
    rng = np.random.default_rng(0)

    def backward(self, dy, tape):
        return super().backward(dy, tape) * self.rng.normal()


class WritesToInput(Scale):
    def forward(self, x, tape=None):
        return super().forward(np.maximum(x, 0, out=x), tape)  # a second call changes nothing more


class WritesToDy(Scale):
    def backward(self, dy, tape):
        dx = super().backward(dy, tape)
        dy *= self.weight.data
        return dx


class WritesToParameter(Scale):
    def forward(self, x, tape=None):
        np.clip(self.weight.data, -1, 0.5, out=self.weight.data)
        return super().forward(x, tape)


class WritesToSaved(Scale):
    """Of its own copy, in a dict: nobody else notices."""

    def forward(self, x, tape=None):
        if tape is not None:
            tape.push(self, {"x": x.copy()})
        return self.weight.data * x

    def backward(self, dy, tape):
        dx = tape.pop(self)["x"]
        self.weight.add_grad((dy * dx).sum(axis=(0, 1)))
        dx[...] = dy
        dx *= self.weight.data
        return dx


class BorrowsInput(Scale):
    def forward(self, x, tape=None):
        x *= 1  # the same bits, but not on a read-only array
        return super().forward(x, tape)


class AssignsGradient(Scale):
    def backward(self, dy, tape):
        self.weight.grad = (dy * tape.pop(self)).sum(axis=(0, 1))
        return dy * self.weight.data


class NeverQuiteZero(Scale):
    def backward(self, dy, tape):
        return super().backward(dy, tape) + dy.dtype.type(1e-30)


class ClipsDy(Scale):
    def backward(self, dy, tape):
        return super().backward(np.clip(dy, -1, 1), tape)


class PromotesOutput(Scale):
    def forward(self, x, tape=None):
        return super().forward(x, tape) * np.sqrt(4)


class PromotesDx(Scale):
    def backward(self, dy, tape):
        return super().backward(dy, tape) * np.float64(1)


class KeepsAxes(Scale):
    def backward(self, dy, tape):
        self.weight.grad = self.weight.grad + (dy * tape.pop(self)).sum(axis=(0, 1), keepdims=True)
        return dy * self.weight.data


class ReadsMemoryOrder(Scale):
    def forward(self, x, tape=None):
        return super().forward(x.ravel("K").reshape(x.shape), tape)


class ReadsMemoryOrderOfDy(Scale):
    def backward(self, dy, tape):
        return super().backward(dy.ravel("K").reshape(dy.shape), tape)


class Squeezes(Scale):
    def forward(self, x, tape=None):
        return super().forward(x, tape).squeeze()


class ForgetsOnePosition(Scale):
    def backward(self, dy, tape):
        return super().backward(dy, tape) * (dy.shape[1] > 1)


class PushesTwice(Scale):
    def forward(self, x, tape=None):
        if tape is not None:
            tape.push(self, x)
        return super().forward(x, tape)


class PopsTwice(Scale):
    def backward(self, dy, tape):
        dx = super().backward(dy, tape)
        tape.pop(self)
        return dx


class Cancels(Scale):
    def forward(self, x, tape=None):
        return super().forward((x + 1e4) - 1e4, tape)


class KeepsInputInSelf(Scale):
    def forward(self, x, tape=None):
        self.x = x
        return self.weight.data * x

    def backward(self, dy, tape):
        self.weight.add_grad((dy * self.x).sum(axis=(0, 1)))
        return dy * self.weight.data


class ShortcutAtInference(Scale):
    def forward(self, x, tape=None):
        return x if tape is None else super().forward(x, tape)


BROKEN = {
    HalfGradient: (promises.check_gradients, "HalfGradient: FAIL"),
    NoGradient: (promises.check_shapes_and_dtypes, "NoGradient in float32: the gradient of x is None"),
    CountsItsCalls: (promises.check_determinism, r"CountsItsCalls: run a second time: y differs at \(\d, \d, \d\): "),
    NoisyBackward: (promises.check_determinism, "run a second time: the gradient of x differs at"),
    WritesToInput: (promises.check_arguments_unmodified, "in float32, beside before: x differs at"),
    WritesToDy: (promises.check_arguments_unmodified, "beside before: dy.0 differs at"),
    WritesToParameter: (promises.check_arguments_unmodified, "beside before: parameters.weight differs at"),
    WritesToSaved: (promises.check_arguments_unmodified, "beside before: tape.0.x differs at"),
    BorrowsInput: (promises.check_arguments_unmodified, "BorrowsInput: read-only inputs, options and dy are refused"),
    AssignsGradient: (promises.check_gradients_accumulate, "beside twice one: the gradient of weight differs"),
    NeverQuiteZero: (promises.check_zero_dy, r"where dy is 0: the gradient of x differs .*: 1e-30 against 0.0"),
    ClipsDy: (promises.check_linear_in_dy, r"backward\(2.5 a - b\), beside .*: the gradient of x differs at"),
    PromotesOutput: (promises.check_shapes_and_dtypes, "PromotesOutput in float32: y is float64"),
    PromotesDx: (promises.check_shapes_and_dtypes, "in float32: the gradient of x is float64"),
    KeepsAxes: (promises.check_shapes_and_dtypes, r"the gradient of weight is float32 of shape \(1, 1, 5\), .* \(5,\)"),
    ReadsMemoryOrder: (promises.check_non_contiguous, "with inputs and dy as asfortranarray views: y differs at"),
    ReadsMemoryOrderOfDy: (promises.check_non_contiguous, "asfortranarray views: the gradient of x differs at"),
    Squeezes: (promises.check_size_one, r"x of shape \(1, 3, 5\) gives y of shape \(3, 5\)"),
    ForgetsOnePosition: (promises.check_size_one, "ForgetsOnePosition: FAIL"),
    PushesTwice: (promises.check_empty_tape, "PushesTwice: Tape: 1 saved values left after backward"),
    PopsTwice: (promises.check_empty_tape, "PopsTwice: Tape: backward of PopsTwice found the tape empty"),
    Cancels: (promises.check_float32_beside_float64, "in float32 beside float64: y differs at"),
    KeepsInputInSelf: (promises.check_two_tapes, "of two interleaved runs, A beside A alone: the gradient of weight"),
    ShortcutAtInference: (promises.check_without_tape, "without a tape, beside a tape without a seed: y differs"),
}
