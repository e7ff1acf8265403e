"""The book's pages of recipes: their pictures are of the recipe's own model, of its own data, and of its own learning rates."""

import dataclasses
import re

import numpy as np
import pytest

from tinytx.book import drawings
from tinytx.book.batch_table import batch_table
from tinytx.book.blocks import Box, boxes_of, merged, size
from tinytx.book.diagram import diagram
from tinytx.book.drawings import curve_picture, seen_picture, smaller, table_picture
from tinytx.book.example import FEW, example_of
from tinytx.book.recipe_pages import looks
from tinytx.book.stand_ins import STAND_INS
from tinytx.recipes import RECIPES, load_recipe
from tinytx.recipes.rates import schedule_of
from tinytx.viz import attention_maps

KINDS = ["gpt", "few_shot", "word2vec", "transformer", "albert", "gatr", "digits", "reviews", "mixtral"]


@pytest.fixture(scope="module")
def examples():
    return {name: example_of(name) for name in KINDS}


def flat(boxes):
    for box in boxes:
        yield box
        yield from flat(box.inside)


@pytest.mark.parametrize("name", KINDS)
def test_boxes_have_all_weights_once(examples, name):
    """Also where a table is shared, a block is called four times, or a task has weights of its own."""
    example = examples[name]
    boxes, _ = boxes_of(example.task, example.batch)
    a, b = map(sum, zip(*(size(box, example.n_words) for box in boxes)))
    assert a + b * (example.n_words or 0) == sum(parameter.data.size for parameter in example.task.parameters())
    assert (b > 0) == (name == "reviews")
    paths = {path for path, _ in example.task.named_layers()}
    assert all(set(box.paths) <= paths | {"the task itself"} for box in flat(boxes))


def test_what_repeats_is_one_box(examples):
    (gpt, head), maps = boxes_of(examples["gpt"].task, examples["gpt"].batch)
    token, position, blocks, norm = gpt.inside
    assert [box.kind for box in gpt.inside] == ["Embedding", "LearnedPositions", "Block", "LayerNorm"]
    assert blocks.times == 4 and not blocks.is_same and blocks.paths == [f"body.blocks.{i}" for i in range(4)]
    assert head.is_shared and head.shapes == [(1, 64, 103)] and not token.is_shared
    assert len(maps) == 4 and len({box.sees is None for box in flat([blocks])}) == 2
    (albert, *_), _ = boxes_of(examples["albert"].task, examples["albert"].batch)
    (block,) = [box for box in flat([albert]) if box.kind == "Block"]
    assert block.times == 4 and block.is_same and block.paths == ["body.blocks.0"]


def test_what_differs_is_not_one_box(examples):
    """Blocks of one kind whose attention has another window."""
    boxes, maps = boxes_of(examples["few_shot"].task, examples["few_shot"].batch)
    assert [box.times for box in flat(boxes) if box.kind == "Block"] == [1, 1]
    (_, band), (_, causal) = maps
    t = np.arange(23)[:, None] - np.arange(23)
    assert np.array_equal(band, (t >= 0) & (t < 2)) and np.array_equal(causal, t >= 0)


def test_rows_that_are_chosen_have_no_number(examples):
    """Each expert gets other characters."""
    boxes, _ = boxes_of(examples["mixtral"].task, examples["mixtral"].batch)
    (experts,) = [box for box in flat(boxes) if box.kind == "GatedFeedForward"]
    assert experts.times == 8 and experts.shapes == [(None, 128)] and experts.inside[0].shapes == [(None, 196)]


def test_groups_that_repeat():
    def box(kind, key=None, **options):
        return Box(kind, [f"{kind}.{key}"], parameters=[(key, (2,))] if key else [], weights=[(2,)] if key else [], **options)

    (group,) = merged([box("A", 1), box("B"), box("A", 2), box("B")])
    assert (group.kind, group.times, [b.kind for b in group.inside], group.is_same) == ("", 2, ["A", "B"], False)
    assert group.inside[0].paths == ["A.1", "A.2"] and size(group) == (4, 0)
    same = merged([box("A", 1), box("B"), box("A", 1), box("B"), box("A", 1)])
    assert [(b.times, b.is_same) for b in same] == [(2, True), (1, False)] and size(same[0]) == (2, 0)
    mixed = merged([box("A", 1), box("A", 2), box("A", 1)])
    assert [b.times for b in mixed] == [2, 1], "some share their weights, and some do not"
    assert [b.times for b in merged([box("A", settings=(1,)), box("A", settings=(2,))])] == [1, 1]


@pytest.mark.parametrize("name", ["gpt", "transformer"])
def test_where_it_looks_is_what_the_layers_say(examples, name):
    example = examples[name]
    inputs = example.batch[:1] if name != "transformer" else (example.batch[0], example.batch[1][:, :-1])
    _, maps = boxes_of(example.task, example.batch)
    weights = attention_maps(example.task, *inputs)
    assert [path for path, _ in maps] == [f"body.{path}" for path in weights]
    for path, sees in maps:
        assert np.array_equal(sees, (weights[path.removeprefix("body.")][0] > 0).any(axis=0))


def test_paths_go_on_from_those_around(examples):
    example = examples["gpt"]
    boxes, maps = boxes_of(example.task, example.batch)
    shown = diagram(example, boxes, {path: "look0" for path, _ in maps})
    assert re.findall(r'class="where"><span>([^<]*)', shown)[:5] == ["body", "token", "position", "blocks.0 to 3", "attention"]
    assert "<span>query, key, value</span><span>B × 64 × 128</span>" in shown and "814,720 weights" in shown
    assert '<a href="../ops/layer_norm.html">LayerNorm</a>' in shown and shown.count("shared") == 1
    assert shown.count('<div class="box looks" data-n="look0" tabindex="0"') == 1
    assert looks(maps[:1] * 2 + [("other", maps[0][1])])[1] == {"body.blocks.0.attention.f": "look0", "other": "look0"}


def test_pictures_of_where_it_looks():
    sees = np.tri(5, dtype=bool)
    assert seen_picture(sees).count("M0 ") == 5 and "M0 2h3v1h-3z" in seen_picture(sees)
    large, step = smaller(np.tri(200), most=64)
    assert step == 4 and large.shape == (50, 50) and np.isclose(large[3, 3], 10 / 16) and large[0, 1] == 0
    picture = seen_picture(np.tri(200, dtype=bool))
    assert 'opacity="1"' in picture and 'opacity="0.8"' in picture and 'viewBox="0 0 50 50"' in picture


def test_pictures_of_arrays():
    picture = table_picture(np.array([[0.0, 1.0], [0.5, 0.0]]))
    assert re.findall(r'x="(\d)" y="(\d)" width="1" height="1" opacity="([\d.]+)"', picture) == [("1", "0", "1.00"), ("0", "1", "0.50")]


def test_curves():
    picture = curve_picture([("rate", np.array([1, 2, 3]), np.array([0.0, 2.0, 1e-9]))], "a < b")
    assert "at most 2, in step 2" in picture and "0 at the end" in picture and 'aria-label="a &lt; b"' in picture
    xs, ys = zip(*(map(float, point.split(",")) for point in re.search(r'points="([^"]+)"', picture).group(1).split()))
    assert xs == (drawings.LEFT, drawings.WIDTH / 2, drawings.WIDTH - drawings.LEFT)
    assert ys == (drawings.HEIGHT - drawings.BOTTOM, drawings.BOTTOM, drawings.HEIGHT - drawings.BOTTOM)
    assert 'points="6.0,16.0 160.0,55.0 314.0,94.0"' in curve_picture([("", np.arange(3), np.array([100.0, 10.0, 1.0]))], "", wide=True)


def test_rates_are_those_of_a_run(examples):
    for name, step, rate in (("gpt", 100, 1e-3), ("gpt", 0, 1e-3 / 101), ("word2vec", 0, 0.025)):
        assert np.isclose(examples[name].rate(step), rate), name
    example = examples["transformer"]
    assert example.rate(700) == schedule_of(example.settings, example.settings.lr, example.settings.steps)(700)


def test_the_first_row_is_that_of_the_recipe(examples):
    table = batch_table(examples["few_shot"])
    ids, targets = (re.findall(r"<td>(.)</td>", row) for row in re.findall(r"<tr>.*?</tr>", table))
    assert len(ids) == len(targets) == 23 and targets[1::2] == ["·"] * 11 and targets[:-1:2] == ids[1::2]
    assert "A dot is a place that is not asked for" in table
    assert "<td>7</td>" in batch_table(examples["digits"]) and "<rect" in batch_table(examples["digits"])
    assert re.search(r"<th>labels</th><td>(posi|nega)tive</td>", batch_table(examples["reviews"]))
    assert "␣" in batch_table(examples["gpt"]) and "It goes on: it has 64 places" in batch_table(examples["gpt"])
    first = examples["gatr"].batch[0][0]
    assert f"<td>{first[3, 2]:.2f}</td>" in batch_table(examples["gatr"])


@pytest.mark.parametrize("name", ["reviews", "digits"])
def test_other_data_is_told(examples, name):
    """Words are counted by a letter where other data has another number of them; pictures have the size of the recipe's."""
    example = examples[name]
    assert example.is_stand_in and (example.n_words is None) == (name == "digits")
    shown = diagram(example, boxes_of(example.task, example.batch)[0], {})
    assert ("128 V" in shown) == (name == "reviews") and "B × " in shown


def test_stand_ins_are_for_files_of_recipes():
    assert STAND_INS.keys() <= {file.name for name in RECIPES for file in load_recipe(name).data.values()}


@pytest.mark.parametrize("name", ["transformer", "t5_tasks"])
def test_less_data_has_the_same_words(name):
    """A page that makes fewer pairs shows the sizes of a whole run's model."""
    recipe = load_recipe(name)
    fields = {field.name for field in dataclasses.fields(recipe.settings)}
    few = recipe.prepare(recipe.settings(**{key: n for key, n in FEW.items() if key in fields}), None)
    many = recipe.prepare(recipe.settings(**{key: 8 * n for key, n in FEW.items() if key in fields}), None)
    assert few.config == many.config
