"""The recurrent encoder-decoder: its memory, padding, decoding word by word, the weights of its attention, errors."""

import numpy as np
import pytest
from cases import LayerCase, Seeded
from properties import check_gradient, check_rows_independent, check_unmodified
from transformer_cases import PAD, batch_of, recurrent_config_of

from tinytx.decoding import beam_search, greedy
from tinytx.models import RecurrentSeq2Seq
from tinytx.state import State
from tinytx.tasks import SequenceToSequence
from tinytx.training import load_checkpoint, save_checkpoint
from tinytx.viz import attention_maps

SAME = {"rtol": 0, "atol": 1e-12}
VARIANTS = {
    "no attention": {"reads_summary": True, "n_layers": 2},
    "additive": {"attention": "additive", "cell": "gru", "n_layers": 2},
    "dot": {"attention": "dot", "reads": "left", "cell": "mlstm"},
    "feeding": {"attention": "general", "wiring": "feeding", "n_layers": 2},
    "before": {"attention": "additive", "wiring": "before", "cell": "original_gru", "n_layers": 2, "reads_summary": True},
    "maxout": {"attention": "additive", "wiring": "before", "readout": "maxout", "cell": "gru"},
}
every_variant = pytest.mark.parametrize("variant", VARIANTS)


def model_of(variant, **options):
    model = RecurrentSeq2Seq(
        recurrent_config_of(**VARIANTS[variant] | options), rng=np.random.default_rng(0), dtype=np.float64
    )
    make = Seeded(0)
    for parameter in model.parameters():
        parameter.data[...] = make.array(*parameter.data.shape, scale=0.5)
    return model


@pytest.mark.parametrize("wiring", ["after", "feeding", "before"])
@pytest.mark.parametrize("check", [check_gradient, check_rows_independent, check_unmodified])
def test_gradient_of_the_memory(check, wiring):
    """Catches a state, or the summary of it, whose gradient is lost on the way to the encoder."""
    model, (source, target) = model_of("additive", n_layers=1, reads_summary=True, wiring=wiring), batch_of()
    memory = Seeded(1).array(*model.encode(source).shape, scale=0.5)
    build = lambda dtype: RecurrentSeq2Seq(model.config, rng=np.random.default_rng(0), dtype=dtype).decoder  # noqa: E731
    mask = model.source_mask(source)
    check(LayerCase(Seeded(0), build, {"memory": memory}, before=(target[:, :-1],), mask=mask), np.random.default_rng(0))


def test_the_bottleneck():
    """Without attention the memory of a long source has the size of a short one's; with it, it grows."""
    ids = np.full((2, 9), 7)
    shapes = [model_of(variant).encode(ids[:, :n]).shape for variant in ("no attention", "additive") for n in (2, 9)]
    assert shapes == [(2, 4, 6), (2, 4, 6), (2, 2 + 2, 6), (2, 2 + 9, 6)]


@every_variant
def test_padding_of_a_source_has_no_effect(variant):
    """Catches states that go on through padding, a wrong final state, and weights of padded annotations."""
    model, (source, target) = model_of(variant), batch_of()
    for row in range(len(source)):
        alone = source[row : row + 1, source[row] != PAD]
        whole = model(source, target)[row : row + 1]
        np.testing.assert_allclose(model(alone, target[row : row + 1]), whole, **SAME)


@every_variant
def test_later_words_reach_nothing(variant):
    model, (source, target) = model_of(variant), batch_of()
    expected = model(source, target)
    for t in range(1, target.shape[1]):
        other = target.copy()
        other[:, t:] = (other[:, t:] + 1) % 11
        moved = model(source, other)
        np.testing.assert_array_equal(moved[:, :t], expected[:, :t])
        assert (np.abs(moved[:, t] - expected[:, t]).max(-1) > 1e-6).all()


@every_variant
def test_selected_rows_go_on_where_they_were(variant):
    """What a beam search does: each step goes on from other rows, some of them twice. Catches a state that begins anew."""
    model, (source, _) = model_of(variant), batch_of()
    rng = np.random.default_rng(0)
    memory, mask, state = model.encode(source), model.source_mask(source), State()
    said = np.full((3, 1), 1)
    for rows in ([0, 0, 1, 2, 2], [4, 1, 1, 0, 2], [3, 3], [1, 0, 1]):
        vectors = model.decode(said[:, -1:], memory, mask, state=state)[:, -1]
        np.testing.assert_allclose(vectors, model.decode(said, memory, mask)[:, -1], **SAME)
        state.select(rows)
        memory, mask, said = memory[rows], mask[rows], said[rows]
        said = np.concatenate([said, rng.integers(7, 11, (len(rows), 1))], axis=1)


@pytest.mark.parametrize("variant", ["additive", "before"])
def test_the_keys_are_made_once(variant):
    model, (source, target) = model_of(variant), batch_of()
    memory, mask, state, calls = model.encode(source), model.source_mask(source), State(), []
    forward = model.decoder.cross_attention.key.forward
    model.decoder.cross_attention.key.forward = lambda *arguments: calls.append(1) or forward(*arguments)
    for t in range(3):
        model.decode(target[:, t : t + 1], memory, mask, state=state)
    assert len(calls) == 1


@every_variant
def test_it_decodes(variant):
    """Greedy and by beams, unchanged; a beam of one is greedy."""
    task = SequenceToSequence(model_of(variant), rng=np.random.default_rng(0))
    sources = [np.array(source) for source in ([7, 8], [9, 3, 2, 7, 8], [5])]
    found, beam = greedy(task, sources, 9), beam_search(task, sources, 9, beam_size=1)
    for row, length in enumerate(found.lengths):
        np.testing.assert_array_equal(beam.ids[row].ravel()[:length], found.ids[row, :length])
    for row, source in enumerate(sources):
        alone = greedy(task, [source], 9)
        np.testing.assert_array_equal(alone.ids[0, : alone.lengths[0]], found.ids[row, : found.lengths[row]])


@pytest.mark.parametrize("variant", ["additive", "dot"])
def test_attention_shows_in_the_pictures(variant):
    """The weights asked for are those that make the context."""
    model, (source, target) = model_of(variant), batch_of()
    ((path, weights),) = attention_maps(model, source, target).items()
    assert path == "decoder.cross_attention" and weights.shape == (3, 1, target.shape[1], source.shape[1])
    np.testing.assert_allclose(weights.sum(-1), 1, **SAME)
    assert not weights[np.broadcast_to((source == PAD)[:, None, None], weights.shape)].any()
    n, memory = model.decoder.layers.n_states, model.encode(source)
    contexts, attend = [], model.decoder.cross_attention.forward
    model.decoder.cross_attention.forward = lambda *a, **s: contexts.append(attend(*a, **s)) or contexts[-1]
    model(source, target)
    np.testing.assert_allclose(weights[:, 0] @ memory[:, n:], contexts[0], **SAME)


@pytest.mark.parametrize(("variant", "own"), [("additive", True), ("feeding", True), ("before", False)])
def test_what_chooses_the_weights(variant, own):
    """The words so far; with attention before the recurrent layers, all but the last one."""
    model, (source, target) = model_of(variant), batch_of()
    expected = attention_maps(model, source, target)["decoder.cross_attention"][:, 0]
    np.testing.assert_allclose(expected.sum(-1), 1, **SAME)
    assert not expected[np.broadcast_to((source == PAD)[:, None], expected.shape)].any()
    other = target.copy()
    other[:, 2] = np.where(other[:, 2] == 5, 7, 5)
    moved = attention_maps(model, source, other)["decoder.cross_attention"][0, 0] != expected[0]
    assert not moved[:2].any() and moved[3].any() and moved[2].any() == own


@every_variant
def test_a_checkpoint_holds_it(variant, tmp_path):
    config = recurrent_config_of(**VARIANTS[variant])
    model = SequenceToSequence.around(RecurrentSeq2Seq, config, rng=np.random.default_rng(0))
    save_checkpoint(tmp_path, model)
    loaded, batch = load_checkpoint(tmp_path)[0], batch_of()
    assert type(loaded.body) is RecurrentSeq2Seq and loaded.config == model.config
    np.testing.assert_array_equal(loaded(*batch), model(*batch))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *((name, value) for name in ("source_vocab_size", "target_vocab_size", "d_embedding", "d_model", "n_layers", "max_len")
          for value in (0, 2.5, True, 10**12)),
        ("cell", "cnn"), ("reads", "up"), ("attention", "luong"), ("reads_summary", 1), ("dropout", 1.0),
        ("pad_id", 13), ("stop_id", 4), ("d_model", 7), ("wiring", "feeding"),
    ],
)  # fmt: skip
def test_a_bad_config_is_refused_before_anything_is_allocated(field, value):
    with pytest.raises((TypeError, ValueError), match=f"^RecurrentSeq2SeqConfig: .*{field}"):
        recurrent_config_of(**{field: value})


def test_the_first_state_is_that_of_the_layer_from_the_right():
    with pytest.raises(ValueError, match="wiring is 'before', and reads 'left'"):
        recurrent_config_of(attention="dot", wiring="before", reads="left")


@pytest.mark.parametrize(
    ("source", "target", "error", "message"),
    [
        ([[0, 1, 13]], [[1, 2]], ValueError, r"token id 13 at position \(0, 2\) is outside 0\.\.12"),
        ([[0, 1, 2]], [[1, -1]], ValueError, r"token id -1 at position \(0, 1\)"),
        ([[0.0, 1.0]], [[1, 2]], TypeError, "expected integers"),
        ([0, 1], [[1, 2]], ValueError, r"source has shape \(2,\)"),
        ([[0, 1]], np.zeros((1, 0), int), ValueError, r"target has shape \(1, 0\)"),
        ([[1, 2]], [[1, 2], [1, 2]], ValueError, r"memory has shape \(1, 4, 6\), expected \(2, 4, 6\) from target of shape"),
    ],
)
def test_bad_ids_are_named(source, target, error, message):
    with pytest.raises(error, match=message):
        model_of("additive")(np.asarray(source), np.asarray(target))


def test_a_mask_of_another_shape_is_named():
    model, (source, target) = model_of("additive"), batch_of()
    with pytest.raises(ValueError, match=r"source_mask has shape \(3, 8\), expected \(3, 1, 1, 8\)"):
        model.decode(target, model.encode(source), source != PAD)
