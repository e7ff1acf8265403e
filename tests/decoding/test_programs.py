"""Programs: the logits of one more token are those that the model gives, whatever the model's parts, and whatever was done to its state."""

import numpy as np
import pytest
from toys import random_gpt

from tinytx import workers
from tinytx.decoding import beam_search
from tinytx.decoding.programs.calls import CALLS
from tinytx.decoding.sessions import Session, sessions_of
from tinytx.kernel import is_plain
from tinytx.layers import LearnedPositions, SinusoidalPositions
from tinytx.models import GPT, GPTConfig, Llama, LlamaConfig
from tinytx.state import Slot
from tinytx.tasks import NextToken

pytestmark = pytest.mark.skipif(is_plain(), reason="in plain Python there are no programs")
V, LONG = 23, 160
GPTS = {
    "gpt": {},
    "gpt1": {"norm_order": "post", "scaled_init": False},
    "windows": {"windows": "all,3"},
    "untied": {"tied_head": False, "activation": "gelu"},
    "relu": {"activation": "relu", "n_heads": 1},
    "silu": {"activation": "silu", "n_heads": 6},
}
LLAMAS = {
    "llama": {},
    "groups": {"n_kv_heads": 2, "d_key": 10},
    "share": {"d_key": 8, "rope_share": 0.5, "rope_neighbours": True, "qkv_bias": True},
    "mistral": {"window": 5, "tied_head": True},
    "yarn": {"rope_factor": 4.0, "rope_scaling": "yarn", "rope_length": 8, "activation": "gelu_tanh"},
    "gated relu": {"activation": "relu"},
}


def shaken(task, seed=3):
    """Return a task with random parameters everywhere: no gamma is 1, and no bias 0."""
    rng = np.random.default_rng(seed)
    for parameter in task.parameters():
        parameter.data += rng.normal(0, 0.3, parameter.data.shape).astype(parameter.data.dtype)
    return task


def made(name, dtype=np.float64):
    """Return one of the models, of two blocks."""
    rng, shape = np.random.default_rng(0), {"vocab_size": V, "max_len": LONG, "d_model": 24, "n_layers": 2}
    if name in GPTS:
        body = GPT(GPTConfig(**shape | {"n_heads": 3} | GPTS[name]), rng=rng, dtype=dtype)
    else:
        body = Llama(LlamaConfig(**shape | {"n_heads": 4} | LLAMAS[name]), rng=rng, dtype=dtype)
    return shaken(NextToken(body, rng=rng))


def texts(n_rows, length, seed=1):
    return np.random.default_rng(seed).integers(V, size=(n_rows, length))


def read(session, ids, start):
    """Let a session read ids from ``start`` on, one by one; return the logits (B, T - start, V)."""
    return np.stack([session.logits(ids[:, t : t + 1]).copy() for t in range(start, ids.shape[1])], axis=1)


def check(model, ids, tolerance, start=3, session=None):
    """Compare a session's logits with those of all ids at once; return the session."""
    session = session or Session(model, ids[:, :start])
    session.logits(ids[:, :start])
    np.testing.assert_allclose(read(session, ids, start), model(ids)[:, start:], rtol=tolerance, atol=tolerance)
    return session


def program_of(session):
    return session._one_token._programs


@pytest.mark.parametrize("n_rows", [1, 2, 8])
@pytest.mark.parametrize("name", [*GPTS, *LLAMAS])
def test_logits_are_those_of_the_model(name, n_rows):
    """Catches a call that is left out, in a wrong order or with a wrong setting, and a row that reads another one's keys."""
    session = check(made(name), texts(n_rows, 12), 1e-10)
    assert program_of(session) is not None


def test_a_prompt_of_one_token():
    """Catches a program that is asked for before there are keys, and then never again."""
    assert program_of(check(made("gpt"), texts(2, 6), 1e-10, start=1)) is not None


def test_more_rows_than_loops_have():
    assert program_of(check(made("gpt"), texts(9, 8), 1e-10)) is None


@pytest.mark.parametrize(("n_rows", "parts"), [(1, 1), (3, 1), (4, 2), (7, 2)])
def test_threads_share_rows(n_rows, parts):
    """Catches rows of the second half that read the first one's keys; that a helper computes them changes no bit."""
    model, ids = made("groups"), texts(n_rows, 12)
    with workers.use(workers.Pool(2)):
        session = check(model, ids, 1e-10)
    alone = Session(model, ids[:, :3])
    alone.logits(alone.first)
    assert len(program_of(session)._codes) == parts
    session.state.forget(9)
    with workers.use(workers.Pool(2)):
        shared = read(session, ids, 3)
    np.testing.assert_array_equal(shared, read(alone, ids, 3))


def test_rows_that_are_not_those_of_the_state():
    """Catches keys of rows that a batch does not have, which are behind the arrays: the model says that rows do not fit."""
    for rows in ([0], [0, 1, 0]):
        session = check(made("gpt"), texts(2, 8), 1e-10)
        session.select(np.array(rows))
        with pytest.raises(ValueError, match="broadcast"):
            session.logits(texts(2, 1))


def test_every_kind_of_layer_has_been_tried():
    """Catches a row of the table that no test runs."""
    tried = {type(layer) for name in (*GPTS, *LLAMAS) for _, layer in made(name).named_layers()}
    tried |= {type(layer) for _, layer in made("gpt").quantized().named_layers()}
    missing = [kind.__name__ for kind in CALLS if not any(issubclass(each, kind) for each in tried)]
    assert missing == ["SinusoidalPositions"]  # the next test


def test_sinusoidal_positions():
    model = made("gpt")
    model.body.position = SinusoidalPositions(LONG, 24, dtype=np.float64)
    assert program_of(check(model, texts(2, 9), 1e-10)) is not None


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", ["gpt", "llama"])
def test_weights_in_8_bits(name, dtype):
    """Catches a step of another row, and a table's steps that are left out."""
    tolerance = 3e-3 if dtype == np.float32 else 1e-10  # inputs of products are rounded to steps, too, at times to the next one
    for n_rows in (1, 5):
        assert program_of(check(made(name, dtype).quantized(), texts(n_rows, 8), tolerance)) is not None


@pytest.mark.parametrize("n_rows", [1, 3])
def test_positions_beyond_the_room_of_a_slot(n_rows):
    """Catches calls that write behind arrays which were too small, and keys that a growing state has lost."""
    session = check(made("groups"), texts(n_rows, LONG), 1e-9)
    assert program_of(session) is not None


def test_room_for_all_tokens_is_made_at_once():
    """Catches keys that are copied into a larger array in the middle of a text, and room that is made for more than a text can have."""
    model, ids = made("gpt"), texts(2, 4)
    for n_tokens, slide, room in ((100, False, 104), (3, False, 64), (10**9, True, LONG)):
        ((_, session, _),) = sessions_of("test", model, ids, n_tokens, slide=slide)
        session.logits(session.first)
        arrays = session.state.slots[0].arrays
        read(session, texts(2, 90), 4)
        assert session.state.slots[0].arrays[0].shape[2] == max(room, 2 * 65 if room == 64 else 0)
        assert (session.state.slots[0].arrays is arrays) == (room > 64)


def test_a_large_model_shares_out_its_products(monkeypatch):
    """Catches parts of a product that nobody computes, and that nobody is woken for: two threads, and matrices that are large enough; and keys."""
    rng = np.random.default_rng(0)
    body = GPT(GPTConfig(vocab_size=1031, max_len=64, d_model=768, n_heads=12, n_layers=1), rng=rng)
    model, ids = NextToken(body), np.random.default_rng(1).integers(1031, size=(2, 48))
    with workers.use(workers.Pool(2)):
        session = check(model, ids, 2e-4)
    assert program_of(session)._is_shared and len(program_of(session)._codes) == 1
    asked = []
    monkeypatch.setattr(workers.awake, "words", lambda: asked.append(True))
    program_of(session).run(ids[:, 0])
    assert asked == [True]


def test_rows_that_are_selected_and_repeated():
    """Catches a program that goes on with the arrays of rows which a search has left."""
    model, ids = made("gpt"), texts(2, 9)
    session = check(model, ids, 1e-10)
    session.select(np.array([1, 1]))
    more = texts(2, 4, seed=5)
    whole = np.concatenate([ids[[1, 1]], more], axis=1)
    np.testing.assert_allclose(read(session, whole, 9), model(whole)[:, 9:], atol=1e-10)
    session.select(np.array([0, 1, 0, 1, 1]))
    wide = np.concatenate([whole[[0, 1, 0, 1, 1]], texts(5, 4, seed=6)], axis=1)
    np.testing.assert_allclose(read(session, wide, 13), model(wide)[:, 13:], atol=1e-10)


def test_keys_that_lie_apart_in_memory():
    """Catches vectors of numbers between which others lie: rows of a larger state, of which a position was forgotten again."""
    model, ids = made("gpt", np.float32), texts(2, 9)
    session = check(model, ids, 2e-4)
    for slot in session.state.slots:
        slot.arrays = tuple(array.repeat(2, axis=-1)[..., ::2] for array in slot.arrays)
    more = np.concatenate([ids, texts(2, 3, seed=6)], axis=1)
    np.testing.assert_allclose(read(session, more, 9), model(more)[:, 9:], atol=2e-4)


@pytest.mark.parametrize("width", [8, 24, 32, 40, 72])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_heads_of_any_width(width, dtype):
    """Catches columns of a head that no vector has, and those that two have; with a window, and two heads for each key."""
    rng = np.random.default_rng(0)
    config = LlamaConfig(V, max_len=40, d_model=24, n_layers=1, n_heads=4, n_kv_heads=2, d_key=width, window=19)
    model = shaken(NextToken(Llama(config, rng=rng, dtype=dtype), rng=rng))
    assert program_of(check(model, texts(3, 40), 1e-10 if dtype == np.float64 else 1e-3)) is not None


def test_positions_that_are_forgotten():
    """Catches a number of positions that the program counts by itself."""
    model, ids = made("llama"), texts(1, 10)
    session = check(model, ids, 1e-10)
    session.state.forget(4)
    other = np.concatenate([ids[:, :6], texts(1, 3, seed=7)], axis=1)
    np.testing.assert_allclose(read(session, other, 6), model(other)[:, 6:], atol=1e-10)
    session.state.forget(9)
    check(model, ids, 1e-10, session=session)


def test_beams_are_those_of_the_model(monkeypatch):
    """Catches a program of rows that a beam has replaced."""
    model = random_gpt(11, 16, dtype=np.float64)
    beams = beam_search(model, texts(2, 3) % 11, 9, beam_size=3)
    monkeypatch.setattr("tinytx.decoding.programs.one_token.OneToken.logits", lambda *_: None)
    plain = beam_search(model, texts(2, 3) % 11, 9, beam_size=3)
    np.testing.assert_array_equal(beams.ids, plain.ids)
    np.testing.assert_allclose(beams.log_probs, plain.log_probs, atol=1e-10)


@pytest.mark.parametrize("replaced", [True, False])
def test_weights_that_change_between_two_tokens(replaced):
    """Catches a program that goes on with weights which the model has no longer: in a new array, or in the same one."""
    model, ids = made("gpt"), texts(1, 12)
    sessions = Session(model, ids[:, :3]), Session(model, ids[:, :3])
    sessions[1]._one_token._has_program = False
    for session in sessions:
        session.logits(session.first)
        read(session, ids[:, :7], 3)
    weight = model.body.blocks[0].feed_forward.f.expand.weight
    if replaced:
        weight.data = weight.data * 2
    else:
        weight.data[...] *= 2
    for t in range(7, 12):
        ours, expected = (session.logits(ids[:, t : t + 1]) for session in sessions)
        np.testing.assert_allclose(ours, expected, atol=1e-10)
    assert program_of(sessions[0]) is not None


@pytest.mark.parametrize("wrong", [V, -1])
def test_ids_outside_the_vocabulary(wrong):
    """Catches a read of memory behind the table; the message is that of the model, and the state has not changed."""
    model, ids = made("gpt"), texts(2, 8)
    session = check(model, ids, 1e-10)
    with pytest.raises(ValueError, match=rf"token id {wrong} at position \(1, 0\)"):
        session.logits(np.array([[0], [wrong]]))
    more = np.concatenate([ids, texts(2, 1, seed=9)], axis=1)
    np.testing.assert_allclose(read(session, more, 8), model(more)[:, 8:], atol=1e-10)


@pytest.mark.parametrize("name", ["gpt", "llama"])
def test_positions_that_the_model_does_not_have(name, rng=np.random.default_rng(0)):
    """Catches a read of memory behind the table of positions, and positions beyond the longest text where there is no table."""
    model = random_gpt(11, 8) if name == "gpt" else NextToken(Llama(LlamaConfig(11, max_len=8, d_model=8, n_layers=1, n_heads=2), rng=rng), rng=rng)
    session = Session(model, texts(1, 3) % 11)
    session.logits(session.first)
    read(session, texts(1, 8) % 11, 3)
    assert program_of(session) is not None
    with pytest.raises(ValueError, match="at most max_len = 8 positions"):
        session.logits(np.array([[1]]))


def test_other_settings_of_layers():
    """Catches a setting that no model of ours has: a core's scale, an embedding's, rows of a table that stand before the first position."""
    model = made("gpt")
    body, rng = model.body, np.random.default_rng(4)
    body.token.scale, body.blocks[0].attention.f.core.scale = 1.7, 0.31
    body.position = LearnedPositions(LONG, 24, unused=2, rng=rng, dtype=np.float64, init=lambda rng, shape: rng.normal(size=shape))
    assert program_of(check(model, texts(2, 9), 1e-10)) is not None


def test_scores_that_overflow():
    """Catches e^score without the largest score taken away."""
    model = made("gpt")
    for block in model.body.blocks:
        block.attention.f.query.weight.data *= 3000
    assert program_of(check(model, texts(2, 9), 1e-8)) is not None


def test_logits_are_not_copied():
    """Catches a copy for each token, which takes half a millisecond where a large vocabulary meets eight rows."""
    model, ids = made("gpt"), texts(2, 9)
    session = check(model, ids, 1e-10)
    assert np.shares_memory(session.logits(ids[:, :1]), session.logits(ids[:, 1:2]))


class Interrupted(Slot):
    """A slot that is not told of one more position: Ctrl-C comes first."""

    @property
    def length(self):
        return vars(self)["length"]

    @length.setter
    def length(self, n):
        if n > self.length:
            raise KeyboardInterrupt
        vars(self)["length"] = n


def test_an_error_changes_nothing():
    """Catches a state that counts a position which was not finished."""
    model, ids = made("gpt"), texts(1, 9)
    session = check(model, ids, 1e-10)
    slots = session.state.slots
    slots[1].__class__ = Interrupted
    with pytest.raises(KeyboardInterrupt):
        session.logits(ids[:, :1])
    slots[1].__class__ = Slot
    assert [slot.length for slot in slots] == [9, 9]
    more = np.concatenate([ids, texts(1, 2, seed=9)], axis=1)
    np.testing.assert_allclose(read(session, more, 9), model(more)[:, 9:], atol=1e-10)


def test_a_slot_that_attention_does_not_have():
    """Catches a program that counts positions in a slot of a layer that it does not know."""
    model, ids = made("gpt"), texts(1, 9)
    session = Session(model, ids[:, :3])
    session.logits(session.first)
    session.state._slots.append(Slot((np.zeros((1, 1, 8, 1)),), 3))
    assert session._one_token.logits(ids[:, 3:4], session.state) is None


def test_weights_that_only_others_write(monkeypatch):
    """Catches a copy of weights that is no longer theirs: loops take arrays that are contiguous and may be written."""
    model, ids = made("gpt"), texts(1, 9)
    for parameter in (model.body.blocks[0].attention.f.key.weight, model.body.norm.weight):
        parameter.data = parameter.data.repeat(2, axis=-1)[..., ::2]
    assert program_of(check(model, ids, 1e-10)) is None


def test_what_is_not_a_number_is_seen():
    """Catches a comparison that drops NaN: the logits have to say that weights are damaged."""
    model, ids = made("gpt"), texts(1, 9)
    session = check(model, ids, 1e-10)
    model.body.blocks[0].attention.f.key.weight.data[0, 0] = np.nan
    assert np.isnan(session.logits(ids[:, :1])).all()
