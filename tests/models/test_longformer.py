"""Longformer: a window, what global words reach, BERT where all is seen, and what costs as much as there are words."""

import tracemalloc

import numpy as np
import pytest

from tinytx import ops
from tinytx.core import Tape
from tinytx.layers import GlobalWindow, GlobalWindowAttention
from tinytx.layers.init import Zeros
from tinytx.models import Bert, BertConfig, Longformer, LongformerConfig
from tinytx.models.longformer import global_words
from tinytx.state import State
from tinytx.tasks import HiddenWords
from tinytx.viz import attention_maps

V, PAD = 11, 1
SIZES = {"max_len": 14, "d_model": 6, "n_heads": 2, "n_layers": 1, "d_ff": 7, "dropout": 0.0}
IDS = np.random.default_rng(0).integers(2, V, (2, 13))


def longformer(**options):
    body = Longformer(LongformerConfig(V, **SIZES | options), rng=np.random.default_rng(0), dtype=np.float64)
    for i, parameter in enumerate(body.parameters()):
        parameter.data[...] = np.random.default_rng(i).normal(size=parameter.data.shape)
    return body


def moved_by(body, place, ids=IDS[:1]):
    """Return which places of a text have another vector if the word at one place is another."""
    other = ids.copy()
    other[0, place] = 2 + (ids[0, place] - 1) % (V - 2)
    return set(np.flatnonzero((body(other) != body(ids))[0].any(axis=1)).tolist())


def places(*around, of=6):
    return {of + each for each in around}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"windows": "4"}, places(-2, -1, 0, 1, 2)),
        ({"windows": "4", "dilations": "3"}, places(-6, -3, 0, 3, 6)),
        ({"windows": "2", "dilations": "3", "dilated_heads": 1}, places(-3, -1, 0, 1, 3)),
        ({"windows": "2", "dilations": "3", "dilated_heads": 0}, places(-1, 0, 1)),
        ({"windows": "2,4", "dilations": "1,4", "n_layers": 2}, places(-5, -4, -3, -1, 0, 1, 3, 4, 5)),
        ({"windows": "4,2,4", "n_layers": 2}, places(-3, -2, -1, 0, 1, 2, 3)),
        ({"windows": "2", "global_words": "first"}, places(-6, -1, 0, 1)),
        ({"windows": "2", "global_words": "first", "n_layers": 2}, set(range(13))),
    ],
)
def test_a_word_reaches_its_window_and_global_words(options, expected):
    """With one block the first word alone hears of a word far away; with two, all do, by way of the first."""
    assert moved_by(longformer(**options), 6) == expected


def test_all_see_a_global_word():
    assert moved_by(longformer(windows="2", global_words="first"), 0) == set(range(13))


def test_where_a_word_sees_all_it_is_roberta():
    """Outputs and gradients, without a global word: the maps for these have none."""
    body, roberta = longformer(windows="26", n_layers=2), Bert(
        BertConfig.roberta(V, **SIZES | {"n_layers": 2}), rng=np.random.default_rng(0), dtype=np.float64
    )
    known = dict(body.named_parameters())
    for path, parameter in roberta.named_parameters():
        parameter.data[...] = known[path].data
    ids, tapes = IDS.copy(), (Tape(), Tape())
    ids[1, 9:] = PAD
    ys = [each(ids, tape) for each, tape in zip((body, roberta), tapes, strict=True)]
    np.testing.assert_allclose(*ys, rtol=0, atol=1e-12)
    for each, tape in zip((body, roberta), tapes, strict=True):
        each.backward(np.cos(np.arange(ys[0].size)).reshape(ys[0].shape), tape)
    others = dict(roberta.named_parameters())
    for path, parameter in body.named_parameters():
        expected = np.zeros_like(parameter.data) if "_global" in path else others[path].grad
        np.testing.assert_allclose(parameter.grad, expected, rtol=0, atol=1e-11 * max(1, np.abs(expected).max()), err_msg=path)


def test_where_all_words_are_global_it_is_roberta_with_their_maps():
    body = longformer(windows="2")
    roberta = Bert(BertConfig.roberta(V, **SIZES), rng=np.random.default_rng(0), dtype=np.float64)
    known = dict(body.named_parameters())
    for path, parameter in roberta.named_parameters():
        parameter.data[...] = known[path.replace("query", "query_global").replace("key", "key_global").replace("value", "value_global")].data
    np.testing.assert_allclose(body(IDS, is_global=np.ones(IDS.shape, bool)), roberta(IDS), rtol=0, atol=1e-12)


def test_a_roberta_becomes_one_that_reads_longer_texts():
    """Short texts have the vectors that they had, with any global words; positions are repeated behind those of padding."""
    roberta = Bert(BertConfig.roberta(V, **SIZES | {"n_layers": 2}), rng=np.random.default_rng(0), dtype=np.float64)
    for parameter in roberta.parameters():
        parameter.data += np.random.default_rng(1).normal(size=parameter.data.shape)
    longer = Longformer.of_roberta(roberta, max_len=31, windows="26", global_words="marked", mark_id=5)
    assert longer.config.n_layers == 2 and (IDS == 5).any()
    np.testing.assert_allclose(longer(IDS), roberta(IDS), rtol=0, atol=1e-12)
    table, longer_table = roberta.encoder.place.weight.data, longer.encoder.place.weight.data
    np.testing.assert_array_equal(longer_table[:16], table)
    np.testing.assert_array_equal(longer_table[16:30], table[2:])
    np.testing.assert_array_equal(longer_table[30:], table[2:5])
    longer.encoder.place.weight.data += 1
    assert (roberta.encoder.place.weight.data == table).all() and longer(np.full((1, 31), 7)).shape == (1, 31, 6)
    with pytest.raises(ValueError, match="the body's positions are 'learned', expected RoBERTa's"):
        Longformer.of_roberta(Bert(BertConfig(V, **SIZES), rng=np.random.default_rng(0)))


def test_padding_is_never_global_and_never_seen():
    """Wherever it stands: in front, where the first word would be global, and between words. The caller's word counts before the config's."""
    body, ids = longformer(windows="4", global_words="first", n_layers=2), np.insert(IDS[:1, :9], [0, 4], PAD, axis=1)
    nothing = np.zeros(ids.shape, bool)
    expected = body(ids, is_global=nothing)
    np.testing.assert_array_equal(body(ids), expected)
    np.testing.assert_array_equal(body(ids, is_global=ids == PAD), expected)
    assert np.abs(body(ids, is_global=np.arange(11)[None] == 3) - expected).max() > 1e-3
    table = body.encoder.token.weight.data
    table[PAD] += 1  # which changes the vectors of padding alone
    np.testing.assert_array_equal(body(ids)[ids != PAD], expected[ids != PAD])


def test_questions_and_marks():
    ids = np.array([[0, 7, 2, 2, 8, 2, PAD], [5, 6, 7, 8, 9, 3, 4]])
    expected = {"none": ids > 99, "first": np.arange(7) + 0 * ids == 0, "marked": ids == 2}
    expected["question"] = np.array([[1, 1, 0, 0, 0, 0, 0], [0] * 7], bool)
    for kind, where in expected.items():
        config = LongformerConfig(V, **SIZES, global_words=kind, mark_id=2)
        np.testing.assert_array_equal(global_words(ids, config), where)


@pytest.mark.parametrize("options", [{}, {"dilations": "2", "dilated_heads": 1}])
def test_maps_are_what_the_output_is_made_of(options):
    """Each row adds up to 1, and times the values it is the layer's output; of global rows, times their own values."""
    body = longformer(windows="4", global_words="marked", mark_id=5, **options)
    ids = IDS.copy()
    ids[:, [2, 9]], ids[1, 11:] = 5, PAD
    ids[0, 9] = 6
    (weights,) = attention_maps(body, ids).values()
    np.testing.assert_allclose(weights.sum(axis=-1), 1, rtol=0, atol=1e-14)
    assert (weights[0, :, :, 2] > 0).all() and (weights[0, :, 2] > 0).all()  # a global word, seen and seeing
    core, is_global, rng = GlobalWindow(1, 2, dilation=2), ids == 5, np.random.default_rng(1)
    q, k, v, k_global, v_global = rng.normal(size=(5, 2, 3, 13, 4))
    heads = q, k, v, rng.normal(size=(2, 3, 2, 4)), k_global, v_global
    call = {"is_global": is_global, "mask": (ids != PAD)[:, None, None]}
    weights = core.weights(*heads, **call)
    y = np.where(is_global[:, None, :, None], weights @ v_global, weights @ v)
    np.testing.assert_allclose(y, core(*heads, **call), rtol=0, atol=1e-13)


def test_the_core_has_its_scale():
    core, x = GlobalWindow(1, 2, scale=0.3), np.random.default_rng(0).normal(size=(2, 1, 7, 4))
    is_global = np.arange(7) + np.zeros((2, 1)) == 3
    y = core(x, x, x, x[:, :, 3:4], x, x, is_global=is_global)
    mask = np.array([[-1 <= s - t <= 2 or 3 in (s, t) for s in range(7)] for t in range(7)])
    np.testing.assert_allclose(y, ops.attention(x, x, x, mask=mask, scale=0.3)[0], rtol=0, atol=1e-14)


def test_weights_are_dropped_in_training():
    """Of local and of global rows; without dropout nothing is."""
    body = longformer(windows="4", global_words="first", attention_dropout=0.5)
    differ = (body(IDS, Tape(seed=1)) != body(IDS, Tape()))[0].any(axis=1)
    assert differ[0] and differ.sum() > 6


def test_no_array_has_a_number_for_each_pair():
    """Memory of a training step of one layer at 2,048 and at 4,096 places: twice as much, and less than one matrix of weights."""
    peaks = []
    for t in (1024, 2048, 4096):
        layer = GlobalWindowAttention(8, 2, core=GlobalWindow(8, 8), rng=np.random.default_rng(0))
        x, tape = np.ones((1, t, 8), np.float32), Tape()
        is_global = np.arange(t)[None] < 2
        tracemalloc.start()
        layer.backward(layer(x, tape, is_global=is_global), tape)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[2] < 2.3 * peaks[1] and peaks[2] < 4096 * 4096


def test_published_size():
    """The base model with the head of words has as many parameters as transformers' class, and a table of 4,098 positions."""
    task = HiddenWords.around(Longformer, LongformerConfig(50_265), rng=Zeros(10**9))
    assert sum(parameter.data.size for parameter in task.parameters()) == 148_711_257
    assert task.body.encoder.place.weight.data.shape[0] == 4098


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"windows": "3"}, "windows is '3', expected even numbers of at least 2 between commas"),
        ({"windows": "4,"}, "windows is '4,'"),
        ({"windows": "0"}, "windows is '0'"),
        ({"dilations": "0"}, "dilations is '0', expected numbers of at least 1 between commas"),
        ({"dilations": "all"}, "dilations is 'all'"),
        ({"dilated_heads": 3}, "dilated_heads is 3, expected at most n_heads, 2"),
        ({"mark_id": V}, "mark_id"),
    ],
)
def test_what_cannot_be_is_named(options, says):
    with pytest.raises(ValueError, match=f"LongformerConfig: .*{says}"):
        LongformerConfig(V, **SIZES | options)


def test_calls_that_do_not_fit_are_named():
    body = longformer(windows="4")
    with pytest.raises(ValueError, match=r"is_global"):
        body(IDS, is_global=np.zeros(IDS.shape, int))
    with pytest.raises(ValueError, match=r"is_global has shape \(1, 13\)"):
        body.encoder.blocks[0].attention.f(np.zeros((2, 13, 6)), is_global=np.zeros((1, 13), bool))
    with pytest.raises(ValueError, match="GlobalWindowAttention: got a state, expected none"):
        body.encoder(IDS, segments=0 * IDS, places=IDS, state=State())
    for wrong in ({"left": -1}, {"right": -1}, {"dilation": 0}, {"dilation": [1, 0]}, {"dropout": 1}):
        with pytest.raises(ValueError, match=f"GlobalWindow: {next(iter(wrong))}"):
            GlobalWindow(**{"left": 1, "right": 1} | wrong)
