"""GPT-2 and the first GPT: ``GPT2Model``, ``GPT2LMHeadModel``, ``OpenAIGPTModel``, ``OpenAIGPTLMHeadModel``; GPT-2's
classes and tags.

Their linear maps are ``Conv1D``, with weights as ours, (d_in, d_out); queries, keys and values are one map.
"""

from tinytx.hub.decoder_heads import decoder_heads
from tinytx.hub.family import Family, Head
from tinytx.hub.keys import ACTIVATIONS, Key
from tinytx.models import GPT, GPTConfig
from tinytx.tasks import NextToken

SIZES = {
    "vocab_size": Key("vocab_size"),
    "n_positions": Key("max_len"),
    "n_embd": Key("d_model"),
    "n_head": Key("n_heads"),
    "n_layer": Key("n_layers"),
    "resid_pdrop": Key("dropout", 0.1),
    "embd_pdrop": Key("embedding_dropout", 0.1, otherwise="dropout"),
    "attn_pdrop": Key("attention_dropout", 0.1, otherwise="dropout"),
    "layer_norm_epsilon": Key("eps", 1e-5),
    "tie_word_embeddings": Key("tied_head", True),
}
BLOCK = {
    "blocks.{}.attention.norm": "h.{}.ln_1",
    "blocks.{}.attention.f.query": "h.{}.attn.c_attn",
    "blocks.{}.attention.f.key": "h.{}.attn.c_attn",
    "blocks.{}.attention.f.value": "h.{}.attn.c_attn",
    "blocks.{}.attention.f.output": "h.{}.attn.c_proj",
    "blocks.{}.feed_forward.norm": "h.{}.ln_2",
    "blocks.{}.feed_forward.f.expand": "h.{}.mlp.c_fc",
    "blocks.{}.feed_forward.f.contract": "h.{}.mlp.c_proj",
}
BUFFERS = r"(.*\.)?h\.\d+\.attn\.(masked_)?bias|(.*\.)?position_ids"  # the causal mask, and numbers, which old files hold
HEAD = {"head": "lm_head"}

GPT2 = Family(
    model_type="gpt2",
    body=GPT,
    config=GPTConfig,
    keys=SIZES
    | {"n_inner": Key("d_ff", None), "activation_function": Key("activation", "gelu_new", ACTIVATIONS)},
    fixed={
        "scale_attn_weights": (True,),
        "scale_attn_by_inverse_layer_idx": (False,),
        "add_cross_attention": (False,),
    },
    settings={"norm_order": "pre", "scaled_init": True, "windows": None},
    names=BLOCK | {"token": "wte", "position": "wpe", "norm": "ln_f"},
    heads={
        "GPT2LMHeadModel": Head(NextToken, "transformer.", HEAD),
        "GPT2Model": Head(),
        **decoder_heads("GPT2", "transformer.", tags="classifier"),
    },
    copies={"lm_head.weight": ("wte.weight",)},
    skipped=BUFFERS,
    conv1d=True,
)
GPT1 = Family(
    model_type="openai-gpt",
    body=GPT,
    config=GPTConfig,
    keys=SIZES | {"afn": Key("activation", "gelu", {"gelu": "gelu_tanh", "relu": "relu", "silu": "silu", "swish": "silu"})},  # this gelu is the tanh form
    settings={"norm_order": "post", "scaled_init": False, "d_ff": None, "windows": None},
    names=BLOCK | {"token": "tokens_embed", "position": "positions_embed"},
    heads={
        "OpenAIGPTLMHeadModel": Head(NextToken, "transformer.", HEAD),
        "OpenAIGPTModel": Head(),
    },
    copies={"lm_head.weight": ("tokens_embed.weight",)},
    skipped=BUFFERS,
    conv1d=True,
)
