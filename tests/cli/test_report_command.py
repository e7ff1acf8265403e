"""``python -m tinytx report``: runs as a page, at any time."""

import base64
import json
import shutil

import numpy as np
import pytest

from tinytx.cli import report
from tinytx.files import load_arrays, save_arrays
from tinytx.lock import locked
from tinytx.training.checkpoint import NAME
from tinytx.training.loop import METRICS


def data_of(page):
    text = page.read_text(encoding="utf-8")
    return json.loads(text.partition('<script id="data" type="application/json">')[2].partition("</script>")[0])


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty folder in which the command is called."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_one_run(tinytx, finished, here):
    """Catches a page that is not where it is said to be, or lacks what the run measured, kept and was told."""
    shutil.copytree(finished[0], here / "run")
    assert tinytx("report run") == (0, "Wrote run/report.html\n", "")
    data = data_of(here / "run/report.html")
    (run,) = data["runs"]
    assert run["name"] == "run" and data["quantity"] == "nats per character"
    assert run["columns"]["step"] == [5, 7, 10, 14, 15, 20] and run["layers"]["step"] == [7, 14, 20]
    assert ["lr", "0.01"] in run["settings"] and "--- a sample ---" in run["text"]
    assert ["state", "finished after step 20 of 20"] in run["facts"]
    assert "body.blocks.0.attention.f.query" in run["layers"]["update_ratios"]


def test_several_runs(tinytx, finished, filler, here):
    assert tinytx("report", finished[0], filler[0], finished[0], "--out both.html") == (0, "Wrote both.html\n", "")
    data = data_of(here / "both.html")
    assert [run["name"] for run in data["runs"]] == [str(finished[0]), str(filler[0])]
    assert data["quantity"] == "nats per character, or nats per hidden word"
    assert tinytx("report", finished[0], filler[0]) == (0, "Wrote report.html\n", "")


def test_where_models_look(tinytx, finished, trained, here):
    """Catches weights of another model or text, a run without attention that ends the page, and one left out in silence."""
    recurrent, _ = trained("char_rnn")
    code, out, err = tinytx("report", finished[0], recurrent, "--text", ["4 times"], "--out a.html")
    assert (code, out) == (0, "Wrote a.html\n")
    one, other = data_of(here / "a.html")["runs"]
    (part,) = one["attention"]
    assert part["tokens"] == part["keys"] and len(part["tokens"]) == 7 and len(part["layers"]) == 1
    weights = np.frombuffer(base64.b64decode(part["layers"][0]["heads"][1]), np.uint8).reshape(7, 7)
    assert (np.triu(weights, 1) == 0).all() and (abs(weights.sum(axis=1, dtype=int) - 255) <= 4).all()
    assert other["attention"] == [] and f"no attention of {recurrent}" in err
    assert tinytx("report", finished[0], "--out b.html").code == 0
    assert "--text TEXT" in data_of(here / "b.html")["whyNoAttention"]


def test_a_run_on_its_way_without_a_checkpoint(tinytx, finished, here):
    """Catches a page that needs a run that has ended."""
    (here / "run").mkdir()
    whole = (finished[0] / METRICS).read_bytes()
    (here / "run" / METRICS).write_bytes(whole[: len(whole) * 2 // 3])  # and the last line is torn
    assert tinytx("report run") == (0, "Wrote run/report.html\nTry next: python -m tinytx report run --follow\n", "")
    page = (here / "run/report.html").read_text()
    assert "The run goes on" in page and data_of(here / "run/report.html")["every"] is None
    assert data_of(here / "run/report.html")["follow"] == "python -m tinytx report run --follow"
    assert not (here / "run" / NAME).exists()


@pytest.mark.parametrize(
    "command, named",
    [("report nowhere", "metrics.jsonl in nowhere"), ("report {run} nowhere", "metrics.jsonl in nowhere")]
    + [("report {run} --out no/where.html", "no/where.html"), ("report {run} --out a.pdf", "name it a.html"), ("report", "DIR")],
)
def test_what_cannot_be_shown(refused, finished, command, named):
    assert named in refused(command.format(run=finished[0]))


# ---------------------------------------------------------------------------------------- while a run goes on


def step(t, **more):
    return json.dumps({"step": t, "train_loss": 10 / t, "seconds": t / 2} | more) + "\n"


@pytest.fixture
def between(here, monkeypatch):
    """between(*calls): what happens between the first page and the second, the second and the third, ...: no time passes."""
    (here / "run").mkdir()

    def set_calls(*calls):
        left, pages = [*calls], []

        def wait(seconds):
            pages.append(data_of(here / "run/report.html"))
            assert seconds == 0.25 == pages[-1]["every"]
            left.pop(0)()

        monkeypatch.setattr(report, "sleep", wait)
        return pages

    return set_calls


def write(text):
    with open(f"run/{METRICS}", "a") as file:
        file.write(text)


def steps_of(data):
    return data["runs"][0]["columns"].get("step", [])


FOLLOW = "report run --follow --every 0.25"
WRITING = "Writing run/report.html every 0.25 s until the run ends: open it in a browser, it reloads itself. Ctrl-C stops.\n"


def test_it_follows_a_run_to_its_end(tinytx, between, here):
    """Catches a page that stands still, one of a run without a line that is refused, and a last page that loads itself for ever."""
    lock = locked("run")
    with lock:
        pages = between(
            lambda: write(step(1)),
            lambda: write(step(2) + '{"step": 3, "tr'),
            lambda: (write('ain_loss": 3.0}\n' + '{"step": 3, "val_loss": 1.5}\n'), lock.__exit__(None, None, None)),
        )
        code, out, err = tinytx(FOLLOW)
    assert (code, err) == (0, "")
    end = "Wrote run/report.html\nrun: finished after step 3\nTry next: python -m tinytx report run --text TEXT\n"
    assert out == WRITING + end
    assert [steps_of(page) for page in pages] == [[], [1], [1, 2]]
    last = data_of(here / "run/report.html")
    assert (steps_of(last), last["every"], last["follow"]) == ([1, 2, 3], None, "")
    assert "The run has finished after step 3." in (here / "run/report.html").read_text()


def test_a_run_that_dies(tinytx, between, here):
    """Catches a page of a killed run that says for a minute that it goes on."""
    write(step(1))
    lock = locked("run")
    with lock:
        pages = between(lambda: lock.__exit__(None, None, None))
        code, out, _ = tinytx(FOLLOW)
    assert (code, len(pages)) == (0, 1)
    assert out.endswith("run: stopped after step 1\nTry next: python -m tinytx train --resume run\n")
    assert data_of(here / "run/report.html")["every"] is None
    assert "The run has stopped after step 1." in (here / "run/report.html").read_text()


def test_ctrl_c_leaves_a_page_that_stays(tinytx, between, here):
    """Catches a page that loads itself for ever because its writer was interrupted."""

    def interrupted():
        write(step(2))
        raise KeyboardInterrupt

    write(step(1))
    with locked("run"):
        between(interrupted)
        code, out, _ = tinytx(FOLLOW)
    assert code == 0 and out.endswith("run: running: step 1\nTry next: python -m tinytx report run --follow\n")
    last = data_of(here / "run/report.html")
    assert (last["every"], last["follow"]) == (None, "python -m tinytx report run --follow")


def test_a_run_that_has_ended_is_written_once(tinytx, finished, here):
    shutil.copytree(finished[0], here / "run")
    assert tinytx("report run --follow").out.startswith("Wrote run/report.html\nrun: finished after step 20 of 20\n")


def test_where_a_model_looks_is_asked_once_for_each_checkpoint(tinytx, finished, between, here, monkeypatch):
    """Catches a model that is loaded for every page, and one that is loaded once though the run has saved another."""
    loads = []
    monkeypatch.setattr(report, "_attention", lambda folder, text: loads.append(text) or [])
    shutil.copytree(finished[0], here / "run", dirs_exist_ok=True)
    arrays, meta = load_arrays(here / "run" / NAME)
    lock = locked("run")
    with lock:
        between(
            lambda: write(step(21)),
            lambda: save_arrays(here / "run" / NAME, arrays, meta | {"step": 21}),
            lambda: lock.__exit__(None, None, None),
        )
        assert tinytx(FOLLOW, "--text", ["4 times"]).code == 0
    assert loads == ["4 times"] * 2
