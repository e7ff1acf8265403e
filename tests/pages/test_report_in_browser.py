"""The page of runs in a browser: curves under the pointer and under keys, its legend, its scales, and what was not recorded."""

import math
import re

import numpy as np
import pytest
from browser import told

from tinytx.viz import AttentionShown, RunShown, report_page

EVIL = "</script><script>document.title='broken'</script>"
PATHS = ["body.token", EVIL, "body.blocks.0.attention"]


def run_of(name, n=20, factor=1.0, **options):
    records = [
        {"step": t, "train_loss": factor * 100 / t, "learning_rate": 0.01 / t, "grad_norm": 2.0, "tokens_per_second": 5.0}
        | {"tokens": 10 * t, "seconds": t / 2}
        for t in range(1, n + 1)
    ]
    for i, record in enumerate(records[9::10]):
        ratios = {path: 1e-3 * (k + 1) * (i + 1) for k, path in enumerate(PATHS)}
        record |= {"val_loss": factor * 7.0, "grad_norms": ratios, "update_ratios": ratios}
    return RunShown(name, records, [("state", "finished"), ("tokens", None)], {"lr": factor, "d_model": 8}, **options)


@pytest.fixture
def page_of(opened, tmp_path):
    """Write runs and open their page."""

    def call(*runs, title="Training", **options):
        report_page(list(runs), tmp_path / "report.html", title=title)
        return opened(tmp_path / "report.html", "#curves path.curve", **options)

    return call


def chart(page, title):
    return page.locator("figure", has=page.locator("h3", has_text=re.compile(f"^{title}")))


def tip(page, title):
    return chart(page, title).locator(".tip").inner_text().split()


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (360, True)])
def test_a_curve_says_what_is_under_the_pointer_and_under_keys(page_of, width, dark):
    """Catches a box of another step, a value of another curve, and keys that do nothing."""
    page = page_of(run_of("a"), width=width, dark=dark)
    loss = chart(page, "Loss")
    assert loss.locator("path.curve").count() == 1 and loss.locator("circle.dot").count() == 2
    svg = loss.locator("svg")
    svg.scroll_into_view_if_needed()
    box = svg.bounding_box()
    page.mouse.move(box["x"] + box["width"] - 12, box["y"] + 60)
    assert tip(page, "Loss") == ["step", "20", "training", "5", "validation", "7"]
    assert not chart(page, "Learning rate").locator(".tip").is_visible()
    svg.focus()
    page.keyboard.press("Home")
    assert tip(page, "Loss") == ["step", "1", "training", "100"]
    page.keyboard.press("ArrowRight")
    assert tip(page, "Loss") == ["step", "2", "training", "50"]
    inside, around = loss.locator(".tip").bounding_box(), loss.bounding_box()
    assert around["x"] <= inside["x"] and inside["x"] + inside["width"] <= around["x"] + around["width"]
    page.keyboard.press("Escape")
    assert not loss.locator(".tip").is_visible()


def test_scale_legend_and_axis(page_of):
    """Catches a button that changes nothing, and a curve that the legend cannot remove."""
    page = page_of(run_of("a"))
    loss = chart(page, "Loss")
    assert loss.locator(".head button").inner_text() == "logarithmic"  # 100 is more than 10 times 5
    before = loss.locator("path.curve").get_attribute("d")
    loss.locator(".head button").click()
    assert loss.locator(".head button").inner_text() == "linear" and loss.locator("path.curve").get_attribute("d") != before
    page.get_by_role("button", name="training").click()
    assert loss.locator("path.curve").count() == 0 and loss.locator("circle.dot").count() == 2
    page.get_by_role("button", name="training").press("Enter")
    assert loss.locator("path.curve").count() == 1
    page.select_option("#against", "tokens")
    loss.locator("svg").focus()
    page.keyboard.press("End")
    assert tip(page, "Loss")[:2] == ["tokens", "200"]


def test_layers_are_told_apart(page_of):
    page = page_of(run_of("a"))
    ratio = chart(page, "Update-to-weight ratio")
    assert ratio.locator("path.curve").count() == page.locator("ul.layers button").count() == 3
    assert page.locator("ul.layers li", has_text=EVIL).inner_text().endswith("0.004")
    ratio.locator("svg").focus()
    for key, path in (("ArrowDown", PATHS[0]), ("ArrowDown", PATHS[1]), ("ArrowUp", PATHS[0])):
        page.keyboard.press(key)
        assert tip(page, "Update-to-weight ratio")[2] == path.split()[0]
    assert ratio.locator("path.lit").count() == 1
    page.fill("#filter", "attention")
    assert ratio.locator("path.curve").count() == page.locator("ul.layers button").count() == 1


@pytest.mark.parametrize("width", [1280, 360])
def test_several_runs(page_of, width):
    """Catches a run that is drawn in another's colour, or is not hidden, and settings that do not differ."""
    page = page_of(run_of("a"), run_of("b", factor=2.0, text="b says"), run_of(EVIL, n=5, text=EVIL), width=width)
    assert chart(page, "Loss").locator("path.curve").count() == 3
    assert page.locator("#glance thead th").all_inner_texts() == ["a", "b", EVIL]
    assert page.locator("#glance td.none").count() == 3
    page.locator("#curves button", has_text="b").first.click()
    assert chart(page, "Loss").locator("path.curve").count() == 2
    assert page.locator("#settings tbody tr").count() == 2
    page.check("#differing")
    assert page.locator("#settings tbody tr").all_inner_texts() == ["lr\t1.0\t2.0\t1.0"]
    assert page.locator("#texts pre").all_text_contents() == ["b says", EVIL] and page.title() == "Training"


def test_what_is_not_finite_is_said(page_of):
    run = run_of("a", 9)
    run.records[4]["train_loss"], run.records[5]["train_loss"] = math.nan, None
    page = page_of(run)
    assert chart(page, "Loss").locator("path.bad").count() == 2
    assert chart(page, "Loss").locator(".note").inner_text() == "training at step 5: NaN; training at step 6: not finite"
    told(page, "#layers", "Not recorded")
    assert chart(page, "Largest update-to-weight ratio").locator(".note").inner_text() == "Not recorded."


def test_attention(page_of):
    weights = np.array([[[1.0, 0.0], [0.25, 0.75]]])
    page = page_of(run_of("a", attention=[AttentionShown("Attention", ["x", EVIL], ["x", EVIL], {"layer 1": weights})]))
    page.focus("#attention canvas")
    page.keyboard.press("ArrowDown")
    told(page, "#attention .said", "looks at “x” with weight 0.25")
    page.keyboard.press("ArrowRight")
    told(page, "#attention .said", "with weight 0.75")
