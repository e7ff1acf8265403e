"""What BERT and its task say to bad input: the place, the value, the remedy."""

import numpy as np
import pytest
from bert_cases import V, model_of

from tinytx.models import GPT, BertConfig, GPTConfig
from tinytx.tasks import HiddenWords


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *((name, value) for name in ("vocab_size", "max_len", "d_model", "n_heads", "n_layers", "d_ff")
          for value in (0, -1, 2.5, "4", True, 10**12)),
        *(("n_segments", value) for value in (-1, 2.5, "2", None)),
        *((name, value) for name in ("dropout", "embedding_dropout", "feed_forward_dropout") for value in (1.0, -0.1)),
        *((name, value) for name in ("embedding_norm", "masks_padding") for value in (1, "yes", None)),
        *((name, "other") for name in ("norm_order", "positions", "activation", "init")),
        ("n_heads", 4),
        ("pad_id", 11),
        ("eps", 0.0),
        ("eps", float("nan")),
    ],
)  # fmt: skip
def test_a_bad_config_is_refused_before_anything_is_allocated(field, value):
    small = {"vocab_size": V, "max_len": 9, "d_model": 6, "n_heads": 2, "n_layers": 1}
    with pytest.raises((TypeError, ValueError), match=f"BertConfig: .*{field}"):
        BertConfig(**small | {field: value})


IDS = np.zeros((2, 3), int)
BAD = {
    "id": ({"ids": [[0, 1, 11]]}, ValueError, r"token id 11 at position \(0, 2\) is outside 0\.\.10"),
    "float ids": ({"ids": [[0.0, 1.0]]}, TypeError, "expected integers"),
    "one axis": ({"ids": [0, 1]}, ValueError, r"Bert: ids has shape \(2,\)"),
    "no words": ({"ids": np.zeros((2, 0), int)}, ValueError, r"Bert: ids has shape \(2, 0\)"),
    "no texts": ({"ids": np.zeros((0, 2), int)}, ValueError, r"Bert: ids has shape \(0, 2\)"),
    "too long": ({"ids": np.zeros((2, 10), int)}, ValueError, r"Bert: ids has shape \(2, 10\) .* max_len = 9"),
    "segment": ({"segments": IDS + 2}, ValueError, r"segment 2 at position \(0, 0\) is outside 0\.\.1"),
    "segments' shape": ({"segments": IDS[:1]}, ValueError, r"Bert: segments has shape \(1, 3\), expected \(2, 3\)"),
}


@pytest.mark.parametrize(("changes", "error", "message"), BAD.values(), ids=BAD)
def test_bad_ids_are_named(changes, error, message):
    given = {"ids": IDS} | changes
    with pytest.raises(error, match=message):
        model_of().body(np.asarray(given.pop("ids")), **given)


BAD = {
    "target": ({"targets": IDS + 11}, ValueError, r"HiddenWords: target 11 at position \(0, 0\)"),
    "targets' shape": ({"targets": IDS[:1]}, ValueError, r"HiddenWords: targets has shape \(1, 3\), expected \(2, 3\)"),
    "label": ({"labels": np.array([0, 2])}, ValueError, r"HiddenWords: label 2 at position \(1,\)"),
    "labels' shape": ({"labels": np.array([0])}, ValueError, r"HiddenWords: labels has shape \(1,\), expected \(2,\)"),
    "no labels": ({"labels": None}, ValueError, "labels are missing, and next_sentence is True"),
}


@pytest.mark.parametrize(("changes", "error", "message"), BAD.values(), ids=BAD)
def test_bad_targets_are_named(changes, error, message):
    given = {"ids": IDS, "targets": IDS, "segments": IDS, "labels": np.array([0, 1])} | changes
    with pytest.raises(error, match=message):
        model_of().loss(**given)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"head": "other"}, "HeadSettings: head is 'other'"),
        ({"next_sentence": 1}, "HeadSettings: next_sentence"),
        ({"next_sentence": True}, "HiddenWords: n_segments is 1 in the body's config, expected at least 2 with next_sentence"),
    ],
)
def test_bad_heads_are_named(settings, message):
    with pytest.raises((TypeError, ValueError), match=message):
        model_of(n_segments=1, **settings)


def test_a_body_without_a_table_cannot_be_tied_to():
    body = GPT(GPTConfig(V, d_model=6, n_heads=2, n_layers=1, tied_head=False), rng=np.random.default_rng(0))
    with pytest.raises(ValueError, match='HiddenWords: this GPT shares no table .* give head="untied"'):
        HiddenWords(body, rng=np.random.default_rng(0))


def test_what_a_model_has_no_use_for_is_refused():
    model = model_of("tutorial")
    with pytest.raises(ValueError, match="segments are given, but the config's n_segments is 0"):
        model(IDS, segments=IDS)
    with pytest.raises(ValueError, match="labels are given, and next_sentence is False"):
        model.loss(IDS, IDS, None, np.array([0, 1]))
    with pytest.raises(ValueError, match="next_sentence is False"):
        model.text_logits(model.body(IDS))


@pytest.mark.parametrize(("positions", "match"), [([3], r"position 3 at"), ([[0, 1]], r"positions has shape \(1, 2\)")])
def test_positions_to_fill_that_do_not_exist(positions, match):
    with pytest.raises(ValueError, match=f"HiddenWords: {match}"):
        model_of().fill(IDS, positions)
