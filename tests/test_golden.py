"""What a checkpoint relies on from one version to the next: the same numbers for the same seed, written down.

A run that resumes draws the masks, the batches and the hidden words that the first run would have drawn. Another figure
here is a break with every checkpoint there is: it needs a new format of checkpoints, and not only a new figure.
"""

import numpy as np
import pytest

from tinytx.core import Tape
from tinytx.data import BERT_SPECIAL, MaskedBatches, PairBatches, WordTokenizer, date_pairs, random_batch, stream_batch
from tinytx.kernel import hash_element, hash_row
from tinytx.layers import LSTM, Embedding, FeedForward, LearnedPositions, Linear, MultiHeadAttention
from tinytx.layers.init import normal, xavier_uniform
from tinytx.models import GPT, Bert, BertConfig, GPTConfig, Transformer, TransformerConfig
from tinytx.ops import attention, attention_weights, dropout
from tinytx.tasks import HiddenWords, NextToken, SequenceToSequence

HASHES = [
    ((1, 0, 0), 0x5692161D, 0x8618DC1C),
    ((0, 1, 0), 0xE220A839, 0x2DBD02C4),
    ((0, 0, 1), 0, 0x01FCE552),
    ((2**64 - 1, 2**40, 12345), 0xE35E5E5E, 0xD7C4AA30),
    ((0x0123456789ABCDEF, 77, 3), 0x30FE2ED1, 0xBC1DBB67),
]


@pytest.mark.parametrize(("place", "row_bits", "bits"), HASHES)
def test_hash(place, row_bits, bits):
    key, row, column = place
    with np.errstate(over="ignore"):
        found = hash_row(np.uint64(key), np.int64(row))
        assert (found, hash_element(np.uint32(found), np.uint32(column))) == (row_bits, bits)


def test_keys_of_dropout():
    """A key is a function of seed, step and how many masks this forward asked for before."""
    tape = Tape(seed=5, step=2)
    assert [tape.dropout_key() for _ in range(3)] == [0xC61AA97E221ADCA3, 0xA455EF8C41AD4586, 0x045FDAA937FB170C]
    assert Tape(seed=0).dropout_key() == 0x189EDCA580EBA9E6


MASK = ["001111010101001011001111", "010011111110111011001010", "001101011011000101101010", "111001110011111011011111"]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_masks(dtype):
    """Rows 7 to 10 of a mask; attention's rows are those of its weights, (B, H, T)."""
    kept = dropout(np.ones((4, 24), dtype), 0.5, 0xDEADBEEF, first_row=7)[0] != 0
    assert ["".join(map(str, row.astype(int))) for row in kept] == MASK
    q = np.ones((2, 2, 3, 4), dtype)
    _, saved = attention(q, q, q, dropout=0.5, key=0xDEADBEEF, first_row=1)
    kept = attention_weights(saved) != 0
    whole = dropout(np.ones((3 * 2 * 3, 3), dtype), 0.5, 0xDEADBEEF)[0] != 0
    np.testing.assert_array_equal(kept, whole.reshape(3, 2, 3, 3)[1:])


def rng():
    return np.random.default_rng(7)


SIZES = {"d_model": 4, "n_heads": 2}
INITIAL = {
    "Linear": (lambda: Linear(5, 3, rng=rng()), [0.111888789, 0.00406808639, 3.14339]),
    "normal": (lambda: Linear(5, 3, rng=rng(), init=normal(0.02)), [2.46030668e-05, -0.000585036469, 0.146718526]),
    "xavier": (lambda: Linear(5, 3, rng=rng(), init=xavier_uniform), [0.216671705, 0.00787781551, 6.0871486]),
    "Embedding": (lambda: Embedding(5, 3, rng=rng()), [0.00123015337, -0.0292518232, 7.33592609]),
    "LearnedPositions": (lambda: LearnedPositions(5, 3, rng=rng()), [2.46030668e-05, -0.000585036469, 0.146718526]),
    "FeedForward": (lambda: FeedForward(3, 5, rng=rng()), [0.144447803, 0.0126272067, 7.38482254]),
    "MultiHeadAttention": (lambda: MultiHeadAttention(4, 2, rng=rng()), [0.125095472, -0.349211991, 15.3500327]),
    "LSTM": (lambda: LSTM(3, 4, rng=rng()), [0.125095472, 0.241314813, 31.9972617]),
    "GPT": (
        lambda: NextToken.around(GPT, GPTConfig(vocab_size=11, max_len=5, n_layers=2, tied_head=False, **SIZES), rng=rng()),
        [2.46030668e-05, -0.0192263108, 26.0191935],
    ),
    "Bert": (
        lambda: HiddenWords.around(
            Bert, BertConfig(11, max_len=5, n_layers=2, d_ff=7, **SIZES), rng=rng(), settings={"next_sentence": True}
        ),
        [2.46030668e-05, -0.0100834249, 29.1160457],
    ),
    "Transformer": (
        lambda: SequenceToSequence.around(
            Transformer,
            TransformerConfig(
                11, 9, tied="none", d_ff=7, n_encoder_layers=1, n_decoder_layers=2, max_len=6, **SIZES
            ),
            rng=rng(),
        ),
        [0.158234641, -0.574067235, 266.259699],
    ),
}


@pytest.mark.parametrize("name", INITIAL)
def test_initial_values(name):
    """The first and the last value that is not 0, and the sum of all sizes."""
    build, expected = INITIAL[name]
    values = np.concatenate([parameter.data.ravel().astype(np.float64) for parameter in build().parameters()])
    drawn = values[values != 0]
    np.testing.assert_allclose([drawn[0], drawn[-1], np.abs(values).sum()], expected, rtol=1e-6)


def test_batches_of_a_text():
    starts = [random_batch(np.arange(100), max_len=4, batch_size=6, seed=3, step=step)[0][:, 0] for step in (0, 1, 1000)]
    assert [start.tolist() for start in starts] == [
        [77, 8, 17, 22, 17, 76],
        [93, 24, 55, 39, 74, 32],
        [85, 68, 79, 58, 5, 7],
    ]


def test_batches_of_a_stream():
    starts = [stream_batch(np.arange(100), length=4, batch_size=6, step=step)[0][:, 0] for step in (0, 1, 1000)]
    assert [start.tolist() for start in starts] == [
        [0, 16, 33, 49, 66, 82],
        [4, 20, 37, 53, 70, 86],
        [40, 56, 73, 89, 7, 23],
    ]


def test_batches_of_pairs():
    sources, targets = ([np.full(n + i % m, i + 1) for i in range(12)] for n, m in ((1, 3), (2, 2)))
    batches = PairBatches(sources, targets, max_tokens=12, pad_id=0, seed=3)
    assert [[batch.pairs.tolist() for batch in batches.epoch(epoch)] for epoch in (0, 1)] == [
        [[2, 8], [11, 5], [6, 0], [4, 1, 10, 7], [3, 9]],
        [[0, 6], [11, 5], [2, 8], [9, 3], [7, 4, 1, 10]],
    ]


def test_hidden_words():
    """The order of the rows, which words are hidden, and what stands in their place."""
    tokenizer = WordTokenizer([f"w{i}" for i in range(45)], special=BERT_SPECIAL)
    rows = [np.r_[2, np.arange(5 + i, 11 + i), 3] for i in range(4)]
    batches = MaskedBatches(rows, tokenizer=tokenizer, batch_size=2, seed=3, rate=0.3)
    assert [ids.tolist() for ids, _ in batches.epoch(1)] == [
        [[2, 7, 8, 9, 10, 11, 22, 3], [2, 4, 7, 8, 4, 10, 4, 3]],
        [[2, 8, 4, 10, 11, 25, 13, 3], [2, 5, 4, 4, 8, 9, 10, 3]],
    ]


def test_generated_pairs():
    assert date_pairs(4, seed=3) == [
        ("07/24/40", "2040-07-24"),
        ("may 11th, 2060", "2060-05-11"),
        ("feb. 25th, 1998", "1998-02-25"),
        ("3rd of june, 2017", "2017-06-03"),
    ]
