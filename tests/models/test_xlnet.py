"""XLNet: a prediction depends on the words before it in its order and on no others; partial prediction; memory; errors."""

import numpy as np
import pytest

from tinytx.core import Tape
from tinytx.layers.init import Zeros
from tinytx.models import XLNet, XLNetConfig
from tinytx.state import State
from tinytx.tasks import PermutedWords
from tinytx.training import SGD, Trainer

T = 7


def task_of(one_in=6, dtype=np.float64, **options):
    config = XLNetConfig(11, **{"segment": T, "d_model": 6, "n_heads": 2, "n_layers": 3, "d_ff": 7} | options)
    task = PermutedWords.around(XLNet, config, rng=np.random.default_rng(0), dtype=dtype, settings={"one_in": one_in})
    rng = np.random.default_rng(1)
    for parameter in task.parameters():
        parameter.data[...] = rng.normal(size=parameter.data.shape) * 0.5
    return task


def ids_of(*shape, seed=3):
    return np.random.default_rng(seed).integers(0, 10, shape)


def orders_of(b, t=T, seed=4):
    return np.random.default_rng(seed).permuted(np.tile(np.arange(t), (b, 1)), axis=1)


@pytest.mark.parametrize("n_context", [0, 1, 4])
def test_a_prediction_depends_on_earlier_words_of_its_order_and_on_no_others(n_context):
    """Change word j: the logits of word i move exactly if j is before i in the order, in no single bit otherwise.

    Catches a query stream that sees its own word, content that sees later words, and a context that sees more than itself.
    """
    task, ids, order = task_of(), ids_of(3, T), orders_of(3)
    rank, before = np.argsort(order, axis=1), task(ids, order=order, n_context=n_context)
    for j in range(T):
        changed = ids.copy()
        changed[1, j] = 10
        moved = (task(changed, order=order, n_context=n_context) != before).any(axis=2)
        asked = rank[1] >= n_context
        np.testing.assert_array_equal(moved[1, asked], (rank[1, j] < rank[1])[asked], err_msg=f"word {j}")
        assert not moved[[0, 2]].any() and not moved[1, ~asked].any()


def test_the_context_is_read_as_a_whole():
    """Its own order changes nothing; the order of the predicted words does."""
    task, ids, order = task_of(), ids_of(2, T), orders_of(2)
    other = np.concatenate([order[:, 3::-1], order[:, 4:]], axis=1)
    np.testing.assert_array_equal(task(ids, order=other, n_context=4), task(ids, order=order, n_context=4))
    swapped = np.concatenate([order[:, :4], order[:, :3:-1]], axis=1)
    assert np.abs(task(ids, order=swapped, n_context=4) - task(ids, order=order, n_context=4)).max() > 1e-3


def test_from_left_to_right_it_is_a_causal_model():
    """Each prediction is that of the row that ends there, and the loss is the mean of theirs: as in a GPT."""
    task, ids, nats = task_of(one_in=1), ids_of(2, T), []
    whole = task(ids)
    for t in range(1, T + 1):
        logits = task(ids[:, :t])[:, -1]
        np.testing.assert_allclose(whole[:, t - 1], logits, rtol=0, atol=1e-12)
        nats.append(np.log(np.exp(logits).sum(axis=1)) - logits[[0, 1], ids[:, t - 1]])
    left_to_right = np.tile(np.arange(T), (2, 1))
    np.testing.assert_allclose(task.loss(ids, left_to_right), np.mean(nats), rtol=1e-12)


def test_places_are_told_apart_by_distance_alone():
    """Rows that begin elsewhere: a row without its first word, which is last in the order, has the same predictions."""
    task, ids = task_of(), ids_of(1, T)
    order = np.array([[3, 5, 2, 6, 1, 4, 0]])
    expected = task(ids, order=order)[:, 1:]
    np.testing.assert_allclose(task(ids[:, 1:], order=order[:, :-1] - 1), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("one_in", "n"), [(1, 7), (2, 3), (3, 2), (6, 1), (50, 1)])
def test_the_last_words_of_each_order_count(one_in, n):
    """Catches the first words, the context, and words of another row."""
    task, ids, order = task_of(one_in), ids_of(3, T), orders_of(3)
    logits = task(ids, order=order, n_context=T - n)
    nats = np.log(np.exp(logits).sum(axis=2)) - np.take_along_axis(logits, ids[..., None], axis=2)[..., 0]
    nats = np.take_along_axis(nats, order[:, T - n :], axis=1)
    assert task.count(ids, order) == 3 * n
    np.testing.assert_allclose(task.loss(ids, order), nats.mean(), rtol=1e-12)
    measured = task.measure([(ids[:1], order[:1]), (ids[1:], order[1:])])
    assert measured["perplexity"] == pytest.approx(np.exp(nats.mean()), rel=1e-12)
    right = np.take_along_axis(logits.argmax(axis=2) == ids, order[:, T - n :], axis=1)
    assert measured["accuracy"] == pytest.approx(right.mean())


def test_a_row_is_filled_word_after_word():
    """Each from the known words and those filled before: catches what stood there, another order, a word that is not kept."""
    task, ids, places = task_of(), ids_of(2, T), np.array([[4, 1, 6], [0, 6, 2]])
    filled, before = task.fill(ids, places), ids.copy()
    for b in range(2):
        row = ids[b].copy()
        row[places[b]] = 10
        for k, place in enumerate(places[b]):
            order = np.concatenate([np.delete(np.arange(T), places[b]), places[b, :k], [place], places[b, :k:-1]])
            logits = task(row[None], order=order[None], n_context=T - 3)[0, place]
            np.testing.assert_allclose(filled[b, k], np.exp(logits) / np.exp(logits).sum(), rtol=0, atol=1e-12)
            row[place] = logits.argmax()
    np.testing.assert_array_equal(ids, before)
    np.testing.assert_array_equal(task.fill(ids, [5, 2]), task.fill(ids, [[5, 2], [5, 2]]))


@pytest.mark.parametrize(
    ("positions", "message"),
    [
        ([0, 7], "PermutedWords: position 7"),
        ([3, 3], r"a position occurs twice in positions of shape \(2, 2\)"),
        ([[0, 1]], r"positions has shape \(1, 2\), expected \(2, 2\) from ids"),
    ],
)
def test_positions_that_do_not_fit_are_named(positions, message):
    with pytest.raises(ValueError, match=message):
        task_of().fill(ids_of(2, T), positions)


def test_backward_of_logits_is_that_of_the_loss():
    task, ids, order = task_of(one_in=1), ids_of(2, T), orders_of(2)
    tape = Tape()
    task.loss(ids, order, tape=tape)
    task.loss_backward(tape)
    expected = {path: np.copy(parameter.grad) for path, parameter in task.named_parameters()}
    without = {path.rsplit(".", 1)[1] for path, gradient in expected.items() if not gradient.any()}
    assert without == {"kind", "kind_bias"}  # there are no segments
    task.zero_grad()
    logits = task(ids, tape, order=order)
    dlogits = np.exp(logits) / np.exp(logits).sum(axis=2, keepdims=True) - np.eye(11)[ids]
    task.backward(dlogits / ids.size, tape)
    tape.check_empty()
    for path, gradient in expected.items():
        np.testing.assert_allclose(dict(task.named_parameters())[path].grad, gradient, rtol=0, atol=1e-12, err_msg=path)


def test_segments_are_pairs_of_words_not_numbers():
    """Other numbers for the same parts change nothing; other parts do."""
    task, ids, order, parts = task_of(), ids_of(2, T), orders_of(2), np.array([0, 0, 0, 1, 1, 2, 2])
    y = task(ids, order=order, segments=np.tile(parts, (2, 1)))
    np.testing.assert_array_equal(task(ids, order=order, segments=np.tile(9 - parts, (2, 1))), y)
    assert np.abs(task(ids, order=order, segments=np.tile(parts // 2, (2, 1))) - y).max() > 1e-3


def test_a_memory_is_seen_and_has_what_was_read_last():
    """The third row of a text: M = 2 words of the row before are seen, and through them, one block below, 2 of the first."""
    task, ids = task_of(memory=2, n_layers=2, segment=3), ids_of(1, 9)
    order = np.array([[2, 0, 1]])

    def last(ids):
        state = State()
        return [task(ids[:, start : start + 3], order=order, state=state) for start in (0, 3, 6)][-1]

    y = last(ids)
    for place in range(6):
        changed = ids.copy()
        changed[0, place] = 10
        moved = (last(changed) != y).any(axis=2)[0]
        assert moved.all() if place > 0 else not moved.any()


def test_the_memory_is_of_each_blocks_inputs():
    """Those of the first block are embeddings as they are."""
    task, state, ids = task_of(memory=9), State(), ids_of(2, T)
    task(ids, order=orders_of(2), state=state)
    np.testing.assert_array_equal(state.state_dict()["0.0"], task.body.token.weight.data[ids])


def test_the_content_alone_sees_the_whole_row():
    body, ids = task_of().body, ids_of(2, T)
    y = body(ids)
    for j in range(T):
        changed = ids.copy()
        changed[1, j] = 10
        moved = (body(changed) != y).any(axis=2)
        assert moved[1].all() and not moved[0].any()


def test_it_learns():
    """Words that repeat the one two places before: the order decides what is known."""
    task = task_of(one_in=2, dtype=np.float32, n_layers=1)
    rng = np.random.default_rng(0)
    ids = np.tile(rng.integers(0, 11, (16, 2)), (1, 4))[:, :T]
    trainer, losses = Trainer(task, SGD(task, lr=0.3)), []
    for _ in range(30):
        order = rng.permuted(np.tile(np.arange(T), (16, 1)), axis=1)
        losses.append(trainer.step(ids, order))
    assert np.mean(losses[-5:]) < 0.8 * np.mean(losses[:5])


@pytest.mark.parametrize(("sizes", "n"), [((768, 12, 12, 3072), 116_750_336), ((1024, 16, 24, 4096), 360_300_800)])
def test_published_sizes(sizes, n):
    """Base and large, with the head: as many parameters as transformers' classes have."""
    config = XLNetConfig(32_000, **dict(zip(("d_model", "n_heads", "n_layers", "d_ff"), sizes)))
    task = PermutedWords.around(XLNet, config, rng=Zeros(10**9))
    assert sum(parameter.data.size for parameter in task.parameters()) == n


ERRORS = [
    ({"ids": np.zeros(3, int)}, r"have shape \(3,\), expected \(B, T\)"),
    ({"ids": np.zeros((2, T + 1), int), "order": orders_of(2, T + 1)}, "at most max_len = 7 positions"),
    ({"order": orders_of(2, T - 1)}, r"XLNet: order has shape \(2, 6\), expected \(2, 7\) from ids"),
    ({"order": np.zeros((2, T), int)}, "expected .* a permutation of 0..T-1 in each row"),
    ({"order": orders_of(2) * 1.0}, "order"),
    ({"segments": np.zeros((2, 3), int)}, r"XLNet: segments has shape \(2, 3\), expected \(2, 7\) from ids"),
    ({"n_context": 8}, "permutation_masks: n_context is 8, expected"),
    ({"n_context": -1}, "permutation_masks: n_context is -1, expected"),
]


@pytest.mark.parametrize(("wrong", "message"), ERRORS)
def test_what_does_not_fit_is_named(wrong, message):
    call = {"ids": ids_of(2, T), "order": orders_of(2)} | wrong
    with pytest.raises((TypeError, ValueError), match=message):
        task_of()(call.pop("ids"), **call)


def test_a_task_that_cannot_be_is_named():
    with pytest.raises(ValueError, match="one_in is 0"):
        task_of(one_in=0)
    config = XLNetConfig(11, segment=T, d_model=6, n_heads=2, n_layers=1, tied_head=False)
    with pytest.raises(ValueError, match="PermutedWords: this XLNet's output layer shares no table"):
        PermutedWords(XLNet(config, rng=np.random.default_rng(0)))
