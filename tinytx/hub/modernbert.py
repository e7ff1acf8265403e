"""ModernBERT: ``ModernBertModel`` and ``ModernBertForMaskedLM``.

Which blocks see the whole text stands in "layer_types", and how positions turn in "rope_parameters", for each type; older files
say "global_attn_every_n_layers", "global_rope_theta" and "local_rope_theta".
"""

from typing import NamedTuple

from tinytx.arguments import check_whole
from tinytx.hub.bert import words_head
from tinytx.hub.family import Family, Head
from tinytx.hub.keys import ACTIVATIONS, Key
from tinytx.models import ModernBert, ModernBertConfig

WHOLE, LOCAL = "full_attention", "sliding_attention"
BASES = {WHOLE: ("rope_base", 160_000.0), LOCAL: ("rope_base_local", 10_000.0)}


def types_of(n_layers, every):
    """Return the list "layer_types"."""
    return [LOCAL if i % every else WHOLE for i in range(n_layers)]


class LayerTypes(NamedTuple):
    """The key "layer_types", which is read and written as a `tinytx.hub.keys.Key` is."""

    setting: str = "global_every"
    default: object = None

    def read(self, name, value):
        """Return {our setting: value} of a list; of None, the default."""
        if value is None:
            return {self.setting: 3}
        wrong = ValueError(f"{name} is {value!r:.120}, expected {WHOLE} for one block in so many, the first among them, else {LOCAL}")
        if not isinstance(value, list) or not value:
            raise wrong
        every = next((i for i, kind in enumerate(value) if i and kind == WHOLE), len(value))
        if value != types_of(len(value), every):
            raise wrong
        return {self.setting: every}

    def write(self, config):
        """Return the list."""
        return types_of(config.n_layers, config.global_every)


class Bases(NamedTuple):
    """The key "rope_parameters", a dict for each type of block."""

    setting: tuple = tuple(setting for setting, _ in BASES.values())
    default: object = None

    def read(self, name, value):
        """Return {our setting: value} of a dict; of None, the defaults."""
        value, settings = {} if value is None else value, {}
        for kind, (setting, default) in BASES.items():
            turns = (value.get(kind) or {}) if isinstance(value, dict) else None
            if not isinstance(turns, dict) or turns.get("rope_type", "default") != "default":
                raise ValueError(f"{name} is {value!r:.120}, expected a rope_theta for {WHOLE} and {LOCAL}, of rope_type default")
            settings[setting] = turns.get("rope_theta", default)
        return settings

    def write(self, config):
        """Return the dict."""
        return {kind: {"rope_type": "default", "rope_theta": getattr(config, setting)} for kind, (setting, _) in BASES.items()}


def normalised(published, names):
    """Return config.json with today's keys for what older files say in others."""
    new = {}
    if published.get("layer_types") is None and "global_attn_every_n_layers" in published:
        sizes = ("num_hidden_layers", "global_attn_every_n_layers")
        new["layer_types"] = types_of(*(check_whole("config.json", name, published.get(name), 1, 10_000) for name in sizes))
    thetas = {WHOLE: published.get("global_rope_theta"), LOCAL: published.get("local_rope_theta")}
    if published.get("rope_parameters") is None and any(thetas.values()):
        new["rope_parameters"] = {kind: {"rope_theta": theta} for kind, theta in thetas.items() if theta is not None}
    return published | new


MODERNBERT = Family(
    model_type="modernbert",
    body=ModernBert,
    config=ModernBertConfig,
    keys={
        "vocab_size": Key("vocab_size"),
        "max_position_embeddings": Key("max_len", 8192),
        "hidden_size": Key("d_model"),
        "num_attention_heads": Key("n_heads"),
        "num_hidden_layers": Key("n_layers"),
        "intermediate_size": Key("d_ff", 1152, otherwise="inner_width"),
        "local_attention": Key("window", 128),
        "layer_types": LayerTypes(),
        "rope_parameters": Bases(),
        "hidden_activation": Key("activation", "gelu", ACTIVATIONS),
        "classifier_activation": Key("activation", "gelu", ACTIVATIONS),
        "norm_eps": Key("eps", 1e-5),
        "pad_token_id": Key("pad_id", 50283),
        "attention_dropout": Key("dropout", 0.0),
        "embedding_dropout": Key("embedding_dropout", 0.0),
        "mlp_dropout": Key("feed_forward_dropout", 0.0),
    },
    fixed={
        "norm_bias": (False,),
        "attention_bias": (False,),
        "mlp_bias": (False,),
        "classifier_bias": (False,),
        "decoder_bias": (True,),
        "tie_word_embeddings": (True,),
    },
    settings={"recompute": 0},
    names={
        "token": "embeddings.tok_embeddings",
        "embedding_norm": "embeddings.norm",
        "blocks.{}.attention.norm": "layers.{}.attn_norm",
        "blocks.{}.attention.f.query": "layers.{}.attn.Wqkv",
        "blocks.{}.attention.f.key": "layers.{}.attn.Wqkv",
        "blocks.{}.attention.f.value": "layers.{}.attn.Wqkv",
        "blocks.{}.attention.f.output": "layers.{}.attn.Wo",
        "blocks.{}.feed_forward.norm": "layers.{}.mlp_norm",
        "blocks.{}.feed_forward.f.gate": "layers.{}.mlp.Wi",
        "blocks.{}.feed_forward.f.expand": "layers.{}.mlp.Wi",
        "blocks.{}.feed_forward.f.contract": "layers.{}.mlp.Wo",
        "norm": "final_norm",
    },
    heads={
        "ModernBertForMaskedLM": words_head(
            "model.", {"transform.linear": "head.dense", "transform.norm": "head.norm", "head": "decoder"}
        ),
        "ModernBertModel": Head(),
    },
    copies={"decoder.weight": ("embeddings.tok_embeddings.weight",)},
    normalised=normalised,
)
