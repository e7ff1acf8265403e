"""What config.json of RoBERTa, Longformer, ALBERT, ModernBERT and XLNet says in another way than our settings, and what it cannot say."""

import json

import pytest
from hub_cases import HUB_CASES

pytest.importorskip("safetensors")

from tinytx.files import FileError  # noqa: E402
from tinytx.hub import load  # noqa: E402


def folder_with(tmp_path, name, *, without=(), **changes):
    """Write the case's folder, and change keys of its config.json; return what config.json said before."""
    HUB_CASES[name]().save_pretrained(tmp_path)
    path = tmp_path / "config.json"
    published = json.loads(path.read_text())
    changed = {key: value for key, value in (published | changes).items() if key not in without}
    path.write_text(json.dumps(changed))
    return published


def test_roberta_counts_rows_of_its_table_and_not_tokens(tmp_path):
    published = folder_with(tmp_path, "RobertaForMaskedLM")
    assert (published["max_position_embeddings"], published["pad_token_id"]) == (11, 1)
    assert load(tmp_path).config.max_len == 9


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"max_position_embeddings": 2}, "max_position_embeddings is 2, expected a whole number of at least 3"),
        ({"max_position_embeddings": "9"}, "max_position_embeddings is '9', expected a whole number"),
        ({"pad_token_id": None}, "pad_token_id is None, expected a whole number"),
        ({"pad_token_id": 2}, r"position_embeddings.weight has shape \(11, 8\)|expected"),
        ({"hidden_act": "relu"}, "hidden_act is 'relu', expected 'gelu'"),
    ],
)
def test_what_is_no_roberta_is_refused(tmp_path, changes, says):
    folder_with(tmp_path, "RobertaForMaskedLM", **changes)
    if changes == {"pad_token_id": 2}:  # one row fewer stands at words: another model of the same tensors
        assert load(tmp_path).config.max_len == 8
        return
    with pytest.raises(FileError, match=says):
        load(tmp_path)


@pytest.mark.parametrize(("theirs", "ours"), [([4, 8], "4,8"), (6, "6"), ([4, 4], "4,4")])
def test_windows_of_longformers_blocks(tmp_path, theirs, ours):
    """A list has one for each block, a number is of all; and both are written as they were."""
    folder_with(tmp_path, "LongformerForMaskedLM", attention_window=theirs)
    model = load(tmp_path)
    assert model.config.windows == ours
    model.body.published = {}
    model.save_pretrained(tmp_path)
    published = json.loads((tmp_path / "config.json").read_text())
    assert (published["attention_window"], published["max_position_embeddings"], published["sep_token_id"]) == (theirs, 11, 2)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("LongformerForSequenceClassification", "first"), ("LongformerForQuestionAnswering", "question"), ("LongformerForTokenClassification", "none")],
)
def test_what_is_global_is_said_by_longformers_class(tmp_path, name, expected):
    """A folder that transformers wrote does not have our key; what has it is read as it says."""
    folder_with(tmp_path, name, without=["global_words"], sep_token_id=7)
    assert (load(tmp_path).config.global_words, load(tmp_path).config.mark_id) == (expected, 7)
    folder_with(tmp_path, name, global_words="marked")
    assert load(tmp_path).config.global_words == "marked"


def test_a_task_with_other_global_words_is_no_published_longformer(tmp_path):
    folder_with(tmp_path, "LongformerForSequenceClassification", global_words="none")
    with pytest.raises(ValueError, match="no published architecture is a TextClasses of a Longformer"):
        load(tmp_path).save_pretrained(tmp_path)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"attention_window": [4, 8, 4]}, "attention_window has 3 numbers, expected one for each of 2 blocks"),
        ({"attention_window": 5}, "windows is '5', expected even numbers"),
        ({"attention_window": None}, "windows is 'None'"),
        ({"sep_token_id": 11}, "mark_id"),
        ({"global_words": "all"}, "global_words is 'all', expected"),
    ],
)
def test_what_is_no_longformer_is_refused(tmp_path, changes, says):
    folder_with(tmp_path, "LongformerForMaskedLM", **changes)
    with pytest.raises(FileError, match=says):
        load(tmp_path)


def test_a_classifiers_dropout_has_alberts_name(tmp_path):
    published = folder_with(tmp_path, "AlbertForSequenceClassification")
    assert published["classifier_dropout_prob"] == 0.3 and "classifier_dropout" not in published
    folder_with(tmp_path, "AlbertForSequenceClassification", without=["classifier_dropout_prob"])
    assert load(tmp_path).asked.dropout == 0.1


def test_older_files_of_modernbert(tmp_path):
    """Every how many blocks one sees the whole text, and two bases."""
    old = {"global_attn_every_n_layers": 3, "global_rope_theta": 77.0, "local_rope_theta": 8.0}
    published = folder_with(tmp_path, "ModernBertForMaskedLM", without=["layer_types", "rope_parameters"], **old)
    assert published["layer_types"] == ["full_attention", "sliding_attention", "sliding_attention", "full_attention"]
    assert published["rope_parameters"]["full_attention"] == {"rope_type": "default", "rope_theta": 500.0}
    model = load(tmp_path)
    assert (model.config.global_every, model.config.rope_base, model.config.rope_base_local) == (3, 77.0, 8.0)
    model.save_pretrained(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["layer_types"] == published["layer_types"]


WHOLE, LOCAL = "full_attention", "sliding_attention"


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"layer_types": [LOCAL, WHOLE, LOCAL, LOCAL]}, "layer_types is .* expected full_attention for one block in so many"),
        ({"layer_types": [WHOLE, WHOLE, LOCAL, WHOLE]}, "layer_types is"),
        ({"layer_types": 3}, "layer_types is 3, expected"),
        ({"rope_parameters": {WHOLE: {"rope_type": "yarn"}}}, "rope_parameters is .* expected a rope_theta for"),
        ({"rope_parameters": [1]}, "rope_parameters is"),
        ({"classifier_activation": "silu"}, "classifier_activation is 'silu' and hidden_activation is 'gelu', expected the same"),
        ({"norm_bias": True}, "norm_bias is True, expected False"),
        ({"layer_types": None, "global_attn_every_n_layers": 0}, "global_attn_every_n_layers is 0, expected a whole number"),
    ],
)
def test_what_is_no_modernbert_is_refused(tmp_path, changes, says):
    folder_with(tmp_path, "ModernBertForMaskedLM", **changes)
    with pytest.raises(FileError, match=says):
        load(tmp_path)


@pytest.mark.parametrize(("key", "value"), [("attn_type", "uni"), ("untie_r", False), ("clamp_len", 4), ("bi_data", True)])
def test_another_xlnet_is_named(tmp_path, key, value):
    """Read all the same, it would give other numbers without a word."""
    folder_with(tmp_path, "XLNetModel", **{key: value})
    with pytest.raises(FileError, match=f"{key} is {value!r}, expected"):
        load(tmp_path)
