"""Folders of every published class, written and read without transformers; and messages of `load` and `save`."""

import dataclasses
import json
import re

import numpy as np
import pytest
from hub_cases import HUB_CASES, written

pytest.importorskip("safetensors")

from tinytx.files import FileError  # noqa: E402
from tinytx.hub import FAMILIES, load, save  # noqa: E402
from tinytx.hub.family import INITIAL  # noqa: E402
from tinytx.hub.folder import read_config, read_tensors, write_folder  # noqa: E402
from tinytx.layers.low_rank import adapt, adapted_layers, merge, unmerge  # noqa: E402
from tinytx.models import GPT, T5, Bert, BertConfig, CharRNN, CharRNNConfig, GPTConfig  # noqa: E402
from tinytx.tasks import HiddenWords, ImageClasses, NextToken, SequenceToSequence, TextClasses  # noqa: E402
from tinytx.training import load_checkpoint, save_checkpoint  # noqa: E402

GPT2 = HUB_CASES["GPT2LMHeadModel"]


def body_of(model):
    return getattr(model, "body", model)


def test_every_published_class_has_a_case():
    assert HUB_CASES.keys() == {name for family in FAMILIES.values() for name in family.heads}


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_every_setting_is_a_key_or_fixed(family):
    """Catches a setting that a folder does not say: the model would be read as another one."""
    said = {name for key in family.keys.values() for name in np.atleast_1d(key.setting)}
    assert {field.name for field in dataclasses.fields(family.config)} <= said | family.settings.keys() | set(INITIAL)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", HUB_CASES)
def test_what_is_written_is_read(tmp_path, name, dtype):
    """Class, config, the task's settings, dtype and every weight, to the bit; and written once more, the same bytes."""
    model = HUB_CASES[name](dtype)
    files = model.save_pretrained(tmp_path / "first")
    assert {file.name for file in files} == {file.name for file in (tmp_path / "first").iterdir()}
    again = load(tmp_path / "first")
    assert type(again) is type(model)
    assert body_of(again).published["architectures"] == [name]
    if not isinstance(model, SequenceToSequence):  # whose loss no folder says
        assert getattr(again, "settings", None) == getattr(model, "settings", None)
    family = FAMILIES[body_of(again).published["model_type"]]
    assert meaning(body_of(again).config, family) == meaning(body_of(model).config, family)
    for path, array in model.state_dict().items():
        np.testing.assert_array_equal(again.state_dict()[path], array, strict=True)
    save(again, tmp_path / "second")
    for file in files:
        assert (tmp_path / "second" / file.name).read_bytes() == file.read_bytes()


def meaning(config, family):
    """A config's settings, those that say "as another one" resolved as the family's keys resolve them."""
    said = dataclasses.asdict(config)
    for key in (key for key in family.keys.values() if getattr(key, "otherwise", "") and said[key.setting] is None):
        said[key.setting] = key.otherwise(config) if callable(key.otherwise) else getattr(config, key.otherwise)
    return said


def test_another_dtype_is_asked_for(tmp_path):
    model = GPT2(np.float64)
    model.save_pretrained(tmp_path)
    narrow = NextToken.from_pretrained(tmp_path, dtype=np.float32)
    for path, array in model.state_dict().items():
        np.testing.assert_array_equal(narrow.state_dict()[path], array.astype(np.float32), strict=True)
    assert read_config(tmp_path)["dtype"] == "float64"
    with pytest.raises((TypeError, ValueError), match="load"):
        load(tmp_path, dtype=np.int64)


def test_keys_that_tinytx_does_not_know_are_kept(tmp_path):
    config, arrays = written(GPT2(), tmp_path)
    kept = {"task_specific_params": {"a": [1, None]}, "torch_dtype": "float16", "bos_token_id": 7, "n_inner": 32}
    write_folder(tmp_path, config | kept, arrays)
    model = load(tmp_path)
    model.save_pretrained(tmp_path / "again")
    assert read_config(tmp_path / "again") == config | kept | {"torch_dtype": "float32"}
    other = GPT(dataclasses.replace(model.config, dropout=0.4), rng=np.random.default_rng(0))
    other.published = model.body.published
    other.save_pretrained(tmp_path / "other")
    changed = {"resid_pdrop": 0.4, "architectures": ["GPT2Model"], "torch_dtype": "float32"}
    assert read_config(tmp_path / "other") == config | kept | changed


def test_a_body_is_read_out_of_a_file_with_a_head(tmp_path):
    """And what is not read is named."""
    model = GPT2()
    model.save_pretrained(tmp_path)
    with pytest.warns(UserWarning, match=r"also holds 1 tensor that a GPT of it does not have.*: lm_head.weight"):
        body = GPT.from_pretrained(tmp_path)
    for path, array in body.state_dict().items():
        np.testing.assert_array_equal(array, model.body.state_dict()[path])
    HUB_CASES["OpenAIGPTLMHeadModel"]().save_pretrained(tmp_path)  # tied: nothing is lost, and nothing is said
    assert type(GPT.from_pretrained(tmp_path)) is GPT


def test_a_head_is_not_made_up(tmp_path):
    HUB_CASES["GPT2Model"]().save_pretrained(tmp_path)
    with pytest.raises(FileError, match=r"says GPT2Model, which is a GPT, expected a NextToken: GPT.from_pretrained reads it"):
        NextToken.from_pretrained(tmp_path)
    with pytest.raises(FileError, match="expected a T5"):
        T5.from_pretrained(tmp_path)
    with pytest.raises(FileError, match="expected a SequenceToSequence"):
        SequenceToSequence.from_pretrained(tmp_path)


SHAPES = {  # as transformers writes them: (d_out, d_in), but where Conv1D has ours
    "GPT2LMHeadModel": {"transformer.h.0.mlp.c_fc.weight": (8, 32), "transformer.h.1.attn.c_attn.bias": (24,), "lm_head.weight": (11, 8)},
    "BertForMaskedLM": {"bert.encoder.layer.0.intermediate.dense.weight": (12, 8), "cls.predictions.bias": (11,)},
    "T5Model": {"decoder.block.2.layer.2.DenseReluDense.wo.weight": (8, 10), "encoder.block.1.layer.0.SelfAttention.q.weight": (12, 8)},
    "BartForConditionalGeneration": {"final_logits_bias": (1, 11), "model.decoder.layers.0.fc1.weight": (12, 8),
                                     "model.encoder.embed_positions.weight": (11, 8)},
    "ViTForImageClassification": {"vit.embeddings.patch_embeddings.projection.weight": (8, 3, 2, 2), "vit.embeddings.cls_token": (1, 1, 8),
                                  "vit.embeddings.position_embeddings": (1, 10, 8), "classifier.weight": (3, 8)},
}  # fmt: skip


@pytest.mark.parametrize("name", SHAPES)
def test_tensors_lie_as_in_published_files(tmp_path, name):
    """Catches a layout that only our own reader understands."""
    HUB_CASES[name]().save_pretrained(tmp_path)
    tensors = read_tensors(tmp_path)
    assert {path: tensors[path].shape for path in SHAPES[name]} == SHAPES[name]


# ---------------------------------------------------------------------------------------- names in files


def test_older_files_are_read(tmp_path):
    """Without the prefix, with the causal mask among the tensors, and with the tied matrix twice: as openai's gpt2 is."""
    model = NextToken(GPT(GPTConfig(11, max_len=9, d_model=8, n_heads=2, n_layers=2), rng=np.random.default_rng(0)))
    config, arrays = written(model, tmp_path)
    old = {name.removeprefix("transformer."): array for name, array in arrays.items()}
    old |= {"h.0.attn.bias": np.tri(9, dtype=bool)[None, None], "h.1.attn.masked_bias": np.float32(-1e4)}
    old["lm_head.weight"] = old["wte.weight"]
    write_folder(tmp_path, config, old)
    again = load(tmp_path)
    for path, array in model.state_dict().items():
        np.testing.assert_array_equal(again.state_dict()[path], array)
    old["lm_head.weight"] = old["wte.weight"] + 1
    write_folder(tmp_path, config, old)
    with pytest.raises(FileError, match="lm_head.weight differs from wte.weight, whose copy it is by config.json"):
        load(tmp_path)


def test_all_faults_of_tensors_are_reported_at_once(tmp_path):
    config, arrays = written(GPT2(), tmp_path)
    del arrays["transformer.h.1.ln_2.bias"]
    arrays["transformer.h.2.ln_2.bias"] = arrays["extra"] = np.zeros(8, np.float32)
    arrays["transformer.wpe.weight"] = np.zeros((8, 9), np.float32)
    arrays["transformer.h.0.attn.c_attn.weight"] = arrays["transformer.h.0.attn.c_attn.weight"].astype(np.int64)
    write_folder(tmp_path, config, arrays)
    with pytest.raises(FileError) as caught:
        load(tmp_path)
    for fault in (
        f"load: {tmp_path}: GPT2LMHeadModel: NextToken: these parameters do not fit",
        "missing transformer.h.1.ln_2.bias (8,)",
        "unexpected transformer.h.2.ln_2.bias (8,)",
        "unexpected extra (8,)",
        "transformer.wpe.weight has shape (8, 9), expected (9, 8)",
        "transformer.h.0.attn.c_attn.weight has dtype I64, expected one of F64, F32, F16, BF16",
        "correct config.json, or fetch both files again",
    ):
        assert fault in str(caught.value)


def test_bert_as_it_was_first_published(tmp_path):
    """gamma and beta, numbers of positions, the table twice, and heads that config.json does not name."""
    model = HUB_CASES["BertForPreTraining"]()
    config, arrays = written(model, tmp_path)
    old = {re.sub(r"Norm\.weight", "Norm.gamma", re.sub(r"Norm\.bias", "Norm.beta", name)): x for name, x in arrays.items()}
    old["bert.embeddings.position_ids"] = np.arange(9)[None]
    old["cls.predictions.decoder.weight"] = old["bert.embeddings.word_embeddings.weight"]
    old["cls.predictions.decoder.bias"] = old["cls.predictions.bias"]
    write_folder(tmp_path, config | {"architectures": ["BertForMaskedLM"]}, old)
    with pytest.warns(UserWarning, match="4 tensors that a HiddenWords.*: bert.pooler.dense.bias, .*cls.seq_relationship.bias"):
        again = load(tmp_path)
    assert again.next_sentence is None
    for path, array in again.state_dict().items():
        np.testing.assert_array_equal(array, model.state_dict()[path])
    with pytest.warns(UserWarning, match="7 tensors that a Bert of it does not have"):
        Bert.from_pretrained(tmp_path)
    write_folder(tmp_path, config, arrays | {"bert.embeddings.LayerNorm.gamma": np.ones(8, np.float32)})
    with pytest.raises(FileError, match="two names of one tensor: bert.embeddings.LayerNorm.gamma and bert.embeddings.LayerNorm.wei"):
        load(tmp_path)


@pytest.mark.parametrize("name", ["BertModel", "RobertaModel", "AlbertModel", "ViTModel"])
def test_a_body_keeps_the_pooler_of_its_folder(name, tmp_path):
    """A folder and a checkpoint keep it; heads for whole texts begin with it, as a copy; what cannot be a pooler is named."""
    config, arrays = written(HUB_CASES[name](), tmp_path / "first")
    pooler = FAMILIES[config["model_type"]].pooler
    arrays |= {f"{pooler}.weight": np.arange(64, dtype=np.float32).reshape(8, 8) / 64, f"{pooler}.bias": np.full(8, 0.1, np.float32)}
    write_folder(tmp_path / "first", config, arrays)
    body = load(tmp_path / "first")
    body.save_pretrained(tmp_path / "second")
    again = read_tensors(tmp_path / "second")
    assert set(again) == set(arrays)
    for path, array in arrays.items():
        np.testing.assert_array_equal(again[path].read(), array)
    hidden = np.random.default_rng(0).normal(size=(2, 3, 8))
    expected = np.tanh(hidden[:, 0] @ arrays[f"{pooler}.weight"].T + 0.1)
    save_checkpoint(tmp_path, body)
    for held in (body, load_checkpoint(tmp_path)[0]):
        np.testing.assert_allclose(held.pooled(hidden), expected, rtol=1e-6)
    task = ImageClasses if name == "ViTModel" else TextClasses
    head = task(body, n_classes=3, pooling="cls", dropout=0.0, rng=np.random.default_rng(0)).head
    np.testing.assert_array_equal(head.pooler.weight.data, body.pooler.weight)
    head.pooler.bias.data += 1
    np.testing.assert_array_equal(body.pooler.bias, arrays[f"{pooler}.bias"])
    write_folder(tmp_path / "first", config, arrays | {f"{pooler}.bias": np.ones(7, np.float32)})
    with pytest.warns(UserWarning, match=f"2 tensors that a .* of it does not have.*: {pooler}.bias, {pooler}.weight"):
        body = load(tmp_path / "first")
    with pytest.raises(ValueError, match=f"{type(body).__name__}: there is no pooler: it comes with a folder that holds one"):
        body.pooled(hidden)


def test_the_pooler_of_a_task_is_that_of_its_body_alone(tmp_path):
    """Catches a prefix that is forgotten: next sentences were told apart with it, and texts in classes begin with it."""
    model = HUB_CASES["BertForPreTraining"]()
    model.save_pretrained(tmp_path)
    with pytest.warns(UserWarning, match="7 tensors that a Bert of it does not have"):
        body = Bert.from_pretrained(tmp_path)
    np.testing.assert_array_equal(body.pooler.weight, model.next_sentence.pooler.weight.data)
    words = HiddenWords(body, next_sentence=True, rng=np.random.default_rng(0))
    np.testing.assert_array_equal(words.next_sentence.pooler.bias.data, model.next_sentence.pooler.bias.data)


def test_names_of_classes_are_kept_while_they_are_as_many(tmp_path):
    model = HUB_CASES["BertForSequenceClassification"]()
    config, arrays = written(model, tmp_path)
    assert config["id2label"] == {"0": "LABEL_0", "1": "LABEL_1", "2": "LABEL_2"} and config["label2id"]["LABEL_2"] == 2
    moods = {"id2label": {"0": "sad", "1": "so so", "2": "glad"}, "label2id": {"sad": 0, "so so": 1, "glad": 2}}
    write_folder(tmp_path, config | moods, arrays)
    body = load(tmp_path).body
    TextClasses(body, n_classes=3, rng=np.random.default_rng(0)).save_pretrained(tmp_path)
    assert read_config(tmp_path).items() >= moods.items()
    TextClasses(body, n_classes=4, rng=np.random.default_rng(0)).save_pretrained(tmp_path)
    assert list(read_config(tmp_path)["id2label"].values()) == ["LABEL_0", "LABEL_1", "LABEL_2", "LABEL_3"]
    assert load(tmp_path).asked.n_classes == 4


# ---------------------------------------------------------------------------------------- what cannot be written


def test_what_no_folder_can_say_is_refused(tmp_path):
    """Nothing is written then."""
    rng, sizes = np.random.default_rng(0), {"max_len": 9, "d_model": 8, "n_heads": 2, "n_layers": 1}
    folder = tmp_path / "new"
    with pytest.raises(ValueError, match="no published architecture is a CharRNN of a CharRNN.*save_checkpoint"):
        save(CharRNN(CharRNNConfig(11), rng=rng), folder)
    with pytest.raises(ValueError, match="no OpenAIGPTModel is this GPT: d_ff is 12, expected None"):
        GPT(GPTConfig.gpt1(11, **sizes, d_ff=12), rng=rng).save_pretrained(folder)
    with pytest.raises(ValueError, match="activation is 'gelu', expected one of 'gelu_tanh', 'relu', 'silu'"):
        GPT(GPTConfig.gpt1(11, **sizes, activation="gelu"), rng=rng).save_pretrained(folder)
    with pytest.raises(ValueError, match="no BertModel is this Bert: norm_order is 'pre', expected 'post'; embedding_norm is"):
        Bert(BertConfig.tutorial(11, **sizes), rng=rng).save_pretrained(folder)
    body = GPT(GPTConfig(11, **sizes), rng=rng)
    with pytest.raises(ValueError, match="no published architecture is a TextClasses of a GPT"):
        save(TextClasses(body, n_classes=2, pooling="last", rng=rng), folder)  # theirs has no bias
    assert not folder.exists()


def test_branches_of_low_rank_are_merged_to_be_written(tmp_path):
    model, ids = HUB_CASES["BertForSequenceClassification"](np.float64), np.array([[1, 2, 3]])
    adapt(model, "body.*.query", rank=1, alpha=2.0, rng=np.random.default_rng(0))
    for layer in adapted_layers(model).values():
        layer.b.weight.data[...] = 0.5
    expected = model(ids)
    with pytest.raises(ValueError, match=r"save: body.*query and 1 more are a LowRankLinear, which no .*merge\(model\) makes") as caught:
        model.save_pretrained(tmp_path / "new")
    assert not (tmp_path / "new").exists() and "unmerge(model, merged)" in str(caught.value)
    merged = merge(model)
    model.save_pretrained(tmp_path / "new")
    np.testing.assert_allclose(load(tmp_path / "new")(ids), expected, rtol=1e-12)
    unmerge(model, merged)
    assert len(adapted_layers(model)) == 2


def test_the_files_name_their_format_and_end_in_a_line(tmp_path):
    from safetensors import safe_open

    files = GPT2().save_pretrained(tmp_path)
    with safe_open(files[0], framework="numpy") as file:
        assert file.metadata() == {"format": "pt"}
    text = files[1].read_text()
    assert text.endswith("}\n") and json.loads(text)["architectures"] == ["GPT2LMHeadModel"]
    assert re.search(r'"dtype": "float32"', text)
