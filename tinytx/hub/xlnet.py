"""XLNet: ``XLNetModel``, ``XLNetLMHeadModel``.

Their linear maps of the attention have weights with an axis for heads, (D, H, K), also that of the output.

A `PermutedWords` reads from left to right without an order. ``XLNetLMHeadModel`` reads like it if it is given a
``perm_mask`` and a ``target_mapping``; without them, it applies its head to the content, which knows the word.
"""

from tinytx.hub.family import Family, Head, Whole
from tinytx.hub.keys import ACTIVATIONS, D_FF, Key
from tinytx.models import XLNet, XLNetConfig
from tinytx.tasks import PermutedWords

ATTENTION = "blocks.{}.attention.f.attention."


def _by_head(config):
    """Return the shape (D, H, K) of a linear map of the attention."""
    return config.d_model, config.n_heads, -1


XLNET = Family(
    model_type="xlnet",
    body=XLNet,
    config=XLNetConfig,
    keys={
        "vocab_size": Key("vocab_size", 32000),
        "d_model": Key("d_model", 1024),
        "n_layer": Key("n_layers", 24),
        "n_head": Key("n_heads", 16),
        "d_inner": Key("d_ff", 4096, **D_FF),
        "ff_activation": Key("activation", "gelu", ACTIVATIONS),
        "dropout": Key(("dropout", "attention_dropout"), 0.1),
        "layer_norm_eps": Key("eps", 1e-12),
        "tie_word_embeddings": Key("tied_head", True),
    },
    fixed={"attn_type": ("bi",), "untie_r": (True,), "bi_data": (False,), "clamp_len": (-1,), "same_length": (False,)},
    settings={"segment": 512, "memory": 0},
    names={
        "token": "word_embedding",
        "blocks.{}.attention.norm": "layer.{}.rel_attn.layer_norm",
        "blocks.{}.feed_forward.norm": "layer.{}.ff.layer_norm",
        "blocks.{}.feed_forward.f.expand": "layer.{}.ff.layer_1",
        "blocks.{}.feed_forward.f.contract": "layer.{}.ff.layer_2",
    },
    tensors={
        "query": Whole("mask_emb", lambda config: (1, 1, -1)),
        **{
            f"{ATTENTION}{ours}.weight": Whole(f"layer.{{}}.rel_attn.{theirs}", _by_head, theirs == "o")
            for ours, theirs in {"query": "q", "key": "k", "value": "v", "output": "o", "core.position": "r"}.items()
        },
        **{
            f"{ATTENTION}core.{ours}": Whole(f"layer.{{}}.rel_attn.{theirs}", lambda config: (config.n_heads, -1))
            for ours, theirs in {"content_bias": "r_w_bias", "position_bias": "r_r_bias", "kind_bias": "r_s_bias"}.items()
        },
        f"{ATTENTION}core.kind": Whole("layer.{}.rel_attn.seg_embed", lambda config: (2, config.n_heads, -1)),
    },
    heads={
        "XLNetLMHeadModel": Head(PermutedWords, "transformer.", {"head": "lm_loss"}),
        "XLNetModel": Head(),
    },
    copies={"lm_loss.weight": ("word_embedding.weight",)},
)
