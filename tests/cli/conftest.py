"""The command line, called in this process; and one small run that several tests look at."""

import contextlib
import io
import sys
from typing import NamedTuple

import pytest

from tinytx.cli import main

TINY = (
    "--d-model 16 --n-heads 2 --n-layers 1 --max-len 8 --batch-size 4 --dropout 0.1 --lr 1e-2 --warmup 3 --threads 2 "
    "--eval-every 7 --log-every 5 --eval-windows 4 --decay-steps 40"
)


class Result(NamedTuple):
    code: int
    out: str
    err: str


def call(*argv):
    """Run a command: text is cut at its blanks, as a shell would; lists, paths and numbers are taken as they are."""
    words = []
    for part in argv:
        words += part.split() if isinstance(part, str) else part if isinstance(part, list) else [str(part)]
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(words)
        except SystemExit as exit:
            code = exit.code
    return Result(code, out.getvalue(), err.getvalue())


@pytest.fixture(scope="session")
def tinytx():
    """Run a command: ``tinytx("sample", folder, "--tokens 3")`` returns its exit code and what it printed."""
    return call


@pytest.fixture(scope="session")
def tiny():
    """Flags of a model so small that a step takes a millisecond."""
    return TINY


@pytest.fixture(scope="session")
def book(tmp_path_factory):
    """A text file with some regularity to learn."""
    path = tmp_path_factory.mktemp("data") / "book.txt"
    path.write_text("".join(f"{i} times {i} is {i * i}.\n" for i in range(100)))
    return path


@pytest.fixture(scope="session")
def finished(tmp_path_factory, book):
    """A run of 20 steps: its folder, and what it printed. Read only."""
    folder = tmp_path_factory.mktemp("finished") / "run"
    return folder, call("train gpt --data", book, TINY, "--steps 20 --out", folder)


@pytest.fixture
def no_pictures(monkeypatch):
    """Matplotlib is missing: a run then ends faster."""
    for name in ("matplotlib", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, name, None)


@pytest.fixture
def refused(tinytx, tmp_path, monkeypatch):
    """Run a command that must fail, and return its message: exit code 2, one line on stderr, and nothing else done."""
    monkeypatch.chdir(tmp_path)

    def call_and_check(*argv):
        result = tinytx(*argv)
        assert (result.code, result.out) == (2, "")
        (line,) = result.err.splitlines()
        assert line.startswith("tinytx: ")
        assert not list(tmp_path.iterdir())
        return line

    return call_and_check
