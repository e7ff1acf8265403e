"""The recurrent net over characters: every gradient by name, causality, parts with a state, its config and its errors."""

import numpy as np
import pytest
from cases import LayerCase, Seeded
from properties import model_checks

from tinytx.core import Tape
from tinytx.decoding import generate, greedy
from tinytx.layers import RNN, MultiplicativeLSTM, OriginalGRU
from tinytx.models import CharRNN, CharRNNConfig
from tinytx.state import State
from tinytx.tasks import NextToken
from tinytx.testing import batch_check, leak_check
from tinytx.training import load_checkpoint, save_checkpoint


def config_of(**options):
    return CharRNNConfig(**{"vocab_size": 11, "d_embedding": 3, "d_model": 5, "n_layers": 2} | options)


def case_of(**options):
    make, config = Seeded(0), config_of(**options)
    return LayerCase(
        make,
        lambda dtype: CharRNN(config, rng=np.random.default_rng(0), dtype=dtype),
        {},
        before=(make.ids(config.vocab_size, 3, 5),),
        tape=(lambda: Tape(seed=1, step=2)) if config.dropout else Tape,
    )


def model_of(**options):
    case = case_of(**options)
    return case.bind(case.arrays)


def ids_of(*shape):
    return np.random.default_rng(3).integers(0, 11, shape)


@model_checks
@pytest.mark.parametrize("options", [{"n_layers": 1}, {"cell": "gru"}, {"dropout": 0.3, "locked": True, "weight_drop": 0.2}], ids=str)
def test_property(options, check):
    """Catches layers in the wrong order, and dropout's masks in another order than they were drawn."""
    check(case_of(**options), np.random.default_rng(0))


@pytest.mark.parametrize(("cell", "kind"), [("rnn", RNN), ("original_gru", OriginalGRU), ("mlstm", MultiplicativeLSTM)])
def test_layers_are_of_the_cell(cell, kind):
    """And each has a slot for its states."""
    model, state = model_of(cell=cell), State()
    model(ids_of(2, 3), state=state)
    assert [type(layer) for layer in model.recurrent.layers] == [kind, kind]
    assert len(state.state_dict()) == 1 + model.recurrent.n_states


def test_each_layers_output_is_dropped():
    """Catches dropout between layers only, or behind the last one only."""
    model, ids = model_of(dropout=0.5), ids_of(2, 4)
    assert 0 < (model(ids, Tape(seed=1)) == 0).mean() < 1
    model.dropout.p = 0.0
    assert (model(ids, Tape(seed=1)) != model(ids)).any()


def test_masks_are_locked_and_weights_dropped():
    """Catches settings that reach no layer."""
    ids = ids_of(2, 4)
    dropped = model_of(dropout=0.5, locked=True)(ids, Tape(seed=1)) == 0
    np.testing.assert_array_equal(dropped, np.broadcast_to(dropped[:, :1], dropped.shape))
    model = model_of(weight_drop=0.5)
    assert [layer.weight_drop for layer in model.recurrent.layers] == [0.5, 0.5]
    assert (model(ids, Tape(seed=1)) != model(ids)).any()


def test_later_tokens_and_other_rows_reach_nothing():
    model, ids = model_of(), ids_of(3, 6)
    leak_check(model, ids)
    batch_check(model, ids)


@pytest.mark.parametrize("chunks", [[1] * 9, [4, 5], [8, 1]])
def test_parts_with_a_state_are_the_whole(chunks):
    """Catches layers that share a slot."""
    model, ids, state, parts, start = model_of(n_layers=3), ids_of(3, 9), State(), [], 0
    for size in chunks:
        parts.append(model(ids[:, start : start + size], state=state))
        start += size
    np.testing.assert_allclose(np.concatenate(parts, 1), model(ids), rtol=0, atol=1e-13)


def test_it_writes_without_end():
    """No window slides: the tokens are those of the whole text read again at each step, however long it is."""
    model, prompts = NextToken(model_of(), rng=np.random.default_rng(0)), ids_of(2, 3)
    tokens = np.stack([*generate(model, prompts, 90, temperature=0)], axis=1)
    np.testing.assert_array_equal(tokens, greedy(model, prompts, 90).ids)
    text = np.concatenate([prompts, tokens], axis=1)
    np.testing.assert_array_equal(model(text)[:, 2:-1].argmax(-1), tokens)


@pytest.mark.parametrize("n_layers", [1, 2, 3])
def test_a_checkpoint_holds_it(n_layers, tmp_path):
    """Catches a check of the file that takes all layers to be like the first, which reads narrower vectors."""
    model = NextToken.around(CharRNN, config_of(n_layers=n_layers), rng=np.random.default_rng(0))
    save_checkpoint(tmp_path, model)
    loaded, ids = load_checkpoint(tmp_path)[0], ids_of(2, 4)
    assert type(loaded.body) is CharRNN and loaded.config == model.config
    np.testing.assert_array_equal(loaded(ids), model(ids))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *((name, value) for name in ("vocab_size", "d_embedding", "d_model", "n_layers")
          for value in (0, -1, 2.5, "4", True, 10**12)),
        ("vocab_size", None),
        ("cell", "LSTM"),
        ("dropout", 1.0),
        ("dropout", -0.1),
        ("weight_drop", 1.0),
        ("locked", 1),
    ],
)  # fmt: skip
def test_a_bad_config_is_refused_before_anything_is_allocated(field, value):
    with pytest.raises((TypeError, ValueError), match=f"CharRNNConfig: .*{field}"):
        config_of(**{field: value})


@pytest.mark.parametrize(
    ("ids", "error", "message"),
    [
        ([[0, 1, 11]], ValueError, r"token id 11 at position \(0, 2\) is outside 0\.\.10"),
        ([[0.0, 1.0]], TypeError, "expected integers"),
        ([0, 1], ValueError, r"CharRNN: ids have shape \(2,\), expected \(B, T\)"),
        (np.zeros((2, 0), int), ValueError, r"CharRNN: ids have shape \(2, 0\)"),
    ],
)
def test_bad_ids_are_named(ids, error, message):
    with pytest.raises(error, match=message):
        model_of()(np.asarray(ids))
