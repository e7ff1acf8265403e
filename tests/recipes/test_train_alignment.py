"""``train alignment``: which links are learned, and what is said and drawn of a run."""

import re

import numpy as np
import pytest

from tinytx.data import Dictionary
from tinytx.recipes.alignment import SETTINGS, linked_batch, prepare, tokenizers_of

SMALL = {"n_words": 12, "shortest": 2, "longest": 4, "batch_size": 5}


def test_the_batches():
    """Catches links of other sentences, steps that are all alike, and validation on sentences of the training."""
    prepared = prepare(SETTINGS(**SMALL), None)
    dictionary, batches = Dictionary(12), [prepared.batch(step) for step in range(9)]
    assert len({source.tobytes() for source, *_ in batches}) == 9
    source_tokenizer, target_tokenizer = tokenizers_of(dictionary)
    for source, target, links in [*batches, *prepared.validation]:
        assert links.shape == (len(source), target.shape[1] - 1, source.shape[1]) and links.dtype == np.float32
        for b, t, s in np.argwhere(links).tolist():
            word, said = source_tokenizer.decode([source[b, s]]), target_tokenizer.decode([target[b, t + 1]])
            assert said in dictionary.translations[word]
        np.testing.assert_array_equal(links.sum(axis=2), target[:, 1:] > 2)  # each word has one link, and stop none
    assert sum(len(source) for source, *_ in prepared.validation) == 320
    assert {(row > 0).sum() for source, *_ in batches for row in source} == {2, 3, 4}
    assert prepared.config.max_len >= 2 * 4 + 1


def test_a_batch_by_hand():
    dictionary = Dictionary(6)
    aligned = dictionary.translate(["data", "difo"], [1, 2])
    source, target, links = linked_batch([aligned], tokenizers_of(dictionary), np.float64)
    assert source.shape == (1, 2) and target[0, [0, -1]].tolist() == [1, 2] and links.dtype == np.float64
    assert links[0].tolist() == [[0, 1], [0, 1], [1, 0], [0, 0]]


def test_settings_reach_both():
    prepared = prepare(SETTINGS(**SMALL, full_context=False, aligned_layer=1, alignment_weight=0.5, label_smoothing=0.2), None)
    assert (prepared.config.full_context, prepared.config.aligned_layer) == (False, 1)
    assert (prepared.task_settings["alignment_weight"], prepared.task_settings["label_smoothing"]) == (0.5, 0.2)
    with pytest.raises(ValueError, match="--shortest is 5, expected at most --longest, 4"):
        prepare(SETTINGS(**SMALL | {"shortest": 5}), None)


def test_a_run_says_its_links(trained, tinytx, tmp_path):
    """Each word of the translation is linked once; wrong links are among them. The commands that it names work."""
    folder, (code, out, _) = trained("alignment")
    assert code == 0 and re.search(r"^Alignment error rate 0\.\d{4}$", out, re.MULTILINE)
    source, target = re.search(r"such as (.*) -> (.*)$", out, re.MULTILINE).groups()
    linked, wrong = (re.search(rf"^{name}: +(.*)$", out, re.MULTILINE)[1].split() for name in ("Linked", "Wrong"))
    assert [link.partition("-")[0] for link in linked] == target.split()
    assert {link.partition("-")[2] for link in linked} <= {*source.split()}
    right = [said for said in linked if said not in wrong]
    assert all(said.split("-")[0] in Dictionary(12).translations[said.split("-")[1]] for said in right)
    assert tinytx("translate", folder, [source]).code == tinytx("explain", folder, [source]).code == 0
