import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinytx import ops
from tinytx.data import BERT_SPECIAL, IGNORE_INDEX, MaskedBatches, WordTokenizer

V = 1000
TOKENIZER = WordTokenizer([f"w{i}" for i in range(V - 5)], special=BERT_SPECIAL)  # [PAD] 0, ..., [MASK] 4
N_ROWS = 23
ROWS = [np.r_[2, np.arange(5 + i, 10 + 2 * i), 3] for i in range(N_ROWS)]  # row i begins with word 5 + i, lengths 7 + i
SEGMENTS = [np.arange(len(row)) // 3 for row in ROWS]
LABELS = np.arange(N_ROWS) % 2


def within_3_sigma(count, n, p):
    """Whether a count of n independent trials is what probability p gives."""
    return abs(count - n * p) <= 3 * math.sqrt(n * p * (1 - p))


def batches_of(*parts, rows=ROWS, batch_size=5, seed=3, rate=0.3, **options):
    return MaskedBatches(rows, *parts, tokenizer=TOKENIZER, batch_size=batch_size, seed=seed, rate=rate, **options)


def original(ids, targets):
    """Return each row as it was, without padding."""
    ids = np.where(targets == IGNORE_INDEX, ids, targets)
    return [row[row != 0] for row in ids]


def by_row(batches, epoch):
    """Return {row: (inputs, targets)} of an epoch, both without padding."""
    found = {}
    for ids, targets in batches.epoch(epoch):
        for i, t, row in zip(ids, targets, original(ids, targets), strict=True):
            found[row[1] - 5] = i[: len(row)].tolist(), t[: len(row)].tolist()
    return found


@given(batch_size=st.integers(1, 30), epoch=st.integers(0, 5), seed=st.integers(0, 2**40), dynamic=st.booleans())
def test_an_epoch_has_every_row_once(batch_size, epoch, seed, dynamic):
    batches = batches_of(batch_size=batch_size, seed=seed, dynamic=dynamic)
    drawn = list(batches.epoch(epoch))
    assert len(drawn) == len(batches) == -(-N_ROWS // batch_size)
    sizes = [len(ids) for ids, _ in drawn]
    assert max(sizes) <= batch_size and max(sizes) - min(sizes) <= 1
    seen = []
    for ids, targets in drawn:
        assert ids.dtype == targets.dtype == np.int64 and ids.shape == targets.shape
        rows = original(ids, targets)
        assert ids.shape[1] == max(map(len, rows))
        for row in rows:
            seen.append(row[1] - 5)
            np.testing.assert_array_equal(row, ROWS[seen[-1]])
    assert sorted(seen) == list(range(N_ROWS))


@given(batch_size=st.integers(1, N_ROWS), epoch=st.integers(0, 5))
def test_drop_last_makes_whole_batches(batch_size, epoch):
    """Catches a batch that is not full, a row that comes twice, and always the same rows left out."""
    batches = batches_of(batch_size=batch_size, drop_last=True)
    drawn = [original(*batch) for batch in batches.epoch(epoch)]
    assert [len(rows) for rows in drawn] == [batch_size] * (N_ROWS // batch_size) and len(drawn) == len(batches)
    seen = [row[1] - 5 for rows in drawn for row in rows]
    assert len(set(seen)) == len(seen)
    left = [{row[1] - 5 for batch in batches.epoch(e) for row in original(*batch)} for e in range(9)]
    assert set.union(*left) == set(range(N_ROWS))


def test_drop_last_needs_one_batch():
    with pytest.raises(ValueError, match=f"{N_ROWS} rows do not fill a batch of {N_ROWS + 1}"):
        batches_of(batch_size=N_ROWS + 1, drop_last=True)


def test_padding_and_special_tokens_are_never_targets():
    for ids, targets in batches_of(rate=1).epoch():
        special = np.isin(ids, [0, 2, 3])
        assert (targets[special] == IGNORE_INDEX).all() and (targets[~special] != IGNORE_INDEX).all()


def test_a_batch_is_a_function_of_seed_and_step():
    straight, resumed = batches_of(), batches_of()
    wanted = [straight(step) for step in range(12)]
    for step in (11, 3, 0, 7):
        np.testing.assert_array_equal(resumed(step), wanted[step])
    for step, batch in enumerate(batches_of().epoch(1), start=len(straight)):
        np.testing.assert_array_equal(batch, wanted[step])
    assert not np.array_equal(batches_of(seed=4)(0)[0], wanted[0][0])
    before = np.random.get_state()[1].copy()
    straight(0)
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def test_dynamic_masks_differ_between_epochs_and_static_ones_do_not():
    first, second = (by_row(batches_of(), epoch) for epoch in (0, 1))
    differing = sum(first[row] != second[row] for row in range(N_ROWS))
    assert differing >= N_ROWS - 3
    first, second = (by_row(batches_of(dynamic=False), epoch) for epoch in (0, 1))
    assert first == second
    assert first != by_row(batches_of(dynamic=False, seed=4), 0)


def test_the_order_differs_between_epochs():
    for dynamic in (True, False):
        batches = batches_of(dynamic=dynamic, rate=0, batch_size=N_ROWS)
        assert (batches(0)[0][:, 1] != batches(1)[0][:, 1]).any()


def test_a_mask_depends_on_its_row_alone():
    """Not on the size of the batch, nor on how wide its neighbours are."""
    for dynamic in (True, False):
        for epoch in (0, 3):
            assert by_row(batches_of(dynamic=dynamic), epoch) == by_row(
                batches_of(dynamic=dynamic, batch_size=7), epoch
            )


@pytest.mark.parametrize("dynamic", [True, False])
def test_rows_epochs_and_seeds_have_independent_masks(dynamic):
    """Of 400 equal rows, in two epochs (or of two seeds), two masks agree as chance has it."""
    n, t = 400, 500
    rows = [np.full(t, 50)] * n
    one = batches_of(rows=rows, batch_size=n, dynamic=dynamic)
    other = one if dynamic else batches_of(rows=rows, batch_size=n, dynamic=dynamic, seed=4)
    first, second = (batch[1] == 50 for batch in (one(0), other(1)))
    assert within_3_sigma(first.sum(), n * t, 0.3)
    for a, b in [(first, second), (first[1:], first[:-1])]:
        agree = (a & b).sum()
        sigma = math.sqrt(a.size * (0.09 * 0.91 + 2 * 0.027 * 0.7))
        assert abs(agree - a.size * 0.09) <= 3 * sigma
    assert len(np.unique(np.concatenate([first, second]), axis=0)) == 2 * n


def test_rates_of_batches():
    n = chosen = hidden = 0
    for ids, targets in MaskedBatches(ROWS * 40, tokenizer=TOKENIZER, batch_size=64, seed=0).epoch():
        n += ((ids > 4) | (targets != IGNORE_INDEX)).sum()
        chosen += (targets != IGNORE_INDEX).sum()
        hidden += (ids == 4).sum()
    assert within_3_sigma(chosen, n, 0.15) and within_3_sigma(hidden, chosen, 0.8)


def test_pairs_come_with_segments_and_labels():
    for ids, targets, segments, labels in batches_of(SEGMENTS, LABELS).epoch():
        assert ids.shape == segments.shape and labels.shape == ids.shape[:1]
        assert segments.dtype == labels.dtype == np.int64
        for i, row in enumerate(original(ids, targets)):
            which = row[1] - 5
            assert labels[i] == LABELS[which]
            np.testing.assert_array_equal(segments[i, : len(row)], SEGMENTS[which])
            assert (segments[i, len(row) :] == 0).all()


class InPieces(WordTokenizer):
    """Every third id goes on with a word."""

    def word_starts(self, ids):
        return np.asarray(ids) % 3 != 0


def test_whole_words_by_the_tokenizers_own_account():
    tokenizer = InPieces(TOKENIZER.words, special=BERT_SPECIAL)
    options = {"tokenizer": tokenizer, "batch_size": 5, "seed": 0, "rate": 0.5, "replace": (1, 0, 0)}
    apart = 0
    for ids, targets in MaskedBatches(ROWS, **options, whole_words=True).epoch():
        chosen = targets != IGNORE_INDEX
        goes_on = (targets % 3 == 0) & chosen | (ids % 3 == 0) & (ids > 4)
        b, t = np.nonzero(goes_on[:, 2:])
        np.testing.assert_array_equal(chosen[b, t + 2], chosen[b, t + 1])
    for _, targets in MaskedBatches(ROWS, **options).epoch():
        apart += ((targets[:, 2:] != IGNORE_INDEX) != (targets[:, 1:-1] != IGNORE_INDEX)).sum()
    assert apart > 50


def test_never_is_all_special_ids_unless_told():
    rows = [np.array([1, 5, 2, 6])]
    _, targets = batches_of(rows=rows, rate=1)(0)
    assert targets.tolist() == [[-100, 5, -100, 6]]
    _, targets = batches_of(rows=rows, rate=1, never=[])(0)  # mask and padding still
    assert targets.tolist() == [[1, 5, 2, 6]]
    assert batches_of(rows=[np.array([0, 4, 5])], rate=1, never=[])(0)[1].tolist() == [[-100, -100, 5]]


def test_the_loss_counts_targets_and_nothing_else():
    ids, targets = batches_of()(0)
    logits = np.zeros((*ids.shape, V))
    assert ops.cross_entropy(logits, targets)[0] == pytest.approx(math.log(V))
    assert ops.count_targets(targets) == (targets != IGNORE_INDEX).sum() > 0


@pytest.mark.parametrize(
    "build, error, match",
    [
        (lambda: batches_of(rows=[]), ValueError, "MaskedBatches: there are no rows; the text may be too short"),
        (lambda: batches_of(rows=[[5], []]), ValueError, r"row 1 has shape \(0,\)"),
        (lambda: batches_of(rows=[[[5]]]), ValueError, r"row 0 has shape \(1, 1\)"),
        (lambda: batches_of(rows=[[5], [5, V]]), ValueError, r"MaskedBatches: row 1: token id 1000 at position \(1,\) is outside"),
        (lambda: batches_of(rows=[[5.0]]), TypeError, "row 0: token ids have dtype float64"),
        (lambda: batches_of(batch_size=0), ValueError, "batch_size is 0"),
        (lambda: batches_of(batch_size=2.5), TypeError, "batch_size is 2.5"),
        (lambda: batches_of(rate=None), TypeError, "rate is None"),
        (lambda: batches_of(seed=-1), ValueError, "seed is -1"),
        (lambda: batches_of(rate=2), ValueError, "MaskedBatches: rate is 2"),
        (lambda: batches_of(never=[V]), ValueError, "MaskedBatches: never is"),
        (lambda: batches_of(SEGMENTS), ValueError, "expected both segments and labels, or neither"),
        (lambda: batches_of(None, LABELS), ValueError, "expected both segments and labels, or neither"),
        (lambda: batches_of(SEGMENTS[1:], LABELS), ValueError, "23 rows, 22 segments and 23 labels"),
        (lambda: batches_of(SEGMENTS, LABELS[1:]), ValueError, "23 segments and 22 labels"),
        (lambda: batches_of(SEGMENTS[::-1], LABELS), ValueError, "row 0 has 7 tokens and 29 segments"),
        (lambda: batches_of()(-1), ValueError, "epoch -1"),
        (
            lambda: MaskedBatches(ROWS, tokenizer=WordTokenizer(["a"]), batch_size=1, seed=0),
            ValueError,
            "have none for mask; build it with special=BERT_SPECIAL",
        ),
        (
            lambda: MaskedBatches(ROWS, tokenizer=WordTokenizer(["a"], ["<mask>"]), batch_size=1, seed=0),
            ValueError,
            "have none for pad",
        ),
    ],
)
def test_errors_of_batches(build, error, match):
    with pytest.raises(error, match=match):
        build()


@pytest.mark.parametrize("rate", [0.01, 0.15])
@pytest.mark.parametrize("batch_size", [1, 3])
def test_every_batch_asks_something(batch_size, rate):
    """Catches a small batch in which chance chose no word: a loss over it would be a mean over nothing."""
    batches = batches_of(batch_size=batch_size, rate=rate)
    asked = [np.count_nonzero(targets != IGNORE_INDEX) for epoch in range(3) for _, targets in batches.epoch(epoch)]
    assert min(asked) == 1
    special = [np.array([2, 3])] * 2  # nothing but special tokens: there is nothing to ask
    assert all((t == IGNORE_INDEX).all() for _, t in batches_of(rows=special, batch_size=1).epoch())
    assert all((t == IGNORE_INDEX).all() for _, t in batches_of(rate=0.0).epoch())
