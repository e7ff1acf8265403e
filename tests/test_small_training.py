"""A few steps of each model: the same losses whether kernels are compiled, check their bounds, or are plain Python."""

import numpy as np
import pytest

from tinytx.models import GPT, Bert, BertConfig, CharRNN, CharRNNConfig, GPTConfig, Transformer, TransformerConfig
from tinytx.tasks import HiddenWords, NextToken, SequenceToSequence
from tinytx.training import AdamW, Trainer

SIZES = {"d_model": 8, "n_heads": 2, "d_ff": 12, "dropout": 0.1}
STEPS = 6


def rng():
    return np.random.default_rng(0)


def gpt():
    ids = rng().integers(0, 7, (4, 6))
    return NextToken(GPT(GPTConfig(vocab_size=7, max_len=6, n_layers=2, **SIZES), rng=rng())), (ids, (ids + 1) % 7)


def char_rnn():
    ids, config = rng().integers(0, 7, (4, 6)), CharRNNConfig(vocab_size=7, d_embedding=5, d_model=8, n_layers=2, dropout=0.1)
    return NextToken.around(CharRNN, config, rng=rng()), (ids, (ids + 1) % 7)


def bert():
    ids = rng().integers(5, 11, (4, 6))
    ids[1, 4:] = 0
    targets = np.where(np.arange(6) % 3 == 1, ids, -100)
    config = BertConfig(11, max_len=6, n_layers=1, **SIZES)
    return HiddenWords.around(Bert, config, rng=rng(), settings={"next_sentence": True}), (
        ids, targets, np.arange(6) // 3 * np.ones((4, 1), int), np.arange(4) % 2,
    )  # fmt: skip


def transformer():
    source, target = rng().integers(4, 9, (4, 5)), rng().integers(4, 8, (4, 5))
    source[1, 3:], target[:, 0], target[2, 3:] = 0, 1, 0
    options = {"tied": "none", "n_encoder_layers": 1, "n_decoder_layers": 1, "max_len": 6, "pad_id": 0}
    return SequenceToSequence.around(Transformer, TransformerConfig(9, 8, **options, **SIZES), rng=rng()), (source, target)


FIRST_AND_LAST = {
    gpt: (1.943238, 1.507922),
    char_rnn: (1.959717, 1.915673),
    bert: (3.154429, 2.336441),
    transformer: (2.469128, 1.052907),
}


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("build", FIRST_AND_LAST, ids=lambda build: build.__name__)
def test_losses(build, threads):
    model, batch = build()
    trainer = Trainer(model, AdamW(model, 0.02), threads=threads, seed=3)
    losses = [trainer.step(*batch) for _ in range(STEPS)]
    np.testing.assert_allclose([losses[0], losses[-1]], FIRST_AND_LAST[build], rtol=1e-4)
