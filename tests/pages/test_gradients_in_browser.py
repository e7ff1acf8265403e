"""The page of gradients in a browser: steps by buttons and by keys, what it says of each, pictures, and how long it takes to open."""

import re

import numpy as np
import pytest
from browser import told

from tinytx.core import Layer
from tinytx.layers import Activation, Checkpoint, Linear, Sequential
from tinytx.models import GPT, GPTConfig
from tinytx.tasks import NextToken
from tinytx.viz import gradient_page
from tinytx.viz.trace import traced

READY = "html[data-drawn]"
TOKENS = ["The", " cat", "</script><script>document.title='broken'</script>", " sat"]
IDS = np.array([[1, 2, 3, 4]])


def gpt(**options):
    config = GPTConfig(**{"vocab_size": 7, "max_len": 6, "d_model": 8, "n_heads": 2, "n_layers": 2} | options)
    return NextToken(GPT(config, rng=np.random.default_rng(0)))


def number(text):
    return float(text.replace("−", "-"))


@pytest.fixture
def small(tmp_path):
    """A page, and its trace."""
    gradient_page(gpt(), IDS, IDS + 1, path=tmp_path / "page.html", tokens=TOKENS, title="A </title>", note="<b>note</b>")
    return tmp_path / "page.html", traced(gpt(), IDS, IDS + 1)


def says(page, trace, i):
    """Assert that the page shows step i (from 0), with the norms and bytes of its call."""
    step = trace.steps[i]
    call = trace.calls[step.call]
    told(page, "#status", rf"^Step {i + 1} of {len(trace.steps)}, {step.kind}: {re.escape(call.path or call.kind)} ")
    told(page, "#bytes", f"^Now {step.n_bytes:,} bytes;")
    assert page.text_content("#path") == (call.path or call.kind)
    assert page.locator(".call.on").get_attribute("id") == f"call{step.call}"
    for side, tensors in (("y", call.outputs), ("dy", call.doutputs)):
        assert number(page.text_content(f"#side-{side} .big")) == pytest.approx(tensors[0].norm, rel=1e-3)
    on = "dy" if step.kind == "backward" else "y"
    assert page.locator(".side.on").get_attribute("id") == f"side-{on}"


def test_it_opens(opened, small):
    """No token ends the script; there is a row for each call, and a bar for each value and each gradient."""
    path, trace = small
    page = opened(path, READY)
    assert page.title() == "A </title>" and page.text_content("h1") == "A </title>" and page.text_content("header p") == "<b>note</b>"
    assert TOKENS[2] in page.text_content("#read")
    assert page.locator(".call").count() == len(trace.calls)
    assert page.locator(".bar.f b").count() == page.locator(".bar.b b").count() == len(trace.calls)
    assert page.locator("script").count() == 2 + len(trace.calls)
    says(page, trace, 0)


def test_it_is_stepped_through_by_keys(opened, small):
    path, trace = small
    page, last = opened(path, READY), len(trace.steps) - 1
    for key, i in (("ArrowRight", 1), ("ArrowRight", 2), ("ArrowLeft", 1), ("End", last), ("ArrowRight", last), ("ArrowLeft", last - 1),
                   ("Home", 0), ("ArrowLeft", 0)):  # fmt: skip
        page.keyboard.press(key)
        says(page, trace, i)
    for i in range(1, 7):
        page.keyboard.press("ArrowRight")
    says(page, trace, 6)
    page.keyboard.press("m")
    mirrored = next(i for i, step in enumerate(trace.steps) if step.kind == "backward" and step.call == trace.steps[6].call)
    says(page, trace, mirrored)
    page.keyboard.press("ArrowDown")  # the next layer of the list, in the same direction
    below = next(i for i, step in enumerate(trace.steps) if step.kind == "backward" and step.call == trace.steps[6].call + 1)
    says(page, trace, below)
    page.keyboard.press("ArrowUp")
    page.keyboard.press("M")
    says(page, trace, 6)


def test_it_is_stepped_through_by_the_mouse(opened, small):
    """By buttons, by a click on a layer, and by one on the curve."""
    path, trace = small
    page, n = opened(path, READY), len(trace.steps)
    assert page.is_disabled("#back") and page.is_disabled("#first")
    page.click("#next")
    says(page, trace, 1)
    page.click("#last")
    says(page, trace, n - 1)
    assert page.is_disabled("#next")
    page.click("#back")
    page.click("#mirror")
    page.click("#first")
    page.click("#call3")
    says(page, trace, next(i for i, step in enumerate(trace.steps) if step.call == 3))
    page.click("#curve", position={"x": page.locator("#curve").bounding_box()["width"] * (n - 1.5) / n, "y": 50})
    says(page, trace, n - 2)


def test_an_entry_of_a_picture(opened, small):
    """Its index, its value and its token, under the pointer and by keys, which do not step."""
    path, trace = small
    page = opened(path, READY)
    call = trace.calls[trace.steps[0].call]
    canvas = page.locator("#side-y canvas")
    rows, columns = call.outputs[0].picture.values.shape
    box = canvas.bounding_box()
    canvas.hover(position={"x": 2.5 * box["width"] / columns, "y": 1.5 * box["height"] / rows})
    found = told(page, "#side-y output", r"^entry \(0, 1, 2\) is (\S+?), at “␣cat”$")
    assert number(found[1]) == pytest.approx(call.outputs[0].picture.values[1, 2], rel=1e-3)
    page.hover("h1")
    canvas = page.locator("#side-dy canvas")
    canvas.focus()
    for key in ("ArrowRight", "ArrowDown", "ArrowDown", "ArrowUp", "ArrowRight", "ArrowLeft"):
        page.keyboard.press(key)
    found = told(page, "#side-dy output", r"^entry \(0, 1, 1\) is (\S+?), at “␣cat”$")
    assert number(found[1]) == pytest.approx(call.doutputs[0].picture.values[1, 1], rel=1e-3)
    says(page, trace, 0)


def test_tables(opened, small):
    """Shapes, norms, parameters with the ratio to the weights, and what is kept."""
    path, trace = small
    page = opened(path, READY)
    call = next(call for call in trace.calls if call.path == "body.blocks.1.attention.f.key")
    page.click(f"#call{call.number}")
    says(page, trace, next(i for i, step in enumerate(trace.steps) if step.call == call.number))
    rows = page.locator("#tensors tr").all_text_contents()
    assert len(rows) == 1 + 4 and rows[1].startswith("x(1, 4, 8)float32")
    weight = call.parameters[0]
    cells = page.locator("#parameters tr >> nth=1").locator("td").all_text_contents()
    assert cells[:2] == ["weight", "(8, 8)"]
    assert [number(cell) for cell in cells[2:5]] == pytest.approx([weight.data.norm, weight.grad.norm, weight.grad.norm / weight.data.norm], rel=0.01)
    assert "the same as of body.blocks.1.attention.f.query, counted there" in page.text_content("#kept") and "ops.linear" in page.text_content("#kept")


class Nothing(Layer):
    """y = x / 0 at the first entry: a layer that is broken."""

    def forward(self, x, tape=None):
        y = x.copy()
        y[0, 0] = np.nan
        return y

    def backward(self, dy, tape):
        return 0 * dy


def test_what_is_wrong_is_seen_at_a_glance(opened, tmp_path):
    """NaN, units that are silent, a gradient of 0; a checkpoint's second forward."""
    rng = np.random.default_rng(0)
    first = Linear(4, 6, rng=rng)
    first.bias.data[:2] = -100
    model = Sequential(Checkpoint(Sequential(first, Activation("relu"))), Linear(6, 3, rng=rng), Nothing(), Linear(3, 2, rng=rng))
    gradient_page(model, rng.normal(size=(5, 4)).astype(np.float32), path=tmp_path / "a.html")
    page = opened(tmp_path / "a.html", READY)
    assert "random numbers" in page.text_content("#read")
    texts = page.locator(".call").all_text_contents()
    assert sum("NaN" in text for text in texts) >= 2 and any("Activation ↻" in text and "2 silent" in text for text in texts)
    assert page.locator(".bar.b.none").count() >= 3
    names = page.locator(".call .name").all_text_contents()
    page.click(f"#call{next(i for i, name in enumerate(names) if 'Activation' in name)}")
    told(page, "#keptNote", "^Nothing is kept until its backward")
    told(page, "#about", "its forward ran 2 times")
    assert "2 of 6 units 0 throughout" in page.text_content("#tensors")
    page.keyboard.press("End")
    while "once more" not in page.text_content("#status"):
        page.keyboard.press("ArrowLeft")
    told(page, "#status", "has computed its value once more$")


@pytest.mark.parametrize("dark", [False, True])
def test_a_narrow_window(opened, small, dark):
    """Nothing is wider than the window (the fixture looks as well), in either of both colour schemes."""
    path, trace = small
    page = opened(path, READY, width=360, dark=dark)
    page.keyboard.press("ArrowRight")
    says(page, trace, 1)
    for element in ("#curve", "#tree", "#side-y canvas", "#side-dy canvas"):
        box = page.locator(element).bounding_box()
        assert 0 <= box["x"] and box["x"] + box["width"] <= 360
    assert (page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 22, 26)") == dark
    page.emulate_media(color_scheme="light" if dark else "dark")
    page.keyboard.press("ArrowRight")
    says(page, trace, 2)


def test_the_size_of_the_bars(opened, small):
    page = opened(small[0], READY)
    before = page.locator(".bar.f >> nth=1").get_attribute("title")
    page.select_option("#size", label="root mean square")
    after = page.locator(".bar.f >> nth=1").get_attribute("title")
    tensor = small[1].calls[1].outputs[0]
    assert [number(before), number(after)] == pytest.approx([tensor.norm, tensor.rms], rel=0.01)


def test_twelve_layers_of_768_open_within_2_seconds(opened, tmp_path):
    """What the browser computes until all is drawn, in seconds of processor time; widths do not matter, so these are narrow."""
    model, ids = gpt(n_layers=12, d_model=96, n_heads=12, max_len=32, vocab_size=50), np.arange(33)[None]
    gradient_page(model, ids[:, :-1], ids[:, 1:], path=tmp_path / "big.html")
    page, seconds = opened(tmp_path / "big.html", READY, timed=True)
    print(f"{(tmp_path / 'big.html').stat().st_size / 1e6:.1f} MB: {seconds:.2f} s of processor time")
    assert seconds < 2 and page.locator(".call").count() > 200
    page.keyboard.press("End")
    told(page, "#status", "backward: body.token")
