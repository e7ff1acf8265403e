"""Where there is no program: a model with a layer of another kind, or of one's own, is called, and not left out."""

import numpy as np
import pytest
from test_programs import V, check, made, program_of, shaken, texts
from toys import random_gpt

from tinytx.core import Layer
from tinytx.decoding.sessions import Session
from tinytx.kernel import is_plain
from tinytx.layers import Activation, RelativePositionBias, Rotary, Scale
from tinytx.models import GPT, GPTConfig, Llama, LlamaConfig
from tinytx.ops.attention_patterns import CAUSAL, Strided
from tinytx.tasks import NextToken

pytestmark = pytest.mark.skipif(is_plain(), reason="in plain Python there are no programs")


class Doubled(Activation):
    """A subclass whose forward is another one."""

    def forward(self, x, tape=None):
        return super().forward(x, tape) * 2


def test_layers_of_ones_own_are_called():
    """Catches a program that does what the class in the table does, where a subclass does something else."""
    model, ids = made("gpt"), texts(2, 9)
    for block in model.body.blocks:
        block.feed_forward.f.activation = Doubled("gelu_tanh")
    assert program_of(check(model, ids, 1e-10)) is None


class Called(Activation):
    """A subclass that is called in another way."""

    def __call__(self, x, tape=None):
        return super().__call__(x, tape) * 2


def test_layers_that_are_called_in_another_way():
    model, ids = made("gpt"), texts(2, 9)
    for block in model.body.blocks:
        block.feed_forward.f.activation = Called("gelu_tanh")
    assert program_of(check(model, ids, 1e-10)) is None


def test_a_copy_has_a_program_too():
    """Catches names that Python leaves in a class whose objects were copied: they are not the class's own methods."""
    model = made("gpt").replicate()
    assert program_of(check(model, texts(2, 9), 1e-10)) is not None


def test_a_layer_whose_forward_was_replaced():
    model, ids = made("gpt"), texts(2, 9)
    activation = model.body.blocks[1].feed_forward.f.activation
    activation.forward = lambda x, tape=None: x * 0
    assert program_of(check(model, ids, 1e-10)) is None


@pytest.mark.parametrize("name", ["gpt", "llama"])
def test_a_method_that_was_replaced_anywhere(name):
    """Catches a layer that is not looked at, such as a core, or a dropout that nobody drops by."""
    for path in [path for path, _ in made(name).named_layers() if path]:
        model = made(name)
        layer = dict(model.named_layers())[path]
        forward = layer.forward
        layer.forward = lambda *inputs, forward=forward, **settings: forward(*inputs, **settings) / 2
        assert program_of(check(model, texts(1, 5), 1e-10)) is None, path


def test_methods_other_than_forward_that_were_replaced():
    """Catches a program in the place of what a task, or a part of an attention, does by another method."""
    model = made("gpt")
    whole, last = model.forward, model.last_logits
    model.forward, model.last_logits = lambda ids: whole(ids) / 2, lambda new, state: last(new, state=state) / 2
    assert program_of(check(model, texts(1, 5), 1e-10)) is None
    model = made("gpt")
    frame = model.body.blocks[1].attention.f
    merge = frame._merge
    frame._merge = lambda y: merge(y[:, ::-1])
    assert program_of(check(model, texts(1, 5), 1e-10)) is None


@pytest.mark.parametrize("place", ["stack", "residual", "inner"])
def test_a_layer_of_ones_own_in_the_place_of_a_dropout(place):
    """Catches what a program leaves out, since in decoding nothing is dropped."""
    model = made("gpt")
    block = model.body.blocks[0]
    {"stack": model.body, "residual": block.attention, "inner": block.feed_forward.f}[place].dropout = Scale(0.5)
    assert program_of(check(model, texts(2, 9), 1e-10)) is None


class Backwards(Rotary):
    """Rotary positions that turn the other way."""

    def forward(self, x, tape=None, *, start=0):
        return super().forward(x, tape, start=start)[..., ::-1].copy()


@pytest.mark.parametrize("part", ["rotary", "pattern", "slots"])
def test_parts_of_ones_own(part):
    model = made("llama")
    for block in model.body.blocks:
        frame = block.attention.f
        if part == "rotary":
            frame.rotary = Backwards(frame.query.weight.data.shape[1] // frame.n_heads)
        if part == "pattern":
            frame.core.pattern = CAUSAL & Strided(2)
    if part == "slots":
        model.body.blocks.append(Counting())
    assert program_of(check(model, texts(2, 9), 1e-10)) is None


class Counting(Layer):
    """A layer that remembers how often it was called."""

    def forward(self, x, tape=None, *, state=None):
        if state is not None:
            slot = state.next()
            slot.arrays = (np.zeros((len(x), 1)),)
        return x


@pytest.mark.parametrize("part", ["tanh", "relative", "experts"])
def test_models_without_a_program(part):
    """Catches a setting that a program leaves out: it has to be the model that computes."""
    rng = np.random.default_rng(0)
    if part == "experts":
        config = LlamaConfig(vocab_size=V, max_len=16, d_model=16, n_layers=1, n_experts=3)
        model = shaken(NextToken(Llama(config, rng=rng, dtype=np.float64), rng=rng))
    else:
        activation = "tanh" if part == "tanh" else "gelu"
        config = GPTConfig(vocab_size=V, max_len=16, d_model=16, n_layers=1, activation=activation)
        model = shaken(NextToken(GPT(config, rng=rng, dtype=np.float64)))
        if part == "relative":
            model.body.relative = RelativePositionBias(4, two_sided=False, rng=rng, dtype=np.float64)
    assert program_of(check(model, texts(2, 9), 1e-10)) is None


def test_several_tokens_at_once():
    """Catches a program, which is there, that reads the first of several tokens alone."""
    model, ids = made("gpt"), texts(2, 12)
    session = check(model, ids[:, :6], 1e-10)
    np.testing.assert_allclose(session.logits(ids[:, 6:10]), model(ids[:, :10])[:, -1], atol=1e-10)
    np.testing.assert_allclose(session.logits(ids[:, 10:11]), model(ids[:, :11])[:, -1], atol=1e-10)


def test_a_window_that_slides():
    """Catches a program that goes on with the keys of another window: of the one before, or of a later one, after coming back."""
    model, ids = random_gpt(V, 8, dtype=np.float64), texts(1, 16)
    session = Session(model, ids[:, :3], slide=True, n_back=16)
    session.logits(session.first)
    marks, logits = {}, {}
    for t in range(3, 16):
        marks[t], logits[t] = session.mark(), session.logits(ids[:, t : t + 1]).copy()
        np.testing.assert_allclose(logits[t], model(ids[:, t + 1 - session._n_fed : t + 1])[:, -1], atol=1e-10)
    assert program_of(session) is not None
    session.rewind(marks[6])
    np.testing.assert_allclose(session.logits(ids[:, 6:7]), logits[6], atol=1e-10)
