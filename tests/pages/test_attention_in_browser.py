"""The page of attention in a browser: what it says of a pair is right, by mouse and by keyboard; and how long it takes to open."""

import re

import numpy as np
import pytest
from browser import told

from tinytx.viz import attention_page
from tinytx.viz.attention_page import write_page
from tinytx.viz.attention_parts import image_of, plain_part

READY = "html[data-drawn]"
TOKENS = ["The", " cat", "</script><script>document.title='broken'</script>", " sat", "\n"]
SHOWN = ["The", "␣cat", "</script><script>document.title='broken'</script>", "␣sat", "↵"]
ROW = 20  # pixels of a token among the lines


def softmax(scores):
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return weights / weights.sum(axis=-1, keepdims=True)


def vectors_of(layers=2, heads=3, t=5, width=6):
    """Return queries and keys, and the weights of their scaled products."""
    queries, keys = np.random.default_rng(0).normal(0, 1.5, (2, layers, heads, t, width))
    return queries, keys, softmax(queries @ keys.swapaxes(2, 3) / np.sqrt(width))


@pytest.fixture
def small(tmp_path):
    """A page, with its queries, keys and weights."""
    queries, keys, weights = vectors_of()
    attention_page(tmp_path / "page.html", TOKENS, weights, queries, keys, title="A </title>", note="<b>note</b>")
    return tmp_path / "page.html", queries, keys, weights


def says(page, weights, queries, keys, layer, head, query, key):
    """Assert that the page shows a pair, with its weight and the sum of its terms."""
    expected = f"layer {layer + 1}, head {head + 1}: {query} “{SHOWN[query]}” looks at {key} “{SHOWN[key]}” with weight "
    shown = float(told(page, "#status", re.escape(expected) + r"(\S+)$")[1])
    assert shown == pytest.approx(weights[layer, head, query, key], rel=0.06, abs=1e-3)
    sum_of_terms = float(told(page, "#sum", r"their sum, (\S+), is the score")[1].replace("−", "-"))
    score = queries[layer, head, query] @ keys[layer, head, key] / np.sqrt(queries.shape[-1])
    assert sum_of_terms == pytest.approx(score, rel=0.006, abs=2e-3)


def pixels(page, canvas):
    """Return the number of colours of a canvas, and how bright it is: a number from 0 to 765."""
    return page.eval_on_selector(canvas, """canvas => {
        const copy = new OffscreenCanvas(canvas.width, canvas.height), pen = copy.getContext("2d");
        pen.drawImage(canvas, 0, 0);
        const { data } = pen.getImageData(0, 0, canvas.width, canvas.height);
        let sum = 0;
        for (let i = 0; i < data.length; i += 4) sum += data[i] + data[i + 1] + data[i + 2];
        return [new Set(new Uint32Array(data.buffer)).size, 4 * sum / data.length];
    }""")  # fmt: skip


def is_drawn(page, canvas):
    """Return whether a canvas has several colours."""
    return pixels(page, canvas)[0] > 3


def test_it_opens(opened, small):
    """No token ends the script, or is an element; every picture is drawn; it begins with the last token's largest weight."""
    path, queries, keys, weights = small
    page = opened(path, READY)
    assert page.title() == "A </title>" and page.text_content("h1") == "A </title>" and page.text_content("header p") == "<b>note</b>"
    assert all(is_drawn(page, canvas) for canvas in ("#glance", "#map", "#bars", "#lines"))
    says(page, weights, queries, keys, 0, 0, 4, weights[0, 0, 4].argmax())
    assert page.locator("script").count() == 2 + 1 + 4  # data and the script; small pictures; weights and vectors of 2 layers


def test_elements_do_not_grow_with_the_text(opened, small, tmp_path):
    queries, keys, weights = vectors_of(t=200)
    attention_page(tmp_path / "long.html", ["word"] * 200, weights, queries, keys)
    counts = [opened(path, READY).locator("*").count() for path in (small[0], tmp_path / "long.html")]
    assert counts[0] == counts[1] < 100


def assert_largest(said, weights):
    """A text has the five largest weights, largest first, each after its token's number."""
    shown = {int(i): float(weight) for i, weight in re.findall(r"(\d) “.*?” ([\d.]+)", said)}
    assert sorted(shown) == list(range(5)) and list(shown.values()) == sorted(shown.values(), reverse=True)
    np.testing.assert_allclose([shown[i] for i in range(5)], weights, rtol=0.06, atol=1e-3)


def test_a_token_under_the_pointer(opened, small):
    """Beside its lines the page says what it looks at, or who looks at it."""
    path, _, _, weights = small
    page = opened(path, READY)
    lines = page.locator("#lines")
    lines.hover(position={"x": 60, "y": 4 + 1.5 * ROW})
    said = told(page, "#most", "^1 “␣cat” looks most at (.*)")[1]
    assert_largest(said, weights[0, 0, 1])
    lines.hover(position={"x": lines.bounding_box()["width"] - 60, "y": 4 + 3.5 * ROW})
    said = told(page, "#most", "^3 “␣sat” is looked at most by (.*)")[1]
    assert_largest(said, weights[0, 0, :, 3])
    lines.hover(position={"x": lines.bounding_box()["width"] / 2, "y": 5})
    told(page, "#most", "^4 “↵” looks most at")


def test_a_layer_and_a_head_are_chosen(opened, small):
    """By a click on their small picture, by arrow keys, and by name."""
    path, queries, keys, weights = small
    page = opened(path, READY)
    key = weights[0, 0, 4].argmax()
    page.click("#glance", position={"x": 26 + 2 * 51 + 20, "y": 18 + 51 + 20})
    says(page, weights, queries, keys, 1, 2, 4, key)
    page.focus("#glance")
    page.keyboard.press("ArrowLeft")
    says(page, weights, queries, keys, 1, 1, 4, key)
    page.keyboard.press("ArrowUp")
    says(page, weights, queries, keys, 0, 1, 4, key)
    assert page.text_content("#mapped") == "layer 1, head 2"
    page.select_option("#layer", label="layer 2")
    page.select_option("#head", label="head 1")
    says(page, weights, queries, keys, 1, 0, 4, key)
    page.check("#every")
    page.wait_for_selector("#colors span >> text=head 3")


def test_a_pair_is_chosen(opened, small):
    """By clicks on tokens, on the map, by arrow keys, by numbers, and by a word; its elements by the pointer and by keys."""
    path, queries, keys, weights = small
    page = opened(path, READY)
    lines = page.locator("#lines")
    lines.click(position={"x": 60, "y": 4 + 2.5 * ROW})
    lines.click(position={"x": lines.bounding_box()["width"] - 60, "y": 4 + 0.5 * ROW})
    says(page, weights, queries, keys, 0, 0, 2, 0)
    page.keyboard.press("Tab")
    lines.focus()
    for arrow in ("ArrowDown", "ArrowRight", "ArrowRight", "ArrowLeft"):
        page.keyboard.press(arrow)
    says(page, weights, queries, keys, 0, 0, 3, 1)
    page.keyboard.press("End")
    says(page, weights, queries, keys, 0, 0, 4, 1)
    side = page.locator("#map").bounding_box()["width"] / 5
    page.click("#map", position={"x": 4.5 * side, "y": 0.5 * side})
    says(page, weights, queries, keys, 0, 0, 0, 4)
    page.fill("#query", "3")
    page.fill("#key", "99")
    says(page, weights, queries, keys, 0, 0, 3, 4)
    page.fill("#find", "CAT")
    page.press("#find", "Enter")
    says(page, weights, queries, keys, 0, 0, 1, 4)
    page.focus("#bars")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("#element:has-text('Element 1: q = ')")
    numbers = [float(text.replace("−", "-")) for text in re.findall(r"= (\S+?)(?:,|$)", page.text_content("#element"))]
    q, k = queries[0, 0, 1, 1], keys[0, 0, 4, 1]
    np.testing.assert_allclose(numbers, [q, k, q * k / np.sqrt(6)], rtol=0.006)
    page.hover("#bars", position={"x": 62 + 26 * 5 + 10, "y": 30})
    page.wait_for_selector("#element:has-text('Element 5: q = ')")


def test_it_can_be_reached_by_the_tab_key(opened, small):
    """What a mouse can do has the focus once, in the order of the page."""
    page = opened(small[0], READY)
    seen = []
    while not seen or seen[-1] and len(seen) < 30:
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.id"))
    wanted = ["layer", "head", "every", "query", "key", "find", "glance", "map", "bars", "lines"]
    assert [name for name in seen if name in wanted] == wanted


@pytest.mark.parametrize("dark", [False, True])
def test_a_narrow_window(opened, small, dark):
    """Nothing is wider than the window (the fixture looks as well), in either of both colour schemes."""
    page = opened(small[0], READY, width=360, dark=dark)
    for canvas in ("#glance", "#map", "#bars", "#lines"):
        box = page.locator(canvas).bounding_box()
        assert 0 <= box["x"] and box["x"] + box["width"] <= 360 and is_drawn(page, canvas)
    page.click("#glance", position={"x": 26 + 51 + 20, "y": 18 + 20})
    page.wait_for_selector("#status:has-text('layer 1, head 2')")
    assert (page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(20, 22, 26)") == dark
    _, before = pixels(page, "#map")
    page.emulate_media(color_scheme="light" if dark else "dark")
    for _ in range(100):
        page.wait_for_timeout(50)
        _, after = pixels(page, "#map")
        if abs(after - before) > 100:
            break
    assert (after > before + 100) if dark else (after < before - 100)


def test_additive_scores_of_two_texts(opened, tmp_path):
    """One head, two texts of different lengths, w . tanh(q + k), heads without queries beside it."""
    rng = np.random.default_rng(0)
    queries, keys, w = rng.normal(size=(1, 3, 4)), rng.normal(size=(1, 5, 4)), rng.normal(size=(1, 4))
    scores = (w * np.tanh(queries[:, :, None] + keys[:, None])).sum(axis=-1)
    options = {"key_tokens": list("vwxyz"), "scale": w, "additive": True}
    attention_page(tmp_path / "a.html", list("abc"), softmax(scores), queries, keys, **options)
    page = opened(tmp_path / "a.html", READY)
    page.fill("#query", "1")
    page.fill("#key", "3")
    page.wait_for_selector("#status:has-text('1 “b” looks at 3 “y”')")
    said = page.text_content("#sum")
    assert said.startswith("Each term is w tanh(q + k)")
    assert float(re.search(r"sum, (\S+),", said)[1].replace("−", "-")) == pytest.approx(scores[0, 1, 3], rel=0.006)


def test_several_parts_and_an_image(opened, tmp_path):
    """The second part has other tokens, and an image whose patches are chosen by a click."""
    first = plain_part("test", list("ab"), np.full((1, 2, 2), 0.5), None, None, key_tokens=None, scale=None, additive=False, layers=None, heads=None)
    weights = softmax(np.random.default_rng(0).normal(size=(2, 5, 5)))
    tokens = ["class", "p0", "p1", "p2", "p3"]
    second = plain_part("test", tokens, weights, None, None, key_tokens=None, scale=None, additive=False, layers=None, heads=None)
    second = second._replace(name="Image", image=image_of("test", np.arange(16.0).reshape(4, 4, 1), 2, 5))
    write_page(tmp_path / "a.html", [first, second], "Two", "")
    page = opened(tmp_path / "a.html", READY)
    assert page.text_content("#sum") == "This page has no queries and keys." and page.locator("#picture").is_hidden()
    page.select_option("#view", label="Image")
    page.wait_for_selector("#picture")
    side = page.locator("#picture").bounding_box()["width"]
    page.click("#picture", position={"x": 0.75 * side, "y": 0.25 * side})
    page.click("#picture", position={"x": 0.25 * side, "y": 0.75 * side}, modifiers=["Shift"])
    page.wait_for_selector("#status:has-text('2 “p1” looks at 3 “p2”')")
    page.focus("#picture")
    page.keyboard.press("ArrowDown")
    page.wait_for_selector("#status:has-text('4 “p3” looks at 3 “p2”')")
    assert is_drawn(page, "#picture")
    page.select_option("#view", label="Attention")
    page.wait_for_selector("#status:has-text('1 “b” looks at 1 “b”')")


def test_512_tokens_of_12_layers_of_12_heads_open_within_2_seconds(opened, tmp_path):
    """What the browser computes until all is drawn, in seconds of processor time, which other programs do not lengthen."""
    queries, keys, weights = vectors_of(layers=1, heads=12, t=512, width=64)
    parts = (np.repeat(array, 12, axis=0) for array in (np.tril(weights), queries, keys))
    attention_page(tmp_path / "big.html", [f" word{i}" for i in range(512)], *parts)
    page, seconds = opened(tmp_path / "big.html", READY, timed=True)
    waited, size = float(page.get_attribute("html", "data-drawn")) / 1000, (tmp_path / "big.html").stat().st_size / 1e6
    print(f"{size:.0f} MB: {seconds:.2f} s of processor time, drawn {waited:.2f} s after the navigation began")
    assert seconds < 2
    page.select_option("#layer", label="layer 7")
    page.wait_for_selector("#status:has-text('layer 7, head 1: 511 ')")
    assert page.locator("*").count() < 150
