"""Numbers that a reader changes in the book: what the page computes is what the derivation gives, executed on the same inputs."""

import re
from dataclasses import replace

import numpy as np
import pytest

from tinytx.book.indexed import Fixed
from tinytx.book.live import live
from tinytx.derivations import TABLE, read
from tinytx.derivations.check import run
from tinytx.derivations.show import DIGITS

pytest.importorskip("latex2mathml")
SHOWN = ("attention", "linear", "softmax", "layer_norm", "cross_entropy", "gelu", "additive_scores",
         "glove_loss", "highway", "kl_divergence", "merge", "scalar_mix", "embedding", "pool", "segment_scores")
FIRST = ("linear", "softmax", "layer_norm", "attention", "cross_entropy", "gelu")


def example(name, changed=None):
    """Return (row, page, result) of an operation's example; with ``changed`` inputs all of the suite's comparisons are made on them."""
    row = TABLE[name]
    scene = row.scenes[0] if changed is None else replace(row.scenes[0], draw=lambda values, rng: values.update(changed))
    page = read(name, whole=row.whole)
    return row, page, run(name, page, scene, np.random.default_rng(0), sizes=scene.example, digits=DIGITS)


def equations(name):
    try:
        return live(*example(name))
    except Fixed:
        return None


LIVE = [name for name in TABLE if equations(name)]


def moved(name):
    """Return (inputs with each free number changed, their texts by the place of their field)."""
    found, texts = {}, {}
    _, _, result = example(name)
    for n, (key, entry) in enumerate(equations(name)["inputs"].items()):
        if key in result.inputs:
            value = np.array(result.inputs[key], dtype=None if not entry["free"] else float)
            if entry["free"]:
                value = np.round(np.ravel(value) * 1.25 + 0.03 * (1 + np.arange(value.size)) + 0.01 * n, 3).reshape(value.shape)
                texts |= {(key, place): f"{x:.3f}" for place, x in enumerate(value.ravel()) if np.isfinite(x)}
            found[key] = value if value.ndim else value[()]
    return found, texts


@pytest.fixture(scope="module")
def book(tmp_path_factory):
    from tinytx.book import write

    folder = tmp_path_factory.mktemp("book")
    write(folder)
    return folder


def test_the_first_operations_are_live():
    """Those of products of matrices without indices are among them."""
    assert {*FIRST, "displacement", "embedding", "select_rows", "scalar_mix"} <= set(LIVE) and len(LIVE) > 50


@pytest.mark.parametrize("name", [name for name in LIVE if name in SHOWN])
def test_changed_numbers_are_those_of_python(opened, book, name):
    page = opened(book / "ops" / f"{name}.html", "html[data-live]")
    page.evaluate("document.querySelectorAll('details').forEach(e => e.open = true)")
    static = page.evaluate("[...document.querySelectorAll('pre[data-lines]')].map(e => e.textContent)")
    compare(page, example(name)[2])
    changed, texts = moved(name)
    page.evaluate(
        """fields => { for (const [name, place, text] of fields) {
            const field = document.querySelector(`input[data-input="${CSS.escape(name)}"][data-place="${place}"]`);
            field.value = text; field.dispatchEvent(new Event("input")); } }""",
        [[name, place, text] for (name, place), text in texts.items()],
    )
    compare(page, example(name, changed)[2])
    assert page.locator(".changed").is_visible()
    page.click("#back")
    compare(page, example(name)[2])
    assert not page.locator(".changed").is_visible()
    labels = page.evaluate("[...document.querySelectorAll('pre[data-lines]')].map(e => e.textContent)")
    for before, after in zip(static, labels, strict=True):
        assert [line.partition(" = ")[0] for line in before.split("\n") if " = " in line] == [
            line.partition(" = ")[0] for line in after.split("\n") if " = " in line
        ]


@pytest.mark.parametrize("name", LIVE)
def test_what_may_be_changed_is_free(name):
    """On other numbers all equations hold still, and are what the code returns: no input is bound to another."""
    changed, texts = moved(name)
    assert texts and example(name, changed)[2].compared


def compare(page, result):
    """Compare every array that the page computes with what the derivation gave, and every number that it writes."""
    computed = page.evaluate("Object.entries(source.shown).map(([line, all]) => [line, all.map(e => [e.label, computed(e)])])")
    assert computed
    values = {}
    for line, entries in computed:
        expected = {label: value for label, value, _ in reversed(result.shown[int(line)])}
        for label, value in entries:
            assert np.shape(value) == expected[label].shape, label
            np.testing.assert_allclose(value, expected[label].real, rtol=1e-9, atol=1e-12, err_msg=label)
        values |= expected
    assert "Infinity" not in "".join(boxes(page)), "infinite numbers are written as in Python"
    for label, numbers in written(page):
        np.testing.assert_allclose(numbers, values[label].real.ravel(), rtol=0, atol=5.01e-5, err_msg=label)


def boxes(page):
    """Return the texts of the boxes whose numbers the page computes."""
    return page.evaluate("[...document.querySelectorAll('pre[data-lines]')].map(e => e.textContent)")


def written(page):
    """Yield (label, numbers) of the arrays that stand in the page's boxes."""
    for box in boxes(page):
        for label, array in re.findall(r"^(\S.*?)(?: \([\w, ]*\))? = (.*(?:\n .*)*)", box, re.MULTILINE):
            yield label, np.array([float(number) for number in re.findall(r"[-\w.]+", array)])


def test_a_reader_changes_a_number(opened, book):
    """By the keyboard, in a narrow window; what is no number changes nothing."""
    page = opened(book / "ops" / "softmax.html", "html[data-live]", width=390, dark=True)
    page.click("details.live summary")
    page.click("details:has(pre[data-lines]) summary")
    box = page.locator("pre[data-lines]").first
    before = box.text_content()
    field = page.locator('input[data-input="x"]').first
    first = field.input_value()
    for text in ("abc", "", "inf"):
        field.fill(text)
        assert box.text_content() == before and field.get_attribute("aria-invalid") == "true"
    for _ in range(2):
        field.fill("50")
        assert "[[1.0000 0.0000 0.0000]" in box.text_content() and field.get_attribute("aria-invalid") == "false"
        assert "-0.0000" not in "".join(boxes(page))
        page.click("#back")
        assert field.input_value() == first and page.evaluate("source.inputs.x.data[0]") == float(first)


def test_attention_follows_what_is_typed(opened, book):
    """Queries, keys, values and the scale, several times, by the keyboard: scores, weights, output and all gradients move."""
    page = opened(book / "ops" / "attention.html", "html[data-live]")
    page.evaluate("document.querySelectorAll('details').forEach(e => e.open = true)")
    assert page.locator('input[data-input="B"]:disabled').evaluate_all("all => all.map(e => e.value)") == ["-inf"]
    rng = np.random.default_rng(0)
    before = dict(written(page))
    changed = dict(example("attention")[2].inputs)
    for _ in range(3):
        page.locator('input[data-input="Q"]').first.focus()
        for name in ("Q", "K", "V", "c"):
            drawn = rng.uniform(0.2, 1.5) if name == "c" else rng.normal(size=np.shape(changed[name]))
            changed[name] = np.round(drawn, 2)
            for number in np.ravel(changed[name]):
                page.keyboard.press("Control+A")
                page.keyboard.type(f"{number:.2f}")
                page.keyboard.press("Tab")
        compare(page, example("attention", changed)[2])
        after = dict(written(page))
        for label in ("A", "P_ts", "Y", "dV", "dP", "dA_ts", "dQ", "dK", "dB_ts"):
            assert not np.allclose(before[label], after[label], atol=1e-4), label
        before = after
