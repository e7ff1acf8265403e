"""Every command that README, a benchmark or an example shows can be typed as it stands: files, flags, extras."""

import ast
import configparser
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tinytx import cli

ROOT = Path(__file__).parents[1]
XDIST = ("-n", "auto", "--dist", "loadfile")  # flags of pytest-xdist, which the extra test brings
SCRIPTS = sorted(path for folder in ("benchmarks", "examples") for path in (ROOT / folder).glob("*.py"))
PROGRAMS = [path for path in SCRIPTS if '__name__ == "__main__"' in path.read_text(encoding="utf-8")]
PAGES = [ROOT / "README.md", ROOT / "benchmarks/README.md", ROOT / "tests/conftest.py", *SCRIPTS]
SETTINGS = configparser.ConfigParser()
SETTINGS.read(ROOT / "setup.cfg")


def commands_of(page):
    """Return the commands of a page: its lines between fences, or indented ones of a docstring, and its code spans."""
    text = page.read_text(encoding="utf-8")
    if page.suffix == ".py":
        text = ast.get_docstring(ast.parse(text)) or ""
        lines = [line.strip() for line in text.split("\n") if line.startswith("    ")]
    else:
        lines = "\n".join(re.findall(r"^```\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)).split("\n")
        lines += re.findall(r"`([^`\n]+)`", re.sub(r"^```.*?^```$", "", text, flags=re.DOTALL | re.MULTILINE))
    parts = [part.split("#")[0].strip().removeprefix("Try next: ") for line in lines for part in line.split(" && ")]
    return [part for part in parts if re.match(r"(\w+=\S+ )*(python|pip|pytest|tinytx) ", part + " ")]


COMMANDS = sorted({command for page in PAGES for command in commands_of(page)})


def test_commands_are_found():
    assert len(COMMANDS) > 25
    assert {"pytest -n auto --dist loadfile", 'pip install ".[all]"', "python -m tinytx train"} <= set(COMMANDS)


def parse(command):
    """Raise AssertionError, or what argparse does, if a command cannot be typed."""
    words = shlex.split(command)
    while "=" in words[0]:
        words = words[1:]
    if words[:2] == ["pip", "install"]:
        (extras,) = re.findall(r"\.\[([\w,]+)\]|$", words[-1])[:1]
        assert {extra for extra in extras.split(",") if extra} <= set(SETTINGS["options.extras_require"]), command
    elif words[:3] == ["python", "-m", "tinytx"] or words[0] == "tinytx":
        arguments = words[words.index("tinytx") + 1 :]
        if arguments and "--help" not in arguments:
            arguments = ["train", "gpt", *arguments[1:]] if _is_default(arguments) else arguments
            cli._parser(arguments).parse_args(arguments)
    elif words[0] == "python" and words[1].endswith(".py") and "/" in words[1]:
        source = (ROOT / words[1]).read_text(encoding="utf-8")
        source += (ROOT / "benchmarks/turns.py").read_text(encoding="utf-8") if "turns.parser" in source else ""
        for word in words[2:]:
            assert not word.startswith("--") or f'"{word.split("=")[0]}"' in source, f"{command}: {word}"
    elif words[0] == "pytest":
        files = [word for word in words[1:] if word not in XDIST]
        assert all((ROOT / word).exists() for word in files), command
    else:
        assert words[0] == "python", command


def _is_default(arguments):
    return arguments[0] == "train" and (len(arguments) == 1 or arguments[1].startswith("-"))


@pytest.mark.parametrize("command", COMMANDS)
def test_command_can_be_typed(command, letters):
    parse(command)


@pytest.mark.parametrize(
    "command",
    [
        "python benchmarks/no_such.py",
        "python benchmarks/ops.py --no-such-flag",
        'pip install ".[no_such]"',
        "python -m tinytx train bert --no-such-flag 3",
        "python -m tinytx no_such",
        "NUMBA_BOUNDSCHECK=1 pytest tests/no_such.py",
    ],
)
def test_mistakes_are_found(command, capsys):
    """The test of the test."""
    with pytest.raises((AssertionError, OSError, SystemExit)):
        parse(command)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.name)
def test_scripts_say_how_they_are_called(path):
    """The first lines of a program hold its command."""
    if path in PROGRAMS and path.name != "turns.py":
        name = path.relative_to(ROOT).as_posix().replace("benchmarks/__main__.py", "-m benchmarks")
        assert any(name in command for command in commands_of(path)), f"{name}: no command in its docstring"


@pytest.mark.parametrize("page", [ROOT / "README.md", ROOT / "benchmarks/README.md"], ids=lambda page: page.parent.name)
def test_files_named_in_commands_are_explained(page):
    """A data file that a command reads has an address and a licence in README."""
    lines = (ROOT / "README.md").read_text(encoding="utf-8").split("\n")
    for command in commands_of(page):
        for name in re.findall(r"--(?:data|pairs|text) ([\w.-]+\.\w+)", command):
            if name == "book.txt":  # stands for a text of the reader's own
                continue
            (row,) = [line for line in lines if line.startswith(f"| `{name}` |")]
            assert "https://" in row and len(row.split("|")[3].strip()) > 3, row


RUN = (ROOT / ".ci/run").read_text(encoding="utf-8")


@pytest.mark.parametrize("path", PROGRAMS, ids=lambda path: path.name)
def test_every_program_is_run_by_ci(path):
    """In its quickest mode: .ci/run looks for programs in both folders; each takes --quick or has its flags there."""
    assert """grep -l '__name__ == "__main__"' "$here"/{benchmarks,examples}/*.py | xargs""" in RUN
    source = path.read_text(encoding="utf-8")
    assert '"--quick"' in source or "turns.parser" in source or f"*/{path.name})" in RUN


def test_ci_runs_the_legs_of_the_suite():
    """With the variables and on the files that tests/conftest.py names."""
    page = ROOT / "tests/conftest.py"
    files = [word for command in commands_of(page) for word in command.split()[1:]]
    variables = re.findall(r"NUMBA_\w+=1", page.read_text(encoding="utf-8"))
    assert f"legs=({' '.join(files)})" in RUN and len(files) > 3
    assert [f"{variable} pytest" in RUN for variable in variables] == [True, True]
    assert RUN.count('"${legs[@]}"') == len(variables)


STEPPING = """\
import numpy as np
from tinytx import ops
x = np.random.default_rng(0).normal(size=(2, 4))
y, saved = ops.layer_norm(x, np.ones(4), np.zeros(4))
ops.layer_norm_backward(np.ones((2, 4)), saved)
"""


def test_a_debugger_steps_through_a_backward(tmp_path):
    """As README says: with NUMBA_DISABLE_JIT=1 pdb stops inside a loop of layer norm's backward and shows its names."""
    source = (ROOT / "tinytx/ops/layer_norm.py").read_text(encoding="utf-8").split("\n")
    line = next(i for i, text in enumerate(source, 1) if "sum_dn_n += dn * n" in text)
    program = tmp_path / "program.py"
    program.write_text(STEPPING)
    orders = f"break {ROOT}/tinytx/ops/layer_norm.py:{line}\ncontinue\np ('here', i, j, float(dn))\nstep\np ('next', j)\nquit\n"
    environment = os.environ | {"NUMBA_DISABLE_JIT": "1", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "pdb", program]
    done = subprocess.run(command, input=orders, env=environment, capture_output=True, text=True, timeout=60)
    assert "('here', 0, 0, 1.0)" in done.stdout, done.stdout + done.stderr
    assert "('next', 0)" in done.stdout
