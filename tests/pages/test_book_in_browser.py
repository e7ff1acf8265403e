"""The book in a browser: equations and lines of code light up together, the search finds, in narrow windows and in the dark too."""

import json

import pytest
from browser import told

pytest.importorskip("latex2mathml")
LOSSES = [4.0, 3.0, 2.5, 2.0]


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    """The book, with a run of gpt."""
    from tinytx.book import write

    folder, run = tmp_path_factory.mktemp("book"), tmp_path_factory.mktemp("runs") / "gpt"
    run.mkdir()
    records = [{"step": 10 * n, "train_loss": loss, "val_loss": loss + 0.5, "tokens": 80 * n} for n, loss in enumerate(LOSSES, 1)]
    (run / "metrics.jsonl").write_text("".join(f"{json.dumps(record)}\n" for record in [*records, {"step": 40, "val_loss": 2.5}]))
    write(folder, [str(run)])
    return folder


@pytest.mark.parametrize(("width", "dark"), [(1400, False), (390, True)])
def test_an_equation_lights_up_with_its_line(opened, book, width, dark):
    page = opened(book / "ops" / "layer_norm.html", ".equation math", width=width, dark=dark)
    assert page.locator(".on").count() == 0
    page.hover('.equation[data-n="7"]')
    assert page.locator("aside .on").count() >= 1 and "(7)" in page.locator("aside .on").first.text_content()
    page.mouse.move(0, 0)  # where nothing lights up, wherever the page is scrolled to
    assert page.locator(".on").count() == 0
    line = page.locator('aside .line[data-n="5"]').first
    line.focus()  # by the keyboard
    page.keyboard.press("Enter")
    assert page.locator('.equation[data-n="5"].on').count() == 1
    page.keyboard.press("Enter")
    page.evaluate("document.activeElement.blur()")
    assert page.locator(".on").count() == 0


def test_formulas_are_typeset(opened, book):
    """A fraction is as high as two lines, where MathML is drawn, and no sign is missing."""
    page = opened(book / "ops" / "softmax.html", ".equation math")
    heights = page.evaluate("[...document.querySelectorAll('mfrac')].map(e => e.getBoundingClientRect().height)")
    assert len(heights) > 3 and min(heights) > 15
    page.click("details:has(pre) summary >> nth=1")
    assert page.locator("details[open] pre").first.is_visible()


def test_search(opened, book):
    page = opened(book / "index.html", "#search", width=390)
    count = page.locator("li").count()
    page.fill("#search", "vaswani softmax")
    found = int(told(page, "#found", r"(\d+) pages").group(1))
    assert 0 < found < count and page.locator("li:visible").count() == found
    for words, link in (("planets", "recipes/gatr.html"), ("elmo", "models/elmo.html"), ("tutorial whiax", "recipes/tutorial.html")):
        page.fill("#search", words)
        assert page.locator(f'li:visible a[href="{link}"]').count() == 1
    page.fill("#search", "")
    assert page.locator("li:visible").count() == count


@pytest.mark.parametrize(
    ("name", "width", "dark"),
    [("gpt", 1400, False), ("transformer", 360, True), ("digits", 360, False), ("gatr", 1400, True), ("word2vec", 360, True), ("ntm", 360, False)],
)
def test_a_recipe_is_drawn(opened, book, name, width, dark):
    """Its model, its learning rate and what it reads; where it looks lights up with the layers that look so."""
    page = opened(book / "recipes" / f"{name}.html", "figure.model", width=width, dark=dark)
    assert page.locator("figure.model .box").first.is_visible() and page.locator("svg.curve polyline.rate").bounding_box()["width"] > 200
    boxes = page.evaluate("[...document.querySelectorAll('.box, svg')].map(e => e.getBoundingClientRect()).map(r => [r.left, r.right, r.height])")
    assert all(left >= 0 and right <= width and height > 0 for left, right, height in boxes)
    looks = page.locator("figure.looks")
    assert (looks.count() == 0) == (name == "word2vec")
    if looks.count():
        mark = looks.first.get_attribute("data-n")
        looks.first.focus()
        page.keyboard.press("Enter")
        lit = page.locator(".box.looks.on")
        assert lit.count() >= 1 and mark in lit.first.get_attribute("data-n").split()
        page.keyboard.press("Enter")
        page.evaluate("document.activeElement.blur()")
        assert page.locator(".on").count() == 0
    page.click("summary")
    assert page.locator("details[open] table").is_visible()


@pytest.mark.parametrize(("width", "dark"), [(1400, False), (360, True)])
def test_a_recipe_shows_a_run_of_the_reader(opened, book, width, dark):
    """Its losses, both in sight and falling; whether the figure was met; and the way to the page of the run, and its curves."""
    page = opened(book / "recipes" / "gpt.html", "figure.run", width=width, dark=dark)
    curves = page.evaluate("""[...document.querySelectorAll('figure.run polyline')].map(
        e => ({ box: e.getBoundingClientRect(), colour: getComputedStyle(e).stroke, heights: [...e.points].map(p => p.y) }))""")
    assert len({curve["colour"] for curve in curves}) == 2 and "none" not in {curve["colour"] for curve in curves}
    for curve in curves:
        assert 0 <= curve["box"]["left"] and curve["box"]["right"] <= width and curve["box"]["width"] > 200
        assert len(curve["heights"]) == len(LOSSES) and curve["heights"] == sorted(curve["heights"])
    assert "2 in training, 2.5 in validation" in page.text_content("figure.run svg")
    assert "val_loss 1.4 within 0.04: 2.5000, not met" in page.text_content("article")
    way = page.evaluate("[...document.links].map(e => e.href).filter(e => e.includes('/runs/'))")
    run = opened(book / "runs" / "gpt-1.html", "#curves circle.dot", width=width, dark=dark)
    assert way == [run.url] and "finished" in run.text_content("#glance")
