"""Training that goes on where the last batch ended: the state of each row, in shards, in checkpoints."""

import numpy as np
import pytest

from tinytx import Tape
from tinytx.core import Layer, Parameter
from tinytx.layers import Checkpoint
from tinytx.models import GPT, GPTConfig
from tinytx.state import State
from tinytx.tasks import NextToken
from tinytx.training import SGD, NotFiniteError, Trainer, load_checkpoint, load_state, save_checkpoint


class Leaky(Layer):
    """The loss of h = decay h_before + w x, of which the state keeps the last h: a recurrent layer in short."""

    def __init__(self):
        self.w = Parameter(np.ones(2))

    def loss(self, x, tape=None, *, count, state):
        return float(np.square(self(x, tape, state=state)).sum() / count)

    def forward(self, x, tape=None, *, state):
        slot = state.next()
        h = 0.5 * (slot.arrays[0] if slot.arrays else np.zeros_like(x)) + self.w.data * x
        slot.arrays = (h,)
        if tape is not None:
            tape.push(self, (x, h))
        return h

    def loss_backward(self, tape):
        x, h = tape.pop(self)
        self.w.add_grad((2 * h * x).sum(axis=0))

    def count(self, x):
        return len(x)


def recurrent(threads, accumulate=1):
    model = Leaky()
    return Trainer(model, SGD(model, 0.1), threads=threads, accumulate=accumulate, clip=None)


def batches():
    return np.random.default_rng(0).normal(size=(4, 7, 2))


@pytest.mark.parametrize(("threads", "accumulate"), [(2, 1), (3, 1), (1, 3), (2, 2), (8, 1)])
def test_shards_remember_their_own_rows(threads, accumulate):
    """Catches a shard that reads another's rows, and states that are joined in another order."""
    one, several, found = recurrent(1), recurrent(threads, accumulate), (State(), State())
    for x in batches():
        losses = [trainer.step(x, state=state) for trainer, state in zip((one, several), found)]
        np.testing.assert_allclose(losses[1], losses[0], rtol=1e-14)
    np.testing.assert_allclose(several.model.w.data, one.model.w.data, rtol=1e-13)
    a, b = (state.state_dict() for state in found)
    np.testing.assert_allclose(a["0.0"], b["0.0"], rtol=1e-13)
    assert a["0.0"].shape == (7, 2)


def test_a_step_that_is_not_finite_commits_nothing():
    trainer, state = recurrent(2), State()
    first, second, *_ = batches()
    trainer.step(first, state=state)
    before, w = state.state_dict()["0.0"].copy(), trainer.model.w.data.copy()
    second[5] = np.inf
    with pytest.raises(NotFiniteError), np.errstate(all="ignore"):
        trainer.step(second, state=state)
    np.testing.assert_array_equal(state.state_dict()["0.0"], before)
    np.testing.assert_array_equal(trainer.model.w.data, w)


def gpt(wrap=lambda block: block):
    config = GPTConfig(vocab_size=11, max_len=12, d_model=8, n_heads=2, n_layers=2)
    body = GPT(config, rng=np.random.default_rng(0), dtype=np.float64)
    body.blocks = [wrap(block) for block in body.blocks]
    return NextToken(body)


def ids_of(step):
    return np.random.default_rng(step).integers(0, 11, (3, 5))


def test_gradients_of_a_segment_after_another():
    """Catches a gradient with a row for each position remembered; by finite differences, of what is remembered none."""
    model, state, tape = gpt(), State(), Tape()
    first, ids, targets = ids_of(0)[:, :4], ids_of(1), ids_of(2)
    model(first, state=state)
    before = state.state_dict()

    def loss(tape=None):
        again = State()
        again.load_state_dict(before)
        return model.loss(ids, targets, tape, state=again)

    loss(tape)
    model.loss_backward(tape)
    for name, parameter in model.named_parameters():
        direction = np.random.default_rng(0).normal(size=parameter.data.shape)
        data, sides = parameter.data.copy(), []
        for step in (1e-5, -1e-5):
            parameter.data[...] = data + step * direction
            sides.append(loss())
        parameter.data[...] = data
        slope = (sides[0] - sides[1]) / 2e-5
        np.testing.assert_allclose(np.sum(parameter.grad * direction), slope, rtol=1e-5, atol=1e-7, err_msg=name)


def test_a_run_goes_on_from_its_checkpoint(tmp_path):
    """Catches positions that a resumed run has forgotten."""
    losses = []
    for resumed in (False, True):
        model, state = gpt(), State()
        trainer = Trainer(model, SGD(model, 0.1), threads=2)
        trainer.step(ids_of(0), ids_of(1), state=state)
        if resumed:
            save_checkpoint(tmp_path, model, optimizer=trainer.optimizer, state=state)
            model, state = load_checkpoint(tmp_path)[0], load_state(tmp_path)
            trainer = Trainer(model, SGD(model, 0.1), threads=2)
        losses.append(trainer.step(ids_of(2), ids_of(3), state=state))
        assert state.length == 10
    assert losses[0] == losses[1]
    save_checkpoint(tmp_path, model)
    assert load_state(tmp_path).length == 0


def test_a_checkpointed_layer_refuses_a_state():
    """Catches positions that the second forward adds again."""
    with pytest.raises(ValueError, match="Checkpoint: forward runs twice"):
        gpt(Checkpoint).loss(ids_of(0), ids_of(1), Tape(), state=State())
