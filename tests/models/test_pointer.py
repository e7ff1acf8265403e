"""The pointer network: what it may point at, what it reads, how it points by itself, and what it refuses."""

import re

import numpy as np
import pytest

from tinytx import ops
from tinytx.core import Tape
from tinytx.models import PointerConfig, PointerNetwork
from tinytx.models.pointer import not_before
from tinytx.ops import plain
from tinytx.tasks import Pointers
from tinytx.testing import gradcheck
from tinytx.viz import attention_maps

ORDER = np.array([[3, 0, 2], [1, 4, 0]])


def body_of(**options):
    body = PointerNetwork(PointerConfig(**{"n_features": 2, "d_model": 4} | options), rng=np.random.default_rng(0), dtype=np.float64)
    rng = np.random.default_rng(1)
    for parameter in body.parameters():
        parameter.data[...] = rng.normal(size=parameter.data.shape)
    return body


def elements_of(n=5, seed=2):
    return np.random.default_rng(seed).normal(size=(2, n, 2))


def test_what_has_been_pointed_at_cannot_be_meant():
    """Catches a mask that is a step early, which forbids the right answer, or a step late."""
    scores = body_of()(elements_of(), ORDER)
    left = [[[0, 1, 2, 3, 4], [0, 1, 2, 4], [1, 2, 4]], [[0, 1, 2, 3, 4], [0, 2, 3, 4], [0, 2, 3]]]
    assert [[np.flatnonzero(np.isfinite(step)).tolist() for step in row] for row in scores] == left
    assert (not_before(ORDER, 5) == np.isfinite(scores)).all()


def test_a_step_reads_the_elements_before_it_alone():
    """Catches a decoder that reads the element it is to point at."""
    body, other = body_of(), ORDER.copy()
    other[:, 2] = [4, 3]
    np.testing.assert_array_equal(body(elements_of(), ORDER), body(elements_of(), other))
    other[:, 0] = [1, 2]
    assert (body(elements_of(), ORDER)[:, 1:] != body(elements_of(), other)[:, 1:]).any(axis=2).all()


def test_pointing_is_the_forward_step_by_step():
    """Catches a state or an element that is not handed on: each step is the likeliest one given the steps before."""
    body, elements = body_of(), elements_of(7)
    order = body.point(elements)
    assert (np.sort(order, axis=1) == np.arange(7)).all()
    np.testing.assert_array_equal(body(elements, order).argmax(axis=2), order)


def test_scores_that_are_left_out_have_no_gradient():
    """Whatever comes back for them."""
    body, found = body_of(), []
    for outside in (0.0, 7.0):
        body(elements_of(), ORDER, tape := Tape())
        found.append(body.backward(np.where(not_before(ORDER, 5), 1.0, outside), tape)[0])
    np.testing.assert_array_equal(*found)


def test_a_mask_of_the_layer_by_itself():
    """It may be smaller than the scores, which it broadcasts to; catches one that is ignored, or of another shape."""
    layer, rng = body_of().pointer, np.random.default_rng(3)
    x, memory, mask = rng.normal(size=(2, 3, 4)), rng.normal(size=(2, 5, 4)), np.array([[[1, 0, 1, 1, 0]], [[0, 1, 1, 1, 1]]]) == 1
    scores, unmasked = layer(x, memory, tape := Tape(), mask=mask), layer(x, memory)
    np.testing.assert_array_equal(scores, np.where(mask, unmasked, -np.inf))
    given = layer.backward(np.ones((2, 3, 5)), tape)
    layer(x, memory, tape := Tape())
    for own, expected in zip(given, layer.backward(1.0 * np.broadcast_to(mask, (2, 3, 5)), tape), strict=True):
        np.testing.assert_array_equal(own, expected)
    q, k, dy = x[:, None], memory[:, None], np.ones((2, 1, 3, 5))
    (y, saved), (same, saved_plain) = (op.additive_scores(q, k, layer.weight.data, mask=mask[:, None]) for op in (ops, plain))
    np.testing.assert_allclose(y, same, rtol=0, atol=1e-14)
    for own, expected in zip(ops.additive_scores_backward(dy, saved), plain.additive_scores_backward(dy, saved_plain), strict=True):
        np.testing.assert_allclose(own, expected, rtol=0, atol=1e-13)
    with pytest.raises(ValueError, match="additive_scores: mask has shape"):
        layer(x, memory, mask=mask[:, :, :4])


def test_the_gradient_of_the_loss():
    """Of the elements too, which have three uses; where a step is the last, and where it is the only one."""
    for order in (ORDER, ORDER[:, :1]):
        assert gradcheck(Pointers(body_of()).loss, elements_of(), order, mode="directional", seed=0).verdict == "PASS"


def test_weights_can_be_drawn():
    (maps,) = attention_maps(Pointers(body_of()), elements_of(), ORDER).values()
    assert maps.shape == (2, 1, 3, 5) and maps[0, 0, 1, 3] == 0
    np.testing.assert_allclose(maps.sum(axis=3), 1)


@pytest.mark.parametrize(
    ("elements", "order", "message"),
    [
        (np.zeros((2, 5, 3)), ORDER, r"elements have shape (2, 5, 3), expected (B, S, 2), at least (1, 1, 2)"),
        (np.zeros((2, 0, 2)), ORDER[:, :0], r"elements have shape (2, 0, 2)"),
        (np.zeros((2, 4, 2)), ORDER, "position 4"),
        (np.zeros((3, 5, 2)), ORDER, "order has shape (2, 3), expected (3, 3)"),
        (np.zeros((2, 5, 2)), ORDER[:, :0], "order has shape (2, 0), and it is empty"),
        (np.zeros((2, 5, 2)), ORDER[:, [0, 1, 0]], "row 0 has a position twice: [3 0 3]"),
    ],
)
def test_refused(elements, order, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        body_of()(elements, order)


def test_measures():
    """A row is exact only as a whole; with the right answers before it, the last element of six could not be wrong."""
    body, elements = body_of(), elements_of(6)
    order = body.point(elements)
    order[0] = order[0, ::-1]
    assert Pointers(body).measure([(elements, order)]) == {"exact": 0.5, "accuracy": 0.5}
    order[1, :2] = order[1, 1::-1]
    assert Pointers(body).measure([(elements, order)]) == {"exact": 0, "accuracy": pytest.approx(4 / 12)}
