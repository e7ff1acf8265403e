"""What config.json says, and every message about it."""

import dataclasses
import json

import numpy as np
import pytest
from hub_cases import HUB_CASES, written

pytest.importorskip("safetensors")

from tinytx.files import FileError  # noqa: E402
from tinytx.hub import FAMILIES, load  # noqa: E402
from tinytx.hub.family import Key  # noqa: E402
from tinytx.hub.folder import write_folder  # noqa: E402

CHANGES = {  # what a config.json says -> the message
    "no sizes": ({"n_embd": None, "n_head": None}, "n_embd is missing; n_head is missing"),
    "a model type unknown": ({"model_type": "mamba"}, "model_type 'mamba', expected one of .*gpt2.*t5"),
    "no class": ({"architectures": []}, r'"architectures" \[\], expected one of GPT2LMHeadModel, GPT2Model.*GPT.from_pretrained'),
    "a class unknown": ({"architectures": ["GPT2DoubleHeadsModel"]}, "name what the file holds"),
    "a class that is a list": ({"architectures": [["x"]]}, "name what the file holds"),
    "a model type that is a list": ({"model_type": ["gpt2"], "architectures": 3}, r"model_type \['gpt2'\]"),
    "an activation unknown": ({"activation_function": "mish"}, "activation_function is 'mish', expected one of gelu_new"),
    "an activation of another kind": ({"activation_function": ["relu"]}, r"activation_function is \['relu'\], expected one"),
    "other scores": ({"scale_attn_weights": False}, "scale_attn_weights is False, expected True"),
    "no heads": ({"n_head": 0}, "n_heads is 0, expected a whole number of at least 1"),
    "heads that do not divide": ({"n_head": 3}, "n_heads 3 does not divide d_model 8"),
    "a width that is a text": ({"n_embd": "8"}, "d_model is '8', expected a whole number"),
    "a width that is a float": ({"n_embd": 8.0}, "d_model is 8.0, expected a whole number"),
    "1e12 layers": ({"n_layer": 10**12}, "n_layers is 1000000000000, expected .* at most 10000"),
    "10,000 layers": ({"n_layer": 10_000}, "the config has 10,000 layers, and there are 29 arrays of weights: expected at most"),
    "a layer more": ({"n_layer": 3}, "missing transformer.h.2.ln_1.weight"),
    "a layer less": ({"n_layer": 1}, "unexpected transformer.h.1.ln_1.weight"),
    "a vocabulary of 2^31": ({"vocab_size": 2**31}, "asks for more weights than the [0-9,]+ numbers that there are"),
    "a width of 2^30": ({"n_embd": 2**30}, "asks for more weights"),
    "a feed-forward layer of 2^31": ({"n_inner": 2**31}, "asks for more weights"),
    "eps of nothing": ({"layer_norm_epsilon": 0}, "eps is 0, expected a number in"),
    "eps without end": ({"layer_norm_epsilon": float("inf")}, "eps is inf"),
    "tied by a number": ({"tie_word_embeddings": 1}, "tied_head is 1, expected True or False"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_a_config_that_is_wrong_says_so(tmp_path, change):
    """One kind of error each time, and no memory: the model is not made."""
    config, arrays = written(HUB_CASES["GPT2LMHeadModel"](), tmp_path)
    changes, message = CHANGES[change]
    config = {name: value for name, value in (config | changes).items() if value is not None}
    write_folder(tmp_path, config, arrays)
    with pytest.raises(FileError, match=message) as caught:
        load(tmp_path)
    assert str(tmp_path) in str(caught.value)


def test_two_keys_of_one_setting_must_agree():
    keys = FAMILIES["gpt2"].keys | {"n_ctx": Key("max_len")}
    family = dataclasses.replace(FAMILIES["gpt2"], keys=keys)
    sizes = {"vocab_size": 11, "n_positions": 9, "n_embd": 8, "n_head": 2, "n_layer": 2}
    assert family.read_config(sizes | {"n_ctx": 9}).max_len == 9
    with pytest.raises(ValueError, match="n_ctx is 8 and n_positions is 9, expected the same: in tinytx both are max_len"):
        family.read_config(sizes | {"n_ctx": 8})


def test_older_files_of_llama_say_positions_in_two_keys(tmp_path):
    """And their frequencies, which are no weights, are not read."""
    model = HUB_CASES["LlamaForCausalLM"](np.float32)
    model.save_pretrained(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config.pop("rope_parameters") == {"rope_type": "default", "rope_theta": 500.0}
    scaling = {"type": "llama3", "factor": 4.0, "low_freq_factor": 1.0, "high_freq_factor": 3.0}
    config |= {"rope_theta": 70.0, "rope_scaling": scaling | {"original_max_position_embeddings": 99}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    read = load(tmp_path).body.config
    assert (read.rope_base, read.rope_factor, read.rope_low, read.rope_high, read.rope_length) == (70.0, 4.0, 1.0, 3.0, 99)
    yarn = {"type": "yarn", "factor": 2.0, "original_max_position_embeddings": 99}
    (tmp_path / "config.json").write_text(json.dumps(config | {"rope_scaling": yarn}))
    read = load(tmp_path).body.config
    assert (read.rope_scaling, read.rope_factor, read.rope_low, read.rope_high) == ("yarn", 2.0, 1.0, 32.0)
    wrong = [yarn | {"mscale": 0.7}, yarn | {"partial_rotary_factor": 0.5}, {"type": "longrope"}, {"type": "linear"}]
    for wrong in (*wrong, {"type": "yarn", "factor": 2.0}, {"type": "llama3", "factor": 2.0}, [1], {"rope_type": 3}):
        (tmp_path / "config.json").write_text(json.dumps(config | {"rope_scaling": wrong}))
        with pytest.raises(FileError, match="rope_(parameters|scaling) is .*expected"):
            load(tmp_path)
