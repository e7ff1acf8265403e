"""A model and a recipe in a user's file, in no table: trained, saved, gone on with, loaded and used like the others."""

import shlex

import numpy as np
import pytest
from run_files import content

from tinytx.models import MODELS
from tinytx.pipelines import Writer, load_run
from tinytx.recipes import Recipe, load_recipe
from tinytx.recipes.train import train
from tinytx.training import load_checkpoint

TRAIN = "train letters.py --max-len 8 --threads 1"


def test_readmes_commands(tinytx, letters, no_pictures):
    """Catches a README that shows what does not run; and a resumed run that differs from a straight one."""
    assert tinytx(TRAIN, "--steps 6 --decay-steps 9 --out runs/a").code == 0
    result = tinytx("train letters.py --steps 9 --resume runs/a")
    assert result.code == 0, result.err
    assert tinytx(TRAIN, "--steps 9 --decay-steps 9 --out runs/b").code == 0
    arrays, meta = content(letters / "runs/a")
    assert (arrays, meta) == content(letters / "runs/b")
    assert (meta["model"], meta["task"], meta["config"]["max_len"]) == ("Letters", "next_token", 8)
    assert "Model: Letters, d_model 16: " in result.out and "perplexity: " in result.out and "accuracy: " in result.out
    assert "train letters.py --resume runs/a --steps 18" in result.out
    writer = load_run("runs/a", Writer, own=load_recipe("letters.py").own)
    assert len("".join(writer.write("1 times", 5, rng=np.random.default_rng(0)))) == 12


def test_the_other_commands_take_its_run(tinytx, letters, no_pictures):
    """Catches a model that can be trained and then not be used."""
    assert tinytx(TRAIN, "--steps 2 --out runs/a").code == 0
    for command in ("sample runs/a --tokens 5 --seed 0", "profile runs/a --steps 1", "embeddings runs/a"):
        result = tinytx(command, "--recipe letters.py")
        assert result.code == 0 and result.out, result.err
    assert "explain: Letters has no attention" in tinytx("explain runs/a --recipe letters.py", ["1 times"]).err


def test_another_text_is_noticed(tinytx, letters, no_pictures):
    """Catches a run that goes on with words that it was validated on."""
    assert tinytx(TRAIN, "--steps 2 --out runs/a").code == 0
    (letters / "book.txt").write_text((letters / "book.txt").read_text()[::-1])
    assert "Note: not the text that this run began with" in tinytx("train letters.py --steps 4 --resume runs/a").err


def test_it_can_be_moved_in(tinytx, letters, no_pictures, monkeypatch):
    """A model without layers, heads or positions, in the table of models: catches a check that asks for them."""
    recipe = load_recipe("letters.py")
    monkeypatch.setitem(MODELS, "letters", (recipe.model, recipe.config))
    assert train("letters", recipe, {"steps": 2, "max_len": 8, "threads": 1}, out="runs/a").finished
    assert tinytx("sample runs/a --tokens 5").code == 0
    body = load_checkpoint("runs/a")[0].body
    assert type(body) is recipe.model and body.token.weight.data.any()


def test_the_default_folder_and_the_help(tinytx, letters, no_pictures):
    """Catches a folder runs/letters.py, and help without the recipe's own flags."""
    assert tinytx(TRAIN, "--steps 1").code == 0 and (letters / "runs/letters/checkpoint.npz").exists()
    assert "--data DATA" in tinytx("train letters.py --help").out


def test_a_recipe_is_trained_from_python(letters, no_pictures, capsys):
    """Catches what only the command line could do."""
    recipe = load_recipe("letters.py")
    assert isinstance(recipe, Recipe)
    run = train("letters.py", recipe, {"steps": 2, "max_len": 8, "threads": 1}, out="run")
    assert run.finished and run.measured.keys() == {"val_loss", "perplexity", "accuracy"}
    assert run.measured["perplexity"] == pytest.approx(np.exp(run.measured["val_loss"]), rel=1e-3)


@pytest.mark.parametrize(
    "name, named",
    [
        ("train nowhere.py", "'nowhere.py' is no recipe: expected one of gpt, "),
        ("train empty.py", "empty.py holds no RECIPE: set RECIPE = "),
        ("train letters.py --data none.txt", "none.txt"),
        ("train letters.py --d-model 0", "train: --d-model is 0, expected a whole number of at least 1"),
        ("train letters.py --resume GPT", "holds GPT for NextToken, expected Letters for NextToken; to go on with it: "),
        ("train gpt --resume LETTERS", "model 'Letters', expected format 2, one of"),
        ("sample LETTERS", "own={'Body': (Body, BodyConfig)} here, --recipe FILE.py in a command"),
        ("sample LETTERS --recipe none.py", "'none.py' is no recipe"),
        ("reproduce letters.py", "letters.py states no figure"),
    ],
)
def test_what_cannot_be_done(tinytx, letters, finished, no_pictures, name, named):
    (letters / "empty.py").write_text("")
    if "LETTERS" in name:
        assert tinytx(TRAIN, "--steps 1 --out own").code == 0
    result = tinytx(name.replace("GPT", str(finished[0])).replace("LETTERS", "own"))
    assert result.code == 2 and named in result.err
    assert not (letters / "runs").exists()


@pytest.mark.parametrize(
    "code, named",
    [
        ("import numpy\nfrom tinytx.layers import Lineer", "mine.py, line 2: ImportError: cannot import name 'Lineer'"),
        ("\n\nRECIPE = Recipe()", "mine.py, line 3: NameError: name 'Recipe' is not defined"),
        ("x = (", "mine.py, line 1: SyntaxError: "),
    ],
)
def test_an_error_in_the_file_names_its_line(tinytx, letters, code, named):
    (letters / "mine.py").write_text(code)
    result = tinytx("train mine.py")
    assert result.code == 2 and f"tinytx: {named}" in result.err


def test_a_run_that_fails_before_its_first_step_leaves_no_checkpoint(tinytx, letters, no_pictures):
    """Catches a model without a step's training, which looks like a run that can be used."""
    source = (letters / "letters.py").read_text().replace("batch=lambda step: random_batch", "batch=lambda step: none")
    (letters / "broken.py").write_text(source)
    with pytest.raises(NameError):
        tinytx(TRAIN.replace("letters", "broken"), "--out runs/a")
    assert not (letters / "runs/a").exists()
    assert tinytx(TRAIN, "--steps 1 --out runs/a").code == 0


def test_what_an_own_recipe_suggests_works(tinytx, letters, tiny, no_pictures):
    """Catches a command that cannot read the run, since it is not told whose recipe it is."""
    source = "from dataclasses import replace\nfrom tinytx.recipes import gpt\nRECIPE = replace(gpt.RECIPE, system='Mine')\n"
    (letters / "mine.py").write_text(source)
    out = tinytx("train mine.py --data book.txt", tiny, "--steps 2 --out runs/mine").out
    (line,) = [line for line in out.splitlines() if "tinytx sample" in line]
    assert line.endswith("--recipe mine.py")
    assert tinytx(shlex.split(line.partition("python -m tinytx ")[2])).code == 0
