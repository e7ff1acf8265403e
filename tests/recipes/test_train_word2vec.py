"""``python -m tinytx train word2vec``: which words are learned, how they are judged, and what other commands say of the run."""

import re

import numpy as np
import pytest
from run_files import records

from tinytx.data import tokenizer_from_dict
from tinytx.pipelines import Words, load_run
from tinytx.recipes.neighbours import GROUPS, ids_of
from tinytx.recipes.word2vec import SETTINGS, measure, prepare
from tinytx.tasks import NearbyWords
from tinytx.training import load_checkpoint
from tinytx.vectors import purity


@pytest.fixture(scope="module")
def run(trained):
    return trained("word2vec")


def test_words_of_the_text_that_is_trained_on(run, calendar):
    """Frequent ones, paragraphs apart. Catches a vocabulary that knows words of the text that validates, or rare ones."""
    text = calendar.read_text() + "\n\nApril one one one one one one"  # only what validates has "one"
    calendar_and_more = calendar.with_name("more.txt")
    calendar_and_more.write_text(text)
    prepared = prepare(SETTINGS(data=str(calendar_and_more), min_count=11, sample=0.0), None)
    tokenizer = prepared.kept.tokenizer
    assert not {"one", "january"} & set(tokenizer.words) and {"in", "we", "saw", "march"} <= set(tokenizer.words)
    names = ["" if i < 0 else tokenizer.names[i] for i in ids_of(tokenizer, "We saw one.\n \nMarch")]
    assert names == ["we", "saw", ".", "", "march", ""]
    words = {tokenizer.names[i] for contexts, _, _ in prepared.validation for i in contexts.ravel() if i >= 0}
    assert {"saw", "two"} <= words and not {"july", "february"} & words  # the end of the text
    assert "known words to train on" in run[1].out and "skip-gram, 5 negatives" in run[1].out


def test_neighbours_are_judged(run):
    """Catches shares of another table, and a mean over groups that the text does not have."""
    folder, (code, out, err) = run
    assert code == 0, err
    last, (model, tokenizer) = records(folder)[-1], load_run(folder, Words)
    assert set(last) == {"step", "val_loss", "purity", "purity_months", "purity_numbers"}
    vectors = model.body.token.weight.data[1:]  # without <unk>
    for name in ("months", "numbers"):
        assert last[f"purity_{name}"] == purity(vectors, tokenizer.words, GROUPS[name])
        assert f"{name}: of the 5 words nearest to each, {last[f'purity_{name}']:.0%} are of the group" in out
    assert last["purity"] == pytest.approx((last["purity_months"] + last["purity_numbers"]) / 2)
    assert re.search(r"^january: (\w+, ){4}\w+$", out, re.MULTILINE)


def test_a_text_without_a_group_has_no_purity(book):
    prepared = prepare(SETTINGS(data=str(book), min_count=1, d_model=4), None)
    model = NearbyWords.around(*_kind(prepared), rng=np.random.default_rng(0))
    measured, neighbours = measure(model, prepared)
    assert measured == {} and "times" in neighbours


def _kind(prepared):
    from tinytx.models import Word2Vec

    return Word2Vec, prepared.config


@pytest.mark.parametrize("flags, peak, columns", [("--cbow --tree", 0.05, 10), ("--cbow --lr 0.01", 0.01, 10), ("--tree", 0.025, 1)])
def test_the_other_forms(tinytx, flags_of, tmp_path, no_pictures, flags, peak, columns):
    """Catches a form that is announced and not learned, and the other form's learning rate."""
    code, out, err = tinytx(flags_of("word2vec"), flags, "--steps 8 --out", tmp_path / "run")
    assert code == 0, err
    model, _, meta = load_checkpoint(tmp_path / "run")
    assert model.tree == ("--tree" in flags) and ("Asked: CBOW" in out) == ("--cbow" in flags)
    assert f", {peak:g} in step 4" in out
    settings = SETTINGS(**meta["settings"])
    contexts, rows, labels = prepare(settings, None).batch(0)
    assert contexts.shape[1] == columns and rows.shape == labels.shape
    assert len(tokenizer_from_dict(meta["tokenizer"]).names) == model.vocab_size


def test_other_commands_take_it_or_say_why_not(run, tinytx, tmp_path):
    result = tinytx("embeddings", run[0], "--nearest June --out", tmp_path)
    assert result.code == 0 and "june" in result.out and "<unk>" not in (tmp_path / "names.tsv").read_text()
    assert tinytx("profile", run[0], "--steps 1 --batch-size 2").code == 0
    assert "A batch of 2 rows of 3 tokens" in tinytx("inspect", run[0], "--batch-size 2 --length 3").out
    sample = tinytx("sample", run[0])
    assert sample.code == 2 and f"python -m tinytx embeddings {run[0]}" in sample.err
    refused = tinytx("train word2vec --optimizer adam")
    assert refused.code == 2 and "--optimizer" in refused.err


@pytest.mark.parametrize(
    "text, flags, message",
    [
        ("one\n\ntwo\n\n" * 40, "", "no word has another one beside it"),
        ("one two three\n\n" * 40 + "five\n\n" * 15, "", "has no two known words near each other"),
        ("one two three\n\n" * 40, "--sample 1e-9", "no word has another one beside it"),
        ("one two three\n\n" * 40, "--window 0", "--window is 0"),
    ],
    ids=["alone", "alone where it validates", "left out", "window"],
)
def test_texts_that_cannot_be_learned(tinytx, tmp_path, text, flags, message):
    path = tmp_path / "text.txt"
    path.write_text(text)
    result = tinytx("train word2vec --data", path, flags, "--min-count 2 --steps 2 --out", tmp_path / "run")
    assert result.code == 2 and message in result.err and not (tmp_path / "run").exists()
