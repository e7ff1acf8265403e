"""``train longformer``: texts with a needle and a question, near ones in training, and what is said of a run."""

import re

import numpy as np

from tinytx.data import tokenizer_from_dict
from tinytx.data.texts.needles import COLOURS
from tinytx.recipes.longformer import ASKED, LEAD, ROWS, SETTINGS, prepare


def test_the_question_stands_at_the_end():
    """It alone is hidden, and is what the config makes global; no text comes twice; the seed decides."""
    prepared = prepare(SETTINGS(distance=40, batch_size=5), None)
    tokenizer = tokenizer_from_dict(prepared.tokenizers["tokenizer"])
    config = prepared.config
    assert (config.mark_id, config.global_words, config.max_len, config.vocab_size) == (tokenizer.mask_id, "marked", LEAD + 43, tokenizer.vocab_size)
    batches = [*map(prepared.batch, range(8)), *prepared.validation]
    for ids, targets in batches:
        hidden = np.arange(ids.shape[1]) == ids.shape[1] - 1
        assert ((ids == tokenizer.mask_id) == hidden).all() and ((targets == -100) == ~hidden).all()
        for row, answer in zip(map(tokenizer.decode, ids), targets[:, -1], strict=True):
            assert re.search(rf"remember {tokenizer.decode([answer])}\b", row)
    assert len({ids.tobytes() for ids, _ in batches}) == len(batches)
    assert (prepare(SETTINGS(distance=40, batch_size=5, seed=1), None).batch(0)[0].tobytes()) != prepared.batch(0)[0].tobytes()


def test_training_has_all_lengths_and_validation_the_longest():
    """As many below the geometric mean as above it."""
    prepared = prepare(SETTINGS(distance=200, nearest=2, batch_size=1), None)
    distances = np.array([prepared.batch(step)[0].shape[1] for step in range(400)]) - LEAD - 3
    assert distances.min() == 2 and 190 < distances.max() <= 200
    assert abs((distances < 20).mean() - 0.5) < 0.08
    assert {ids.shape for ids, _ in prepared.validation} == {(ROWS, LEAD + 203)}
    assert {n: ids.shape[1] - LEAD - 3 for n, [(ids, _)] in prepared.kept.items()} == {1: 1, 10: 10, 100: 100}


def test_a_run_says_how_far_it_finds(trained, tinytx):
    folder, (code, out, _) = trained("longformer")
    assert code == 0
    assert re.search(r"Found over so many words: 1: \d\.\d\d, 10: \d\.\d\d, 12: \d\.\d\d\nBy chance: 0.12\n", out)
    asked = tinytx("fill", folder, [ASKED])
    assert asked.code == 0 and any(colour in asked.out for colour in COLOURS)
