"""``train elmo``: a language model that sees no tags, and linear maps that learn them from some of its sentences."""

import numpy as np
import pytest
from run_files import records

from tinytx.data import tagged_sentences
from tinytx.models import Elmo, ElmoConfig
from tinytx.recipes.elmo import SETTINGS, Kept, layers_of, prepare, probed


@pytest.fixture(scope="module")
def prepared():
    return prepare(SETTINGS(sentences=40, labelled=20, batch_size=7), None)


def test_the_language_model_reads_all_words_and_no_tags(prepared):
    """Catches sentences that are held out in training, and labelled ones that are others."""
    tokenizer, sentences, labelled, held_out, counts, _ = prepared.kept
    expected = tagged_sentences(40, SETTINGS().seed)
    assert sentences == [s for i, s in enumerate(expected) if i % 10 != 9]
    read = [row for step in range(6) for (ids,) in [prepared.batch(step)] for row in ids]
    words = [[word for word in tokenizer.tokens(row) if word != "[PAD]"] for row in read]
    assert sorted(words) == sorted(["[CLS]", *(word for word, _ in s), "[SEP]"] for s in sentences)
    some, judged = (sum((labels >= 0).sum() for _, labels in part) for part in (labelled, held_out))
    assert some == sum(map(len, sentences[:20])) and judged == sum(map(len, expected[9::10]))
    assert counts.sum() == sum(map(len, sentences))
    assert [ids.tolist() for (ids,) in prepared.validation] == [ids.tolist() for ids, _ in held_out]


def test_answers_are_counted_by_hand():
    """Word 5 is tag 0 or 1, by the word before it; word 6 is tag 1. Vectors that know the word alone, and both."""
    ids = np.array([[7, 5, 6], [8, 5, 6]])
    labels = np.array([[-100, 0, 1], [-100, 1, 1]])
    counts = np.zeros((9, 2), int)
    counts[5], counts[6, 1] = 1, 2
    kept = Kept(None, [], [(ids, labels)] * 9, [(ids, labels)], counts, 60)
    word = np.eye(9)

    def blind(ids):
        return word[ids][:, :, None]

    def seeing(ids):
        return np.concatenate([word[ids], word[np.roll(ids, 1, axis=1)]], axis=-1)[:, :, None]

    assert probed(blind, kept)[0] == {"tags": 0.75, "ambiguous": 0.5, "senses": 0.5}
    assert probed(seeing, kept)[0] == {"tags": 1, "ambiguous": 1, "senses": 1}
    counts[5, 0] = 0
    assert probed(seeing, kept)[0] == {"tags": 1}


def test_layers_are_named_and_apart():
    body, ids = Elmo(ElmoConfig(200, d_model=4, n_layers=2), rng=np.random.default_rng(0)), np.array([[5, 6, 7]])
    read = layers_of(body)
    assert [*read] == ["token", "layer1", "layer2", "mix"]
    for n, name in enumerate(read):
        np.testing.assert_array_equal(read[name](ids), body(ids)[:, :, n : n + 1] if name != "mix" else body(ids))


def test_the_table_of_a_run(trained):
    """Catches a layer that is left out of the measures, and another one's figures in a row."""
    folder, (code, out, err) = trained("elmo")
    assert code == 0, err
    last = records(folder)[-1]
    kinds = [f"{name}_{what}" for name in ("token", "layer1", "mix") for what in ("tags", "ambiguous", "senses")]
    assert set(last) == {"step", "val_loss", "next_perplexity", "previous_perplexity", *kinds}
    assert f"  mix  {last['mix_tags']:38.3f}{last['mix_ambiguous']:20.3f}{last['mix_senses']:33.3f}" in out
    assert "Shares in the mix" in out and f"next word {last['next_perplexity']:.1f}," in out
