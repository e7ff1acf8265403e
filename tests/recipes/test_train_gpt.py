"""``python -m tinytx train gpt``: a run, what it leaves behind, and how it goes on."""

import shutil

import pytest
from run_files import content

from tinytx.files import load_arrays, save_arrays
from tinytx.training import load_checkpoint
from tinytx.training.checkpoint import NAME


@pytest.fixture
def copy(finished, tmp_path):
    """A copy of the finished run, to go on with."""
    return shutil.copytree(finished[0], tmp_path / "copy")


def test_dropout_changed_on_resume_is_applied(tinytx, copy, tmp_path, no_pictures):
    """Catches a flag that ends up in the checkpoint and not in the layers."""
    other = shutil.copytree(copy, tmp_path / "other")
    assert tinytx("train --resume", copy, "--steps 22").code == 0
    assert tinytx("train --resume", other, "--steps 22 --dropout 0.6").code == 0
    assert content(other)[1]["config"]["dropout"] == 0.6
    assert content(other)[0]["model.body.token.weight"] != content(copy)[0]["model.body.token.weight"]


def test_another_number_of_threads_is_noted(tinytx, copy, no_pictures):
    """Catches silence where the last bits will differ from an uninterrupted run's."""
    assert "threads: 2 then, 1 now" in tinytx("train --resume", copy, "--steps 21 --threads 1").err


def test_default_folder_is_the_next_free_one(tinytx, tiny, book, tmp_path, monkeypatch, no_pictures):
    """Catches a run written into an older one's folder, and ``train`` that is not ``train gpt``."""
    monkeypatch.chdir(tmp_path)
    for name in ("gpt", "gpt-2"):
        (tmp_path / "runs" / name).mkdir(parents=True)
    assert tinytx("train --data", book, tiny, "--steps 1").code == 0
    assert [path.parent.name for path in tmp_path.glob("runs/*/*.npz")] == ["gpt-3"]


def test_float64_untied_post_norm_without_clipping(tinytx, tiny, book, tmp_path, no_pictures):
    """Catches a flag that does not reach the model."""
    flags = "--dtype float64 --no-tied-head --norm-order post --activation relu --clip 0 --d-ff 10 --accumulate 2"
    assert tinytx("train --data", book, tiny, flags, "--steps 2 --out", tmp_path / "run").code == 0
    model, _, meta = load_checkpoint(tmp_path / "run")
    config = model.config
    assert (config.tied_head, config.norm_order, config.activation, config.d_ff) == (False, "post", "relu", 10)
    assert {str(parameter.data.dtype) for parameter in model.parameters()} == {"float64"}


@pytest.fixture(scope="module")
def texts(tmp_path_factory):
    """Text files with something wrong, by name."""
    folder = tmp_path_factory.mktemp("texts")
    contents = {"empty": b"", "latin-1": b"caf\xe9 " * 50, "short": b"ten chars."}
    for name, data in contents.items():
        (folder / name).write_bytes(data)
    return folder


@pytest.mark.parametrize(
    "name, named",
    [
        ("missing", "no file"),
        ("", "folder"),
        ("empty", "empty"),
        ("latin-1", "0xe9 at offset 3"),
        ("short", "5 tokens are too few for max_len 8, which needs 9; take a longer text or a smaller max_len"),
    ],
)
def test_texts_that_cannot_be_used(refused, texts, tiny, name, named):
    """Catches tracebacks, and a folder made for a run that never begins."""
    assert named in refused("train", tiny, "--train-fraction 0.5 --data", texts / name)


@pytest.mark.parametrize(
    "flags, named",
    [
        ("--n-heads 3", "n_heads 3 does not divide d_model 16"),
        ("--dropout 1.5", "dropout is 1.5"),
        ("--dropout nan", "--dropout is nan"),
        ("--lr -0.1", "--lr is -0.1"),
        ("--lr inf", "--lr is inf"),
        ("--beta2 1", "--beta2 is 1.0, expected a number in [0, 1)"),
        ("--steps 0", "--steps is 0"),
        ("--threads 0", "--threads is 0"),
        ("--train-fraction 1.5", "train_fraction is 1.5"),
        ("--train-fraction 1", "windows: 0 tokens, and the shortest window needs 2; take a longer text, or split off more"),
        ("--n-layers 1000000000000", "--n-layers is 1000000000000"),
        ("--resume nowhere", "no checkpoint.npz in nowhere"),
        ("--resume a --out b", "leave out --out"),
    ],
)
def test_flags_that_cannot_be(refused, tiny, book, flags, named):
    """Catches tracebacks, and a setting out of range that trains to nonsense."""
    assert named in refused("train --data", book, tiny, flags)


@pytest.mark.parametrize("flag", ["--data", "--resume", "--out"])
def test_empty_path_is_not_a_missing_flag(refused, tiny, book, flag):
    """Catches ``--data "$FILE"`` with FILE unset: it must not train on something else, somewhere else."""
    refused("train --data", book, tiny, [flag, ""])


def test_a_folder_that_holds_a_run_is_left_alone(refused, tiny, book, finished):
    """Catches a finished run overwritten by the same command given twice."""
    folder = finished[0]
    before = {path: path.read_bytes() for path in folder.iterdir()}
    assert f"--resume {folder}" in refused("train --data", book, tiny, "--out", folder)
    assert {path: path.read_bytes() for path in folder.iterdir()} == before


@pytest.mark.parametrize(
    "flags, named",
    [
        ("--steps 40 --d-model 32", "cannot change d_model"),
        ("--steps 40 --n-layers 2 --no-tied-head", "cannot change n_layers, tied_head"),
        ("--steps 40 --dtype float64", "cannot change dtype"),
        ("--steps 20", "larger --steps"),
        ("--steps 40 --batch-size 0", "--batch-size is 0"),
    ],
)
def test_what_a_resumed_run_cannot_change(refused, finished, flags, named):
    """Catches a flag that is taken and has no effect."""
    before = (finished[0] / NAME).read_bytes()
    assert named in refused("train --resume", finished[0], flags)
    assert (finished[0] / NAME).read_bytes() == before


@pytest.mark.parametrize(
    "change, named",
    [
        ({"settings": None}, "settings"),
        ({"settings": [1]}, "settings"),
        ({"settings": {"stepz": 3}}, "stepz"),
        ({"settings": {"batch_size": "many"}}, "--batch-size is 'many'"),
        ({"settings": {"lr": float("1e999")}}, "--lr is inf"),
        ({"tokenizer": None}, "None is not what a tokenizer's to_dict returns"),
        ({"tokenizer": {"kind": "characters", "characters": "ab"}}, "not trained on; it knows 'ab'"),
    ],
)
def test_a_strangers_checkpoint_on_resume(refused, finished, tmp_path_factory, monkeypatch, change, named):
    """Catches tracebacks of any other kind, for a file that another program or somebody with bad intent wrote."""
    arrays, meta = load_arrays(finished[0] / NAME)
    folder = tmp_path_factory.mktemp("strange")
    monkeypatch.setattr("tinytx.files._check_plain", lambda *_: None)  # infinity too
    save_arrays(folder / NAME, arrays, meta | change)
    assert named in refused("train --resume", folder, "--steps 40")


def test_a_strange_fingerprint_is_a_note(tinytx, copy, no_pictures):
    """Catches a traceback over the one part of a checkpoint that nothing depends on."""
    arrays, meta = load_arrays(copy / NAME)
    save_arrays(copy / NAME, arrays, meta | {"fingerprint": [1]})
    result = tinytx("train --resume", copy, "--steps 21")
    assert result.code == 0
    assert "up to rounding only" in result.err


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_run_that_diverges_keeps_its_last_checkpoint(tinytx, tiny, book, tmp_path, no_pictures):
    """Catches weights without a finite loss, written over the last good ones; and an error that the bar covers."""
    flags = "--warmup 0 --lr 1e30 --eval-every 1 --steps 50"
    code, out, err = tinytx("train --data", book, tiny, flags, "--out", tmp_path / "run")
    assert code == 2
    assert err.splitlines()[-1].startswith("tinytx: Trainer: after step 1 the validation loss is ")
    assert load_checkpoint(tmp_path / "run")[2]["step"] == 0
