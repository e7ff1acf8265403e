"""Llama, Mistral, Mixtral, Qwen2, Phi-3 and GLM-4: ``LlamaForCausalLM``, ``MistralForCausalLM``, ``MixtralForCausalLM``,
``Qwen2ForCausalLM``, ``Phi3ForCausalLM``, ``GlmForCausalLM``, their bodies, and these with classes or tags.

One model with other settings: Mistral has a window, Mixtral experts, Qwen2 biases, and of Phi-3's and GLM-4's heads a share is turned. How
positions turn stands in "rope_parameters"; older files say "rope_theta", "rope_scaling" and "partial_rotary_factor". What a type
"dynamic" changes begins behind "max_position_embeddings", up to which our models read: so it is read as "default".
"""

from typing import NamedTuple

from tinytx.hub.decoder_heads import decoder_heads
from tinytx.hub.family import Family, Head
from tinytx.hub.keys import ACTIVATIONS, Key
from tinytx.models import Llama, LlamaConfig
from tinytx.tasks import NextToken

FACTOR, LENGTH = {"factor": "rope_factor"}, {"original_max_position_embeddings": "rope_length"}
SCALED = {  # rope_type: {key beside it: our setting}
    "linear": FACTOR,
    "llama3": FACTOR | {"low_freq_factor": "rope_low", "high_freq_factor": "rope_high"} | LENGTH,
    "yarn": FACTOR | {"beta_slow": "rope_low", "beta_fast": "rope_high", "attention_factor": "rope_scale"} | LENGTH,
}
OPTIONAL = {"beta_slow": 1.0, "beta_fast": 32.0, "attention_factor": None}  # their defaults
UNREAD = {"mscale", "mscale_all_dim", "truncate"}  # of yarn, in models that are no Llama
OLDER = {"rope_theta", "rope_scaling", "partial_rotary_factor"}


class Rope(NamedTuple):
    """The key "rope_parameters", which is read and written as a `tinytx.hub.keys.Key` is.

    Parameters
    ----------
    share : float, optional
        What a missing "partial_rotary_factor" means. Without, all is turned, and the key is refused.
    """

    share: float | None = None
    setting: tuple = ("rope_base", "rope_share", "rope_scaling", *SCALED["llama3"].values(), "rope_scale")
    default: object = None

    def read(self, name, value):
        """Return {our setting: value} of a dict; of None, the defaults."""
        value = {} if value is None else value
        kind = value.get("rope_type", value.get("type", "default")) if isinstance(value, dict) else None
        if kind not in ("default", "dynamic", *SCALED):
            raise ValueError(f"{name} is {value!r:.120}, expected a rope_type of default, dynamic, {', '.join(SCALED)}")
        keys = SCALED.get(kind, {})
        missing = [key for key in keys if key not in value and key not in OPTIONAL]
        if missing:
            raise ValueError(f"{name} is {value!r:.120}, expected {', '.join(missing)} beside rope_type {kind}")
        share = value.get("partial_rotary_factor", 1.0 if self.share is None else self.share)
        strange = sorted(UNREAD.intersection(value)) + ["partial_rotary_factor"] * (self.share is None and share != 1)
        if strange:
            raise ValueError(f"{name} is {value!r:.120}, expected it without {', '.join(strange)}")
        settings = {"rope_base": value.get("rope_theta", 10000.0), "rope_share": share, "rope_factor": None}
        found = {ours: value[key] if value.get(key) is not None else OPTIONAL.get(key) for key, ours in keys.items()}
        return settings | found | ({"rope_scaling": kind} if keys else {})

    def write(self, config):
        """Return the dict."""
        kind = config.rope_scaling if config.rope_factor else "default"
        value = {"rope_type": kind, "rope_theta": config.rope_base}
        value |= {} if self.share is None else {"partial_rotary_factor": config.rope_share}
        found = {key: getattr(config, ours) for key, ours in SCALED.get(kind, {}).items()}
        return value | {key: setting for key, setting in found.items() if setting is not None}


class NoToken(NamedTuple):
    """The key of a special token, which is no setting of ours: null in what is written of a new model.

    Without the key, transformers takes a token of the published model, which a smaller vocabulary does not have.
    """

    setting: tuple = ()
    default: object = None

    def read(self, name, value):
        return {}

    def write(self, config):
        return None


def normalised(published, names):
    """Return config.json with today's key for what older files say in several."""
    if "rope_parameters" in published or not OLDER & published.keys():
        return published
    scaling = published.get("rope_scaling") or {}
    if not isinstance(scaling, dict):
        raise ValueError(f"config.json: rope_scaling is {scaling!r:.80}, expected a dict")
    others = {key: published[key] for key in OLDER - {"rope_scaling"} if key in published}
    return published | {"rope_parameters": others | scaling}


def family(name, model_type, keys, settings, fixed, names=None):
    """Return one of the six; ``name`` is what its classes' names begin with, ``names`` are its own names of layers."""
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
        settings={"rope_neighbours": False} | settings,
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
        }
        | (names or {}),
        heads={
            f"{name}ForCausalLM": Head(NextToken, "model.", {"head": "lm_head"}),
            f"{name}Model": Head(),
            **decoder_heads(name, "model."),
        },
        copies={"lm_head.weight": ("embed_tokens.weight",)},
        skipped=r".*rotary_emb\.inv_freq",  # of old files
        normalised=normalised,
    )


GATE_AND_UP = {f"blocks.{{}}.feed_forward.f.{layer}": "layers.{}.mlp.gate_up_proj" for layer in ("gate", "expand")}
QKV = {f"blocks.{{}}.attention.f.{layer}": "layers.{}.self_attn.qkv_proj" for layer in ("query", "key", "value")}
NO_WINDOW, NO_BIAS, WHOLE = {"window": None}, {"qkv_bias": False}, {"rope_share": 1.0}
DENSE = {"n_experts": None, "n_chosen": 2, "balance": 0.01}  # the last two have no effect then
LLAMA = family(
    "Llama", "llama", {}, DENSE | NO_WINDOW | NO_BIAS | WHOLE,
    {"attention_bias": (False,), "mlp_bias": (False,), "pretraining_tp": (1,)},
)  # fmt: skip
MISTRAL = family("Mistral", "mistral", {"sliding_window": Key("window", 4096)}, DENSE | NO_BIAS | WHOLE, {})
QWEN2 = family("Qwen2", "qwen2", {}, DENSE | NO_WINDOW | {"qkv_bias": True} | WHOLE, {"use_sliding_window": (False,)})
PHI3 = family(
    "Phi3", "phi3",
    {
        "sliding_window": Key("window", None), "rms_norm_eps": Key("eps", 1e-5), "rope_parameters": Rope(share=1.0),
        "resid_pdrop": Key("dropout", 0.0), "embd_pdrop": Key("dropout", 0.0), "pad_token_id": NoToken(),
    },
    DENSE | NO_BIAS, {}, GATE_AND_UP | QKV,
)  # fmt: skip
GLM = family(
    "Glm", "glm",
    {
        "attention_bias": Key("qkv_bias", True), "rms_norm_eps": Key("eps", 1.5625e-07), "rope_parameters": Rope(share=0.5),
        "pad_token_id": NoToken(),
        "num_key_value_heads": Key("n_kv_heads", 2, otherwise="n_heads"), "head_dim": Key("d_key", 128, otherwise="key_width"),
    },
    DENSE | NO_WINDOW | {"rope_neighbours": True}, {}, GATE_AND_UP,
)  # fmt: skip
EXPERT = "layers.{}.block_sparse_moe.experts.{}."
MIXTRAL = family(
    "Mixtral", "mixtral",
    {
        "sliding_window": Key("window", None), "rms_norm_eps": Key("eps", 1e-5), "num_local_experts": Key("n_experts", 8),
        "num_experts_per_tok": Key("n_chosen", 2), "router_aux_loss_coef": Key("balance", 0.001),
    },
    NO_BIAS | WHOLE, {"router_jitter_noise": (0.0,)},
    {
        "blocks.{}.feed_forward.f.router": "layers.{}.block_sparse_moe.gate",
        "blocks.{}.feed_forward.f.experts.{}.gate": EXPERT + "w1",
        "blocks.{}.feed_forward.f.experts.{}.expand": EXPERT + "w3",
        "blocks.{}.feed_forward.f.experts.{}.contract": EXPERT + "w2",
    },
)  # fmt: skip
