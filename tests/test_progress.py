"""The progress of a long work: a bar on a terminal, lines elsewhere."""

import io
import sys
import threading
import time

import pytest

from tinytx import kernel
from tinytx import progress as module
from tinytx.progress import Bar, Lines, announce_compiling, duration, progress, say, tracked, working
from tinytx.terminal import safe


class Terminal(io.StringIO):
    """Standard error on a terminal of so many columns."""

    def __init__(self, columns):
        super().__init__()
        self.columns = columns

    def isatty(self):
        return True

    def lines(self):
        """Return what stands on the screen at the end, line by line."""
        screen = []
        for line in self.getvalue().split("\n"):
            shown = ""
            for piece in line.split("\r"):
                assert len(piece) < self.columns, "the terminal would begin a new line"
                shown = piece + shown[len(piece) :]
            screen.append(shown.rstrip())
        return screen


@pytest.fixture(autouse=True)
def all_closed():
    """Close what a test leaves open: its thread would go on and show it in the next test."""
    yield
    for display in module._displays[:]:
        display.close()


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still: ``clock(5)`` lets 5 seconds pass."""
    now = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])

    def wait(seconds):
        now[0] += seconds

    return wait


@pytest.fixture
def terminal(monkeypatch):
    """Make standard error a terminal of 80 columns, or of others."""

    def call(columns=80):
        screen = Terminal(columns)
        monkeypatch.setattr(sys, "stderr", screen)
        monkeypatch.setattr(module, "_columns", lambda: columns)
        monkeypatch.setenv("TERM", "xterm")
        return screen

    return call


def test_lines_where_there_is_no_terminal(clock, capsys):
    """Catches a bar in a file, silence of more than a few seconds, a line for every step, and the first step's time
    taken for usual."""
    lines = progress(total=8, start=3)
    assert isinstance(lines, Lines)
    clock(60.0)  # compiling
    lines.update("loss 1.5")
    for _ in range(4):
        clock(3.0)
        lines.update("loss 1.25, 7 tokens/s")
    lines.close()
    assert capsys.readouterr().err.splitlines() == [
        "step 4/8, loss 1.5",
        "step 6/8, 6 s left, loss 1.25, 7 tokens/s",
        "step 8/8, 0 s left, loss 1.25, 7 tokens/s",
    ]


def test_a_terminal_that_cannot_go_back_gets_lines(terminal, monkeypatch):
    """Catches a bar in an editor's shell, where each of its states is a line."""
    terminal()
    assert isinstance(progress(3), Bar)
    monkeypatch.setenv("TERM", "dumb")
    assert isinstance(progress(3), Lines)


def test_a_step_that_compiles_is_not_counted(clock, capsys, monkeypatch):
    """Catches hours left because one step took a minute to compile; and a message for each kernel."""
    monkeypatch.setattr(kernel, "on_compile", None)
    monkeypatch.setattr(module, "_compiled", 0)
    announce_compiling()
    lines = progress(total=100)
    for step in range(10):
        if step in (0, 6):
            kernel.on_compile("one")
            kernel.on_compile("two")
            clock(600.0)
        clock(1.0)
        lines.update()
    err = capsys.readouterr().err
    assert err.count("Compiling") == 1
    assert "compiling kernel 3\n" in err  # ten minutes later
    assert "step 7/100, 93 s left\n" in err
    assert "step 1/100\n" in err


def test_compiling_is_shown_on_the_bar(terminal, monkeypatch):
    """Catches half a minute in which nothing moves."""
    screen = terminal()
    monkeypatch.setattr(kernel, "on_compile", None)
    monkeypatch.setattr(module, "_compiled", 0)
    announce_compiling()
    bar = progress(total=100)
    for name in ("one", "two", "three"):
        kernel.on_compile(name)
    assert screen.lines()[0].startswith("Compiling kernels") and len(screen.lines()[0]) < 80
    assert screen.lines()[1].endswith("] compiling kernel 3")
    bar.update("loss 1.5")
    bar.close()
    assert screen.lines()[1].endswith("] loss 1.5")


def test_the_bar_at_80_columns(terminal, clock):
    """Catches a bar of one character, and numbers that are cut."""
    screen = terminal()
    bar = progress(total=30_000, start=12_344)
    bar.update("loss 2.345, val 2.412, 123,456 tokens/s")
    clock(0.25)
    bar.update("loss 2.345, val 2.412, 123,456 tokens/s")
    bar.close()
    (line, end) = screen.lines()
    assert (len(line) <= 79, end) == (True, "")
    first, rest = line.split(" [")
    drawn, _, said = rest.partition("] ")
    assert first == "step 12346/30000"
    assert len(drawn) >= 10 and set(drawn) == {"#", "."}
    assert drawn.count("#") == len(drawn) * 12346 // 30000
    assert said == "74 min left, loss 2.345, val 2.412"  # the last number has no room


@pytest.mark.parametrize("columns", [200, 80, 60, 40, 24, 12])
def test_the_bar_fits_and_shows_whole_numbers(terminal, columns):
    """Catches a bar that is longer than the line, which then fills the screen; and half a number at its end."""
    screen = terminal(columns)
    bar = progress(total=200)
    for _ in range(200):
        bar.update("loss 12.345, val 2.412, 123,456 tokens/s")
    bar.close()
    line = screen.lines()[0]
    said = line.partition("] ")[2].split(", ") if "]" in line else []
    assert set(said) <= {"0 s left", "loss 12.345", "val 2.412", "123,456 tokens/s"}
    assert line.startswith("step 200/200"[: columns - 1])
    assert ("123,456 tokens/s" in line) == (columns == 200 or columns == 80)


def test_lines_beside_the_bar_are_lines_of_their_own(terminal, monkeypatch):
    """Catches a message that is written behind the bar, and a bar that is gone after it."""
    screen = terminal()
    monkeypatch.setattr(sys, "stdout", screen)
    bar = progress(total=8, start=6)
    say("Compiling ...")
    bar.say("step 7: validation 2")
    bar.update("loss 1.5")
    bar.update("loss 1.4")
    bar.close()
    lines = screen.lines()
    assert lines[:2] == ["Compiling ...", "step 7: validation 2"]
    assert lines[2].startswith("step 8/8 [#") and "loss 1.4" in lines[2]
    assert lines[3:] == [""]


def test_a_part_of_a_work_takes_the_line_and_gives_it_back(terminal, clock):
    """Catches a validation that leaves a line behind, or hides the bar of the run for good."""
    screen = terminal()
    bar = progress(total=8)
    seen = []
    for item in tracked([1, 2, 3], "batch"):
        seen.append(item)
        clock(1.0)
    assert seen == [1, 2, 3]
    assert "batch 2/3 [" in screen.getvalue()
    assert screen.lines()[-1].startswith("step 0/8 [")
    bar.close()
    assert len(screen.lines()) == 2
    assert module._displays == []


def test_what_it_tracks_ends_where_the_reader_stops(terminal):
    """Catches a bar that stays where an error ends the work."""
    terminal()
    with pytest.raises(ValueError):
        for _ in (items := iter(tracked([1, 2, 3], "batch"))):
            items.throw(ValueError)
    assert module._displays == []


@pytest.mark.parametrize("columns", [None, 80])
def test_a_long_step_shows_signs_of_life(terminal, capsys, monkeypatch, columns):
    """Catches silence where one step takes longer than anybody waits; and two displays that write over each other."""
    monkeypatch.setattr(module, "QUIET", 0.02)
    monkeypatch.setattr(Lines, "every", 0.02)
    monkeypatch.delitem(sys.modules, "pdb", raising=False)
    screen = terminal() if columns else None
    outer = progress(total=3)
    inner = progress(total=5, unit="batch", stays=False)
    time.sleep(0.5)
    inner.close()
    written = screen.getvalue() if columns else capsys.readouterr().err
    assert written.count("batch 0/5") >= 3
    assert "at it for 0 s" in written
    assert written.count("step 0/3") <= 2
    outer.close()


@pytest.mark.parametrize("columns", [None, 80])
def test_a_work_without_steps_shows_signs_of_life(terminal, capsys, monkeypatch, columns):
    """Catches silence while a text is read or a vocabulary learned; and signs that disturb what a command prints."""
    monkeypatch.setattr(module, "QUIET", 0.25)
    monkeypatch.setattr(Lines, "every", 0.25)
    monkeypatch.delitem(sys.modules, "pdb", raising=False)
    screen = terminal() if columns else None
    with safe(), working("train"):
        time.sleep(0.8)
        print("Text: so many characters", file=sys.stderr)
        for letter in "a sample":
            print(letter, end="", file=sys.stderr)
            time.sleep(0.04)
        time.sleep(0.5)  # in the middle of a line
        print(file=sys.stderr)
    written = screen.getvalue() if columns else capsys.readouterr().err
    assert "train, at it for 0 s" in written
    assert "a sample\n" in written
    assert written.index("at it") < written.index("Text:") and "at it" not in written.partition("Text:")[2]
    if columns:
        assert screen.lines() == ["Text: so many characters", "a sample", ""]


def test_nobody_disturbs_a_debugger(capsys, monkeypatch):
    """Catches signs of life in the middle of what somebody types at the prompt of pdb."""
    monkeypatch.setattr(module, "QUIET", 0.01)
    monkeypatch.setattr(Lines, "every", 0.01)
    monkeypatch.setitem(sys.modules, "pdb", pytest)
    lines = progress(total=5)
    time.sleep(0.2)
    lines.close()
    assert capsys.readouterr().err == ""


def test_an_error_while_nobody_works_reaches_who_does(monkeypatch):
    """Catches a reader that goes away in the middle of a step, and a run that never hears of it."""

    class Gone(io.StringIO):
        def write(self, text):
            raise BrokenPipeError

    monkeypatch.setattr(module, "QUIET", 0.01)
    monkeypatch.setattr(Lines, "every", 0.01)
    monkeypatch.delitem(sys.modules, "pdb", raising=False)
    lines = progress(total=5)
    monkeypatch.setattr(sys, "stderr", Gone())
    deadline = time.monotonic() + 20
    while lines._error is None and time.monotonic() < deadline:
        time.sleep(0.01)
    with pytest.raises(BrokenPipeError):
        lines.update()
    lines.close()


def test_threads_count_together(capsys):
    """Catches updates that are lost where several threads make them."""
    bar = progress(total=4000)
    threads = [threading.Thread(target=lambda: [bar.update() for _ in range(1000)]) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert "step 4000/4000" in capsys.readouterr().err


def test_a_line_is_a_line_whatever_it_says(capsys):
    """Catches a message out of a file that sets the terminal's title, forges a second line, or fills the screen."""
    say("Note: \x1b]0;owned\x07\nNote: forged " + "x" * 100_000 + " the remedy")
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(r"Note: \x1b]0;owned\x07 Note: forged xxx") and line.endswith("x the remedy")
    assert len(line) == 1000


@pytest.mark.parametrize(
    "seconds, words",
    [(0, "0 s"), (59.6, "60 s"), (99, "99 s"), (100, "2 min"), (5940, "99 min"), (6000, "1 h 40 min"), (90_000, "25 h 0 min")]
    + [(14_252, "3 h 58 min"), (7 * 24 * 3600, "7 days 0 h")],
)
def test_durations_are_said_as_people_say_them(seconds, words):
    """Catches "14252 s left"."""
    assert duration(seconds) == words
