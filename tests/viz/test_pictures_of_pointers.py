"""Pointers and the heads of a memory are drawn by the same function as a Transformer's attention."""

import numpy as np
import pytest

from tinytx.models import NTM, NTMConfig, PointerConfig, PointerNetwork
from tinytx.viz import attention_maps, attention_picture, memory_picture

pytest.importorskip("matplotlib.image")
DRAW = {"rng": np.random.default_rng(0), "dtype": np.float64}


def labels(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


def shown(axis):
    (picture,) = axis.get_images()
    return np.asarray(picture.get_array())


def test_a_pointer_looks_at_the_elements(tmp_path, figures):
    """The same picture: catches rows that have the elements' names, and weights of what has been pointed at."""
    body = PointerNetwork(PointerConfig(), **DRAW)
    elements, order = np.random.default_rng(1).random((1, 4, 1)), np.array([[2, 0, 3]])
    maps, names = attention_maps(body, elements, order), list("abcd")
    axes = ("taken", "all")
    attention_picture(tmp_path / "a.png", maps, names, ["<start>", "c", "a"], next_word="d", heads=["weights"], axes=axes)
    panel = figures[0].axes[0]
    assert labels(panel.yaxis) == ["c", "a", "d"] and labels(panel.xaxis) == names and panel.get_title() == "weights"
    scores = body(elements, order)[0]
    np.testing.assert_allclose(shown(panel), np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True), rtol=0, atol=1e-14)
    assert shown(panel)[1, 2] == 0 and "down: taken; across: all" in [text.get_text() for text in figures[0].texts]


def test_what_brings_heads_there_is_drawn(tmp_path, figures):
    """A row of panels for each head: catches another head's or another row's numbers, and content taken for weights."""
    body = NTM(NTMConfig(d_in=3, d_controller=4, n_rows=5, d_row=2), **DRAW)
    steering, steps = body.memory.steering(np.random.default_rng(1).random((2, 4, 3))), ["s1", "$s2", "s3", "s4"]
    memory_picture(tmp_path / "a.png", steering, steps, ["reads", "writes"], "A memory", row=1)
    (figure,) = figures
    panels = figure.axes[:10]
    assert [panel.get_title() for panel in panels] == ["by content", "gate g", "shift", "sharpness γ", "weights"] * 2
    assert {"reads", "writes", "A memory"} <= {text.get_text() for text in figure.texts}
    for head in (0, 1):
        content, gate, shift, gamma, weights = panels[5 * head : 5 * head + 5]
        for panel, array in ((content, steering.content), (shift, steering.moves), (weights, steering.w)):
            np.testing.assert_array_equal(shown(panel), array[1, head])
        for panel, array in ((gate, steering.gate), (gamma, steering.sharpness)):
            ends = [bar.get_x() + bar.get_width() for bar in panel.patches]
            np.testing.assert_allclose(ends, array[1, head], rtol=1e-12)
            assert [round(bar.get_y() + bar.get_height() / 2) for bar in panel.patches] == [0, 1, 2, 3] and panel.get_ylim()[0] > panel.get_ylim()[1]
        assert labels(content.yaxis) == steps and labels(weights.xaxis) == list("01234") and labels(shift.xaxis) == ["-1", "0", "+1"]
    for names, heads in ((steps[1:], ["reads", "writes"]), (steps, ["reads"])):
        with pytest.raises(ValueError, match="memory_picture: 2 heads and 4 steps have . and . names: give as many"):
            memory_picture(tmp_path / "b.png", steering, names, heads)
    with pytest.raises(ValueError, match="memory_picture: row is 2, expected 0..1"):
        memory_picture(tmp_path / "b.png", steering, steps, ["reads", "writes"], row=2)


def test_heads_of_a_memory_look_at_its_rows(tmp_path, figures):
    body = NTM(NTMConfig(d_in=3, d_controller=4, n_rows=5, d_row=2), **DRAW)
    x, names = np.random.default_rng(1).random((1, 4, 3)), list("01234")
    maps, steps = attention_maps(body, x), ["", "s1", "s2", "s3"]
    attention_picture(tmp_path / "a.png", maps, names, steps, next_word="s4", heads=["reads", "writes"])
    panels = figures[0].axes[:2]
    assert [panel.get_title() for panel in panels] == ["reads", "writes"]
    assert labels(panels[0].yaxis) == ["s1", "s2", "s3", "s4"] and labels(panels[1].xaxis) == names
    for panel, weights in zip(panels, body.memory.attention_weights(x)[0], strict=True):
        np.testing.assert_array_equal(shown(panel), weights)
    with pytest.raises(ValueError, match="memory has 2 heads, and heads are 1 names: give as many"):
        attention_picture(tmp_path / "b.png", maps, names, steps, heads=["reads"])
