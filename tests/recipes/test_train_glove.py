"""``python -m tinytx train glove``: which pairs are learned, which validate, and what a run that goes on remembers."""

import numpy as np
import pytest
from run_files import records

from tinytx.data import WordPairs, cooccurrences
from tinytx.pipelines import Words, load_run
from tinytx.recipes.glove import SETTINGS, parted, prepare
from tinytx.recipes.neighbours import GROUPS, ids_of
from tinytx.training import load_checkpoint
from tinytx.vectors import purity


@pytest.fixture(scope="module")
def run(trained):
    return trained("glove")


def test_pairs_are_learned_or_held_out_both_ways():
    """Catches a pair that is learned as (context, word) where (word, context) validates: their counts are the same."""
    pairs = cooccurrences(np.random.default_rng(0).integers(0, 30, 400), 30, window=3)
    learned, validation = parted(pairs, 0.2, seed=1)
    numbers = [{*zip(part.words.tolist(), part.contexts.tolist())} for part in (learned, validation)]
    assert not numbers[0] & numbers[1] and len(numbers[0]) + len(numbers[1]) == len(pairs.counts)
    assert all({(b, a) for a, b in part} == part for part in numbers)
    assert 0.15 < len(validation.counts) / len(pairs.counts) < 0.25
    assert (parted(pairs, 0.2, seed=2)[1].words[:20] != validation.words[:20]).any()
    one_of_two = WordPairs(np.array([0, 1, 1]), np.array([1, 0, 1]), np.ones(3))
    assert sorted(len(part.counts) for part in parted(one_of_two, 0.0, seed=0)) == [1, 2]


def test_pairs_of_the_text(run, calendar):
    """Each pass learns each pair once, with its count; the others validate. Catches pairs across paragraphs, and another window."""
    settings = SETTINGS(data=str(calendar), batch_size=60, window=2)
    prepared = prepare(settings, None)
    tokenizer = prepared.kept.tokenizer
    expected = cooccurrences(ids_of(tokenizer, calendar.read_text()), tokenizer.vocab_size, window=2)
    steps = next(k for k in range(1, 99) if len(prepared.batch(k - 1)[0]) < 60)  # of a pass
    made = [prepared.batch(step) for step in range(steps)] + prepared.validation
    rows = sorted(zip(*(np.concatenate(part).tolist() for part in zip(*made))))
    assert rows == [(i, j, np.float32(x)) for i, j, x in sorted(zip(*(part.tolist() for part in expected)))]
    assert "Pairs: " in run[1].out and prepared.task_settings == {"x_max": 10.0, "alpha": 0.75}


def test_neighbours_are_judged_by_the_first_table(run):
    folder, (code, out, err) = run
    assert code == 0, err
    last, (model, tokenizer) = records(folder)[-1], load_run(folder, Words)
    vectors = model.body.token.weight.data[1:]  # without <unk>
    for name in ("months", "numbers"):
        assert last[f"purity_{name}"] == purity(vectors, tokenizer.words, GROUPS[name])
        assert f"{name}: of the 5 words nearest to each, {last[f'purity_{name}']:.0%} are of the group" in out


def test_a_checkpoint_has_the_sums_of_squares(run):
    """Catches sums that begin with 1 again in a run that goes on."""
    squares = {name: array for name, array in load_checkpoint(run[0])[1].items() if name.startswith("squares.")}
    assert len(squares) == 4 and all((array >= 1).all() and (array > 1).any() for array in squares.values())


def test_other_commands_take_it_or_say_why_not(run, tinytx, tmp_path):
    result = tinytx("embeddings", run[0], "--nearest June --out", tmp_path)
    assert result.code == 0 and "june" in result.out
    assert tinytx("profile", run[0], "--steps 1 --batch-size 2").code == 0
    assert "A batch of 2 rows of 3 tokens" in tinytx("inspect", run[0], "--batch-size 2 --length 3").out
    refused = tinytx("train glove --optimizer adam")
    assert refused.code == 2 and "--optimizer" in refused.err
    sample = tinytx("sample", run[0])
    assert sample.code == 2 and f"python -m tinytx embeddings {run[0]}" in sample.err


@pytest.mark.parametrize("text", ["one\n\ntwo\n\n" * 40, "one one\n\n" * 40], ids=["no pair", "one pair"])
def test_texts_that_cannot_be_learned(tinytx, tmp_path, text):
    path = tmp_path / "text.txt"
    path.write_text(text)
    result = tinytx("train glove --data", path, "--steps 2 --out", tmp_path / "run")
    assert result.code == 2 and "of known words near each other" in result.err and not (tmp_path / "run").exists()
