"""``train elmo``: a language model that sees no tags, and linear maps that learn them from some of its sentences."""

import numpy as np
import pytest
from run_files import records

from tinytx.data import tagged_sentences
from tinytx.models import Elmo, ElmoConfig
from tinytx.recipes.elmo import SETTINGS, Kept, hidden, layers_of, prepare, probed


@pytest.fixture(scope="module")
def prepared():
    return prepare(SETTINGS(sentences=40, labelled=20, batch_size=7), None)


def test_the_language_model_reads_all_words_and_no_tags(prepared):
    """Catches sentences that are held out in training, and labelled ones that are others."""
    tokenizer, sentences, labelled, held_out, counts, *_ = prepared.kept
    expected = tagged_sentences(40, SETTINGS().seed)
    assert sentences == [s for i, s in enumerate(expected) if i % 10 != 9]
    read = [row for step in range(6) for (ids,) in [prepared.batch(step)] for row in ids]
    words = [[word for word in tokenizer.tokens(row) if word != "[PAD]"] for row in read]
    assert sorted(words) == sorted(["[CLS]", *(word for word, _ in s), "[SEP]"] for s in sentences)
    some, judged = (sum((labels >= 0).sum() for _, labels in part) for part in (labelled, held_out))
    assert some == sum(map(len, sentences[:20])) and judged == sum(map(len, expected[9::10]))
    assert counts.sum() == sum(map(len, sentences))
    assert [ids.tolist() for (ids,) in prepared.validation] == [prepared.kept.batch(ids)[0].tolist() for ids, _ in held_out]


def test_answers_are_counted_by_hand():
    """Word 5 is tag 0 or 1, by the word before it; word 6 is tag 1. Vectors that know the word alone, and both."""
    ids = np.array([[7, 5, 6], [8, 5, 6]])
    labels = np.array([[-100, 0, 1], [-100, 1, 1]])
    counts = np.zeros((9, 2), int)
    counts[5], counts[6, 1] = 1, 2
    kept = Kept(None, [], [(ids, labels)] * 9, [(ids, labels)], counts, 60, None)
    word = np.eye(9)

    def blind(ids):
        return word[ids][:, :, None]

    def seeing(ids):
        return np.concatenate([word[ids], word[np.roll(ids, 1, axis=1)]], axis=-1)[:, :, None]

    assert probed(blind, kept)[0] == {"tags": 0.75, "ambiguous": 0.5, "senses": 0.5}
    assert probed(seeing, kept)[0] == {"tags": 1, "ambiguous": 1, "senses": 1}
    counts[5, 0] = 0
    assert probed(seeing, kept)[0] == {"tags": 1}
    counts[6] = 0
    assert probed(blind, kept)[0] == {"tags": 0.75, "unseen": 1}
    counts[5:7] = 0, 2
    assert probed(blind, kept)[0] == {"tags": 0.75}


def test_hidden_words_are_left_for_the_judgement():
    """Catches a hidden word in training, sentences without one that are left out, and a smaller judgement."""
    sentences = tagged_sentences(60)
    train, held_out = sentences[:40], sentences[40:]
    left, judged = hidden((train, held_out), 5, seed=1)
    gone = {word for s in train for word, _ in s} - {word for s in left for word, _ in s}
    drawn = {word for s in train if s not in left for word, tag in s if tag in ("NOUN", "VERB")} & gone
    assert judged is held_out and 0 < len(left) < 40 and len(drawn) >= 5
    assert all(any(word in drawn for word, _ in s) for s in train if s not in left)
    assert hidden((train, held_out), 5, seed=2)[0] != left and hidden((train, held_out), 0, seed=1)[0] == train
    every = len({word for s in train for word, tag in s if tag in ("NOUN", "VERB")})
    for n, message in ((every + 1, f"is {every + 1}, of {every} words"), (every, f"is {every}, and every sentence")):
        with pytest.raises(ValueError, match=message):
            hidden((train, held_out), n, seed=1)


def test_unknown_words_are_read_by_their_letters():
    """Catches letters of the mark of unknown words, letters of padding, and ids that the model does not have."""
    prepared = prepare(SETTINGS(sentences=60, labelled=20, words="characters", hide=8), None)
    kept, known = prepared.kept, prepared.kept.tokenizer
    expected, n_unknown = {tuple(word for word, _ in s) for s in tagged_sentences(60, SETTINGS().seed)[9::10]}, 0
    for (ids, letters), (every, _) in zip(prepared.validation, kept.held_out):
        np.testing.assert_array_equal(kept.read(every), letters)
        assert ids.max() < known.vocab_size == prepared.config.vocab_size
        for row, spelling in zip(ids, letters):
            n = int((row != known.pad_id).sum())
            words = ["".join(chr(i - 1) for i in word if 0 < i < 257) for word in spelling[:n]]
            assert words[0] == "[CLS]" and tuple(words[1:-1]) in expected and not spelling[n:].any()
            unknown = [bool(known.unknown(word)) for word in words[1:-1]]
            assert known.tokens(row[1 : n - 1]) == ["[UNK]" if new else word for new, word in zip(unknown, words[1:-1])]
            n_unknown += sum(unknown)
    assert n_unknown >= 3
    batch = prepared.batch(0)
    assert len(batch) == 2 and batch[1].shape == (*batch[0].shape, prepared.config.max_characters)


def test_layers_are_named_and_apart():
    body, ids = Elmo(ElmoConfig(200, d_model=4, n_layers=2), rng=np.random.default_rng(0)), np.array([[5, 6, 7]])
    read = layers_of(body, Kept(*[None] * 6, lambda ids: (None, ids)))
    assert [*read] == ["token", "layer1", "layer2", "mix"]
    for n, name in enumerate(read):
        np.testing.assert_array_equal(read[name](ids), body(ids)[:, :, n : n + 1] if name != "mix" else body(ids))


def test_the_table_of_a_run(trained):
    """Catches a layer that is left out of the measures, and another one's figures in a row."""
    folder, (code, out, err) = trained("elmo")
    assert code == 0, err
    last = records(folder)[-1]
    kinds = [f"{name}_{what}" for name in ("token", "layer1", "mix") for what in ("tags", "ambiguous", "senses", "unseen")]
    assert set(last) == {"step", "val_loss", "next_perplexity", "previous_perplexity", *kinds}
    assert f"  mix  {last['mix_tags']:38.3f}{last['mix_ambiguous']:20.3f}{last['mix_senses']:33.3f}" in out
    figures = ", ".join(f"{name} {last[f'{name}_unseen']:.3f}" for name in ("token", "layer1", "mix"))
    assert f"Tags of words that no sentence of training has: {figures}\n" in out
    assert "Shares in the mix" in out and f"next word {last['next_perplexity']:.1f}," in out
