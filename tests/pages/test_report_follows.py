"""The page of a run that goes on, in a browser: it shows what the run has written since, and the reader keeps the place."""

import re
import subprocess
import sys
import time
from contextlib import ExitStack

import pytest
from browser import told

from tinytx.viz import RunShown, report_page

PATHS = [f"body.blocks.{i}.attention" for i in range(60)]  # so many that their list scrolls
EVERY, LONG = 0.05, 1000.0  # seconds; with LONG the page loads itself when `load` lets it


def run_of(n, **options):
    records = [
        {"step": t, "train_loss": 100 / t, "learning_rate": 0.01, "grad_norm": 2.0, "tokens_per_second": 5.0, "tokens": 8 * t, "seconds": t / 2}
        for t in range(1, n + 1)
    ]
    for record in records[9::10]:
        record |= {"val_loss": 7.0, "grad_norms": dict.fromkeys(PATHS, 1.0), "update_ratios": dict.fromkeys(PATHS, 1e-3)}
    return RunShown("a", records, [("state", f"running: step {n}")], {"lr": 1.0}, **options)


@pytest.fixture
def written(tmp_path):
    """written(n, every): write the page of n steps, and return its path."""

    def write(n, every=LONG, note="The run goes on.", **options):
        report_page([run_of(n, **options)], tmp_path / "report.html", note=note, every=every, follow="tinytx report DIR --follow")
        return tmp_path / "report.html"

    return write


def steps(page, n):
    """Wait until the page shows n steps."""
    told(page, "#glance tbody td", f"^running: step {n}$")


def load(page):
    """Let the time come at which the page loads itself, and wait until it has."""
    with page.expect_event("load"):
        page.evaluate("() => { data.every = 0; data.written = Date.now() / 1000 + 60; setTimeout(tick); }")


@pytest.mark.parametrize(("width", "dark"), [(1280, False), (360, True)])
def test_it_shows_what_is_new_and_the_reader_keeps_the_place(opened, written, width, dark):
    """Catches a page that stands still, and one that shows another place, other curves or other scales after each load."""
    page = opened(written(20), "ul.layers", width=width, height=500, dark=dark, reloads=True)
    page.get_by_role("button", name="validation").click()
    page.select_option("#against", "tokens")
    page.locator("#curves figure .head button").first.click()  # a logarithmic scale becomes linear
    page.fill("#filter", "blocks")
    page.locator("ul.layers").evaluate("list => list.scrollTo(0, 300)")
    page.evaluate("() => { $('filter').focus({ preventScroll: true }); $('filter').setSelectionRange(2, 4); scrollTo(0, 700); }")
    written(40)
    load(page)
    steps(page, 40)
    assert page.get_by_role("button", name="validation").get_attribute("aria-pressed") == "false"
    assert page.locator("#curves figure").first.locator("circle.dot").count() == 0
    assert page.input_value("#against") == "tokens" and page.input_value("#filter") == "blocks"
    assert page.locator("#curves figure .head button").first.inner_text() == "linear"
    assert page.evaluate("[scrollY, document.querySelector('ul.layers').scrollTop]") == [700, 300]
    assert page.evaluate("[document.activeElement.id, $('filter').selectionStart, $('filter').selectionEnd]") == ["filter", 2, 4]
    assert page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches") is dark
    assert page.text_content("header p").startswith("The run goes on. Written at ")


def test_a_point_under_study_stays(opened, written):
    """Catches a box of values that vanishes, or stands at another step, when the page has loaded itself."""
    page = opened(written(20), "ul.layers", reloads=True)
    page.focus("#curves svg")
    for key in ("Home", "ArrowRight", "ArrowRight"):
        page.keyboard.press(key)
    written(30)
    load(page)
    steps(page, 30)
    assert page.inner_text("#curves .tip").split()[:2] == ["step", "3"]
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#curves .tip").split()[:2] == ["step", "4"]


def test_it_waits_for_the_reader(opened, written):
    """Catches a load that takes a selection away before it is copied, or that comes though the reader has asked for none."""
    page = opened(written(20), reloads=True)
    tried = "() => { data.every = 0; tick(); return new Promise(after => setTimeout(() => after($('written').textContent), 50)); }"
    page.evaluate("getSelection().selectAllChildren(document.querySelector('h1'))")
    assert "the page waits until you have chosen" in page.evaluate(tried)
    page.evaluate("getSelection().removeAllRanges()")
    page.get_by_role("button", name="Pause").press("Enter")
    assert "the page stays as it is" in page.evaluate(tried)
    written(30)
    with page.expect_event("load"):
        page.get_by_role("button", name="Go on").press("Enter")
    steps(page, 30)


def test_the_last_page_stays(opened, written):
    """Catches a finished run whose page loads itself for ever, and a reader who is sent back to an old place afterwards."""
    page = opened(written(20), reloads=True, height=500)
    page.evaluate("scrollTo(0, 600)")
    top = "document.querySelector('#curves').getBoundingClientRect().top"
    before = page.evaluate(top)
    written(30, every=None, note="The run has finished. " * 50, text="it says")
    load(page)
    told(page, "#texts", "it says")
    assert abs(page.evaluate(top) - before) <= 1 and page.evaluate("scrollY") > 600 and not page.locator("#pause").is_visible()
    assert re.search(r"The run has finished\.  Written on .*\. This makes a page that follows: ", page.text_content("header p"))
    assert page.evaluate("history.state") is None
    assert page.evaluate("new Promise(after => setTimeout(() => after($('glance').textContent), 6 * 50))").endswith("step 30")


def test_a_page_that_nobody_writes_says_so(opened, written, monkeypatch):
    """Catches "the run goes on" on a page whose writer was killed an hour ago."""
    with monkeypatch.context() as patched:
        patched.setattr(time, "time", lambda now=time.time(): now - 3600)
        path = written(20, EVERY)
    page = opened(path, reloads=True)
    told(page, "#written", r"^Nothing has written this page since .*, 60 min ago: the run may have ended\. .*tinytx report DIR --follow$")
    assert not page.locator("#note").is_visible()


def test_before_the_first_record(opened, tmp_path):
    """Catches an error where there is no curve yet."""
    report_page([RunShown("a", [])], tmp_path / "report.html", note="The run goes on.", every=EVERY)
    page = opened(tmp_path / "report.html", reloads=True)
    told(page, "#written", "^Written at")
    told(page, "#curves .note", "Not recorded")
    report_page([run_of(20)], tmp_path / "report.html", note="The run goes on.", every=EVERY)
    steps(page, 20)
    page.get_by_role("button", name="Pause").press("Enter")
    assert page.locator("ul.layers button").count() == len(PATHS)


def test_a_training_is_followed_to_its_end(opened, tmp_path):
    """Two programs, train and report --follow, and a browser: catches a page that misses what the run writes, or its end."""

    def begin(*words):
        command = [sys.executable, "-m", "tinytx", *map(str, words)]
        process = programs.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        programs.callback(process.kill)
        return process

    run, ends = tmp_path / "run", time.monotonic() + 60
    small = "--d-model 16 --n-heads 2 --n-layers 1 --max-len 16 --batch-size 4 --eval-every 200 --log-every 20 --threads 1".split()
    with ExitStack() as programs:
        training = begin("train", "gpt", *small, "--steps", 3000, "--out", run)
        while not (run / "metrics.jsonl").exists():
            assert training.poll() is None and time.monotonic() < ends, training.communicate()
            time.sleep(0.02)
        writing = begin("report", run, "--follow", "--every", 0.2)
        while not (run / "report.html").exists():
            assert writing.poll() is None and time.monotonic() < ends, writing.communicate()
            time.sleep(0.02)
        page = opened(run / "report.html", "#curves circle.dot", reloads=True)
        seen = int(told(page, "#glance tbody td", r"^running: step ([\d,]+)").group(1).replace(",", ""))
        assert training.wait(60) == writing.wait(60) == 0
        told(page, "#glance tbody td", "^finished after step 3,?000")
        assert seen < 3000 and not page.locator("#pause").is_visible() and "The run has finished" in page.text_content("header p")
        assert "finished after step 3,000" in writing.stdout.read()
