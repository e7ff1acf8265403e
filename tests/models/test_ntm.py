"""Neural Turing Machine: what a step reads and writes, where its heads are, bits and their measures, what it refuses."""

import numpy as np
import pytest

from tinytx.layers import ExternalMemory
from tinytx.models import NTM, NTMConfig
from tinytx.tasks import Bits
from tinytx.viz import attention_maps

SIZES = {"d_in": 3, "d_controller": 6, "n_rows": 5, "d_row": 4}


def task_of(dtype=np.float64, **options):
    rng = np.random.default_rng(0)
    task = Bits(NTM(NTMConfig(**SIZES | options), rng=rng, dtype=dtype), n_bits=2, rng=rng)
    for parameter in task.parameters():
        parameter.data[...] = np.random.default_rng(1).normal(size=parameter.data.shape) / 2
    return task


def drawn(t=6, seed=2):
    return np.random.default_rng(seed).normal(size=(2, t, 3))


def tape_machine():
    """A layer whose heads find nothing by content and go one row on in each step; the one that writes puts down (x, 0)."""
    layer, far = ExternalMemory(1, 1, 4, 2, rng=np.random.default_rng(0), dtype=np.float64), 50.0
    for parameter in layer.parameters():
        parameter.data[...] = 0
    _, _, gate, shift, sharpness, erase, add = np.split(np.arange(20), layer._edges()[:-1])
    layer.weight_in.data[0] = 1
    layer.bias_heads.data[gate] = -far
    layer.bias_heads.data[shift] = [-far, -far, far] * 2
    layer.bias_heads.data[np.concatenate([sharpness, erase])] = far
    layer.weight_heads.data[0, add[0]] = 1
    return layer


def test_a_step_reads_before_it_writes():
    """Heads set by hand go round a ring of four rows: each step reads what was written four steps before."""
    x = np.random.default_rng(0).uniform(-1, 1, (1, 7, 1))
    y = tape_machine()(x)  # (1, 7, 3): h and r
    np.testing.assert_allclose(y[0, :4, 1:], 1e-6, rtol=1e-9)
    np.testing.assert_allclose(y[0, 4:, 1], np.tanh(x[0, :3, 0]), rtol=1e-9)
    rows = tape_machine().attention_weights(x)[0].argmax(-1)
    assert rows.tolist() == [[1, 2, 3, 0, 1, 2, 3]] * 2


def test_where_the_heads_are_is_shown_as_attention():
    """Two heads that read and one that writes; each has all of its weight on the rows of the memory."""
    (weights,) = attention_maps(task_of(n_reads=2), drawn()).values()
    assert weights.shape == (2, 3, 6, 5)
    np.testing.assert_allclose(weights.sum(-1), 1, rtol=1e-12)


def test_what_steers_the_heads_gives_their_weights():
    """Content, gate, shares of moves and sharpness, put together by hand: catches a gate that is turned round, and axes of others."""
    layer, x = task_of(n_reads=2).body.memory, drawn()
    beta, content, gate, moves, gamma, w = layer.steering(x)
    np.testing.assert_array_equal(w, layer.attention_weights(x))
    before = np.concatenate([np.broadcast_to(np.eye(5)[0], (2, 3, 1, 5)), w[:, :, :-1]], axis=2)
    mixed = gate[..., None] * content + (1 - gate[..., None]) * before
    spread = sum(moves[..., j : j + 1] * np.roll(mixed, j - 1, axis=-1) for j in range(3))
    power = spread ** gamma[..., None]
    np.testing.assert_allclose(power / power.sum(axis=-1, keepdims=True), w, rtol=1e-12)
    assert beta.min() > 0 and gamma.min() > 1 and 0 < gate.min() < gate.max() < 1
    key, strength = (np.split(layer.bias_heads.data, layer._edges()[:-1])[n] for n in (0, 1))
    assert beta.shape == gate.shape == gamma.shape == (2, 3, 6) and len(key) == 12 and len(strength) == 3


def test_later_steps_change_nothing():
    other = drawn()
    other[:, 4:] += 1
    before, after = task_of()(drawn()), task_of()(other)
    np.testing.assert_array_equal(before[:, :4], after[:, :4])
    assert (before[:, 4:] != after[:, 4:]).any(axis=2).all()


def test_what_an_element_costs():
    """A task that knows nothing needs 2 bits for 2 bits. Catches nats, a mean over bits, and positions that do not count."""
    task, bits = task_of(), np.random.default_rng(0).integers(0, 2, (2, 6, 2))
    bits[:, :3] = -100
    for parameter in task.head.parameters():
        parameter.data[...] = 0
    found = task.measure([(drawn(), bits), (drawn(4), bits[:, 2:])])
    assert np.isclose(found["bits_per_element"], 2) and found["wrong_bits"] == np.mean(bits[:, 3:] == 1)
    task.head.bias.data[...] = [np.log(3), -np.log(3)]  # right with 3/4, or 1/4
    share = np.mean(bits[:, 3:] == [1, 0])
    cost = task.measure([(drawn(), bits)])["bits_per_element"]
    assert np.isclose(cost, 2 * (share * np.log2(4 / 3) + (1 - share) * 2))


def test_a_random_batch_is_one_that_the_loss_takes():
    for dtype in (np.float32, np.float64):
        task = task_of(dtype)
        x, bits = task.random_batch(np.random.default_rng(0), 5, 7)
        assert x.dtype == dtype and x.shape == (5, 7, 3) and np.isfinite(task.loss(x, bits)) and task.n_tokens(x) == 35


def test_what_is_refused():
    with pytest.raises(ValueError, match=r"NTM: x has shape \(2, 6, 2\), expected \(2, 6, 3\)"):
        task_of()(drawn()[:, :, :2])
    with pytest.raises(TypeError, match="NTM: x is float32, weights is float64"):
        task_of()(drawn().astype(np.float32))
    with pytest.raises(ValueError, match=r"ExternalMemory: x has shape \(2, 0, 3\), expected at least one step"):
        task_of()(drawn(0))
