"""The neural probabilistic language model: its gradients, what it reads, a state of words, its config and its errors."""

import numpy as np
import pytest
from cases import LayerCase, Seeded
from properties import model_checks

from tinytx.core import Tape
from tinytx.models import NPLM, NPLMConfig
from tinytx.state import State
from tinytx.tasks import NextToken
from tinytx.testing import batch_check, leak_check
from tinytx.training import load_checkpoint, save_checkpoint


def case_of(**options):
    make, config = Seeded(0), NPLMConfig(**{"vocab_size": 11, "n": 4, "d_embedding": 3, "d_hidden": 5} | options)
    return LayerCase(
        make,
        lambda dtype: NPLM(config, rng=np.random.default_rng(0), dtype=dtype),
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
@pytest.mark.parametrize("options", [{}, {"direct": False, "n": 2}, {"dropout": 0.3}], ids=str)
def test_property(options, check):
    """Catches a gradient of the hidden units that goes to the words, and masks in another order than they were drawn."""
    check(case_of(**options), np.random.default_rng(0))


@pytest.mark.parametrize("n", [2, 3, 5])
def test_each_position_reads_the_last_words_and_no_other(n):
    """Catches a word too many or too few: the last n - 1 words change a vector, those before and after do not."""
    model, ids = model_of(n=n, direct=False), ids_of(1, 8)
    leak_check(model, ids)
    for s in range(8):
        other = ids.copy()
        other[0, s] = (ids[0, s] + 1) % 11
        changed = (model(other) != model(ids)).any(axis=-1)[0]
        np.testing.assert_array_equal(np.flatnonzero(changed), [t for t in range(8) if 0 <= t - s < n - 1])
    batch_check(model_of(n=n), ids_of(3, 6))


def test_the_vector_is_that_of_the_paper():
    """The words side by side, the oldest first, then the hidden units, then a 1; missing words have a row of their own."""
    model, ids = model_of(), ids_of(1, 6)
    table, (weight, bias) = model.token.weight.data, (model.hidden.weight.data, model.hidden.bias.data)
    for t in range(6):
        words = np.concatenate([table[ids[0, s] if s >= 0 else 11] for s in (t - 2, t - 1, t)])
        expected = np.concatenate([words, np.tanh(words @ weight + bias), [1.0]])
        np.testing.assert_allclose(model(ids)[0, t], expected, rtol=0, atol=1e-14)
    assert model_of(direct=False)(ids).shape[-1] == model_of(direct=False).config.d_model == 6


@pytest.mark.parametrize("chunks", [[1] * 9, [4, 5], [8, 1]])
@pytest.mark.parametrize("n", [2, 3, 6])
def test_parts_with_a_state_are_the_whole(n, chunks):
    """Catches a state that forgets words that are still needed: parts are shorter than a context, and longer."""
    model, ids, state, parts, start = model_of(n=n), ids_of(3, 9), State(), [], 0
    for size in chunks:
        parts.append(model(ids[:, start : start + size], state=state))
        start += size
    np.testing.assert_allclose(np.concatenate(parts, 1), model(ids), rtol=0, atol=1e-13)


def test_a_checkpoint_holds_it(tmp_path):
    config = NPLMConfig(11, n=3, d_embedding=4, d_hidden=2, direct=False)
    model = NextToken.around(NPLM, config, rng=np.random.default_rng(0))
    save_checkpoint(tmp_path, model)
    loaded, ids = load_checkpoint(tmp_path)[0], ids_of(2, 4)
    assert type(loaded.body) is NPLM and loaded.config == config
    np.testing.assert_array_equal(loaded(ids), model(ids))


@pytest.mark.parametrize(
    ("field", "value"),
    [*((name, value) for name in ("vocab_size", "d_embedding", "d_hidden", "n") for value in (0, 2.5, "4", 10**12)), ("n", 1)],
)
def test_a_bad_config_is_refused_before_anything_is_allocated(field, value):
    with pytest.raises((TypeError, ValueError), match=f"NPLMConfig: .*{field}"):
        case_of(**{field: value})


@pytest.mark.parametrize(
    ("ids", "error", "message"),
    [
        ([[0, 1, 11]], ValueError, r"NPLM: token id 11 at position \(0, 2\) is outside 0\.\.10"),
        ([[0.0, 1.0]], TypeError, "expected integers"),
        ([0, 1], ValueError, r"NPLM: ids have shape \(2,\), expected \(B, T\)"),
        (np.zeros((2, 0), int), ValueError, r"NPLM: ids have shape \(2, 0\)"),
    ],
)
def test_bad_ids_are_named(ids, error, message):
    """Id V is the model's own, for words that are missing, and no text may hold it."""
    with pytest.raises(error, match=message):
        model_of()(np.asarray(ids))
