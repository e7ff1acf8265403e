"""The page of runs: one file, whose numbers are those of the records, and which no name and no sample can break."""

import json
import math
import re
from html.parser import HTMLParser

import numpy as np
import pytest

from tinytx.viz import AttentionShown, RunShown, report_page

EVIL = "</script><script>document.title='broken'</script><!-- {{NOTE}} \ud800 \x1b]0;owned\x07"
LAYERS = {"grad_norms": {"a": 0.5, "b": None}, "update_ratios": {"a": 1e-3, "b": math.inf}}
RECORDS = [
    {"step": 10, "train_loss": 3.0000001, "learning_rate": 0.1, "grad_norm": 2, "tokens": 80, "seconds": 0.5},
    {"step": 20, "train_loss": None, "val_loss": 2.5, "seconds": 1.0, **LAYERS},
    {"step": 30, "train_loss": math.nan, "val_loss": -math.inf},
]


class Page(HTMLParser):
    """The elements of a page, every attribute, and its data."""

    def __init__(self, path):
        super().__init__()
        self.elements, self.attributes, self.texts = [], [], []
        self.feed(path.read_text(encoding="utf-8"))
        self.data = json.loads(self.texts[self.elements.index("script")])

    def handle_starttag(self, tag, attrs):
        self.elements.append(tag)
        self.attributes += attrs
        self.texts.append("")

    def handle_data(self, data):
        if self.texts:
            self.texts[-1] += data


def written(tmp_path, *runs, **options):
    report_page(list(runs), tmp_path / "report.html", **options)
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]
    return Page(tmp_path / "report.html")


def test_the_numbers_are_those_of_the_records(tmp_path):
    """Catches a value of another step, NaN and infinity that are taken for a gap, and a column that nobody recorded."""
    (run,) = written(tmp_path, RunShown("a", RECORDS)).data["runs"]
    assert run["columns"] == {
        "step": [10, 20, 30], "tokens": [80, None, None], "seconds": [0.5, 1.0, None],
        "train_loss": [3.0, "not finite", "NaN"], "val_loss": [None, 2.5, "-Infinity"],
        "learning_rate": [0.1, None, None], "grad_norm": [2, None, None],
    }  # fmt: skip
    assert run["layers"] == {
        "step": [20], "seconds": [1.0], "grad_norms": {"a": [0.5], "b": ["not finite"]},
        "update_ratios": {"a": [0.001], "b": ["Infinity"]},
    }  # fmt: skip


def test_runs_of_before_have_no_layers(tmp_path):
    (run,) = written(tmp_path, RunShown("a", RECORDS[::2])).data["runs"]
    assert run["layers"] == {} and run["text"] is None


def test_runs_are_told_apart(tmp_path):
    """Catches two runs of one colour, and settings of another run."""
    page = written(tmp_path, *(RunShown(str(i), RECORDS, settings={"lr": i, "data": None}) for i in range(3)))
    assert len({run["color"] for run in page.data["runs"]}) == 3
    assert [run["settings"] for run in page.data["runs"]] == [[["lr", str(i)], ["data", "–"]] for i in range(3)]


@pytest.mark.parametrize("losses, log", [([1.0, 9.0], False), ([1.0, 11.0], True), ([-1.0, 11.0], False), ([None, 11.0], False)])
def test_the_scale_is_logarithmic_where_a_linear_one_would_be_half_empty(tmp_path, losses, log):
    records = [{"step": i, "train_loss": loss} for i, loss in enumerate(losses)]
    assert written(tmp_path, RunShown("a", records)).data["log"] is log


def test_no_text_breaks_the_page(tmp_path):
    """Catches a name, a setting, a path or a sample that ends the script, begins a comment, or fills a place."""
    layers = {key: {EVIL: 1.0} for key in LAYERS}
    weights = AttentionShown(EVIL, [EVIL], [EVIL, "b"], {EVIL: np.array([[[0.0, 1.0]]])})
    evil = RunShown(EVIL, [{"step": 1, "train_loss": 1.0, **layers}], [(EVIL, EVIL)], {EVIL: EVIL}, EVIL, [weights])
    page = written(tmp_path, evil, title=EVIL, note=EVIL, quantity=EVIL, why_no_attention=EVIL)
    plain = written(tmp_path, RunShown("a", RECORDS))
    assert page.elements == plain.elements
    text = page.data["runs"][0]["text"]
    assert text.startswith("</script>") and text.endswith(r"\ud800 \x1b]0;owned\x07")
    assert page.data["runs"][0]["name"] == text == page.data["runs"][0]["attention"][0]["tokens"][0]


def test_it_loads_nothing(tmp_path):
    page = written(tmp_path, RunShown("a", RECORDS))
    names = dict(page.attributes)
    assert not {"src", "href", "action", "srcset"} & names.keys() and "link" not in page.elements
    policy = next(value for _, value in page.attributes if value and "default-src" in value)
    assert policy.startswith("default-src 'none'")
    text = (tmp_path / "report.html").read_text().replace('"http://www.w3.org/2000/svg"', "")
    assert not re.search(r"https?://|@import|url\(|fetch\(|XMLHttp|innerHTML|insertAdjacent|document\.write|eval\(", text)


def test_attention_is_written_in_bytes(tmp_path):
    weights = AttentionShown("Attention", ["a", "b"], ["a", "b"], {"layer 1": np.array([[[1.0, 0.0], [0.25, 0.75]]])})
    (part,) = written(tmp_path, RunShown("a", RECORDS, attention=[weights])).data["runs"][0]["attention"]
    assert part == {"name": "Attention", "tokens": ["a", "b"], "keys": ["a", "b"], "layers": [{"name": "layer 1", "heads": ["/wBAvw=="]}]}


def test_no_run(tmp_path):
    with pytest.raises(ValueError, match="report_page: there is no run: give at least one"):
        report_page([], tmp_path / "report.html")
    assert list(tmp_path.iterdir()) == []
