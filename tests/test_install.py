"""Both ways to install, each in an environment of its own, and a program in the folder that holds the clone.

A clone called ``tinytx`` shadows the package there: Python finds the folder first, and has to go on looking.
"""

import importlib.util
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = ("setup.cfg", "pyproject.toml", "README.md", "LICENSE")
PROGRAM = """\
import tinytx
from tinytx import Layer, Parameter, Tape, ops
from tinytx.data import CharTokenizer
print(tinytx.__file__)
"""
pytestmark = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("pip", "setuptools"))) or os.name != "posix",
    reason="installs with this environment's pip and setuptools",
)


def run(*command, folder):
    """Return what a command prints, run without this process's search path."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    done = subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module", params=["installed", "editable"])
def installed(request, tmp_path_factory):
    """Return (parent folder, its environment's programs, the way): the folder holds a clone called tinytx."""
    parent = tmp_path_factory.mktemp(request.param)
    clone, environment = parent / "tinytx", parent / "environment"
    shutil.copytree(ROOT / "tinytx", clone / "tinytx", ignore=shutil.ignore_patterns("__pycache__"))
    for name in FILES:
        shutil.copy(ROOT / name, clone)
    venv.create(environment, with_pip=False)
    (packages,) = environment.glob("lib/python*/site-packages")
    outer = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    (packages / "outer.pth").write_text("\n".join(outer) + "\n")  # numpy, numba, pip: nothing is downloaded
    programs = environment / "bin"
    options = "-q", "--ignore-installed", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"
    way = ["-e"] if request.param == "editable" else []
    run(programs / "python", "-m", "pip", "install", *options, *way, clone, folder=parent)
    return parent, programs, request.param


def test_a_program_beside_the_clone_finds_the_package(installed):
    """Editable, the program gets the clone's files, so that a change there is seen; installed, it gets the copies."""
    parent, programs, way = installed
    (parent / "program.py").write_text(PROGRAM)
    found = Path(run(programs / "python", "program.py", folder=parent))
    expected = parent / "tinytx" / "tinytx" if way == "editable" else parent / "environment"
    assert found.name == "__init__.py" and found.is_relative_to(expected)


def test_both_names_of_the_command_run_beside_the_clone(installed):
    """``python -m tinytx`` looks in the folder, too, before it looks where packages are installed."""
    parent, programs, _ = installed
    said = run(programs / "python", "-m", "tinytx", "--version", folder=parent)
    assert said.startswith("tinytx ") and run(programs / "tinytx", "--version", folder=parent) == said


@pytest.mark.parametrize("installed", ["installed"], indirect=True)
def test_every_file_of_the_package_is_installed(installed):
    """Catches a folder without __init__.py, and a page that is no Python file and named nowhere."""
    parent, _, _ = installed
    (target,) = (parent / "environment").glob("lib/python*/site-packages/tinytx")
    there, here = ({p.relative_to(at) for p in at.rglob("*") if p.is_file()} for at in (target, parent / "tinytx/tinytx"))
    assert {p for p in there if "__pycache__" not in p.parts} == {p for p in here if "__pycache__" not in p.parts}
