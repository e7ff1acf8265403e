"""The book in a browser: equations and lines of code light up together, the search finds, in narrow windows and in the dark too."""

import pytest
from browser import told

pytest.importorskip("latex2mathml")


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    from tinytx.book import write

    folder = tmp_path_factory.mktemp("book")
    write(folder)
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
    assert page.locator("figure.model .box").first.is_visible() and page.locator("svg.curve polyline").bounding_box()["width"] > 200
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
