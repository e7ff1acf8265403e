"""``python -m tinytx profile``: tables of layers and of classes, for new models and for a run's."""

import re

import pytest

from tinytx.recipes import RECIPES, load_recipe

SMALL = "--d-model 8 --n-heads 2 --n-layers 1 --max-len 8 --batch-size 2 --steps 2"


def rows(out):
    """Return (layers, classes): for each row of a table its words."""
    tables = [table.splitlines()[1:] for table in out.split("\n\n")[:2]]
    return [[line.split() for line in table] for table in tables]


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipes_model_is_timed(tinytx, name):
    """Catches a batch that a model's loss does not take, and a layer that is not counted among its class."""
    result = tinytx("profile --model", name, SMALL)
    assert result.code == 0, result.err
    layers, classes = rows(result.out)
    assert f"A {load_recipe(name).model.__name__} on arrays of shapes (" in result.out
    kinds = [row[1] for row in layers]
    assert sorted((row[0], row[1]) for row in classes) == sorted((kind, str(kinds.count(kind))) for kind in set(kinds))
    assert re.search(r"AdamW's update: \d+\.\d\d ms", result.out) and "medians of 2 steps" in result.out


@pytest.mark.parametrize("sort, column", [("time", None), ("forward", -6), ("backward", -4), ("memory", -2)])
def test_rows_are_sorted(tinytx, sort, column):
    """Catches an order that is another figure's, or the least first."""
    for table in rows(tinytx("profile", SMALL, "--sort", sort).out):
        values = [[float(word.replace(",", "")) for word in (row[-7], row[-5], row[-2])] for row in table]
        wanted = [sum(v[:2]) if sort == "time" else v[["forward", "backward", "memory"].index(sort)] for v in values]
        assert all(a >= b - 0.0011 for a, b in zip(wanted, wanted[1:]))


def test_the_models_order_is_the_default(tinytx):
    """Catches layers in another order than the model's, where nobody asked for one."""
    layers, _ = rows(tinytx("profile", SMALL).out)
    paths = [row[0] for row in layers]
    assert paths.index("body.token") < paths.index("body.blocks.0.attention.f") < paths.index("body.norm")


def test_a_trained_run_is_timed(tinytx, finished, filler, translator):
    """Catches another model than the run's, and another batch."""
    assert "A GPT on arrays of shapes (4, 8), (4, 8)" in tinytx("profile", finished[0], "--steps 1").out
    assert "A Bert on arrays of shapes (4, 8), (4, 8)" in tinytx("profile", filler[0], "--steps 1").out
    assert "shapes (3, 9), (3, 10)" in tinytx("profile", translator[0], "--steps 1 --batch-size 3").out
    assert "shapes (6, 9), (6, 10)" in tinytx("profile", translator[0], "--steps 1").out  # 60 tokens


def test_what_cannot_be_timed(refused, finished):
    """Catches a flag that is taken and has no effect, and a folder without a run."""
    message = refused("profile", finished[0], "--d-model 32 --model bert")
    assert f"--d-model is for a new model, and {finished[0]} holds one" in message
    assert "no checkpoint.npz in nowhere" in refused("profile nowhere")
    assert "--vocab-size is 3" in refused("profile --vocab-size 3")
