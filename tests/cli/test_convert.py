"""``convert`` and ``inspect``: runs and Hugging Face's folders, both ways, and what they say."""

import json
import re
import shutil

import numpy as np
import pytest
from hub_cases import HUB_CASES

pytest.importorskip("safetensors")

from tinytx.data import load_tokenizer, tokenizer_from_dict  # noqa: E402
from tinytx.hub import load  # noqa: E402
from tinytx.hub.folder import read_config  # noqa: E402
from tinytx.training import load_checkpoint  # noqa: E402


def same_weights(a, b):
    assert a.state_dict().keys() == b.state_dict().keys()
    for name, array in a.state_dict().items():
        np.testing.assert_array_equal(array, b.state_dict()[name])


def test_a_run_becomes_a_folder_and_a_run_again(tinytx, trained, tmp_path):
    """With its tokenizer, and with keys of config.json that tinytx does not know; weights to the bit."""
    run, _ = trained("wordpieces")
    done = tinytx("convert", run, tmp_path / "folder")
    assert done.code == 0, done.err
    assert f"Wrote {tmp_path}/folder/model.safetensors, {tmp_path}/folder/config.json, and the tokenizer" in done.out
    assert f"Try next: python -m tinytx inspect {tmp_path}/folder" in done.out
    model, _, meta = load_checkpoint(run)
    same_weights(load(tmp_path / "folder"), model)
    assert load_tokenizer(tmp_path / "folder").names == tokenizer_from_dict(meta["tokenizer"]).names

    path = tmp_path / "folder" / "config.json"
    path.write_text(json.dumps(read_config(tmp_path / "folder") | {"classifier_dropout": None, "note": [1, "a"]}))
    done = tinytx("convert", tmp_path / "folder", tmp_path / "run")
    assert done.code == 0 and f"Wrote {tmp_path}/run/checkpoint.npz, and the tokenizer" in done.out
    same_weights(load_checkpoint(tmp_path / "run")[0], model)
    assert tinytx("convert", tmp_path / "run", tmp_path / "again").code == 0
    assert read_config(tmp_path / "again") == read_config(tmp_path / "folder")


@pytest.mark.parametrize("recipe", ["wordpieces", "roberta"])
def test_what_the_commands_of_a_run_do_with_a_converted_one(recipe, tinytx, trained, tmp_path):
    """The same words are filled in before and after; catches a space that is a token before a hidden word."""
    run, _ = trained(recipe)
    tinytx("convert", run, tmp_path / "folder")
    tinytx("convert", tmp_path / "folder", tmp_path / "run")
    texts = [tinytx("fill", folder, ["the [MASK] sees the dog"]) for folder in (run, tmp_path / "run")]
    assert texts[0].code == 0 and texts[0].out == texts[1].out.replace("Ġ", " ")  # as a tokenizer.json names a space


def test_a_model_of_images_has_no_words(tinytx, trained, tmp_path):
    """Both ways without a tokenizer; a command that needs one names the task, and does not miss a file."""
    run, _ = trained("digits")
    done = tinytx("convert", run, tmp_path / "folder")
    assert done.code == 0 and "No tokenizer is written: the run has no tokenizer" in done.err
    same_weights(load(tmp_path / "folder"), load_checkpoint(run)[0])
    done = tinytx("convert", tmp_path / "folder", tmp_path / "run")
    assert done.code == 0 and "No tokenizer is written: it reads no words" in done.err
    same_weights(load_checkpoint(tmp_path / "run")[0], load_checkpoint(run)[0])
    for folder in (run, tmp_path / "folder", tmp_path / "run"):
        done = tinytx("sample", folder)
        assert done.code == 2 and f"{folder} holds vit for ImageClasses, expected one for NextToken" in done.err
    assert tinytx("inspect", tmp_path / "folder", "--batch-size 2").code == tinytx("profile", run, "--steps 1").code == 0


def test_a_tokenizer_that_has_no_file_is_said(tinytx, finished, tmp_path):
    """A run of characters: the model is written all the same."""
    done = tinytx("convert", finished[0], tmp_path / "folder")
    assert done.code == 0 and "No tokenizer is written: " in done.err and "the tokenizer" not in done.out
    same_weights(load(tmp_path / "folder"), load_checkpoint(finished[0])[0])
    done = tinytx("convert", tmp_path / "folder", tmp_path / "run")
    assert done.code == 0 and "No tokenizer is written: " in done.err and "tokenizer.json" in done.err


def test_what_cannot_be_converted(refused, trained, finished, tmp_path, tmp_path_factory):
    message = refused("convert", "nowhere", "new")
    assert "nowhere has no checkpoint.npz and no config.json, expected one of them" in message
    assert f"{finished[0]} has checkpoint.npz, expected a folder without a model" in refused("convert", finished[0], finished[0])
    message = refused("convert", trained("char_rnn")[0], "new")
    assert "no published architecture is a NextToken of a CharRNN" in message
    both = tmp_path_factory.mktemp("both")
    HUB_CASES["GPT2Model"]().save_pretrained(both)
    shutil.copy(finished[0] / "checkpoint.npz", both)
    assert "has both checkpoint.npz and config.json" in refused("convert", both, "new")


@pytest.mark.parametrize("name", HUB_CASES)
def test_every_published_class_is_inspected(tinytx, tmp_path, name):
    """Catches a task whose random batch its own loss does not take."""
    model = HUB_CASES[name]()
    model.save_pretrained(tmp_path)
    done = tinytx("inspect", tmp_path, "--batch-size 2 --length 9")
    assert done.code == 0, done.err
    n = sum(parameter.data.size for parameter in model.parameters())
    assert re.search(rf"\d+ tensors \(\d+ F32\), {4 * n:,} bytes\n", done.out)
    assert f"architectures: ['{name}']" in done.out and f"{n:,} parameters, {4 * n:,} bytes" in done.out
    assert f"{16 * n:,} bytes for weights, gradients and the optimiser's averages" in done.out
    if name.endswith("Model") and "LMHead" not in name and "MT" not in name:
        assert "A body alone has no loss" in done.out
    else:
        assert re.search(r"A batch of 2 rows of 9 tokens: \d+\.\d+ s forward, .* [1-9][\d,]+ bytes kept", done.out)


def test_headers_are_read_alone(tinytx, tmp_path, monkeypatch):
    """Of a file, and of a folder whose model tinytx does not have: no weight is loaded."""
    HUB_CASES["GPT2Model"]().save_pretrained(tmp_path)
    monkeypatch.setattr("tinytx.hub.folder.Tensor.read", lambda self: pytest.fail("a tensor was read"))
    done = tinytx("inspect", tmp_path / "model.safetensors")
    assert done.code == 0 and re.search(r"^h\.0\.attn\.c_attn\.weight +F32 +768 B +\(8, 24\)$", done.out, flags=re.MULTILINE)
    config = read_config(tmp_path) | {"model_type": "llama", "architectures": ["LlamaModel"]}
    (tmp_path / "config.json").write_text(json.dumps(config))
    done = tinytx("inspect", tmp_path, "--batch-size 0")
    assert done.code == 0 and "model_type: 'llama'" in done.out and "28 tensors (28 F32)" in done.out


def test_a_run_is_inspected(tinytx, finished):
    done = tinytx("inspect", finished[0])
    assert done.code == 0 and "body.blocks.0.attention.f.query.weight" in done.out and "NextToken of a GPT: " in done.out
    assert "A batch of 1 row of 8 tokens" in done.out


def test_what_cannot_be_inspected(refused):
    assert "nowhere has no checkpoint.npz and no config.json" in refused("inspect nowhere")
    assert "--length is 1, expected a whole number of at least 2" in refused("inspect nowhere --length 1")
