"""``python -m tinytx gradcheck``: exit codes, and what it prints."""

import json
import sys

import pytest

from tinytx.cli import main

CASES = """
import numpy as np
from tinytx import Layer, ops
from tinytx.layers import LayerNorm
from tinytx.testing import gradcheck

layer = LayerNorm(3)
not_a_case = 5
x = np.arange(6.0).reshape(2, 3)

def scale(x, weight):
    return x * weight, (x, weight)

def scale_backward(dy, saved):
    x, weight = saved
    return dy * weight, (dy * x).sum(axis=0)

def right():
    return layer, x

def wrong():
    return ops.relu, x - 2.5, {"backward": lambda dy, saved: dy}

def report():
    return gradcheck(layer, x)
"""


@pytest.fixture
def cases(tmp_path, monkeypatch):
    (tmp_path / "cases_of_mine.py").write_text(CASES)
    monkeypatch.chdir(tmp_path)
    yield "cases_of_mine"
    sys.modules.pop("cases_of_mine", None)


def test_an_operation(capsys):
    """An operation is found with its backward, and drawn inputs of the shapes asked for."""
    assert main(["gradcheck", "tinytx.ops:layer_norm", "--shapes", "3,5", "5", "5"]) == 0
    printed = capsys.readouterr().out
    assert "PASS" in printed and "(3, 5)" in printed


@pytest.mark.parametrize("name, arguments", [("layer", ["--shapes", "4,3"]), ("right", []), ("report", [])])
def test_right_ones_exit_with_0(cases, name, arguments):
    assert main(["gradcheck", f"{cases}:{name}", *arguments]) == 0


@pytest.mark.parametrize("name, shapes", [("layer", ["2,3"]), ("scale", ["2,3", "3"]), ("right", [])])
def test_a_file(cases, capsys, name, shapes):
    """A layer, an operation and a case of a file that is named by its path."""
    assert main(["gradcheck", f"{cases}.py:{name}", *(["--shapes", *shapes] if shapes else [])]) == 0
    assert "PASS" in capsys.readouterr().out


def test_a_class_for_a_layer(cases, capsys):
    assert main(["gradcheck", f"{cases}.py:LayerNorm", "--shapes", "2,3"]) == 2
    assert "LayerNorm is a class: name an instance, as after layernorm = LayerNorm(...)" in capsys.readouterr().err


def test_a_wrong_one_exits_with_1_and_says_where_in_json(cases, capsys):
    """Scripts read the exit code and the JSON: both must show the failure."""
    assert main(["gradcheck", f"{cases}:wrong", "--json"]) == 1
    report = json.loads(capsys.readouterr().out)
    assert report["verdict"] == "FAIL" and report["tensors"][0]["index"] is not None


@pytest.mark.parametrize(
    "arguments",
    [
        ["nocolon"],
        ["no.such.module:thing"],
        ["none.py:thing"],
        ["cases_of_mine.py:thing"],
        ["tinytx.ops:no_such_op"],
        ["tinytx.ops:layer_norm"],
        ["tinytx.ops:layer_norm", "--shapes", "3,x"],
        ["tinytx.ops:cross_entropy_backward"],
        ["cases_of_mine:not_a_case"],
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(cases, capsys, arguments):
    assert main(["gradcheck", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("tinytx:") and error.count("\n") == 1
