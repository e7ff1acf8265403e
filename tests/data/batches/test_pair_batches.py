from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

import tinytx
from tinytx.data import PairBatches, build_tokenizers, encode_pairs, read_pairs

TATOEBA = Path(tinytx.__file__).parents[2] / "shared/data/tatoeba.eng-fra.tsv"
LENGTHS = st.lists(st.tuples(st.integers(1, 12), st.integers(2, 12)), min_size=1, max_size=60)
BOUNDS = {"max_tokens": st.integers(12, 80), "max_padding": st.floats(0, 1), "seed": st.integers(0, 2**40)}


def corpus(lengths):
    """Return sources and targets of these lengths; the tokens of pair i are 2 i + 1 and 2 i + 2."""
    sources = [np.full(s, 2 * i + 1) for i, (s, _) in enumerate(lengths)]
    return sources, [np.full(t, 2 * i + 2) for i, (_, t) in enumerate(lengths)]


MANY = [(1 + i % 7, 2 + i * i % 11) for i in range(200)]


def batches_of(lengths=MANY, *, max_tokens=40, pad_id=0, seed=0, **options):
    return PairBatches(*corpus(lengths), max_tokens=max_tokens, pad_id=pad_id, seed=seed, **options)


def same(batches, others):
    return len(batches) == len(others) and all(
        all(np.array_equal(a, b) for a, b in zip(one, other, strict=True))
        for one, other in zip(batches, others, strict=True)
    )


@given(lengths=LENGTHS, epoch=st.integers(0, 5), pad_id=st.sampled_from([0, -1, 10**6]), **BOUNDS)
@example(lengths=[(1, 2)], epoch=0, pad_id=0, max_tokens=12, max_padding=0.0, seed=0)
def test_an_epoch(lengths, epoch, pad_id, max_tokens, max_padding, seed):
    """Every pair once and whole, neither side above the bound of tokens, all in all no more padding than allowed."""
    sources, targets = corpus(lengths)
    batches = batches_of(lengths, max_tokens=max_tokens, pad_id=pad_id, seed=seed, max_padding=max_padding)
    seen, n_ids = [], 0
    for batch in (drawn := list(batches.epoch(epoch))):
        seen += batch.pairs.tolist()
        for rows, originals in [(batch.source, sources), (batch.target, targets)]:
            assert rows.dtype == np.int64 and rows.flags.c_contiguous and rows.size <= max_tokens
            n_ids += rows.size
            assert not (rows == pad_id).all(axis=0).any()  # no column of padding alone
            for row, i in zip(rows, batch.pairs, strict=True):
                n = len(originals[i])
                np.testing.assert_array_equal(row[:n], originals[i])
                assert (row[n:] == pad_id).all()
    assert sorted(seen) == list(range(len(lengths)))
    assert len(drawn) == len(batches)
    padding = 1 - sum(map(sum, lengths)) / n_ids
    assert padding <= max_padding + 1e-12
    assert batches.padding(epoch) == pytest.approx(padding, abs=1e-12)


@given(lengths=LENGTHS, start=st.integers(0, 30), **BOUNDS)
def test_a_run_resumes_at_any_step(lengths, start, max_tokens, max_padding, seed):
    """A batch is a function of seed and step, whatever was asked before."""
    options = {"max_tokens": max_tokens, "max_padding": max_padding, "seed": seed}
    straight, resumed = batches_of(lengths, **options), batches_of(lengths, **options)
    straight = [straight.batch(step) for step in range(start + 5)]
    assert same(straight[start:], [resumed.batch(step) for step in range(start, start + 5)])


def test_epochs_follow_each_other():
    batches = batches_of()
    run = [batches.batch(step) for step in range(2 * len(batches))]
    assert same(run, [*batches.epoch(0), *batches.epoch(1)])


def test_epochs_and_seeds_differ_and_repeat():
    """In which pairs are together, and in the order of batches."""
    batches, other = batches_of(), batches_of(seed=1)
    epochs = [list(batches.epoch(0)), list(batches.epoch(1)), list(other.epoch(0))]
    assert same(epochs[0], list(batches.epoch(0)))
    together = [{frozenset(batch.pairs.tolist()) for batch in epoch} for epoch in epochs]
    widths = [[batch.source.shape for batch in epoch] for epoch in epochs]
    for a, b in [(0, 1), (0, 2), (1, 2)]:
        assert together[a] != together[b] and widths[a] != widths[b]


def test_short_batches_do_not_come_first():
    """Catches an epoch that goes through the corpus by length; each bucket has a length of its own here."""
    batches = batches_of([(1 + i % 7, 5) for i in range(200)], max_padding=0)
    orders = [[batch.source.shape[1] for batch in batches.epoch(epoch)] for epoch in range(2)]
    assert orders[0] != orders[1] and sorted(orders[0]) == sorted(orders[1])
    for order in orders:
        assert sum(abs(a - b) for a, b in zip(order, order[1:], strict=False)) > 3 * 7


def test_batches_are_filled():
    """All of one length: as few batches as the bound allows, of about the same size."""
    sizes = [len(batch.pairs) for batch in batches_of([(4, 5)] * 17, max_tokens=40).epoch(0)]
    assert sorted(sizes) == [5, 6, 6]


def test_the_global_generator_and_the_corpus_are_not_touched():
    before = np.random.get_state()[1].copy()
    sources, targets = corpus(MANY)
    for row in sources + targets:
        row.flags.writeable = False
    list(PairBatches(sources, targets, max_tokens=40, pad_id=0, seed=0).epoch(0))
    np.testing.assert_array_equal(np.random.get_state()[1], before)


ROW = np.array([1, 2])


@pytest.mark.parametrize(
    "sources, targets, options, match",
    [
        ([], [], {}, "0 sources and 0 targets"),
        ([ROW], [ROW, ROW], {}, "1 sources and 2 targets"),
        ([ROW, ROW[:0]], [ROW, ROW], {}, "the source of pair 1 is empty"),
        ([ROW], [np.arange(1, 10)], {}, "the target of pair 0 has 9 tokens, more than max_tokens 8; raise it.*max_len"),
        ([ROW], [ROW - 1], {}, "the target of pair 0 has pad_id 0 among its tokens"),
        ([ROW], [ROW], {"max_tokens": 0}, "max_tokens is 0"),
        ([ROW], [ROW], {"max_padding": 1.1}, "max_padding is 1.1"),
        ([ROW], [ROW], {"max_padding": float("nan")}, "max_padding is nan"),
        ([ROW], [ROW], {"seed": -1}, "seed is -1"),
    ],
)
def test_errors(sources, targets, options, match):
    with pytest.raises(ValueError, match=match):
        PairBatches(sources, targets, **{"max_tokens": 8, "pad_id": 0, "seed": 0} | options)


def test_negative_steps():
    with pytest.raises(ValueError, match="epoch -1"):
        batches_of().batch(-1)


@pytest.mark.skipif(not TATOEBA.exists(), reason="the shared data are not here")
@pytest.mark.parametrize("kind, max_tokens", [("words", 1500), ("words", 4000), ("characters", 4000)])
def test_padding_of_tatoeba(kind, max_tokens):
    """At most a tenth is padding, and hardly more batches than the bound needs."""
    pairs = read_pairs(TATOEBA).pairs
    source, target = build_tokenizers(pairs, kind)
    encoded = encode_pairs(pairs, source, target)
    batches = PairBatches(encoded.sources, encoded.targets, max_tokens=max_tokens, pad_id=0, seed=0)
    tokens = padding = 0
    for batch in batches.epoch(0):
        assert max(batch.source.size, batch.target.size) <= max_tokens
        tokens += batch.source.size + batch.target.size
        padding += (batch.source == 0).sum() + (batch.target == 0).sum()
    assert padding / tokens <= 0.1
    assert len(batches) <= 1.4 * sum(map(len, encoded.targets)) / max_tokens
