"""``python -m tinytx watch``: a run on the screen while it goes on, and once where there is no screen."""

import json
import os
import re
import select
import signal
import subprocess
import sys
import time

import pytest

from tinytx.lock import locked
from tinytx.training.loop import METRICS

pytest.importorskip("rich")
RATIOS = {f"body.blocks.{i}": 10.0**-i for i in range(9)}


def step(t, **more):
    record = {"step": t, "train_loss": 10 / t, "learning_rate": 0.1, "grad_norm": 2.0, "tokens_per_second": 512.0}
    return json.dumps(record | {"tokens": 8 * t, "seconds": t / 2} | more) + "\n"


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / METRICS).write_text(step(1) + step(2, val_loss=3.25, update_ratios=RATIOS, grad_norms=RATIOS))
    then = time.time() - 600
    os.utime(tmp_path / "run" / METRICS, (then, then))
    return tmp_path / "run"


def test_without_a_terminal_it_prints_once(tinytx, finished, filler):
    """Catches a command that never ends in a script, colours in a file, and a run that is left out."""
    code, out, err = tinytx("watch", finished[0], filler[0])
    assert (code, err) == (0, "") and "\x1b" not in out and "\\x" not in out
    assert out.count("20 of 20") == 4 and out.count("finished after step 20 of 20\n") == 2
    assert "training loss" in out and "--follow" not in out and "update-to-weight" not in out


def test_layers_at_the_ends(tinytx, folder):
    """Catches layers in another order, and all of a hundred layers on one screen."""
    out = tinytx("watch", folder).out
    assert "3.2500" in out and "5.0000" in out and "512" in out and "validation" in out
    assert re.findall(r"(\S+)  body\.blocks\.(\d)", out) == [
        (f"{10.0**-i:.2e}", str(i)) for i in (0, 1, 2, 6, 7, 8)
    ]
    assert out.endswith("run: stopped after step 2\n")


def test_names_move_no_cursor(tinytx, tmp_path):
    name = tmp_path / "\x1b]0;owned\x07[bold]run"
    name.mkdir()
    (name / METRICS).write_text(step(1, train_loss=None, update_ratios={"\x1b[2J": 1.0}))
    code, out, _ = tinytx("watch", [str(name)])
    assert code == 0 and not {"\x1b", "\x07"} & set(out)
    assert out.count("python -m tinytx report ") == 2 and out.endswith(" --follow\n")
    assert "not finite" in out and "no loss yet" in out and "[bold]run: running: step 1" in out


@pytest.mark.parametrize("command, named", [("watch nowhere", "metrics.jsonl in nowhere"), ("watch", "DIR"), ("watch {} --every 0", "--every")])
def test_what_cannot_be_watched(refused, finished, command, named):
    assert named in refused(command.format(finished[0]))


def test_without_rich(refused, finished, monkeypatch):
    """Catches an error that does not say what to install."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "rich"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "rich", None)
    assert 'watching runs needs rich: pip install "tinytx[watch]"' in refused("watch", finished[0])


class Terminal:
    """The command in a terminal of its own."""

    def __init__(self, *words):
        import pty

        self.handle, end = pty.openpty()
        environment = {**os.environ, "TERM": "xterm-256color", "PYTHONIOENCODING": "utf-8", "COLUMNS": "100", "LINES": "30"}
        command = [sys.executable, "-m", "tinytx", "watch", *map(str, words)]
        environment["PYTHONPATH"] = os.pathsep.join(sys.path)
        self.process = subprocess.Popen(command, stdin=end, stdout=end, stderr=end, env=environment, start_new_session=True)
        os.close(end)
        self.text = ""

    def until(self, wanted, seconds=60):
        """Read until a text comes; None: until the end."""
        end = time.monotonic() + seconds
        while wanted is None or wanted not in self.text:
            assert time.monotonic() < end, f"no {wanted!r} in {self.text[-3000:]!r}"
            if select.select([self.handle], [], [], 0.1)[0]:
                try:
                    self.text += os.read(self.handle, 65536).decode("utf-8", "replace")
                except OSError:  # the other end is closed
                    assert wanted is None, self.text[-3000:]
                    break
        return self.text


@pytest.mark.skipif(os.name == "nt", reason="pseudo-terminals are POSIX's")
def test_it_refreshes_and_ends_with_the_run(folder):
    """Catches a screen that stands still, a torn line that ends it, and one that waits for a run that has ended."""
    with locked(folder):
        terminal = Terminal(folder, "--every", "0.1")
        terminal.until("running")
        with open(folder / METRICS, "a") as file:
            file.write('{"step": 3, "train_l')
            file.flush()
            time.sleep(0.3)
            file.write('oss": 1.2345}\n')
        terminal.until("1.2345")
        with open(folder / METRICS, "a") as file:
            file.write('{"step": 3, "val_loss": 1.5}\n')
    text = terminal.until(None)
    assert terminal.process.wait(20) == 0
    assert text.count("\x1b[?1049h") == text.count("\x1b[?1049l") == 1  # the screen of before is there again
    assert "finished after step 3" in text.rpartition("\x1b[?1049l")[2] and "Traceback" not in text


@pytest.mark.skipif(os.name == "nt", reason="pseudo-terminals are POSIX's")
def test_ctrl_c_leaves_quietly(folder, heeds_ctrl_c):
    with locked(folder):
        terminal = Terminal(folder)
        terminal.until("5.0000")
        terminal.process.send_signal(signal.SIGINT)
        text = terminal.until(None)
    assert terminal.process.wait(20) == 0
    after = text.rpartition("\x1b[?1049l")[2]
    assert not re.sub(r"\x1b\[[?\d;]*\w", "", after).strip() and "Traceback" not in text
