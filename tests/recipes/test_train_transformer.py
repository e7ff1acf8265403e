"""``python -m tinytx train transformer``: a run on pairs or dates, what it leaves behind, and how it goes on."""

import math
import re
import shutil
import sys

import numpy as np
import pytest
from run_files import content, records

from tinytx.data import date_pairs, tokenizer_from_dict
from tinytx.files import load_arrays, save_arrays
from tinytx.training import load_checkpoint
from tinytx.training.checkpoint import NAME


@pytest.fixture
def copy(translator, tmp_path):
    """A copy of the finished run, to go on with."""
    return shutil.copytree(translator[0], tmp_path / "copy")


def test_a_run_says_what_it_measures(translator, pairs_file):
    """Catches a measure that is not said, and one that is said and not recorded."""
    folder, (_, out, _) = translator
    last = records(folder)[-1]
    assert set(last) == {"step", "val_loss", "perplexity", "accuracy", "exact_match", "bleu"}
    assert f"150 pairs from {pairs_file}" in out and "135 to train on, 8 to validate, 7 held out" in out
    assert "Vocabulary (word): 9 in the source, 9 in the target" in out
    assert f"Validation loss {last['val_loss']:.4f} nats per word after 20 steps" in out
    assert f"Exact match on 7 held-out pairs: {last['exact_match']:.4f}" in out
    assert f"BLEU on the same pairs: {last['bleu']:.1f}" in out
    assert math.isclose(last["perplexity"], math.exp(last["val_loss"]), rel_tol=1e-5)  # no label smoothing


def test_the_checkpoint_holds_both_tokenizers(translator, numbers):
    """Catches a model that nobody can feed, and a vocabulary that holds words of the validation part only."""
    model, _, meta = load_checkpoint(translator[0])
    source, target = (tokenizer_from_dict(meta[f"{side}_tokenizer"]) for side in ("source", "target"))
    assert (source.vocab_size, target.vocab_size) == (model.config.source_vocab_size, model.config.target_vocab_size)
    for one, other in numbers:
        assert (source.decode(source.encode(one)), target.decode(target.encode(other))) == (one, other)


def test_the_vocabulary_is_that_of_the_pairs_to_train_on(tinytx, tiny_transformer, tmp_path, no_pictures):
    """Catches words that only held-out pairs have, so that none is unknown there, and words that are lost."""
    (tmp_path / "pairs.tsv").write_text("".join(f"one{i}\tun{i}\n" for i in range(100)))
    command = (
        "train transformer --pairs",
        tmp_path / "pairs.tsv",
        tiny_transformer,
        "--steps 1 --out",
        tmp_path / "run",
    )
    assert tinytx(*command).code == 0
    assert len(load_checkpoint(tmp_path / "run")[2]["source_tokenizer"]["words"]) == 90


def test_the_report_is_of_the_model_that_was_saved(tinytx, translator, numbers):
    """Catches an exact match of something else than what translate says, and held-out pairs that it was trained on."""
    shown = re.search(r"--- held-out pairs ---\n(.*?)\n---", translator[1].out, re.DOTALL)[1].splitlines()
    assert 4 <= len(shown) <= 6
    for line in shown:
        source, said, expected = re.fullmatch(r"(.*?) -> (.*?)(?:   \(expected (.*)\))?", line).groups()
        assert tinytx("translate", translator[0], [source]).out == said + "\n"
        assert (source, said if expected is None else expected) in numbers


def test_what_a_resumed_run_may_change_is_applied(tinytx, copy, tmp_path, no_pictures):
    """Catches a flag that ends up in the checkpoint and not in the loss."""
    other = shutil.copytree(copy, tmp_path / "other")
    assert tinytx("train transformer --resume", copy, "--steps 25").code == 0
    flags = "--steps 25 --label-smoothing 0.3 --loss-form cross_entropy --dropout 0"
    assert tinytx("train transformer --resume", other, flags).code == 0
    meta = content(other)[1]
    assert meta["task_settings"] == {"label_smoothing": 0.3, "loss_form": "cross_entropy", "output_bias": False}
    assert meta["config"]["dropout"] == 0.0
    last = records(other)[-1]
    assert last["val_loss"] > records(copy)[-1]["val_loss"]
    assert last["perplexity"] < math.exp(last["val_loss"])  # which has no smoothing in it


def test_other_pairs_are_noted(tinytx, copy, tmp_path, numbers, no_pictures):
    """Catches silence about a run that goes on with other data."""
    (tmp_path / "other.tsv").write_text("".join(f"{s}\t{t}\n" for s, t in numbers[:100]))
    result = tinytx("train transformer --resume", copy, "--steps 21 --pairs", tmp_path / "other.tsv")
    assert result.code == 0
    assert "Note: not the pairs that this run began with" in result.err


def test_dates_are_the_default(tinytx, tmp_path, monkeypatch, no_pictures):
    """Catches defaults for files of one's own that reach the dates, and a folder of another model's name."""
    monkeypatch.chdir(tmp_path)
    flags = "--dates 200 --steps 1 --d-model 8 --n-heads 2 --d-ff 8 --threads 1 --report-pairs 5"
    code, out, _ = tinytx("train transformer", flags)
    assert code == 0
    settings = load_checkpoint("runs/transformer")[2]["settings"]
    assert (settings["tokenizer"], settings["shared_vocabulary"], settings["label_smoothing"]) == ("char", False, 0.0)
    assert "Such as: {} -> {}".format(*date_pairs(1)[0]) in out
    assert "Exact match on 5 held-out pairs" in out and "BLEU" not in out


def test_pairs_of_ones_own_have_other_defaults(tinytx, pairs_file, tmp_path, no_pictures):
    """Catches a default that is told in --help and not taken, and one that wins over a flag."""
    pytest.importorskip("tokenizers")
    flags = "--steps 1 --vocab-size 300 --d-model 16 --d-ff 8 --threads 1 --out"
    assert tinytx("train pairs --pairs", pairs_file, flags, tmp_path / "run").code == 0
    meta = load_checkpoint(tmp_path / "run")[2]
    settings, config = meta["settings"], meta["config"]
    assert (settings["tokenizer"], settings["max_tokens"], settings["lr"]) == ("subword", 1000, 1e-3)
    assert (config["n_decoder_layers"], config["tied"], meta["task_settings"]["label_smoothing"]) == (2, "three-way", 0.1)
    assert (settings["d_model"], settings["vocab_size"]) == (16, 300)
    assert meta["source_tokenizer"] == meta["target_tokenizer"]


def test_two_files_and_the_other_way(tinytx, tiny_transformer, numbers, pairs_file, tmp_path, no_pictures):
    """Catches sides that are exchanged, or not exchanged where they should be."""
    for i, name in enumerate(("en", "fr")):
        (tmp_path / name).write_text("".join(pair[i] + "\n" for pair in numbers))
    flags = f"{tiny_transformer} --steps 2 --out"
    runs = {
        "tsv": ("--pairs", pairs_file),
        "aligned": ("--source", tmp_path / "en", "--target", tmp_path / "fr"),
        "back": ("--source", tmp_path / "fr", "--target", tmp_path / "en"),
        "swapped": ("--pairs", pairs_file, "--swap"),
    }
    for name, data in runs.items():
        assert tinytx("train transformer", *data, flags, tmp_path / name).code == 0
    weights = {name: content(tmp_path / name)[0] for name in runs}
    assert weights["tsv"] == weights["aligned"] and weights["back"] == weights["swapped"]
    words = [load_checkpoint(tmp_path / name)[2]["source_tokenizer"]["words"] for name in ("tsv", "swapped")]
    assert "deux" in words[1] and "deux" not in words[0]


def test_flags_reach_the_model_and_its_optimiser(tinytx, tiny_transformer, pairs_file, tmp_path, no_pictures):
    """Catches a flag that is taken and has no effect."""
    flags = "--dtype float64 --norm-order post --final-norm --tied none --no-scaled-embedding --positions learned"
    flags += (
        " --activation gelu --clip 0 --accumulate 2 --schedule inverse-sqrt --lr 0 --warmup 4 --log-every 1 --steps 9"
    )
    command = ("train transformer --pairs", pairs_file, tiny_transformer, flags, "--out", tmp_path / "run")
    assert tinytx(*command).code == 0
    model, _, _ = load_checkpoint(tmp_path / "run")
    config = vars(model.config)
    expected = {"norm_order": "post", "final_norm": True, "tied": "none", "scaled_embedding": False}
    expected |= {"positions": "learned", "activation": "gelu", "n_heads": 2, "d_ff": 32, "max_len": 9}
    assert config.items() >= expected.items()
    assert {parameter.data.dtype for parameter in model.parameters()} == {np.dtype("float64")}
    rates = [record["learning_rate"] for record in records(tmp_path / "run") if "learning_rate" in record]
    np.testing.assert_allclose(rates, [min(s**-0.5, s * 4**-1.5) / 4 for s in range(1, 10)])  # d_model^-0.5 is 1/4


def test_long_pairs_are_left_out_and_counted(tinytx, tiny_transformer, pairs_file, tmp_path, no_pictures):
    """Catches pairs that vanish in silence, and a report that sets translations beside other pairs' targets."""
    flags = "--max-len 3 --steps 2 --train-fraction 0.5 --report-pairs 100 --out"
    code, out, _ = tinytx("train transformer --pairs", pairs_file, tiny_transformer, flags, tmp_path / "run")
    assert code == 0
    assert "Left out as longer than 3 tokens: 120" in out  # the pairs of three words, which <start> makes four
    n = int(re.search(r"Exact match on (\d+) held-out pairs", out)[1])
    assert 0 < n < 20
    sources = re.findall(r"^(.*?) -> ", out.partition("held-out pairs ---")[2], re.MULTILINE)
    assert sources and all(len(source.split()) <= 2 for source in sources)


BAD = {
    "no-tab": b"one\tun\ntwo deux\n",
    "empty-side": b"one\tun\n\ttrois\n",
    "blank-line": b"one\tun\n\nthree\ttrois\n",
    "latin-1": b"coffee\tcaf\xe9\n",
    "empty": b"",
    "one-pair": b"one\tun\n",
}


@pytest.mark.parametrize(
    "name, named",
    [
        ("missing", "no file"),
        ("no-tab", "line 2: no tab in 'two deux'"),
        ("empty-side", "line 2: the source is empty beside 'trois'"),
        ("blank-line", "line 2"),
        ("latin-1", "0xe9"),
        ("empty", "empty"),
        ("one-pair", "cuts 1 pair into"),
        ("", "folder"),
    ],
)
def test_files_that_cannot_be_used(refused, tiny_transformer, tmp_path_factory, name, named):
    """Catches tracebacks, a message without the line, and a folder made for a run that never begins."""
    folder = tmp_path_factory.mktemp("bad")
    for each, data in BAD.items():
        (folder / each).write_bytes(data)
    assert named in refused("train transformer", tiny_transformer, "--pairs", folder / name)


def test_empty_sides_can_be_left_out(tinytx, tiny_transformer, numbers, tmp_path, no_pictures):
    """Catches --skip-empty that has no effect, or that says nothing."""
    lines = [f"{source}\t{target}\n" for source, target in numbers]
    (tmp_path / "holes.tsv").write_text("".join([*lines[:3], "\tun\n", *lines[3:]]))
    command = (
        "train transformer",
        tiny_transformer,
        "--steps 1 --pairs",
        tmp_path / "holes.tsv",
        "--out",
        tmp_path / "run",
    )
    assert "line 4" in tinytx(*command).err
    assert not (tmp_path / "run").exists()
    code, out, _ = tinytx(*command, "--skip-empty")
    assert code == 0 and "left out for an empty side: 1, the first in line 4" in out


def test_without_the_library_of_subwords(refused, pairs_file, monkeypatch):
    """Catches a default that cannot be had, without a word about what can."""
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    message = refused("train pairs --pairs", pairs_file)
    assert "pip install" in message and "--tokenizer word" in message


def test_pairs_that_nobody_named(refused):
    """Catches a run of a quarter of an hour on dates, where pairs of one's own were meant."""
    assert "--pairs FILE.tsv" in (message := refused("train pairs")) and "train transformer" in message


def test_files_of_different_lengths(refused, tiny_transformer, tmp_path_factory):
    """Catches pairs that are out of step."""
    folder = tmp_path_factory.mktemp("aligned")
    (folder / "en").write_text("one\ntwo\n")
    (folder / "fr").write_text("un\n")
    message = refused("train transformer", tiny_transformer, "--source", folder / "en", "--target", folder / "fr")
    assert "has 2 lines" in message and "line 2" in message


@pytest.mark.parametrize(
    "flags, named",
    [
        ("--source a", "either --pairs FILE, or --source FILE and --target FILE"),
        ("--source a --target b", "either --pairs FILE"),
        ("--n-heads 3", "n_heads 3 does not divide d_model 16"),
        ("--dropout 1.5", "dropout is 1.5"),
        ("--label-smoothing 1", "--label-smoothing is 1.0"),
        ("--lr -1", "--lr is -1"),
        ("--lr 0 --warmup 0", "it needs a --warmup of at least 1"),
        ("--beta2 1", "--beta2 is 1.0, expected a number in [0, 1)"),
        ("--tied three-way", "needs --shared-vocabulary"),
        ("--tokenizer char --lower", "--lower is for words"),
        ("--train-fraction 1", "into 150, 0, 0 to train"),
        ("--train-fraction 1", "give more pairs that differ"),
        ("--train-fraction 0", "into 0, 75, 75"),
        ("--max-tokens 2", "--max-tokens is 2, and the longest text has 5 tokens"),
        ("--max-len 1", "--max-len is 1"),
        ("--min-count 1000", "min_count 1000"),
        ("--vocab-size 0", "--vocab-size is 0"),
        ("--steps 0", "--steps is 0"),
        ("--resume nowhere", "no checkpoint.npz in nowhere"),
    ],
)
def test_flags_that_cannot_be(refused, tiny_transformer, pairs_file, flags, named):
    """Catches tracebacks, and a setting out of range that trains to nonsense."""
    assert named in refused("train transformer --pairs", pairs_file, tiny_transformer, flags)


@pytest.mark.parametrize("flag", ["--pairs", "--source", "--resume", "--out"])
def test_empty_path_is_not_a_missing_flag(refused, tiny_transformer, flag):
    """Catches ``--pairs "$FILE"`` with FILE unset: it must not train on dates instead."""
    refused("train transformer --dates 200", tiny_transformer, [flag, ""])


@pytest.mark.parametrize(
    "flags, named",
    [
        ("--steps 40 --d-model 32", "cannot change d_model"),
        ("--steps 40 --tied none --norm-order post", "cannot change norm_order, tied"),
        ("--steps 40 --dtype float64", "cannot change dtype"),
        ("--steps 20", "larger --steps"),
    ],
)
def test_what_a_resumed_run_cannot_change(refused, translator, flags, named):
    """Catches a flag that is taken and has no effect."""
    before = (translator[0] / NAME).read_bytes()
    assert named in refused("train transformer --resume", translator[0], flags)
    assert (translator[0] / NAME).read_bytes() == before


def test_a_run_of_another_model_is_not_gone_on_with(refused, translator, finished):
    """Catches settings of one model read as those of another; the message says which command fits."""
    assert f"train transformer --resume {translator[0]}" in refused("train --resume", translator[0])
    assert f"train gpt --resume {finished[0]}" in refused("train transformer --resume", finished[0])


@pytest.mark.parametrize(
    "change, named",
    [
        ({"settings": None}, "settings"),
        ({"settings": {"max_tokens": "many"}}, "--max-tokens is 'many'"),
        ({"source_tokenizer": None}, "tokenizer_from_dict"),
        ({"target_tokenizer": {"kind": "characters", "characters": "ab"}}, "the target's tokenizer has 2 tokens"),
        ({"target_tokenizer": {"kind": "characters", "characters": "abcdefghi"}}, "pad_id of the target's tokenizer"),
    ],
)
def test_a_strangers_checkpoint_on_resume(refused, translator, tmp_path_factory, change, named):
    """Catches tracebacks for a file that another program, or somebody with bad intent, wrote."""
    arrays, meta = load_arrays(translator[0] / NAME)
    folder = tmp_path_factory.mktemp("strange")
    save_arrays(folder / NAME, arrays, meta | change)
    assert named in refused("train transformer --resume", folder, "--steps 40")
