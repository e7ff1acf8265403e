"""``python -m tinytx train bert``: rows and masks, what a run leaves behind, and how it goes on."""

import math
import shutil
import sys
from dataclasses import replace

import numpy as np
import pytest
from run_files import records

from tinytx.data import documents, tutorial_words
from tinytx.files import load_arrays, save_arrays
from tinytx.models import BertConfig
from tinytx.pipelines import Filler, load_run
from tinytx.recipes import roberta, tutorial
from tinytx.recipes.bert import SETTINGS, examples
from tinytx.recipes.bert_rows import hold_out, make_rows, make_tokenizer, validation_batches
from tinytx.tasks.hidden_words import IGNORE
from tinytx.training import load_checkpoint
from tinytx.training.checkpoint import NAME


@pytest.fixture
def copy(filler, tmp_path):
    """A copy of the finished run, to go on with."""
    return shutil.copytree(filler[0], tmp_path / "copy")


def test_a_run_says_what_it_measures(filler, tales):
    """Catches a measure that is not said, and one that is said and not recorded."""
    folder, (_, out, _) = filler
    last = records(folder)[-1]
    assert set(last) == {"step", "val_loss", "perplexity", "accuracy"}
    assert f"Text: {tales}, 100 sentences in 25 documents; 92 to train on, 8 to validate" in out
    assert "Vocabulary (words): 14; 92 rows of at most 8, 23 batches an epoch" in out
    assert f"Validation loss {last['val_loss']:.4f} nats per hidden word after 20 steps" in out
    assert f"Perplexity {last['perplexity']:.2f} per hidden word; guessed right: {last['accuracy']:.1%}" in out
    assert math.isclose(last["perplexity"], math.exp(last["val_loss"]), rel_tol=1e-5)
    assert out.count("(it was: ") == 3


def test_the_report_is_of_the_model_that_was_saved(filler, tales):
    """Catches figures of other rows, of words that are not hidden, or of a model under dropout."""
    model, tokenizer = load_run(filler[0], Filler)
    settings = SETTINGS(**load_checkpoint(filler[0])[2]["settings"])
    _, rest = hold_out(documents(tales.read_text()), 0.9)
    batches = validation_batches(settings, tokenizer, make_rows(settings, tokenizer, rest))
    right, surprise = [], []
    for ids, targets in batches:
        for row, wanted in zip(ids, targets, strict=True):
            for t in np.flatnonzero(wanted != IGNORE):
                assert row[t] == tokenizer.mask_id
                p = model.fill(row[None], [t])[0, 0]
                right.append(p.argmax() == wanted[t])
                surprise.append(-np.log(p[wanted[t]]))
    last = records(filler[0])[-1]
    assert math.isclose(last["accuracy"], np.mean(right))
    assert math.isclose(last["val_loss"], np.mean(surprise), rel_tol=1e-5)


def test_validation_masks_are_the_same_each_time(filler, tales):
    """Catches a validation loss that moves with its masks, and rows of the training part in it."""
    tokenizer = load_run(filler[0], Filler).tokenizer
    settings = SETTINGS(max_len=8)
    train, rest = hold_out(documents(tales.read_text()), 0.9)
    rows = make_rows(settings, tokenizer, rest)
    one, two = (validation_batches(settings, tokenizer, rows) for _ in range(2))
    np.testing.assert_equal(one, two)
    assert not {s for d in rest for s in d} & {s for d in train for s in d}


@pytest.mark.parametrize("n_documents, fraction", [(100, 0.9), (20, 0.5), (1, 0.9), (3, 0.8), (57, 0.75)])
def test_held_out_sentences(n_documents, fraction):
    """Catches sentences that are lost or in both parts, a share that is not the one asked for, and few documents."""
    found = [[f"{d}.{s}" for s in range(10)] for d in range(n_documents)]
    train, rest = hold_out(found, fraction)
    flat = [[s for document in part for s in document] for part in (train, rest)]
    assert sorted(flat[0] + flat[1]) == sorted(s for document in found for s in document)
    assert abs(len(flat[1]) - (1 - fraction) * 10 * n_documents) <= 10
    assert all(train) and all(rest)
    assert hold_out(found, 1.0) == (found, [])


def test_the_recipe_of_the_tutorial_is_the_tutorials(tinytx, tales, tmp_path, no_pictures):
    """Catches a default that is told in --help and not taken: the config, the optimiser, the words."""
    flags = "--steps 2 --batch-size 4 --n-layers 1 --threads 1 --log-every 1 --out"
    code, out, _ = tinytx("train tutorial --data", tales, flags, tmp_path / "run")
    assert code == 0 and "validation reads what was trained on" in out
    model, state, meta = load_checkpoint(tmp_path / "run")
    assert BertConfig.tutorial(14, n_layers=1) == model.config and model.settings["head"] == "untied"
    assert meta["tokenizer"]["words"][0] == "the" and meta["tokenizer"]["special"] == ["<ignore>", "<oov>", "<mask>"]
    settings = SETTINGS(**meta["settings"])
    assert (settings.optimizer, settings.weight_decay, settings.decay_all) == ("adam", 1e-4, True)
    assert (settings.clip, settings.always_mask, settings.mask_unknown) == (0.0, True, True)
    assert [r["learning_rate"] for r in records(tmp_path / "run") if "learning_rate" in r] == [2e-3, 2e-3]
    assert (tutorial.SETTINGS().steps, tutorial.SETTINGS().batch_size) == (30_000, 128)


def test_the_recipe_of_the_paper(tinytx, tales, tmp_path, no_pictures):
    """Catches rows without a frame, segments or labels that get lost, and a run that does not go on with them."""
    pytest.importorskip("tokenizers")
    flags = "--steps 2 --batch-size 4 --vocab-size 60 --d-model 16 --n-layers 1 --threads 1 --out"
    code, out, _ = tinytx("train wordpieces --data", tales, flags, tmp_path / "run", "--whole-words --static")
    assert code == 0
    assert "[CLS] " in out and out.count("[SEP]") >= 2 and "Pairs told right: " in out
    assert set(records(tmp_path / "run")[-1]) == {"step", "val_loss", "perplexity", "accuracy", "pair_accuracy"}
    model = load_checkpoint(tmp_path / "run")[0]
    config, settings = model.config, model.settings
    assert (settings["next_sentence"], config.n_segments, config.norm_order, config.max_len) == (True, 2, "post", 64)
    assert tinytx("train wordpieces --resume", tmp_path / "run", "--steps 3").code == 0


@pytest.mark.parametrize("pairs, n_rows", [("none", 8), ("next", 6), ("order", 6)])
def test_words_and_pairs(tales, pairs, n_rows):
    """Catches pairs that need [CLS] and [SEP] where the vocabulary has none, and frames that nobody asked for."""
    train, rest = hold_out(documents(tales.read_text()), 0.9)
    settings = SETTINGS(pairs=pairs, max_len=16)
    tokenizer = make_tokenizer(settings, train)
    rows = make_rows(settings, tokenizer, rest)
    assert len(rows.parts[0]) == n_rows and len(rows.sentences) == 8
    assert all(("[CLS]" in tokenizer.tokens(row)) == (pairs != "none") for row in rows.parts[0])


def test_single_texts_of_word_pieces_are_framed(tales):
    """Catches rows that are longer than the model reads."""
    pytest.importorskip("tokenizers")
    settings = SETTINGS(tokenizer="wordpieces", vocab_size=60, max_len=10)
    found = documents(tales.read_text())
    tokenizer = make_tokenizer(settings, found)
    (rows,) = make_rows(settings, tokenizer, found).parts
    assert {(len(row), row[0], row[-1]) for row in rows} == {(10, tokenizer.cls_id, tokenizer.sep_id)}


def test_pairs_are_measured(tinytx, tiny_bert, tales, tmp_path, no_pictures):
    """Catches a share of pairs told right that is of other labels, and a loss without its second part."""
    flags = f"{tiny_bert} --pairs order --max-len 16 --steps 2 --out"
    assert tinytx("train bert --data", tales, flags, tmp_path / "run").code == 0
    model, tokenizer = load_run(tmp_path / "run", Filler)
    settings = SETTINGS(**load_checkpoint(tmp_path / "run")[2]["settings"])
    _, rest = hold_out(documents(tales.read_text()), 0.9)
    batches = validation_batches(settings, tokenizer, make_rows(settings, tokenizer, rest))
    ((ids, _, segments, labels),) = batches
    said = model.text_logits(model.body(ids, segments=segments))
    last = records(tmp_path / "run")[-1]
    assert last["pair_accuracy"] == np.mean(said.argmax(axis=1) == labels) == model.measure(batches)["pair_accuracy"]
    assert last["val_loss"] > math.log(last["perplexity"]) + 0.1


def test_examples_hide_words(filler, tales):
    """Catches an example that hides a full stop, or tells another word than the one that stood there."""
    model, tokenizer = load_run(filler[0], Filler)
    sentences = [tokenizer.encode(line) for line in tales.read_text().splitlines() if line]
    for ids, word, guesses in examples(model, tokenizer, sentences, 0, 20):
        assert (ids == tokenizer.mask_id).sum() == 1 and tokenizer.names[word].isalpha() and len(guesses) == 3
        whole = np.where(ids == tokenizer.mask_id, word, ids).tolist()
        assert whole in [sentence.tolist() for sentence in sentences]
    assert len(examples(model, tokenizer, [tokenizer.encode(".")], 0)) == 1


def test_lines_and_layout(tinytx, tiny_bert, tales, tmp_path, no_pictures):
    """Catches flags that do not reach the text."""
    flags = f"{tiny_bert} --steps 1 --out"
    out = tinytx("train bert --data", tales, "--lines 50", flags, tmp_path / "lines").out
    assert "40 sentences in 10 documents" in out
    out = tinytx("train bert --data", tales, "--layout prose", flags, tmp_path / "prose").out
    assert "100 sentences in 25 documents" in out
    words = load_checkpoint(tmp_path / "lines")[2]["tokenizer"]["words"]
    assert set(words) == {w for line in tales.read_text().split("\n")[:50] for w in tutorial_words(line)}


def test_the_built_in_text_is_the_default(tinytx, tmp_path, monkeypatch, no_pictures):
    """Catches a first run that asks for a file."""
    monkeypatch.chdir(tmp_path)
    flags = "--steps 1 --d-model 8 --n-heads 2 --n-layers 1 --batch-size 4 --threads 1 --max-len 5"
    code, out, _ = tinytx("train bert", flags)
    assert code == 0 and "Text: the Python language reference" in out
    assert load_checkpoint("runs/bert")[2]["settings"]["tokenizer"] == "words"


def test_flags_reach_the_model_and_its_optimiser(tinytx, tiny_bert, tales, tmp_path, no_pictures):
    """Catches a flag that is taken and has no effect."""
    flags = "--dtype float64 --norm-order post --no-embedding-norm --positions doubled --activation relu --head untied"
    flags += " --no-masks-padding --init pytorch --dropout 0 --embedding-dropout 0.2 --feed-forward-dropout 0.3"
    flags += " --d-ff 24 --eps 1e-6 --optimizer adam --schedule constant --warmup 0 --no-lower --accumulate 2"
    flags += " --log-every 1 --steps 3"
    assert tinytx("train bert --data", tales, tiny_bert, flags, "--out", tmp_path / "run").code == 0
    model, _, meta = load_checkpoint(tmp_path / "run")
    expected = {"norm_order": "post", "embedding_norm": False, "positions": "doubled", "activation": "relu"}
    expected |= {"masks_padding": False, "init": "pytorch", "dropout": 0.0, "embedding_dropout": 0.2}
    expected |= {"feed_forward_dropout": 0.3, "d_ff": 24, "eps": 1e-6, "max_len": 8, "n_segments": 0}
    assert vars(model.config).items() >= expected.items() and model.settings["head"] == "untied"
    other = tinytx("train bert --resume", tmp_path / "run", "--steps 4 --head tied")
    assert other.code == 2 and "--resume cannot change head: train a new model instead" in other.err
    assert {parameter.data.dtype for parameter in model.parameters()} == {np.dtype("float64")}
    assert [r["learning_rate"] for r in records(tmp_path / "run") if "learning_rate" in r] == [1e-2] * 3
    assert "The" in meta["tokenizer"]["words"]


def test_decay_of_all_parameters(tinytx, tiny_bert, tales, tmp_path, no_pictures):
    """Catches gains that the tutorial's L2 term does not reach, or that another recipe's does."""
    flags = f"{tiny_bert} --steps 3 --optimizer adamw --lr 1e-9 --schedule constant --weight-decay 1e8 --warmup 0 --out"
    gains = []
    for which in ("--decay-all", "--no-decay-all"):
        assert tinytx("train bert --data", tales, which, flags, tmp_path / which).code == 0
        gains.append(load_checkpoint(tmp_path / which)[0].body.encoder.norm.weight.data.mean())
    assert gains[0] < 0.8 and gains[1] > 0.99  # each step takes a tenth


def test_without_the_library_of_word_pieces(refused, monkeypatch):
    """Catches a recipe that cannot be had, without a word about what can."""
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    message = refused("train wordpieces")
    assert "pip install" in message and "--tokenizer words" in message


BAD = {"latin-1": b"caf\xe9\n", "empty": b"", "blank": b"\n \n", "signs": b"...\n---\n", "one": b"A word.\n"}


@pytest.mark.parametrize(
    "name, named",
    [
        ("missing", "no file"),
        ("latin-1", "0xe9"),
        ("empty", "empty"),
        ("blank", "no sentence"),
        ("signs", "no sentence"),
        ("one", "cuts 1 sentence into 1 and 0"),
        ("", "folder"),
    ],
)
def test_files_that_cannot_be_used(refused, tiny_bert, tmp_path_factory, name, named):
    """Catches tracebacks, and a folder made for a run that never begins."""
    folder = tmp_path_factory.mktemp("bad")
    for each, text in BAD.items():
        (folder / each).write_bytes(text)
    assert named in refused("train bert", tiny_bert, "--data", folder / name)


@pytest.mark.parametrize(
    "flags, named",
    [
        ("--n-heads 3", "n_heads 3 does not divide d_model 16"),
        ("--dropout 1.5", "dropout is 1.5"),
        ("--mask-rate 1.5", "rate is 1.5"),
        ("--mask-rate 0", "no word is hidden"),
        ("--lr -1", "--lr is -1"),
        ("--lr nan", "--lr is nan"),
        ("--beta2 1", "--beta2 is 1.0, expected a number in [0, 1)"),
        ("--eps 0", "eps is 0"),
        ("--train-fraction 1.5", "--train-fraction is 1.5"),
        ("--train-fraction 0", "into 0 and 100"),
        ("--lines 0", "--lines is 0"),
        ("--min-count 1000", "min_count 1000"),
        ("--pairs next --max-len 4", "max_len is 4"),
        ("--max-len 0", "--max-len is 0"),
        ("--steps 0", "--steps is 0"),
        ("--resume nowhere", "no checkpoint.npz in nowhere"),
    ],
)
def test_flags_that_cannot_be(refused, tiny_bert, tales, flags, named):
    """Catches tracebacks, and a setting out of range that trains to nonsense."""
    assert named in refused("train bert --data", tales, tiny_bert, flags)


@pytest.mark.parametrize("flag", ["--data", "--resume", "--out"])
def test_empty_path_is_not_a_missing_flag(refused, tiny_bert, flag):
    """Catches ``--data "$FILE"`` with FILE unset: it must not train on the built-in text instead."""
    refused("train bert", tiny_bert, [flag, ""])


@pytest.mark.parametrize(
    "flags, named",
    [
        ("--steps 40 --d-model 32", "cannot change d_model"),
        ("--steps 40 --pairs next --lower", "cannot change pairs"),
        ("--steps 40 --dtype float64", "cannot change dtype"),
        ("--steps 20", "larger --steps"),
    ],
)
def test_what_a_resumed_run_cannot_change(refused, filler, flags, named):
    """Catches a flag that is taken and has no effect."""
    before = (filler[0] / NAME).read_bytes()
    assert named in refused("train bert --resume", filler[0], flags)
    assert (filler[0] / NAME).read_bytes() == before


@pytest.mark.parametrize(
    "change, named",
    [
        ({"settings": None}, "settings"),
        ({"settings": {"max_len": "many"}}, "--max-len is 'many'"),
        ({"tokenizer": None}, "tokenizer_from_dict"),
        ({"tokenizer": {"kind": "characters", "characters": "ab"}}, "the tokenizer has 2 tokens, expected 14"),
    ],
)
def test_a_strangers_checkpoint_on_resume(refused, filler, tmp_path_factory, change, named):
    """Catches tracebacks for a file that another program, or somebody with bad intent, wrote."""
    arrays, meta = load_arrays(filler[0] / NAME)
    folder = tmp_path_factory.mktemp("strange")
    save_arrays(folder / NAME, arrays, meta | change)
    assert named in refused("train bert --resume", folder, "--steps 40")


def test_a_roberta_has_one_segment_and_pairs_two():
    """Catches a table of segments that pairs of sentences do not fit into, and positions that count padding."""
    settings = roberta.SETTINGS(max_len=12)
    configs = [roberta.config_of(replace(settings, pairs=pairs), vocab_size=99, pad_id=7) for pairs in ("none", "next")]
    assert [config.n_segments for config in configs] == [1, 2]
    assert {(config.positions, config.pad_id, config.init) for config in configs} == {("counted", 7, "fan_in")}
