"""From a text to what BERT is trained on: pairs that are drawn anew in each epoch."""

import numpy as np
import pytest

from tinytx.data import documents, tokenizer_from_dict
from tinytx.files import load_arrays
from tinytx.recipes.bert import SETTINGS, prepare
from tinytx.recipes.bert_rows import make_batches, make_rows, make_tokenizer
from tinytx.training.checkpoint import NAME


def batches_of(tales, **settings):
    settings = SETTINGS(max_len=16, batch_size=8, always_mask=True, mask_rate=0.2, **settings)
    found = documents(tales.read_text())
    tokenizer = make_tokenizer(settings, found)
    return make_batches(settings, tokenizer, make_rows(settings, tokenizer, found))


def pairs_in(batches, epoch):
    """Return the labels of an epoch's pairs, by their segments and ids, as a sorted list."""
    steps = range(epoch * len(batches), (epoch + 1) * len(batches))
    pairs = [pair for ids, _, _, labels in map(batches, steps) for pair in zip(labels.tolist(), ids, strict=True)]
    return sorted((label, *ids.tolist()) for label, ids in pairs)


@pytest.mark.parametrize("pairs", ["next", "order"])
def test_pairs_are_drawn_anew_in_each_epoch(tales, pairs):
    """Catches a few thousand pairs that are the same in each epoch, and are learned by heart."""
    batches = batches_of(tales, pairs=pairs)
    n_others = [sum(row[0] for row in pairs_in(batches, epoch)) for epoch in range(3)]
    assert len(set(n_others)) > 1  # other pairs are from elsewhere, or swapped
    assert all(20 < n < 55 for n in n_others)  # about half of 75
    static = batches_of(tales, pairs=pairs, static=True)
    assert pairs_in(static, 0) == pairs_in(static, 1)


@pytest.mark.parametrize("static", [False, True])
def test_masks_are_drawn_anew_in_each_epoch_unless_they_are_static(tales, static):
    """Catches masks that are static where they should change, and the other way round."""
    batches = batches_of(tales, pairs="none", static=static)
    n = len(batches)
    epochs = [sorted(tuple(row) for step in range(n) for row in batches(epoch * n + step)[0]) for epoch in (0, 1)]
    assert (epochs[0] == epochs[1]) == static


def test_a_batch_is_a_function_of_its_step(tales):
    """Catches batches that depend on those asked for before: a resumed run would see others."""
    batches, other = batches_of(tales, pairs="next"), batches_of(tales, pairs="next")
    steps = [3, 25, 4, 0, 14, 24]
    there = [batches(step) for step in steps]
    back = [other(step) for step in reversed(steps)]
    for one, two in zip(there, reversed(back), strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))


def test_pairs_over_a_resume(tinytx, tiny_bert, tales, tmp_path, no_pictures):
    """Catches a resumed run that begins with the pairs of the first epoch."""
    flags = f"{tiny_bert} --pairs next --max-len 16 --threads 1"
    assert tinytx("train bert --data", tales, flags, "--steps 30 --out", tmp_path / "straight").code == 0
    assert tinytx("train bert --data", tales, flags, "--steps 20 --out", tmp_path / "run").code == 0
    assert tinytx("train bert --resume", tmp_path / "run", "--steps 30").code == 0
    straight, resumed = (load_arrays(tmp_path / name / NAME)[0] for name in ("straight", "run"))
    assert all(np.array_equal(array, resumed[name]) for name, array in straight.items())


def test_byte_pairs_in_rows_of_whole_sentences(tales):
    """Catches sentences without the space that stands before them in their document, and rows that are not RoBERTa's."""
    pytest.importorskip("tokenizers")
    settings = SETTINGS(tokenizer="subwords", vocab_size=300, lower=False, full_sentences=True, max_len=40)
    found = documents(tales.read_text())
    tokenizer = make_tokenizer(settings, found)
    rows = make_rows(settings, tokenizer, found)
    assert rows.parts_of is None and max(map(len, rows.parts[0])) <= 40
    said = " ".join(tokenizer.decode(row[1:-1]).replace("[SEP]", " ") for row in rows.parts[0])
    assert said.split() == [word for document in found for sentence in document for word in sentence.split()]
    assert rows.n_cut == 0
    starts = [tokenizer.decode(sentence)[0] for sentence in rows.sentences]
    assert starts == ["T", " ", " ", " "] * 25


def test_sentences_that_lose_their_ends_are_counted(tales):
    """Catches silence about them, a sentence that just fits counted as cut, and those that validate left out."""
    options = {"data": str(tales), "tokenizer": "wordpieces", "vocab_size": 60, "batch_size": 2, "full_sentences": True}
    tokenizer = tokenizer_from_dict(prepare(SETTINGS(**options), None).tokenizers["tokenizer"])
    lengths = sorted(len(tokenizer.encode(sentence)) for document in documents(tales.read_text()) for sentence in document)
    for most in (lengths[-1] - 1, lengths[-1]):
        lines = prepare(SETTINGS(**options, max_len=most + 2), None).lines
        n = sum(length > most for length in lengths)
        expected = f"Longer than a row, so that they lose their ends: {n} sentences; a larger --max-len keeps more"
        assert [line for line in lines if "lose their ends" in line] == ([expected] if n else [])
