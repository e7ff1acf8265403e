"""Routing: the examples of the pages, ties, a router that gets nothing, balance in its extremes, rows and slots."""

import numpy as np
import pytest

from tinytx.ops import (
    add_rows,
    add_rows_backward,
    balance,
    balance_backward,
    by_expert,
    route,
    route_backward,
    select_rows,
    select_rows_backward,
    softmax,
    softmax_backward,
)

LOGITS = np.log([[[1.0, 2, 5]]])


def test_the_example_of_the_page():
    for renormalise, expected in ((True, [5 / 7, 2 / 7]), (False, [0.625, 0.25])):
        weights, saved = route(LOGITS, 2, renormalise=renormalise)
        assert saved.experts.tolist() == [[[2, 1]]]
        np.testing.assert_allclose(weights[0, 0], expected, rtol=1e-14)
    np.testing.assert_allclose(balance(LOGITS, np.array([[[2, 1]]]))[0], [2.625], rtol=1e-14)


def test_all_experts_are_a_softmax():
    """k = X: weights and gradient are those of all logits, in another order, renormalised or not."""
    logits, dy = np.random.default_rng(0).normal(size=(2, 3, 4)), np.random.default_rng(1).normal(size=(2, 3, 4))
    p, kept = softmax(logits)
    for renormalise in (True, False):
        weights, saved = route(logits, 4, renormalise=renormalise)
        np.testing.assert_allclose(weights, np.sort(p)[..., ::-1], rtol=1e-14)
        expected = softmax_backward(np.take_along_axis(dy, saved.experts.argsort(-1), -1), kept)
        np.testing.assert_allclose(route_backward(dy, saved), expected, rtol=0, atol=1e-14)


def test_one_renormalised_expert_teaches_the_router_nothing():
    """Exactly 0; and of the weight as it is, something."""
    logits, dy = np.random.default_rng(0).normal(size=(2, 3, 4)), np.ones((2, 3, 1))
    for renormalise in (True, False):
        weights, saved = route(logits, 1, renormalise=renormalise)
        assert (weights == 1).all() == renormalise
        assert route_backward(dy, saved).any() != renormalise


def test_at_a_tie_the_first_is_chosen():
    weights, saved = route(np.array([0.0, 1, 1, 1]), 2)
    assert saved.experts.tolist() == [1, 2] and weights.tolist() == [0.5, 0.5]


def test_balance_in_its_extremes():
    """k where both means are even, X where all tokens are certain of the same k experts; each text by itself."""
    even, certain = np.zeros((1, 4, 4)), np.zeros((1, 4, 4))
    certain[..., 1] = 60.0
    chosen = np.stack([np.arange(4), (np.arange(4) + 1) % 4], axis=1)[None]
    assert balance(even, chosen)[0] == pytest.approx(2)
    assert balance(certain, np.ones((1, 4, 1), int))[0] == pytest.approx(4)
    logits, experts = np.random.default_rng(0).normal(size=(3, 5, 4)), np.random.default_rng(1).integers(0, 4, (3, 5, 2))
    y, saved = balance(logits, experts)
    dlogits = balance_backward(np.array([1.0, 0, 0]), saved)
    assert dlogits[0].any() and not dlogits[1:].any()
    for row in range(3):
        np.testing.assert_allclose(balance(logits[[row]], experts[[row]])[0], y[[row]], rtol=1e-14)


def test_the_example_of_add_rows():
    weights = np.array([[0.5, 0.5], [0.9, 0.1]])
    y, saved = add_rows(np.array([[10.0], [20]]), weights, [1, 2])
    assert y.tolist() == [[5], [18]]
    dx, dweights = add_rows_backward(np.array([[1.0], [2]]), saved)
    assert dx.tolist() == [[0.5], [1.8]] and dweights.tolist() == [[0, 10], [40, 0]]


def test_it_is_select_rows_the_other_way_round():
    """Each one's forward is the other's backward, rows picked twice included."""
    rng = np.random.default_rng(0)
    x, rows, dy = rng.normal(size=(6, 3)), np.array([4, 0, 4, 2]), rng.normal(size=(4, 3))
    picked, selected = select_rows(x, rows)
    y, added = add_rows(dy, np.ones((6, 1)), rows)
    np.testing.assert_allclose(y, select_rows_backward(dy, selected), rtol=0, atol=1e-15)
    np.testing.assert_array_equal(add_rows_backward(x, added)[0], picked)


def test_slots_of_each_expert():
    """Of those alone that have any, however many there are."""
    for n_experts in (4, 2**62):
        parts = by_expert([[[2, 0], [0, 3]]], n_experts)
        assert [(i, slots.tolist(), rows.tolist()) for i, slots, rows in parts] == [(0, [1, 2], [0, 1]), (2, [0], [0]), (3, [3], [1])]
    assert by_expert(np.zeros((2, 0, 3), int), 4) == []
