"""``python -m tinytx report``: runs as a page, at any time."""

import base64
import json
import shutil

import numpy as np
import pytest

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
    assert tinytx("report run").code == 0
    assert "The run goes on" in (here / "run/report.html").read_text()
    assert not (here / "run" / NAME).exists()


@pytest.mark.parametrize(
    "command, named",
    [("report nowhere", "metrics.jsonl in nowhere"), ("report {run} nowhere", "metrics.jsonl in nowhere")]
    + [("report {run} --out no/where.html", "no/where.html"), ("report {run} --out a.pdf", "name it a.html"), ("report", "DIR")],
)
def test_what_cannot_be_shown(refused, finished, command, named):
    assert named in refused(command.format(run=finished[0]))
