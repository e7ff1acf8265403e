"""Decoding with a Transformer: word by word with a state, rows selected, and what is refused."""

import numpy as np
import pytest
from transformer_cases import PAD, VARIANTS, batch_of, config_of, model_of

from tinytx.models import Transformer, TransformerConfig
from tinytx.state import State
from tinytx.tasks import SequenceToSequence
from tinytx.training import load_checkpoint, save_checkpoint

SAME = {"rtol": 0, "atol": 1e-12}


@pytest.mark.parametrize("chunks", [[1] * 6, [2, 4], [3, 1, 1, 1]])
@pytest.mark.parametrize("variant", VARIANTS)
def test_cached_decoding_equals_the_full_forward(variant, chunks):
    """Catches positions counted from the chunk, keys of another layer, and a memory's length taken for positions."""
    model, (source, target) = model_of(**VARIANTS[variant]).body, batch_of()
    memory, mask = model.encode(source), model.source_mask(source)
    state, parts, start = State(), [], 0
    for size in chunks:
        parts.append(model.decode(target[:, start : start + size], memory, mask, state=state))
        start += size
    np.testing.assert_allclose(np.concatenate(parts, 1), model(source, target), **SAME)
    assert state.length == 6


def test_the_memory_is_read_once():
    """Catches keys and values of the memory computed again for every word."""
    model, (source, target) = model_of().body, batch_of()
    memory, mask, state = model.encode(source), model.source_mask(source), State()
    model.decode(target[:, :1], memory, mask, state=state)
    expected = model.decode(target, memory, mask)[:, 1:]
    actual = model.decode(target[:, 1:], np.full_like(memory, np.nan), mask, state=state)
    np.testing.assert_allclose(actual, expected, **SAME)


def test_selected_rows_go_on_where_they_were():
    """What a beam search does: each step goes on from other rows, some of them twice."""
    model, (source, _) = model_of().body, batch_of()
    rng = np.random.default_rng(0)
    memory, mask, state = model.encode(source), model.source_mask(source), State()
    said = np.full((3, 1), 1)
    for rows in ([0, 0, 1, 2, 2], [4, 1, 1, 0, 2], [3, 3], [1, 0, 1]):
        vectors = model.decode(said[:, -1:], memory, mask, state=state)[:, -1]
        np.testing.assert_allclose(vectors, model.decode(said, memory, mask)[:, -1], **SAME)
        state.select(rows)
        memory, mask, said = memory[rows], mask[rows], said[rows]
        said = np.concatenate([said, rng.integers(7, 11, (len(rows), 1))], axis=1)
    np.testing.assert_allclose(
        model.decode(said[:, -1:], memory, mask, state=state)[:, -1], model.decode(said, memory, mask)[:, -1], **SAME
    )


def test_a_checkpoint_brings_the_model_back(tmp_path):
    model = SequenceToSequence(Transformer(config_of(tied="two-way", norm_order="pre"), rng=np.random.default_rng(0)))
    save_checkpoint(tmp_path, model)
    loaded, _, _ = load_checkpoint(tmp_path)
    source, target = batch_of()
    assert loaded.config == model.config and loaded.head.weight is loaded.body.decoder.token.weight
    np.testing.assert_array_equal(loaded(source, target), model(source, target))


# ---------------------------------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *((name, value) for name in ("source_vocab_size", "target_vocab_size", "max_len", "d_model", "n_heads",
                                     "n_encoder_layers", "n_decoder_layers", "d_ff")
          for value in (0, -1, 2.5, "4", True, 10**12)),
        ("source_vocab_size", None),
        ("n_heads", 4),
        ("n_decoder_layers", 10_001),
        ("dropout", 1.0),
        ("norm_order", "middle"),
        ("final_norm", "yes"),
        ("final_norm", 1),
        ("tied", "four-way"),
        ("tied", True),
        ("scaled_embedding", 0),
        ("positions", "rotary"),
        ("activation", "swish"),
        ("activation", ["relu"]),
        ("pad_id", -1),
        ("pad_id", 13),
        ("start_id", 13),
        ("stop_id", 4),
        ("stop_id", True),
    ],
)  # fmt: skip
def test_a_bad_config_is_refused_before_anything_is_allocated(field, value):
    with pytest.raises((TypeError, ValueError), match=f"^TransformerConfig: .*{field}"):
        config_of(**{field: value})


def test_padding_is_a_word_of_both_languages():
    with pytest.raises(ValueError, match="pad_id is 4, expected a whole number of at least 0 and at most 3"):
        config_of(tied="none", source_vocab_size=4)


def test_one_table_needs_one_vocabulary():
    with pytest.raises(ValueError, match="source_vocab_size is 13 and target_vocab_size 11: one table"):
        config_of(target_vocab_size=11)
    assert config_of(target_vocab_size=11, tied="two-way").vocab_size == 13


def test_defaults_are_the_base_model_of_the_paper():
    """63 million parameters at the paper's 37,000 words (its Table 3 says 65), of which the one table has 19."""
    config = TransformerConfig(37_000, 37_000)
    assert (config.norm_order, config.tied, config.dropout) == ("post", "three-way", 0.1)
    d, f, n = config.d_model, 4 * config.d_model, config.n_encoder_layers
    attention, feed_forward, norm = 4 * (d * d + d), 2 * d * f + f + d, 2 * d
    expected = 37_000 * d + n * (attention + feed_forward + 2 * norm) + n * (2 * attention + feed_forward + 3 * norm)
    assert abs(expected / 63.1e6 - 1) < 1e-3
    small = config_of()
    sizes = sum(array.size for array in Transformer(small, rng=np.random.default_rng(0)).state_dict().values())
    d, f = 6, 7
    attention, feed_forward, norm = 4 * (d * d + d), 2 * d * f + f + d, 2 * d
    assert sizes == 13 * d + (attention + feed_forward + 2 * norm) + 2 * (2 * attention + feed_forward + 3 * norm)


@pytest.mark.parametrize(
    ("source", "target", "error", "message"),
    [
        ([[0, 1, 13]], [[1, 2]], ValueError, r"token id 13 at position \(0, 2\) is outside 0\.\.12"),
        ([[0, 1, 2]], [[1, -1]], ValueError, r"token id -1 at position \(0, 1\)"),
        ([[0.0, 1.0]], [[1, 2]], TypeError, "expected integers"),
        ([0, 1], [[1, 2]], ValueError, r"source has shape \(2,\)"),
        ([[0, 1]], [1, 2], ValueError, r"Transformer: (target|memory) has shape"),
        (np.zeros((1, 0), int), [[1]], ValueError, r"source has shape \(1, 0\)"),
        ([[0, 1]], np.zeros((1, 0), int), ValueError, r"target has shape \(1, 0\)"),
        (np.zeros((1, 11), int), [[1]], ValueError, r"source has shape \(1, 11\) .* max_len = 10"),
        ([[1]], np.zeros((1, 11), int), ValueError, r"target has shape \(1, 11\) .* max_len = 10"),
        ([[1, 2]], [[1, 2], [1, 2]], ValueError, r"memory has shape \(1, 2, 6\), expected \(2, 2, 6\) from 2 rows"),
    ],
)
def test_bad_ids_are_named(source, target, error, message):
    with pytest.raises(error, match=message):
        model_of()(np.asarray(source), np.asarray(target))


def test_a_mask_of_another_shape_is_named():
    """Catches (B, S), which would broadcast to queries and keys where B = T: the question that everybody asks."""
    model, (source, target) = model_of().body, batch_of()
    with pytest.raises(ValueError, match=r"source_mask has shape \(3, 8\), expected \(3, 1, 1, 8\)"):
        model.decode(target, model.encode(source), source != PAD)


def test_positions_end_at_max_len():
    model, (source, target) = model_of().body, batch_of()
    memory, mask, state = model.encode(source), model.source_mask(source), State()
    model.decode(target, memory, mask, state=state)
    with pytest.raises(ValueError, match=r"target has shape \(3, 6\) after 6 cached positions"):
        model.decode(target, memory, mask, state=state)


@pytest.mark.parametrize(
    ("target", "message"),
    [
        ([[1, PAD, 2], [1, 2, 3]], "row 0 has padding .* at position 1"),
        ([[1, 2, 3], [PAD, 1, 2]], "row 1 has padding .* at position 0"),
        ([[1], [1]], r"target has shape \(2, 1\), expected \(B, T \+ 1\)"),
        ([1, 2], r"target has shape \(2,\)"),
        ([[1, 2], [1, 99]], "target 99 at position"),
    ],
)
def test_bad_targets_are_named(target, message):
    with pytest.raises(ValueError, match=message):
        model_of().loss(np.array([[2, 3], [5, 7]]), np.array(target))
