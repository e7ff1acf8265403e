"""Commands that are printed to be pasted: each is run, and must do what it was printed for."""

import re
import shlex
import shutil

import numpy as np
import pytest
from command_runs import RUNS
from PIL import Image

from tinytx import cli
from tinytx.files import read_json_lines
from tinytx.recipes import load_recipe
from tinytx.settings import flag_of
from tinytx.training import load_checkpoint
from tinytx.training.checkpoint import NAME
from tinytx.training.loop import METRICS
from tinytx.wording import command

QUOTED = "it's a run"  # a folder that a shell would cut in three


def printed(text):
    """Return the commands in a text, each as a shell would cut it, without ``python -m tinytx``."""
    return [shlex.split(line) for line in re.findall(r"python -m tinytx (\w.*)", text)]


def weights(folder):
    return {name: array.copy() for name, array in load_checkpoint(folder)[0].state_dict().items()}


RECIPE_OF = {name: load_recipe(name) for name in RUNS}
FIRST = {(recipe.report, recipe.model): name for name, recipe in reversed(RECIPE_OF.items())}  # others print the same advice


@pytest.fixture(params=FIRST.values())
def run(request, tinytx, flags_of, tmp_path, monkeypatch, no_pictures):
    """Train by each recipe as people do, without --decay-steps: its name, its data, and what was printed."""
    monkeypatch.chdir(tmp_path)
    flags = " ".join(flags_of(request.param)).replace("--decay-steps 40", "")
    result = tinytx(flags, "--steps 8 --out", [QUOTED])
    assert result.code == 0, result.err
    return request.param, request.getfixturevalue(RUNS[request.param][1]), result.out


@pytest.fixture
def picture(tmp_path):
    """A file of a picture, in colours."""
    path = tmp_path / "picture.png"
    Image.fromarray(np.arange(300, dtype=np.uint8).reshape(10, 10, 3)).save(path)
    return str(path)


def test_every_line_of_try_next_does_what_it_says(run, picture, tinytx, tmp_path):
    """Catches advice that fails in a shell, or that runs and has no effect: a learning rate of 0, no file."""
    name, data, out = run
    commands = printed(out)
    assert len(commands) >= 4
    done = set()
    for words in commands:
        words = [{"FILE": str(data), "FILE.tsv": str(data), "FILE.png": picture}.get(word, word) for word in words]
        if words[-1] == "--help":
            assert tinytx(words).out.startswith("usage: ")
        elif "--resume" in words:
            before = weights(tmp_path / QUOTED)
            assert tinytx(words).code == 0
            after = weights(tmp_path / QUOTED)
            changed = [key for key in before if "position" not in key and (before[key] != after[key]).any()]
            assert len(changed) > len(before) / 2
            rates = [r["learning_rate"] for r in read_json_lines(tmp_path / QUOTED / METRICS) if "train_loss" in r]
            assert min(rates) > 0 and load_checkpoint(tmp_path / QUOTED)[2]["step"] == 16
        elif words[0] == "train":
            small = {"batch_size": 4, "n_layers": 1, "d_model": 8, "n_heads": 2, "max_len": 9}
            known = {size for size in small if hasattr(load_recipe(words[1]).settings, size)}
            flags = [f"{flag_of(size)} {small[size]}" for size in known]
            result = tinytx(words, " ".join(flags), "--steps 2 --warmup 1")
            assert result.code == 0, result.err
            assert (tmp_path / "runs" / words[1] / NAME).is_file()
        else:
            result = tinytx(words)
            assert (result.code, result.err.count("<unk>")) == (0, 0)
            assert result.out  # an empty line, where a model that learned for 8 steps says <stop> at once
            if words[0] == "embeddings":
                assert (tmp_path / "map.html").stat().st_size > 1000
        done.add(words[0])
    assert "train" in done and len(done) > 1


def test_a_run_with_decay_steps_of_its_own_is_told_how_to_go_on(tinytx, tiny, book, tmp_path, no_pictures):
    """Catches a cosine that is over: the line that is printed has to lengthen it, too."""
    flags = tiny.replace("--decay-steps 40", "--decay-steps 4 --min-lr 0")
    out = tinytx("train --data", book, flags, "--steps 4 --out", tmp_path / "run").out
    (words,) = [words for words in printed(out) if "--resume" in words]
    assert words[-2:] == ["--decay-steps", "8"]
    assert tinytx(words).code == 0
    assert load_checkpoint(tmp_path / "run")[2]["step"] == 8


def test_errors_name_commands_that_work(tinytx, finished, tmp_path, monkeypatch, no_pictures):
    """Catches a folder that a shell cuts, in the words of an error."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished[0], tmp_path / QUOTED)
    for wrong in (["translate", QUOTED, "x"], ["train", "bert", "--resume", QUOTED]):
        result = tinytx(wrong)
        (words,) = printed(result.err)
        assert result.code == 2 and QUOTED in words
        assert tinytx(words, ["--steps", "22"] if words[0] == "train" else []).code == 0
    message = tinytx("train gpt --out", [QUOTED]).err
    assert shlex.split(message.partition("go on with ")[2]) == ["--resume", QUOTED]


def test_words_are_quoted_as_a_shell_needs_it():
    """Catches words that a shell cuts, joins or expands."""
    words = ["sample", "a b", "it's", "$HOME", "", "*", "é", 'say "x"']
    assert shlex.split(command(*words)) == ["python", "-m", "tinytx", *words]


@pytest.mark.parametrize(
    "name",
    [*(f"train {name}" for name in cli.RECIPES), "sample", "translate", "fill", "classify", "embeddings", "explain", "profile"]
    + ["gradcheck"],
)
def test_examples_of_the_help_are_understood(tinytx, name):
    """Catches an example with a flag that is gone, or with a word too few."""
    _, *examples = tinytx(name, "--help").out.split("python -m tinytx ")[1:]
    assert examples
    for example in examples:
        words = shlex.split(" ".join(example.split()))
        assert " ".join(words).startswith(name)
        assert callable(cli._parser().parse_args(words).run)
