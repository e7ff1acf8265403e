"""The command line as a whole: help, usage errors, and errors of one line."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

import tinytx as tinytx_package
from tinytx import cli
from tinytx.recipes import RECIPES


@pytest.mark.parametrize(
    "command", ["", *sorted(cli.COMMANDS.keys() - {"gradcheck"}), *(f"train {name}" for name in RECIPES)]
)
def test_help_has_an_example(tinytx, command):
    """Catches help that raises (a % in a text), and a command that shows its flags but not how to begin."""
    result = tinytx(command, "--help")
    assert (result.code, result.err) == (0, "")
    assert "Example: python -m tinytx" in result.out or "Start with: python -m tinytx" in result.out


@pytest.mark.parametrize(
    "command, named",
    [
        ("", "COMMAND"),
        ("trian", "trian"),
        ("train nosuch", "nosuch"),
        ("train --nosuch 3", "--nosuch"),
        ("train gpt --steps many", "many"),
        ("train gpt --steps", "--steps"),
        ("train gpt --norm-order sideways", "sideways"),
        ("sample", "DIR"),
        ("sample runs/gpt --tokens 1.5", "1.5"),
        ("train transformer --tokenizer letters", "letters"),
        ("translate", "DIR"),
        ("translate runs/transformer", "SENTENCE"),
        ("translate runs/transformer x --beam 3 --greedy", "--greedy"),
        ("explain runs/transformer", "TEXT"),
        ("fill", "DIR"),
        ("fill runs/bert", "TEXT"),
        ("fill runs/bert x --top some", "some"),
        ("embeddings", "DIR"),
        ("embeddings runs/bert --side left", "left"),
    ],
)
def test_usage_errors(refused, command, named):
    """Catches a page of usage where one line would do, and a message that does not name the word that is wrong."""
    assert named in refused(command)


def test_what_computes_nothing_needs_no_numba():
    """Catches an import that makes help, a list and a mistyped flag wait for what none of them uses; and one that a loop
    would find missing."""
    code = """
import sys
from tinytx.cli import main
for command in ("--help", "recipes", "train gpt --help", "train gpt --steps many", "sample nowhere"):
    try:
        main(command.split())
    except SystemExit:
        pass
    assert "numba" not in sys.modules, command
import numpy, tinytx.ops
tinytx.ops.gelu(numpy.ones(3))
assert "numba" in sys.modules
"""
    environment = {**os.environ, "PYTHONPATH": str(Path(tinytx_package.__file__).parents[1]), "NUMBA_DISABLE_JIT": "0"}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    "error, message",
    [
        (ValueError("bad value"), "tinytx: bad value"),
        (OSError(28, "No space left on device", "x.npz"), "tinytx: [Errno 28] No space left on device: 'x.npz'"),
        (MemoryError("Unable to allocate 8. TiB"), "tinytx: Unable to allocate 8. TiB"),
        (MemoryError(), "tinytx: MemoryError"),
        (ZeroDivisionError("division by zero"), "tinytx: division by zero"),
        (ImportError("in two\nlines"), "tinytx: in two lines"),
    ],
)
def test_errors_of_a_command_are_one_line(tinytx, monkeypatch, error, message):
    """Catches tracebacks for what is no fault of ours, and a line without words."""

    def fails(arguments):
        raise error

    monkeypatch.setattr("tinytx.cli.sample.run", fails)
    assert tinytx("sample somewhere") == (2, "", message + "\n")


def test_ctrl_c_outside_the_loop(tinytx, monkeypatch):
    """Catches a traceback when somebody stops a command while it reads or writes."""

    def interrupted(arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("tinytx.cli.sample.run", interrupted)
    assert tinytx("sample somewhere") == (130, "", "tinytx: interrupted\n")


def test_our_own_faults_keep_their_traceback(tinytx, monkeypatch):
    """Catches an ``except Exception`` that would hide a bug of ours behind one line."""

    def buggy(arguments):
        raise AttributeError("a bug")

    monkeypatch.setattr("tinytx.cli.sample.run", buggy)
    with pytest.raises(AttributeError):
        tinytx("sample somewhere")


def test_unknown_flags_lead_to_the_help_of_their_command(refused):
    """Catches a reader who is sent to a help that does not list the command's flags."""
    line = refused("train transformer --n-layers 1")
    assert "--n-layers" in line and "python -m tinytx train transformer --help" in line


def test_help_of_train_names_all_models(tinytx):
    """Catches a reader who asks for the models that can be trained, and is told of one."""
    out = tinytx("train", "--help").out
    assert all(f"train {name}" in " ".join(out.split()) for name in cli.RECIPES)


@pytest.mark.parametrize(
    "command, meant",
    [
        ("trian", "did you mean train?"),
        ("train transformr", "did you mean transformer?"),
        ("train --stpes 3", "did you mean --steps?"),
        ("train gpt --dmodel=3", "did you mean --d-model?"),
        ("train bert --xyz 3", ""),
        ("train gpt --norm-order pots", "did you mean post?"),
        ("train gpt --activation gelu-tanh", "did you mean gelu_tanh?"),
        ("sample runs/gpt --temprature 1", "did you mean --temperature?"),
        ("embeddings runs/bert --side sorce", "did you mean source?"),
        ("xyz", ""),
    ],
)
def test_words_that_are_mistyped(refused, command, meant):
    """Catches a reader who has to find in a long help what is one letter off; and guesses that are far."""
    line = refused(command)
    assert meant in line and ("did you mean" in line) == bool(meant)


@pytest.mark.parametrize("flag", ["--n_layers 2", "--n_layers=2", "--n-layers 2"])
def test_flags_under_their_names_in_python(flag):
    """Catches --n_layers, as other programs write it, refused; and values with an underscore that are changed."""
    assert cli._parser().parse_args(["train", "gpt", *flag.split()]).n_layers == 2
    arguments = cli._parser().parse_args(["train", "gpt", "--out", "my_run", "--data=a_b", "--no_tied_head"])
    assert (arguments.out, arguments.data, arguments.tied_head) == ("my_run", "a_b", False)


def test_help_imports_no_model():
    """Catches a command line that takes seconds to say what it can do."""
    code = "import sys, tinytx.cli as cli; cli._parser().format_help(); print([m for m in sys.modules if 'tinytx.mod' in m])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_version(tinytx):
    """Catches a report of a fault without what it depends on."""
    result = tinytx("--version")
    assert result.code == 0 and result.out.startswith(f"tinytx {tinytx_package.__version__} (Python 3.")
    assert all(name in result.out for name in ("NumPy", "Numba", "BLAS"))


def test_commands_know_no_model():
    """Catches a command that a new model would have to be added to; and help that waits for models to be imported."""
    folder = Path(cli.__file__).parent
    assert [path.name for path in folder.glob("*.py") if "tinytx.models" in path.read_text(encoding="utf-8")] == []
    program = "import sys, tinytx.cli; sys.exit(any(name.startswith(('tinytx.models', 'tinytx.ops')) for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
