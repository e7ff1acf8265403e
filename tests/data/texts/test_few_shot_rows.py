"""Rows of examples: a label for each topic, drawn anew in each row."""

import numpy as np
import pytest

from tinytx.data import labelled_rows, words_of_rows
from tinytx.data.texts.few_shot import LETTERS, TOPICS


@pytest.mark.parametrize("topics", [LETTERS, TOPICS])
def test_a_topic_has_one_label_in_a_row_and_others_elsewhere(topics):
    topic_of = {word: i for i, words in enumerate(topics) for word in words}
    seen, labels, mixed = set(), [set() for _ in topics], 0
    rows = labelled_rows(np.random.default_rng(0), 300, 9, topics)
    for row in rows:
        words = row.split()
        assert len(words) == 18 and set(words) <= set(words_of_rows(topics))
        pairs = {(topic_of[word], label) for word, label in zip(words[::2], words[1::2])}
        assert len(pairs) == len({topic for topic, _ in pairs})
        seen |= set(words)
        for topic, label in pairs:
            labels[topic].add(label)
        mixed += len({label for _, label in pairs}) > 1
    assert mixed > 200  # topics of a row have different labels
    assert seen == set(words_of_rows(topics)) and all(found == {"0", "1", "2", "3"} for found in labels)
    assert rows == labelled_rows(np.random.default_rng(0), 300, 9, topics) and len(set(rows)) == 300


def test_every_word_has_one_topic():
    words = words_of_rows()
    assert len(set(words)) == len(words) == 12


@pytest.mark.parametrize("sizes", [(0, 3), (2, 0)])
def test_errors(sizes):
    with pytest.raises(ValueError, match="labelled_rows: n_"):
        labelled_rows(np.random.default_rng(0), *sizes)
