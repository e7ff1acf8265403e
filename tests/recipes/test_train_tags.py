"""``train tags``: words with tags, what their most frequent tag is worth, and what the trained run can be asked."""

import numpy as np
import pytest

import tinytx as package
from tinytx.data import IGNORE_INDEX, tagged_sentences
from tinytx.recipes.tags import SETTINGS, measure, prepare

SMALL = "--d-model 32 --n-heads 2 --n-layers 1 --max-len 20 --threads 1 --lr 1e-2 --warmup 5 --dropout 0"


def written(path, sentences):
    path.write_text("\n".join("".join(f"{word}\t{tag}\n" for word, tag in sentence) for sentence in sentences))
    return str(path)


def test_each_word_has_its_tag_and_nothing_else_has():
    """Catches labels that are shifted by the frame, pieces of a word that are asked twice, and held-out rows in training."""
    prepared = prepare(SETTINGS(sentences=50, batch_size=7), None)
    tokenizer, tags, _, held_out = prepared.kept
    expected = tagged_sentences(50, SETTINGS().seed)
    assert held_out == expected[9::10]
    seen = []
    for ids, labels in prepared.batch.epoch():
        for row, asked in zip(ids, labels):
            at = asked != IGNORE_INDEX
            assert (row[at] >= len(tokenizer.special)).all() and row[0] == tokenizer.cls_id and not at[0]
            seen.append([(word, tags[i]) for word, i in zip(tokenizer.tokens(row[at]), asked[at])])
    assert sorted(seen) == sorted(s for i, s in enumerate(expected) if i % 10 != 9)


def test_pieces_and_long_sentences(tmp_path):
    """"it's" is two tokens, of which the first is asked; what does not fit is cut, with its tags."""
    path = written(tmp_path / "a.tsv", [[("it's", "X"), ("a", "Y"), ("b", "Z"), ("c", "Y")]] * 20)
    prepared = prepare(SETTINGS(tagged=path, max_len=6), None)
    ids, labels = prepared.batch(0)
    assert prepared.kept.tokenizer.tokens(ids[0]) == ["[CLS]", "it'", "s", "a", "b", "[SEP]"]
    assert labels[0].tolist() == [-100, 0, -100, 1, 2, -100]


def test_measures_are_those_of_a_count(tmp_path):
    """"a" is X twice and Y once, "b" always Y, "c" is new: the most frequent tags are right where they should be."""
    train = written(tmp_path / "train.tsv", [[("a", "X"), ("b", "Y")], [("a", "X"), ("b", "Y"), ("b", "Y")], [("a", "Y")]])
    valid = written(tmp_path / "valid.tsv", [[("a", "X"), *[("a", "Y")] * 3, ("b", "Y"), *[("c", "Y")] * 2, ("c", "X")]])
    prepared = prepare(SETTINGS(tagged=train, valid=valid), None)

    def says_y(ids):
        return np.stack([np.zeros(ids.shape), np.ones(ids.shape)], axis=-1)

    measured, _ = measure(says_y, prepared)
    assert measured == pytest.approx(
        {"accuracy": 6 / 8, "most_frequent": 4 / 8, "accuracy_several": 3 / 4, "most_frequent_several": 1 / 4}
    )


def test_what_is_learned_can_be_asked(tinytx, tmp_path, no_pictures):
    result = tinytx("train tags", SMALL, "--sentences 300 --steps 60 --out", tmp_path / "run")
    assert result.code == 0, result.err
    (line,) = (line for line in result.out.splitlines() if line.startswith("In Python: "))
    said = eval(line.removeprefix("In Python: "), {"tinytx": package})
    assert f"{said[0]['word']}/{said[0]['entity']} " in result.out
    tagger = package.pipeline("token-classification", model=str(tmp_path / "run"))
    assert [tag["entity"] for tag in tagger("she will walk .")] == ["PRON", "AUX", "VERB", "PUNCT"]
    assert [tag["entity"] for tag in tagger("the walk will help .")][:2] == ["DET", "NOUN"]


def test_tags_that_training_lacks_are_named(tmp_path):
    train, valid = (written(tmp_path / f"{tag}.tsv", [[("a", tag)]]) for tag in "XY")
    with pytest.raises(ValueError, match="the tags Y occur where the model is judged"):
        prepare(SETTINGS(tagged=train, valid=valid), None)
    with pytest.raises(ValueError, match="--held-out is 10, of 1 sentence none is held out: give a smaller one"):
        prepare(SETTINGS(tagged=train), None)
