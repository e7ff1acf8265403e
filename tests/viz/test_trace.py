"""What is seen of a step: the numbers are, to the bit, those of a step that calls each layer, and what is kept is what the tape says.

Catches a trace that changes what it looks at, a gradient of another call, and memory that is counted twice or never freed.
"""

import numpy as np
import pytest
from model_cases import MODEL_CASES

from tinytx import ops
from tinytx.core import Layer, Parameter, Tape
from tinytx.layers import Checkpoint, FeedForward, LayerNorm, Linear, Residual, ReversibleStack
from tinytx.models import GPT, GPTConfig
from tinytx.tasks import NextToken
from tinytx.viz.calls import AGAIN, BACKWARD, FORWARD
from tinytx.viz.following import Following
from tinytx.viz.tensor_seen import picture_of, smaller, tensor_seen
from tinytx.viz.trace import traced


def linear(rng=None, **options):
    return Linear(4, 4, rng=rng or np.random.default_rng(0), dtype=np.float64, **options)


def x_of(*shape):
    return np.random.default_rng(1).normal(size=shape)


def calls_of(trace, path):
    return [call for call in trace.calls if call.path == path]


def kept_bytes(trace):
    return sum(array.n_bytes for call in trace.calls if not call.dropped for entry in call.kept for array in entry.arrays)


class Watched(Tape):
    """A tape on which each layer is called by itself, since somebody may watch it."""

    def call(self, layer, inputs, settings):
        return super().call(layer, inputs, settings)


@pytest.mark.parametrize("name", MODEL_CASES)
def test_a_trace_changes_nothing(name):
    """Loss, gradients and bytes are those of a step that nobody traces, dropout included; the model keeps its own gradients."""
    model, batch = MODEL_CASES[name](np.float32)
    tape = Watched(seed=3)
    tape.root = model  # a task may call no layer: it knows then which arrays are parameters
    loss = model.loss(*batch, tape=tape)
    kept = sum(size for *_, size in tape.kept())
    model.zero_grad()
    model.loss_backward(tape)
    grads = {path: parameter.grad.copy() for path, parameter in model.named_parameters() if parameter.has_grad}
    model.zero_grad()
    trace = traced(model, *batch, seed=3)
    assert not any(parameter.has_grad for parameter in model.parameters())
    assert trace.loss == loss
    seen = {p.path: p for call in trace.calls for p in call.parameters}
    for path, grad in grads.items():
        assert seen[path].grad == tensor_seen("dw", grad, picture=False)
    assert {*seen} >= {*grads}
    turn = next(step for step in trace.steps if step.kind == BACKWARD)
    assert turn.n_bytes == kept == kept_bytes(trace)


def test_values_and_gradients_of_named_layers():
    """Those of a hidden layer, computed here by hand; catches y and x exchanged, and a gradient of another layer."""
    first, second, x, dy = linear(), linear(np.random.default_rng(5)), x_of(2, 3, 4), x_of(2, 3, 4) ** 2
    model = Both(first, second)
    trace = traced(model, x, dy=dy)
    hidden = x @ first.weight.data + first.bias.data
    dhidden = dy @ second.weight.data.T
    (a,), (b,) = calls_of(trace, "first"), calls_of(trace, "second")
    for seen, expected in ((a.outputs, hidden), (b.inputs, hidden), (a.doutputs, dhidden), (b.dinputs, dhidden),
                           (b.doutputs, dy), (a.inputs, x), (a.dinputs, dhidden @ first.weight.data.T)):  # fmt: skip
        assert seen[0].norm == pytest.approx(np.linalg.norm(expected), rel=1e-12) and seen[0].shape == (2, 3, 4)
        assert seen[0].rms == pytest.approx(np.sqrt((expected**2).mean()), rel=1e-12)
        assert (seen[0].least, seen[0].largest) == pytest.approx((expected.min(), expected.max()), rel=1e-12)
        np.testing.assert_allclose(seen[0].picture.values, expected.reshape(6, 4), rtol=1e-12)
    weight, bias = b.parameters
    assert (weight.path, bias.path) == ("second.weight", "second.bias")
    assert weight.grad.norm == pytest.approx(np.linalg.norm(hidden.reshape(6, 4).T @ dy.reshape(6, 4)), rel=1e-12)
    assert weight.data.norm == pytest.approx(np.linalg.norm(second.weight.data), rel=1e-12)
    assert bias.grad.norm == pytest.approx(np.linalg.norm(dy.sum(axis=(0, 1))), rel=1e-12)
    assert [(call.path, call.depth) for call in trace.calls] == [("", 0), ("first", 1), ("second", 1)]
    assert not calls_of(trace, "")[0].parameters
    assert [(step.kind, step.call) for step in trace.steps] == [(FORWARD, 1), (FORWARD, 2), (FORWARD, 0),
                                                                 (BACKWARD, 0), (BACKWARD, 2), (BACKWARD, 1)]  # fmt: skip


class Both(Layer):
    """One layer after the other; its own vector is nothing but a parameter that gets no gradient."""

    def __init__(self, first, second):
        self.first, self.second = first, second

    def forward(self, x, tape=None):
        return self.second(self.first(x, tape), tape)

    def backward(self, dy, tape):
        return self.first.backward(self.second.backward(dy, tape), tape)


class Halves(Layer):
    """(x, shift) -> (x + shift, 2 x): several inputs and outputs."""

    def __init__(self):
        self.factor = Parameter(np.full((), 2.0))

    def forward(self, x, shift, tape=None):
        if tape is not None:
            tape.push(self, x)
        return x + shift, self.factor.data * x

    def backward(self, dy, tape):
        x, (done, dtwice) = tape.pop(self), dy
        self.factor.add_grad(np.asarray((dtwice * x).sum()))
        return done + self.factor.data * dtwice, done.sum(axis=0)


def test_several_inputs_and_outputs():
    x, dy = x_of(3, 4), (np.ones((3, 4)), np.full((3, 4), 10.0))
    trace = traced(Halves(), x, x[0], dy=dy)
    (call,) = trace.calls
    assert [tensor.name for tensor in call.inputs] == ["x", "shift"]
    assert [(tensor.name, tensor.largest) for tensor in call.dinputs] == [("dx", 21.0), ("dshift", 3.0)]
    assert [(tensor.name, tensor.shape) for tensor in call.outputs] == [("y 1", (3, 4)), ("y 2", (3, 4))]
    assert [tensor.largest for tensor in call.doutputs] == [1.0, 10.0]
    assert call.parameters[0].grad.largest == pytest.approx(10 * x.sum())
    drawn = traced(Halves(), x, x[0]).calls[0]
    assert drawn.doutputs[0].norm > 0 and drawn.doutputs[0].norm != drawn.doutputs[1].norm


def test_a_shared_layer_has_a_call_each_time():
    """The last call's backward runs first; the parameter's gradient is the sum of both."""
    shared, x, dy = linear(), x_of(2, 4), x_of(2, 4) + 1
    trace = traced(Both(shared, shared), x, dy=dy)
    first, second = calls_of(trace, "first")
    assert (first.n, second.n) == (1, 2)
    assert second.doutputs[0].norm == pytest.approx(np.linalg.norm(dy))
    assert first.doutputs[0].norm == pytest.approx(np.linalg.norm(dy @ shared.weight.data.T))
    dweight = x.T @ (dy @ shared.weight.data.T) + (x @ shared.weight.data + shared.bias.data).T @ dy
    for call in (first, second):
        assert call.parameters[0].grad.norm == pytest.approx(np.linalg.norm(dweight))
    assert [step.call for step in trace.steps if step.kind == BACKWARD] == [0, 2, 1]


def test_a_checkpoint_keeps_its_input_only():
    """What its layers save is forgotten, and saved once more while its backward runs."""
    inside = FeedForward(4, 8, activation="relu", rng=np.random.default_rng(0), dtype=np.float64)
    x = x_of(2, 3, 4)
    plain, kept = traced(inside, x), traced(Checkpoint(inside), x)
    assert kept_bytes(kept) == x.nbytes < kept_bytes(plain)
    turn = next(i for i, step in enumerate(kept.steps) if step.kind == BACKWARD)
    assert [step.n_bytes for step in kept.steps[turn - 1 : turn + 1]] == [x.nbytes, x.nbytes]
    assert kept.peak >= kept_bytes(plain) > kept_bytes(kept)
    outer, *inner = kept.calls
    assert (outer.dropped, outer.again) == (False, 0) and all(call.dropped and call.again == 1 for call in inner)
    assert [step.call for step in kept.steps if step.kind == AGAIN] == [step.call for step in kept.steps[: turn - 1]]
    assert [call.kind for call in inner] == [call.kind for call in plain.calls]
    for with_one, without in zip(inner, plain.calls, strict=True):
        assert with_one.outputs[0][:-1] == without.outputs[0][:-1]
        assert with_one.doutputs[0][:-1] == without.doutputs[0][:-1]
        sizes = [[array.n_bytes for entry in call.kept for array in entry.arrays] for call in (with_one, without)]
        assert sum(sizes[0]) <= sum(sizes[1]) + 2 * x.nbytes


def test_checkpoints_of_checkpoints_and_of_a_shared_layer():
    """Each forward that runs again is one of the calls there are; a shared layer's keep their order."""
    shared = linear()
    trace = traced(Checkpoint(Checkpoint(Both(shared, shared))), x_of(2, 4))
    assert [call.kind for call in trace.calls] == ["Checkpoint", "Checkpoint", "Both", "Linear", "Linear"]
    assert [call.again for call in trace.calls] == [0, 1, 2, 2, 2]
    first, second = trace.calls[3:]
    again = [step.call for step in trace.steps if step.kind == AGAIN and step.call > 2]
    assert again == [3, 4] * 2
    assert second.outputs[0].norm != first.outputs[0].norm and len(first.doutputs) == len(second.doutputs) == 1


def test_reversible_blocks():
    """Nothing of their inside is kept; each half runs once more, from the last to the first."""
    norm = lambda: LayerNorm(4, dtype=np.float64)  # noqa: E731
    trace = traced(ReversibleStack([(norm(), norm()), (norm(), norm())]), x_of(2, 3, 4))
    stack, f0, g0, f1, g1 = (call.number for call in trace.calls)
    assert [step.call for step in trace.steps if step.kind == AGAIN] == [g1, f1, g0, f0]
    assert [step.call for step in trace.steps if step.kind == BACKWARD] == [stack, g1, f1, g0, f0]
    assert kept_bytes(trace) == 2 * x_of(2, 3, 4).nbytes and all(call.dropped for call in trace.calls[1:])


def test_what_the_tape_holds():
    """Bytes of each entry, once for two layers that save the same array, none for parameters; 0 in the end; the operation's name."""
    first, second = linear(), linear()
    x = x_of(3, 4)
    trace = traced(Sum(first, second), x)
    _, a, b = trace.calls
    (entry,), (other,) = a.kept, b.kept
    assert entry.op == other.op == "linear"
    assert [(array.name, array.shape, array.n_bytes, array.of) for array in entry.arrays] == [
        ("x", (3, 4), x.nbytes, None), ("weight", (4, 4), 0, "first.weight")]  # fmt: skip
    assert [(array.n_bytes, array.of) for array in other.arrays] == [(0, a.number), (0, "second.weight")]
    assert trace.steps[-1].n_bytes == x.nbytes == trace.peak
    log = following_log(first, x)
    assert log.n_bytes == 0 and not log.held


class Sum(Both):
    """Both layers read x."""

    def forward(self, x, tape=None):
        return self.first(x, tape) + self.second(x, tape)

    def backward(self, dy, tape):
        return self.second.backward(dy, tape) + self.first.backward(dy, tape)


def following_log(layer, x):
    from tinytx.viz.following import Log

    tape = Following(Log(layer), None)
    layer(x, tape)
    layer.backward(np.ones_like(x), tape)
    return tape.log


def test_an_array_that_is_exchanged_for_another():
    """GELU's input is kept, not its output; backward computes this once more. Catches bytes that `Tape.replace` does not free."""
    layer, x = FeedForward(4, 8, activation="gelu", rng=np.random.default_rng(0), dtype=np.float64), x_of(5, 4)
    trace = traced(layer, x)
    h = 5 * 8 * 8
    (expand,), (activation,) = calls_of(trace, "expand"), calls_of(trace, "activation")
    assert kept_bytes(trace) == x.nbytes + h and trace.peak == x.nbytes + 2 * h
    contract = calls_of(trace, "contract")[0].kept[0].arrays[0]
    assert (contract.name, contract.n_bytes, contract.of) == ("x", 0, activation.number)
    assert trace.steps[-1].n_bytes == x.nbytes and trace.steps[-1].call == expand.number


def test_backwards_that_do_not_run():
    """A layer whose backward is left out has no gradient, and what it saved is named."""
    model = Left(linear(), linear())
    trace = traced(model, x_of(2, 4))
    assert [len(call.doutputs) for call in trace.calls] == [1, 0, 1]


class Left(Both):
    """The second layer's value is looked at and dropped, by a forward without a tape of its own."""

    def forward(self, x, tape=None):
        self.second(x, tape)
        if tape is not None:
            tape.pop(self.second)
        return self.first(x, tape)

    def backward(self, dy, tape):
        return self.first.backward(dy, tape)


def test_ids_have_no_gradient():
    model = NextToken(GPT(GPTConfig(vocab_size=7, max_len=5, d_model=8, n_heads=2, n_layers=1), rng=np.random.default_rng(0)))
    ids = np.array([[1, 2, 3]])
    trace = traced(model, ids, ids)
    task, body = trace.calls[:2]
    assert [tensor.name for tensor in task.inputs] == ["ids", "targets"] and task.outputs[0].largest == pytest.approx(trace.loss)
    assert task.doutputs[0].norm == 1 and body.dinputs == [None] and body.inputs[0].picture is None
    tied = [call for call in trace.calls if any(p.path == "body.token.weight" for p in call.parameters)]
    assert [call.path for call in tied] == ["body.token", "head"]


def test_an_error_of_a_layer_is_that_layer_s():
    with pytest.raises(ValueError, match="linear: "):
        traced(linear(), x_of(2, 5))


# ---------------------------------------------------------------------------------------- arrays in numbers


def test_what_is_not_finite():
    """Counted, and left out of norms and extremes; a picture shows it."""
    array = np.array([[np.nan, 3.0], [-np.inf, -4.0], [np.inf, 0.0]])
    seen = tensor_seen("y", array)
    assert (seen.n_nan, seen.n_infinite, seen.norm, seen.least, seen.largest) == (1, 2, 5.0, -4.0, 3.0)
    assert seen.rms == pytest.approx(np.sqrt(25 / 3))
    assert np.isnan(picture_of(array, 1, 1).values).all()
    for empty in (np.zeros((0, 3)), np.full((2, 3), np.nan)):
        assert tensor_seen("y", empty)[3:7] == (0.0, 0.0, 0.0, 0.0)


@pytest.mark.parametrize("size", [1e300, 1e-300, 1.0])
def test_norms_do_not_overflow(size):
    seen = tensor_seen("y", np.array([3 * size, -4 * size]))
    assert seen.norm == pytest.approx(5 * size, rel=1e-12) and seen.rms == pytest.approx(5 / np.sqrt(2) * size, rel=1e-12)


def test_large_arrays_are_read_part_by_part(monkeypatch):
    array = np.random.default_rng(0).normal(size=(7, 5)).astype(np.float32)
    whole = tensor_seen("y", array)
    monkeypatch.setattr("tinytx.viz.tensor_seen.PART", 4)
    parts = tensor_seen("y", array)
    assert parts.norm == pytest.approx(whole.norm, rel=1e-12) and parts[5:-1] == whole[5:-1]


def test_silent_units():
    """Those that are 0 in every row: two of the rectified ones."""
    h = np.array([[1.0, -1.0, 2.0, -5.0], [-1.0, -2.0, 3.0, -6.0]])
    assert tensor_seen("y", ops.relu(h)[0]).n_zero == 2 and tensor_seen("y", h).n_zero == 0
    assert tensor_seen("y", np.zeros((1, 4))).n_zero == 0  # one row says nothing


@pytest.mark.parametrize("shape", [(50, 100), (24, 48), (25, 49), (1, 97), (3, 1)])
def test_a_picture_shows_the_largest_entries(shape):
    """Each entry is in one cell; its place is that of its value."""
    table = np.random.default_rng(0).normal(size=shape)
    for picture in (picture_of(table, 24, 48), smaller(picture_of(table, 24, 48), 5, 7)):
        np.testing.assert_array_equal(picture.values, table.reshape(-1)[picture.places])
        assert np.abs(picture.values).max() == np.abs(table).max() and picture.values.size == len({*picture.places.flat})
    picture = picture_of(table, 24, 48)
    tall, wide = (-(-n // most) for n, most in zip(shape, (24, 48)))
    for (i, j), value in np.ndenumerate(picture.values):
        cell = table[i * tall : (i + 1) * tall, j * wide : (j + 1) * wide]
        assert abs(value) == np.abs(cell).max()
    small = smaller(picture, 5, 7)
    assert small.values.shape[0] <= 5 and small.values.shape[1] <= 7


def test_dropout_draws_the_masks_of_a_tape():
    layer = Residual(FeedForward(4, 8, dropout=0.5, rng=np.random.default_rng(0), dtype=np.float64), LayerNorm(4, dtype=np.float64))
    y = layer(x_of(3, 4), Tape(seed=5))
    assert traced(layer, x_of(3, 4), seed=5).calls[0].outputs[0].norm == pytest.approx(np.linalg.norm(y), rel=1e-12)
