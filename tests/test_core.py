"""Tape and Layer: gradients that add up, an order that is enforced, names that help."""

import threading

import numpy as np
import pytest
from blocks import make_block

from tinytx.core import Layer, Parameter, Tape, TapeError
from tinytx.layers import Dropout, Embedding, LayerNorm, Linear, TiedLinear


def rng():
    return np.random.default_rng(0)


class Chain(Layer):
    """Two linear maps in a list, whose backward can be told to run in the wrong order."""

    def __init__(self, dtype=np.float64):
        self.steps = [Linear(3, 4, rng=rng(), dtype=dtype), Linear(4, 3, rng=rng(), dtype=dtype)]

    def forward(self, x, tape=None):
        for step in self.steps:
            x = step(x, tape)
        return x

    def backward(self, dy, tape, order=reversed):
        for step in order(self.steps):
            dy = step.backward(dy, tape)
        return dy


class Second(Layer):
    """A layer with an input that may be left out; it says whether it was called with a tape."""

    def forward(self, x, memory=None, tape=None):
        return tape is not None


def test_the_tape_is_last_or_given_by_name():
    """Catches a tape that is lost behind an input that is None: no dropout, and nothing to go back on."""
    x, tape = np.ones(2), Tape()
    layer = Second()
    assert all([layer(x, tape), layer(x, None, tape), layer(x, x, tape), layer(x, tape=tape), layer(x, None, tape=tape)])
    assert not any([layer(x), layer(x, None), layer(x, x), layer(x, x, None)])


# ---------------------------------------------------------------------------------------- Tape


def test_wrong_order_names_both_layers():
    """Catches wrong numbers in silence."""
    chain, tape = Chain(), Tape()
    y = chain(np.ones((2, 3)), tape)
    with pytest.raises(TapeError, match=r"backward of steps\.0 ran, but the last forward to save was steps\.1"):
        chain.backward(y, tape, order=iter)


def test_names_are_paths_from_the_outermost_layer():
    block, tape = make_block(4, 2, 6, rng=rng(), dtype=np.float64), Tape()
    y = block(np.ones((2, 3, 4)), tape)
    with pytest.raises(TapeError, match=r"attention\.f\.query ran, .* was feed_forward\.dropout"):
        block.attention.f.query.backward(y, tape)
    with pytest.raises(TapeError, match=r"backward of Linear ran"):  # a layer that is not the model's
        Linear(4, 4, rng=rng()).backward(y, tape)


def test_backward_without_forward_or_twice():
    linear, tape = Linear(3, 4, rng=rng(), dtype=np.float64), Tape()
    with pytest.raises(TapeError, match="found the tape empty"):
        linear.backward(np.ones((2, 4)), tape)
    linear(np.ones((2, 3)), tape)
    linear.backward(np.ones((2, 4)), tape)
    with pytest.raises(TapeError, match="backward of Linear found the tape empty"):
        linear.backward(np.ones((2, 4)), tape)


def test_a_failed_pop_leaves_the_tape_as_it_was():
    """Catches a tape that is half used up by the error it reports."""
    chain, tape = Chain(), Tape()
    y = chain(np.ones((2, 3)), tape)
    with pytest.raises(TapeError):
        chain.steps[0].backward(y, tape)
    chain.backward(y, tape)
    tape.check_empty()


def test_check_empty_names_what_is_left():
    chain, tape = Chain(), Tape()
    y = chain(np.ones((2, 3)), tape)
    chain.steps[1].backward(y, tape)
    with pytest.raises(TapeError, match=r"1 saved values left after backward: steps\.0"):
        tape.check_empty()
    assert len(tape) == 1


def test_no_tape_keeps_nothing():
    chain = Chain()
    x = np.ones((2, 3))
    np.testing.assert_array_equal(chain(x), chain(x, Tape()))


def test_dropout_keys_depend_on_seed_step_and_site():
    """Catches one mask for all layers, for all steps, or for all seeds; and keys that a second run would not draw."""

    def keys(**options):
        tape = Tape(**options)
        return [tape.dropout_key() for _ in range(3)]

    drawn = keys(seed=1) + keys(seed=2) + keys(seed=1, step=1) + keys(seed=11, step=1) + keys(seed=1, step=11)
    assert len(set(drawn)) == 15
    assert keys(seed=1, step=3) == keys(seed=1, step=3) == keys(seed=1, step=3, first_row=9)
    assert keys() == [None] * 3
    assert keys(seed=1337, step=5)[:2] == [13409154702779532331, 15486265585571867966]  # for ever: a run can be resumed
    assert all(0 <= key < 2**64 for key in drawn)


def test_print_shows_who_kept_what():
    """Catches bytes counted twice: both linear maps keep x, which is there once; weights exist anyway."""

    class Fork(Layer):
        def __init__(self):
            self.left, self.right = (Linear(3, 4, bias=False, rng=rng()) for _ in range(2))

        def forward(self, x, tape=None):
            return self.left(x, tape) + self.right(x, tape)

    fork, tape = Fork(), Tape()
    fork(np.ones((2, 3), np.float32), tape)
    lines = str(tape).splitlines()
    assert [line.split() for line in lines[1:]] == [
        ["left", "x", "(2,", "3)", "24"],
        ["right", "x", "shared", "with", "left", "0"],
        ["total", "2", "entries", "24"],
    ]


# ---------------------------------------------------------------------------------------- Layer


def test_parameters_have_paths_in_order_of_definition():
    block = make_block(4, 2, 6, rng=rng())
    paths = [path for path, _ in block.named_parameters()]
    assert len(paths) == 16 and len(set(paths)) == 16
    assert {"attention.f.query.weight", "attention.norm.bias", "feed_forward.f.contract.bias"} <= set(paths)
    assert list(Chain().state_dict()) == ["steps.0.weight", "steps.0.bias", "steps.1.weight", "steps.1.bias"]


def test_sharing_is_identity_and_never_equal_values():
    """Catches two zero matrices that are taken for one."""

    class Pair(Layer):
        def __init__(self):
            self.one, self.two = Parameter(np.zeros(3)), Parameter(np.zeros(3))
            self.three = self.one

    assert [path for path, _ in Pair().named_parameters()] == ["one", "two"]


def test_replicate_shares_values_and_owns_gradients():
    """Catches a replica that trains a copy, one that adds into the original's gradient, and one that unties weights."""

    class Tied(Layer):
        def __init__(self):
            self.embed = Embedding(5, 3, rng=rng(), dtype=np.float64)
            self.head = TiedLinear(self.embed.weight)
            self.chain = Chain()

    model = Tied()
    model.chain.steps[0].weight.grad += 1
    replica = model.replicate()
    assert replica.head.weight is replica.embed.weight is not model.embed.weight
    for (path, own), (other_path, other) in zip(model.named_parameters(), replica.named_parameters(), strict=True):
        assert path == other_path and other.data is own.data and other is not own
    assert not any(parameter.grad.any() for parameter in replica.parameters())
    replica.embed.weight.add_grad(np.ones((5, 3)))
    assert not model.embed.weight.grad.any()


def test_a_replica_knows_what_is_frozen():
    """Catches a thread that computes a gradient which nobody uses."""
    layer = Linear(3, 2, rng=np.random.default_rng(0))
    layer.weight.frozen = True
    replica, tape = layer.replicate(), Tape()
    replica.backward(replica(np.ones((4, 3), np.float32), tape), tape)
    assert (replica.weight.frozen, replica.bias.frozen) == (True, False)
    assert replica.bias.grad.any() and not replica.weight.grad.any()


def test_state_dict_comes_back():
    model, other = Chain(), Chain()
    for parameter in model.parameters():
        parameter.data += 1
    kept = [parameter.data for parameter in other.parameters()]
    other.load_state_dict({path: array.astype(np.float32) for path, array in model.state_dict().items()})
    for parameter, loaded, before in zip(model.parameters(), other.parameters(), kept, strict=True):
        np.testing.assert_allclose(loaded.data, parameter.data, rtol=1e-6)
        assert loaded.data is before and loaded.data.dtype == np.float64  # in place: replicas see it


def test_load_state_dict_names_all_faults_and_changes_nothing():
    model = Chain()
    before = {path: array.copy() for path, array in model.state_dict().items()}
    arrays = {path: array + 1 for path, array in before.items()}
    arrays["steps.0.bias"] = np.zeros(3)
    arrays["steps.0.weight"] = np.zeros((4, 3))  # of as many numbers
    arrays["steps.1.weights"] = arrays.pop("steps.1.weight")
    with pytest.raises(ValueError) as error:
        model.load_state_dict(arrays)
    message = str(error.value)
    for fault in (
        "missing steps.1.weight (4, 3)",
        "unexpected steps.1.weights (4, 3)",
        "steps.0.bias has shape (3,), expected (4,)",
        "steps.0.weight has shape (4, 3), expected (3, 4)",
    ):
        assert fault in message
    for path, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[path])


@pytest.mark.parametrize("wrong", [np.full(3, "text"), np.full(3, 1j), np.full(3, None)])
def test_load_state_dict_of_what_is_no_number_changes_nothing(wrong):
    """Catches a model that is half loaded when the last array cannot be converted."""
    model = Chain()
    before = {path: array.copy() for path, array in model.state_dict().items()}
    arrays = {path: array + 1 for path, array in before.items()} | {"steps.1.bias": wrong}
    with pytest.raises((ValueError, TypeError)):
        model.load_state_dict(arrays)
    for path, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[path])


def test_zero_grad_forgets_all():
    chain = Chain()
    for parameter in chain.parameters():
        parameter.grad += 1
    chain.zero_grad()
    assert not any(parameter.grad.any() for parameter in chain.parameters())


def test_a_layer_without_methods_says_so():
    with pytest.raises(NotImplementedError, match="Layer has no forward"):
        Layer()(np.ones(2))
    with pytest.raises(NotImplementedError, match="Layer has no backward"):
        Layer().backward(np.ones(2), Tape())


def test_threads_on_one_model_equal_serial():
    """Catches state in a layer: 8 threads with a tape and a replica each do 25 steps at once."""

    class Model(Layer):
        def __init__(self):
            self.blocks = [make_block(8, 2, 12, causal=True, dropout=0.2, rng=rng()) for _ in range(2)]
            self.norm, self.dropout = LayerNorm(8), Dropout(0.1)

        def forward(self, x, tape=None):
            for block in self.blocks:
                x = block(x, tape)
            return self.dropout(self.norm(x, tape), tape)

        def backward(self, dy, tape):
            dy = self.norm.backward(self.dropout.backward(dy, tape), tape)
            for block in reversed(self.blocks):
                dy = block.backward(dy, tape)
            return dy

    model, results = Model(), {}

    def work(name, replica, seed):
        x = np.random.default_rng(seed).normal(size=(3, 5, 8)).astype(np.float32)
        for step in range(25):
            tape = Tape(seed=seed, step=step)
            replica.backward(replica(x, tape), tape)
            tape.check_empty()
        results[name, seed] = [parameter.grad for parameter in replica.parameters()]

    threads = [threading.Thread(target=work, args=("threads", model.replicate(), seed)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed in range(8):
        work("serial", model.replicate(), seed)
        for one, other in zip(results["threads", seed], results["serial", seed], strict=True):
            np.testing.assert_array_equal(one, other)
