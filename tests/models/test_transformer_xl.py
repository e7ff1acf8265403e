"""Transformer-XL: segments with a memory beside one long segment, how far back a word reaches, its state, its errors."""

import numpy as np
import pytest

from tinytx.core import Tape
from tinytx.decoding import greedy
from tinytx.models import TransformerXL, TransformerXLConfig
from tinytx.state import State
from tinytx.tasks import NextToken
from tinytx.testing import batch_check, leak_check, state_check
from tinytx.training import SGD, Trainer

EVERYTHING = 1000


def task_of(dtype=np.float64, seed=0, **options):
    config = TransformerXLConfig(11, **{"d_model": 6, "n_heads": 2, "n_layers": 3, "d_ff": 7} | options)
    task = NextToken.around(TransformerXL, config, rng=np.random.default_rng(seed), dtype=dtype)
    rng = np.random.default_rng(1)
    for parameter in task.parameters():
        parameter.data[...] = rng.normal(size=parameter.data.shape) * 0.5
    return task


def ids_of(*shape):
    return np.random.default_rng(3).integers(0, 11, shape)


@pytest.mark.parametrize("n_layers", [1, 2, 4])
@pytest.mark.parametrize("segment", [1, 4, 5])
def test_segments_with_a_memory_of_everything_are_one_long_segment(n_layers, segment):
    """At any depth: what is remembered of each block is what the whole text has there."""
    ids, options = ids_of(2, 13), {"n_layers": n_layers, "memory": EVERYTHING}
    expected = task_of(segment=13, **options)(ids)
    np.testing.assert_allclose(task_of(segment=segment, **options)(ids), expected, rtol=0, atol=1e-12)
    state, task = State(), task_of(segment=13, **options)
    parts = [task(ids[:, start : start + segment], state=state) for start in range(0, 13, segment)]
    np.testing.assert_allclose(np.concatenate(parts, axis=1), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("n_layers", "memory"), [(1, 3), (2, 3), (3, 3), (2, 6), (2, 0)])
def test_a_word_depends_on_the_words_that_memories_reach_and_on_no_others(n_layers, memory):
    """At place t of a segment: on L M + t words before it, if T divides M. Catches a memory longer or shorter by one."""
    segment = 3
    task, ids = task_of(segment=segment, memory=memory, n_layers=n_layers), ids_of(1, 18)
    y = task(ids)
    for place in range(18):
        other = ids.copy()
        other[0, place] = (other[0, place] + 1) % 11
        changed = np.flatnonzero((task(other) != y).any(axis=2)[0])
        expected = [p for p in range(18) if place <= p and p - place <= n_layers * memory + p % segment]
        assert changed.tolist() == expected


def test_the_memory_is_of_each_blocks_inputs():
    task, state, ids = task_of(segment=4, memory=6), State(), ids_of(2, 4)
    task(ids, state=state)
    arrays = state.state_dict()
    np.testing.assert_allclose(arrays["0.0"], 6**0.5 * task.body.token.weight.data[ids], rtol=1e-15)
    assert [array.shape for name, array in arrays.items() if name != "lengths"] == [(2, 4, 6)] * 3
    task(ids, state=state)
    assert [array.shape for name, array in state.state_dict().items() if name != "lengths"] == [(2, 6, 6)] * 3


@pytest.mark.parametrize("cut", [3, 6, 9])
def test_texts_of_several_segments_go_on_with_a_state(cut):
    """Catches slots that the second segment does not share with the first."""
    task, ids, state = task_of(segment=3, memory=4), ids_of(2, 13), State()
    parts = [task(ids[:, :cut], state=state), task(ids[:, cut:], state=state)]
    np.testing.assert_allclose(np.concatenate(parts, axis=1), task(ids), rtol=0, atol=1e-13)
    assert len(state.state_dict()["lengths"]) == 3


def test_each_dropout_has_its_place():
    """Off without a seed; the last output is dropped, too, and attention weights have a rate of their own."""
    ids, plain = ids_of(3, 8), task_of().body(ids_of(3, 8))
    for name in ("dropout", "attention_dropout"):
        body = task_of(**{name: 0.5}).body
        y = body(ids, Tape(seed=1))
        np.testing.assert_array_equal(body(ids, Tape()), plain)
        assert (y != plain).any() and ((y == 0).mean() > 0.3) == (name == "dropout")


def test_a_long_row_and_its_segments_have_the_same_gradients():
    """Of several segments on one tape: the sum of theirs, each with the memory of those before as a constant."""
    ids, targets = ids_of(2, 10), ids_of(2, 10)[:, ::-1]
    whole, parts, tape, state = task_of(segment=4, memory=5), task_of(segment=4, memory=5), Tape(), State()
    loss = whole.loss(ids, targets, tape)
    whole.loss_backward(tape)
    tape.check_empty()
    total = 0.0
    for start in (0, 4, 8):
        cut, tape = slice(start, start + 4), Tape()
        total += parts.loss(ids[:, cut], targets[:, cut], tape, count=20, state=state)
        parts.loss_backward(tape)
    np.testing.assert_allclose(loss, total, rtol=1e-13)
    for (name, one), (_, other) in zip(whole.named_parameters(), parts.named_parameters(), strict=True):
        np.testing.assert_allclose(one.grad, other.grad, rtol=0, atol=1e-13, err_msg=name)


def test_promises():
    ids = ids_of(3, 9)
    for segment in (4, 20):
        task = task_of(segment=segment, memory=5)
        leak_check(task, ids)
        batch_check(task, ids)
    state_check(task_of(segment=20, memory=EVERYTHING), ids)


def test_decoding_with_a_memory_of_everything_is_the_full_forward():
    """Catches a word that does not enter the memory, and one that enters twice."""
    task, ids = task_of(segment=5, memory=EVERYTHING), ids_of(2, 7)
    decoded = greedy(task, ids, 9).ids
    whole = np.concatenate([ids, decoded], axis=1)
    np.testing.assert_array_equal(task(whole)[:, 6:-1].argmax(axis=2), decoded)


def test_a_text_has_no_end():
    """There is no longest text: positions are distances."""
    assert greedy(task_of(np.float32, segment=4, memory=3), ids_of(1, 3), 40).ids.shape == (1, 40)




def test_threads_change_nothing_and_the_memory_reaches_the_next_step():
    ids, results = ids_of(4, 9), []
    for threads in (1, 3):
        task, state = task_of(np.float64, segment=4, memory=6, dropout=0.2), State()
        trainer = Trainer(task, SGD(task, lr=0.1), threads=threads)
        losses = [trainer.step(ids[:, i : i + 4], ids[:, i + 1 : i + 5], state=state) for i in (0, 4)]
        results.append((losses, state.state_dict()["2.0"]))
    np.testing.assert_allclose(results[0][0], results[1][0], rtol=1e-12)
    np.testing.assert_allclose(results[0][1], results[1][1], rtol=0, atol=1e-12)
    task = task_of(segment=4, memory=6)
    assert task.loss(ids[:, 4:8], ids[:, 5:9]) != task.loss(ids[:, 4:8], ids[:, 5:9], state=state)


def test_an_error_in_a_later_segment_leaves_the_state_as_it_was():
    task, state, ids = task_of(segment=3, memory=4), State(), ids_of(2, 9)
    task(ids, state=state)
    before = {name: array.copy() for name, array in state.state_dict().items()}
    ids[1, 7] = 11
    with pytest.raises(ValueError, match="11"):
        task(ids, state=state)
    after = state.state_dict()
    assert all((after[name] == array).all() for name, array in before.items())


@pytest.mark.parametrize("ids", [np.zeros(3, int), np.zeros((2, 0), int), np.zeros((1, 2, 3), int)])
def test_ids_of_another_shape_are_refused(ids):
    with pytest.raises(ValueError, match=r"TransformerXL: ids have shape .*, expected \(B, T\)"):
        task_of(segment=3)(ids)


def test_words_share_one_table_or_not():
    task = task_of(tied_head=True)
    assert task.head.weight is task.body.token.weight
    assert task_of(tied_head=False).head.weight.data.shape == (6, 11)
