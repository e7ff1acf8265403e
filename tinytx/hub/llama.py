"""Llama, Mistral and Qwen2: ``LlamaForCausalLM``, ``MistralForCausalLM``, ``Qwen2ForCausalLM``, and their bodies.

One model with other settings: Mistral has a window, Qwen2 biases. How positions turn stands in "rope_parameters"; older files
say "rope_theta" and "rope_scaling".
"""

from typing import NamedTuple

from tinytx.hub.family import Family, Head
from tinytx.hub.keys import ACTIVATIONS, Key
from tinytx.models import Llama, LlamaConfig
from tinytx.tasks import NextToken

LLAMA3 = {  # key of "rope_parameters" of the type "llama3": our setting
    "factor": "rope_factor",
    "low_freq_factor": "rope_low",
    "high_freq_factor": "rope_high",
    "original_max_position_embeddings": "rope_length",
}


class Rope(NamedTuple):
    """The key "rope_parameters", which is read and written as a `tinytx.hub.keys.Key` is."""

    setting: tuple = ("rope_base", *LLAMA3.values())
    default: object = None

    def read(self, name, value):
        """Return {our setting: value} of a dict; of None, the defaults."""
        value = {} if value is None else value
        kind = value.get("rope_type", value.get("type", "default")) if isinstance(value, dict) else None
        if kind not in ("default", "llama3"):
            raise ValueError(f"{name} is {value!r:.120}, expected a rope_type of default or llama3")
        settings = {"rope_base": value.get("rope_theta", 10000.0)}
        if kind == "llama3":
            missing = [key for key in LLAMA3 if key not in value]
            if missing:
                raise ValueError(f"{name} is {value!r:.120}, expected {', '.join(missing)} beside rope_type llama3")
            settings |= {ours: value[key] for key, ours in LLAMA3.items()}
        return settings

    def write(self, config):
        """Return the dict."""
        value = {"rope_type": "llama3" if config.rope_factor else "default", "rope_theta": config.rope_base}
        return value | ({key: getattr(config, ours) for key, ours in LLAMA3.items()} if config.rope_factor else {})


def normalised(published, names):
    """Return config.json with today's key for what older files say in two."""
    if "rope_parameters" in published or not {"rope_theta", "rope_scaling"} & published.keys():
        return published
    scaling = published.get("rope_scaling") or {}
    if not isinstance(scaling, dict):
        raise ValueError(f"config.json: rope_scaling is {scaling!r:.80}, expected a dict")
    return published | {"rope_parameters": {"rope_theta": published.get("rope_theta", 10000.0)} | scaling}


def family(name, model_type, keys, settings, fixed):
    """Return one of the three; ``name`` is what its classes' names begin with."""
    return Family(
        model_type=model_type,
        body=Llama,
        config=LlamaConfig,
        keys={
            "vocab_size": Key("vocab_size"),
            "max_position_embeddings": Key("max_len"),
            "hidden_size": Key("d_model"),
            "num_attention_heads": Key("n_heads"),
            "num_key_value_heads": Key("n_kv_heads", None, otherwise="n_heads"),
            "head_dim": Key("d_key", None, otherwise="key_width"),
            "num_hidden_layers": Key("n_layers"),
            "intermediate_size": Key("d_ff", otherwise="inner_width"),
            "hidden_act": Key("activation", "silu", {"silu": "silu"} | ACTIVATIONS),
            "rms_norm_eps": Key("eps", 1e-6),
            "attention_dropout": Key("dropout", 0.0),
            "tie_word_embeddings": Key("tied_head", False),
            "rope_parameters": Rope(),
        }
        | keys,
        fixed=fixed,
        settings=settings,
        names={
            "token": "embed_tokens",
            "blocks.{}.attention.norm": "layers.{}.input_layernorm",
            "blocks.{}.attention.f.query": "layers.{}.self_attn.q_proj",
            "blocks.{}.attention.f.key": "layers.{}.self_attn.k_proj",
            "blocks.{}.attention.f.value": "layers.{}.self_attn.v_proj",
            "blocks.{}.attention.f.output": "layers.{}.self_attn.o_proj",
            "blocks.{}.feed_forward.norm": "layers.{}.post_attention_layernorm",
            "blocks.{}.feed_forward.f.gate": "layers.{}.mlp.gate_proj",
            "blocks.{}.feed_forward.f.expand": "layers.{}.mlp.up_proj",
            "blocks.{}.feed_forward.f.contract": "layers.{}.mlp.down_proj",
            "norm": "norm",
        },
        heads={
            f"{name}ForCausalLM": Head(NextToken, "model.", {"head": "lm_head"}),
            f"{name}Model": Head(),
        },
        copies={"lm_head.weight": ("embed_tokens.weight",)},
        skipped=r".*rotary_emb\.inv_freq",  # of old files
        normalised=normalised,
    )


LLAMA = family(
    "Llama", "llama", {}, {"window": None, "qkv_bias": False},
    {"attention_bias": (False,), "mlp_bias": (False,), "pretraining_tp": (1,)},
)  # fmt: skip
MISTRAL = family("Mistral", "mistral", {"sliding_window": Key("window", 4096)}, {"qkv_bias": False}, {})
QWEN2 = family("Qwen2", "qwen2", {}, {"window": None, "qkv_bias": True}, {"use_sliding_window": (False,)})
