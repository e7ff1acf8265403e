"""Settings of a run: where data is found again, what a checkpoint may ask for, and files that validate."""

import os
import re
import shutil
import sys

import pytest

from tinytx.files import load_arrays, read_json_lines, save_arrays
from tinytx.metrics import exact_match
from tinytx.pipelines import Writer, load_run
from tinytx.training.checkpoint import NAME
from tinytx.training.loop import METRICS


@pytest.fixture(params=["gpt", "transformer", "bert"])
def kind(request):
    """(name of a model, its flags, its data's flag, its data) for each model that can be trained."""
    flags, flag, data = {
        "gpt": ("tiny", "--data", "book"),
        "transformer": ("tiny_transformer", "--pairs", "pairs_file"),
        "bert": ("tiny_bert", "--data", "tales"),
    }[request.param]
    return request.param, request.getfixturevalue(flags), flag, request.getfixturevalue(data)


def change(folder, **settings):
    """Change settings in a checkpoint, as a stranger might."""
    arrays, meta = load_arrays(folder / NAME)
    save_arrays(folder / NAME, arrays, meta | {"settings": meta["settings"] | settings})


def test_data_is_found_from_another_folder(tinytx, kind, tmp_path, monkeypatch, no_pictures):
    """Catches a path kept as it was typed: a run could go on in the folder where it was begun, and nowhere else."""
    name, flags, flag, data = kind
    monkeypatch.chdir(data.parent)
    assert tinytx("train", name, flags, flag, data.name, "--steps 2 --out", tmp_path / "run").code == 0
    monkeypatch.chdir(tmp_path)
    result = tinytx("train", name, "--resume run --steps 4")
    assert result.code == 0 and "not the" not in result.err
    assert f"{flag} {data} (named by the checkpoint)\n" in result.out  # it may be a stranger's
    assert "named by" not in tinytx("train", name, "--resume run --steps 5", flag, data).out


def test_data_that_has_moved_is_asked_for(tinytx, refused, kind, tmp_path_factory, no_pictures):
    """Catches a message that sends the reader to the working folder, and not to the flag that helps."""
    name, flags, flag, data = kind
    folder = tmp_path_factory.mktemp("moved")
    there = shutil.copy(data, folder / data.name)
    assert tinytx("train", name, flags, flag, there, "--steps 2 --out", folder / "run").code == 0
    now = shutil.move(there, folder / "elsewhere.txt")
    message = refused("train", name, "--resume", folder / "run", "--steps 4")
    assert f"the run read {there}, and no file is there now: {flag} FILE tells where it is" in message
    result = tinytx("train", name, "--resume", folder / "run", "--steps 4", flag, now)
    assert result.code == 0 and "not the" not in result.err


@pytest.mark.parametrize(
    "settings, named",
    [
        ({"threads": 100_000}, "train: --threads is 100000, expected a whole number of at least 1 and at most"),
        ({"threads": 10**30}, "--threads is 1000"),
        ({"batch_size": 10**6}, "--batch-size is 1000000, expected a whole number of at least 1 and at most 65536"),
        ({"accumulate": 10**9}, "--accumulate is 1000000000, expected a whole number"),
        ({"data": "/dev/zero"}, "/dev/zero, and no file is there"),
        ({"valid": os.devnull}, f"{os.devnull}, and no file is there"),
        ({"adam_eps": 0.0}, "--adam-eps is 0.0, expected a finite number of at least 1e-30"),
        ({"lr": "fast"}, "--resume: train: --lr is 'fast', expected a finite number"),
    ],
)
def test_what_a_checkpoint_may_not_ask_for(refused, finished, tmp_path_factory, settings, named):
    """Catches a stranger's checkpoint that takes all memory, or reads what has no end."""
    folder = shutil.copytree(finished[0], tmp_path_factory.mktemp("strange") / "run")
    change(folder, **settings)
    assert named in refused("train --resume", folder, "--steps 40")


@pytest.mark.parametrize("name, flag", [("gpt", "--data"), ("bert", "--valid"), ("transformer", "--pairs")])
def test_devices_are_no_data(refused, name, flag):
    """Catches a read of /dev/zero, which ends when memory does."""
    assert "/dev/zero is a device" in refused("train", name, flag, "/dev/zero")


@pytest.mark.parametrize(
    "flag", ["--tokenizer char", "--vocab-size 9", "--min-count 3", "--lower", "--shared-vocabulary"]
)
def test_a_resumed_transformer_keeps_its_vocabulary(refused, translator, flag):
    """Catches a flag that is taken, stored, and has no effect: the tokenizers are those of the checkpoint."""
    name = flag.split()[0].removeprefix("--").replace("-", "_")
    assert f"cannot change {name}" in refused("train transformer --steps 40 --resume", translator[0], flag)


@pytest.mark.parametrize(
    "name, flags, note",
    [
        ("transformer", "--tokenizer char --max-len 40 --max-tokens 99 --min-count 3", "--tokenizer is char"),
        ("transformer", "--dates 200 --min-count 2", "--dates has no effect where --pairs is "),
        ("transformer", "--schedule inverse-sqrt --min-lr 0.1", "--min-lr has no effect where"),
        ("bert", "--schedule constant --min-lr 0.1", "--min-lr has no effect where --schedule is constant"),
        ("bert", "--whole-words", "--whole-words has no effect where --tokenizer is words"),
    ],
)
def test_flags_without_effect_are_noted(request, tinytx, tmp_path, no_pictures, name, flags, note):
    """Catches silence about a flag that changes nothing."""
    fixture, flag, data = {
        "transformer": ("tiny_transformer", "--pairs", "pairs_file"),
        "bert": ("tiny_bert", "--data", "tales"),
    }[name]
    own = request.getfixturevalue(fixture).replace("--decay-steps 40", "")
    out = tmp_path / "run"
    result = tinytx("train", name, flag, request.getfixturevalue(data), own, flags, "--steps 7 --out", out)
    notes = [line for line in result.err.splitlines() if line.startswith("Note: ")]
    assert result.code == 0 and len(notes) == 1 and note in notes[0]


@pytest.mark.parametrize("flags", ["--adam-eps 0", "--adam-eps 1e-50", "--eps 0"])
def test_epsilons_that_are_0(refused, tiny_bert, tales, flags):
    """Catches 0 / 0 in rows without a gradient: the next loss would be NaN, and blamed on the learning rate."""
    assert f"{flags.split()[0].removeprefix('--')} is" in refused("train bert --data", tales, tiny_bert, flags)


def test_a_text_of_its_own_validates(tinytx, tiny, book, tmp_path, no_pictures):
    """Catches --valid that trains on the file, or cuts the text as well; and characters that only it has."""
    valid = tmp_path / "valid.txt"
    valid.write_text("One times 7?\n" * 9)
    result = tinytx("train --data", book, "--valid", valid, tiny, "--steps 3 --out", tmp_path / "run")
    assert result.code == 0
    n = len(book.read_text())
    assert f"{n:,} to train on, {9 * 13} to validate" in result.out
    assert "?" in load_run(tmp_path / "run", Writer).tokenizer.characters
    again = tinytx("train --resume", tmp_path / "run", "--steps 4")
    assert again.code == 0 and "not the text" not in again.err
    valid.write_text("One times 8?\n" * 9)
    assert "not the text" in tinytx("train --resume", tmp_path / "run", "--steps 5").err


def test_sentences_of_their_own_validate(tinytx, tiny_bert, tales, tmp_path, no_pictures):
    """Catches --valid that trains on the file, or is cut by --lines."""
    valid = tmp_path / "valid.txt"
    valid.write_text("The cat sees the dog.\n" * 12)
    flags = f"--lines 20 --train-fraction 0.5 --valid {valid}"
    result = tinytx("train bert --data", tales, tiny_bert, flags, "--steps 3 --out", tmp_path / "run")
    assert result.code == 0 and "16 to train on, 12 to validate" in result.out
    assert "--train-fraction has no effect where --valid is" in result.err


def test_pairs_of_their_own_validate_and_test(tinytx, tiny_transformer, pairs_file, tmp_path, no_pictures):
    """Catches parts that are cut off what is trained on, although files were given for them."""
    (tmp_path / "valid.tsv").write_text("one two\tun deux\ntwo two\tdeux deux\n")
    (tmp_path / "test.tsv").write_text("five\tcinq\n")

    def sizes(flags, out):
        flags = f"{tiny_transformer} {flags} --steps 2"
        result = tinytx("train transformer --pairs", pairs_file, flags, "--out", tmp_path / out)
        assert result.code == 0, result.err
        return result.out.partition("tsv, ")[2].partition("\n")[0].rpartition("; ")[2], result.out

    valid, test = f"--valid {tmp_path / 'valid.tsv'}", f"--test {tmp_path / 'test.tsv'}"
    assert sizes(f"{valid} {test}", "a")[0] == "150 to train on, 2 to validate, 1 held out"
    assert sizes(valid, "b")[0] == "150 to train on, 1 to validate, 1 held out"
    line, out = sizes(test, "c")
    assert line == "135 to train on, 15 to validate, 1 held out"
    assert "\nfive -> " in out


def test_a_file_that_cannot_be_parted(refused, tiny_transformer, pairs_file, tmp_path_factory):
    """Catches a message about a fraction that was not given."""
    path = tmp_path_factory.mktemp("few") / "valid.tsv"
    path.write_text("one\tun\n")
    message = refused("train transformer --pairs", pairs_file, tiny_transformer, "--valid", path)
    assert f"{path} has 1 pair: 150, " in message and "give --test FILE.tsv" in message


def test_lower_case_is_compared_with_lower_case(tinytx, tiny_transformer, numbers, tmp_path, no_pictures):
    """Catches references with capitals beside translations without: nothing would ever match."""
    path, run = tmp_path / "capitals.tsv", tmp_path / "run"
    path.write_text("".join(f"{source.title()}\t{target.title()}\n" for source, target in numbers[:60]))
    flags = "--lower --steps 120 --decay-steps 120 --lr 2e-2 --dropout 0 --report-pairs 60"
    result = tinytx("train transformer --pairs", path, tiny_transformer, flags, "--test", path, "--out", run)
    assert "Exact match on 60 held-out pairs, in lower case: " in result.out
    last = read_json_lines(run / METRICS)[-1]
    assert last["exact_match"] > 0.3
    assert exact_match(["un"], ["Un"]) == 0  # as it would be for all of them


def test_without_threadpoolctl_a_run_says_what_to_install(tinytx, tiny, book, tmp_path, monkeypatch, no_pictures):
    """Catches a run on one of many processors that does not say why; and "1 threads", "1 layers"."""
    monkeypatch.setitem(sys.modules, "threadpoolctl", None)
    monkeypatch.setattr("tinytx.recipes.run.processors", lambda: 4)
    flags = tiny.replace("--threads 2", "").replace("--n-heads 2", "--n-heads 1")
    out = tinytx("train --data", book, flags, "--steps 1 --out", tmp_path / "run").out
    assert '1 thread (training in 4 threads needs threadpoolctl: pip install "tinytx[train]")' in out
    assert "GPT, d_model 16, n_heads 1, n_layers 1: " in out and "after 1 step," in out
    assert not re.search(r"\b1 \w+s\b", out.replace("1 times", ""))
    out = tinytx("train --data", book, flags, "--threads 1 --steps 1 --out", tmp_path / "asked").out
    assert " parameters; 1 thread\n" in out


@pytest.mark.parametrize("name", ["transformer", "bert"])
def test_one_of_a_kind_is_singular(request, tinytx, tmp_path, no_pictures, name):
    """Catches "1 pairs", "1 documents", "1 batches an epoch"."""
    path = tmp_path / "data"
    path.write_text("a\tb\nc\td\n" * 2 if name == "transformer" else "The cat sees the dog.\n" * 12)
    flags, data = {
        "transformer": ("tiny_transformer", f"--pairs {path} --train-fraction 0.5 --test {path}"),
        "bert": ("tiny_bert", f"--data {path} --max-len 90 --batch-size 64"),
    }[name]
    flags = request.getfixturevalue(flags)
    out = tinytx("train", name, flags, data, "--n-heads 1 --threads 1 --steps 1 --out", tmp_path / "run").out
    assert not re.search(r"\b1 (pairs|documents|sentences|batches|heads|threads|steps|rows)\b", out)
    assert "1 batch an epoch" in out and ("1 document;" in out or name == "transformer")
