"""The progress of a long run, with tqdm and without."""

import sys

from tinytx.training import progress as module
from tinytx.training.progress import Bar, Lines, progress, say


def test_plain_lines_where_tqdm_is_missing(monkeypatch, capsys):
    """Catches an ImportError, silence, and a line for every step."""
    monkeypatch.setitem(sys.modules, "tqdm", None)
    now = 0.0
    monkeypatch.setattr(module.time, "monotonic", lambda: now)
    lines = progress(total=8, start=4)
    assert isinstance(lines, Lines)
    for _ in range(4):
        now += 6.0
        lines.update("loss 1.5")
    lines.close()
    assert capsys.readouterr().err.splitlines() == [
        "step 6/8, 12 s left, loss 1.5",  # 12 s for two steps, and two are left
        "step 8/8, 0 s left, loss 1.5",
    ]


def test_bar(capsys):
    """Catches a resumed run that is shown from 0, and a bar that swallows what is said beside it."""
    bar = progress(total=8, start=6)
    assert isinstance(bar, Bar)
    bar.update("loss 1.5")
    bar.say("step 7: validation 2")
    bar.update("loss 1.4")
    bar.close()
    out, err = capsys.readouterr()
    assert "step 7: validation 2\n" in out
    assert "8/8" in err and "loss 1.4" in err and "5/8" not in err
    assert err.endswith("\n")


def test_a_line_beside_the_bar_is_a_line_of_its_own(capsys):
    """Catches a message that is written behind the empty bar, and a bar that is gone after it."""
    bar = progress(total=8, start=6)
    say("Compiling ...")
    bar.close()
    before, message, after = capsys.readouterr().err.partition("Compiling ...\n")
    assert message and before.endswith("\r")  # the bar was wiped out
    assert "6/8" in after


def test_a_line_without_tqdm(monkeypatch, capsys):
    """Catches an ImportError in the middle of a step."""
    monkeypatch.setitem(sys.modules, "tqdm", None)
    say("Compiling ...")
    assert capsys.readouterr().err == "Compiling ...\n"
