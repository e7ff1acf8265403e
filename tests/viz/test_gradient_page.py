"""The page of gradients: its numbers are the trace's, no token breaks it, and its size does not grow with the model's width.

What its script does is tested in a browser: tests/pages/test_gradients_in_browser.py. The trace: test_trace.py.
"""

import importlib

import numpy as np
import pytest
from test_attention_page import Unpacked
from test_word_page import Page

from tinytx.core import Layer
from tinytx.layers import Checkpoint, Linear, Sequential
from tinytx.models import GPT, GPTConfig
from tinytx.tasks import NextToken
from tinytx.viz import gradient_page
from tinytx.viz.tensor_seen import COLUMNS, ROWS
from tinytx.viz.trace import traced

module = importlib.import_module("tinytx.viz.gradient_page")  # the package has the function by this name

TOKENS = ["</script><script>document.title='broken'</script>", "{{NOTE}}", "\ud800"]


class Read(Unpacked):
    """A page and the numbers in it."""

    def __init__(self, path):
        Page.__init__(self, path)
        self.source = path.read_text(encoding="utf-8")

    def pictures(self, call):
        """Return [(values, places), ...] of what a call returns, and then of its gradients."""
        packed, found, at = self.numbers(call["blob"]), [], 0
        for rows, columns, scale in filter(None, call["pictures"]["y"] + call["pictures"]["dy"]):
            n = rows * columns
            values = np.frombuffer(packed, "<f4", n, at).reshape(rows, columns).astype(float) * scale
            found.append((values, np.frombuffer(packed, "<u4", n, at + 4 * n).reshape(rows, columns)))
            at += 8 * n
        assert at == len(packed)
        return found


def written(tmp_path, *arguments, **options):
    gradient_page(*arguments, path=tmp_path / "page.html", **options)
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
    return Read(tmp_path / "page.html")


def gpt(**options):
    config = GPTConfig(**{"vocab_size": 7, "max_len": 5, "d_model": 8, "n_heads": 2, "n_layers": 2} | options)
    return NextToken(GPT(config, rng=np.random.default_rng(0)))


IDS = np.array([[1, 2, 3]])


def test_the_numbers_are_the_trace_s(tmp_path):
    """Catches values and gradients exchanged, and pictures of another call."""
    page, trace = written(tmp_path, gpt(), IDS, IDS + 1, tokens=TOKENS), traced(gpt(), IDS, IDS + 1)
    data = page.data
    assert data["loss"] == pytest.approx(trace.loss, rel=1e-5) and data["peak"] == trace.peak
    assert [step[1:] for step in data["steps"]] == [[step.call, step.n_bytes] for step in trace.steps]
    assert [step[0] for step in data["steps"]] == [0] * len(trace.calls) + [2] * len(trace.calls)
    for said, call in zip(data["calls"], trace.calls, strict=True):
        assert (said["path"], said["kind"], said["n"], said["depth"]) == (call.path, call.kind, call.n, call.depth)
        pictures = page.pictures(said)
        for side, tensors in (("y", call.outputs), ("dy", call.doutputs)):
            for numbers, tensor in zip(said[side], tensors, strict=True):
                assert numbers[:3] == [tensor.name, list(tensor.shape), tensor.dtype]
                assert numbers[3:] == pytest.approx(list(tensor[3:-1]), rel=1e-5)
                values, places = pictures.pop(0)
                np.testing.assert_allclose(values, tensor.picture.values, rtol=1e-6)
                np.testing.assert_array_equal(places, tensor.picture.places)
        assert not pictures
        assert [p[0] for p in said["parameters"]] == [p.path for p in call.parameters]
        for (_, w, dw), p in zip(said["parameters"], call.parameters):
            assert (w[3], dw[3]) == pytest.approx((p.data.norm, p.grad.norm), rel=1e-5)


def test_what_is_kept(tmp_path):
    """With the path of the layer, or of the parameter, that an array is counted for; and whether it is forgotten."""
    linear = Linear(4, 4, rng=np.random.default_rng(0))
    data = written(tmp_path, Sequential(Checkpoint(linear), linear), np.ones((2, 4), np.float32)).data
    _, outer, inner, last = data["calls"]
    assert (outer["dropped"], inner["dropped"], inner["again"]) == (False, True, 1)
    assert last["kept"][0] == ["linear", [["x", [2, 4], "float32", 32, None], ["weight", [4, 4], "float32", 0, last["parameters"][0][0]]]]
    assert [step[0] for step in data["steps"]].count(1) == 1 and data["loss"] is None and data["drawn"]


def test_no_token_breaks_the_page(tmp_path):
    page = written(tmp_path, gpt(), IDS, IDS, tokens=TOKENS, title="</title>{{DATA}}", note="<b>{{BLOBS}}")
    assert page.data["texts"] == [[TOKENS[0], TOKENS[1], "\\ud800"]]
    assert page.elements.count("script") == 2 + len(page.data["calls"]) and "b" not in page.elements
    assert not [value for name, value in page.attributes if name in ("src", "href")]
    assert "default-src 'none'" in page.source and "</title>{{DATA}}" in page.text["h1"][0]
    several = written(tmp_path, gpt(), IDS, IDS, tokens=[["a", "b", "c"], ["x"]]).data
    assert several["texts"] == [["a", "b", "c"], ["x"]]


def test_its_size_is_bounded(tmp_path, monkeypatch):
    """A wider model has no larger pictures; where there are many, each has fewer cells."""
    sizes = []
    for width in (96, 384):
        page = written(tmp_path, gpt(d_model=width), IDS, IDS)
        sizes.append(len(page.source))
        assert all(rows <= ROWS and columns <= COLUMNS for call in page.data["calls"] for rows, columns, _ in filter(None, call["pictures"]["y"]))
    assert sizes[1] < 1.3 * sizes[0]
    monkeypatch.setattr(module, "CELLS", 2000)
    page = written(tmp_path, gpt(d_model=96), IDS, IDS)
    cells = [p[0] * p[1] for call in page.data["calls"] for side in ("y", "dy") for p in call["pictures"][side] if p]
    assert sum(cells) <= 2000 and len(cells) > 60


class Times(Layer):
    """y = factor x."""

    def __init__(self, factor):
        self.factor = factor

    def forward(self, x, tape=None):
        return self.factor * x

    def backward(self, dy, tape):
        return self.factor * dy


def test_vanished_and_exploded_numbers(tmp_path):
    """float32 would hold none of 1e-300; NaN and infinity are counted."""
    page = written(tmp_path, Times(1e-300), np.array([[3.0, 4.0]]), dy=np.array([[1.0, 2.0]]))
    (call,) = page.data["calls"]
    (values, _), _ = page.pictures(call)
    np.testing.assert_allclose(values, [[3e-300, 4e-300]], rtol=1e-6)
    assert call["y"][0][3] == 5e-300 and not page.data["drawn"]
    (call,) = written(tmp_path, Times(np.array([np.inf, np.nan, -np.inf])), np.ones((1, 3))).data["calls"]
    assert call["y"][0][3:] == [0.0, 0.0, 0.0, 0.0, 1, 2, 0]


def test_what_is_refused(tmp_path):
    with pytest.raises(TypeError, match="gradient_page: tokens is a str"):
        gradient_page(gpt(), IDS, IDS, path=tmp_path / "a.html", tokens="abc")
    with pytest.raises(TypeError, match="gradient_page: tokens"):
        gradient_page(gpt(), IDS, IDS, path=tmp_path / "a.html", tokens=[1, 2, 3])
    assert not any(tmp_path.iterdir())


def test_a_full_disk(tmp_path, full_disk):
    """Half a page is not left behind."""
    with pytest.raises(OSError, match="No space left"):
        gradient_page(gpt(), IDS, IDS, path=tmp_path / "a.html")
    assert not any(tmp_path.iterdir())
