"""BART and Marian, two configurations of our `Transformer`: ``BartForConditionalGeneration``, ``MarianMTModel`` and bodies.

BART's table of positions has two rows that nothing reads, and a layer norm follows the embeddings. Marian's positions are
sinusoids, which its files do not hold. The output layer's bias, ``final_logits_bias``, is a constant in transformers; here
it is a parameter like others, as it was in Marian itself, and a file without it makes a model without it.
"""

from tinytx.hub.family import Family, Head, Whole
from tinytx.hub.keys import ACTIVATIONS, D_FF, PLAIN_LOSS, Key
from tinytx.models import Transformer, TransformerConfig
from tinytx.tasks import SequenceToSequence

KEYS = {
    "d_model": Key("d_model"),
    "encoder_layers": Key("n_encoder_layers"),
    "decoder_layers": Key("n_decoder_layers"),
    "encoder_attention_heads": Key("n_heads"),
    "decoder_attention_heads": Key("n_heads"),
    "encoder_ffn_dim": Key("d_ff", **D_FF),
    "decoder_ffn_dim": Key("d_ff", **D_FF),
    "max_position_embeddings": Key("max_len", 1024),
    "dropout": Key("dropout", 0.1),
    "attention_dropout": Key("attention_dropout", 0.0, otherwise="dropout"),
    "activation_dropout": Key("feed_forward_dropout", 0.0),
    "activation_function": Key("activation", "gelu", ACTIVATIONS),
    "scale_embedding": Key("scaled_embedding", False),
}
FIXED = {
    "tie_word_embeddings": (True,),
    "is_encoder_decoder": (True,),
    "normalize_before": (False,),
    "add_final_layer_norm": (False,),
    "extra_pos_embeddings": (2,),
    "encoder_layerdrop": (0.0,),
    "decoder_layerdrop": (0.0,),
}
NAMES = {
    "encoder.token": "shared",
    "encoder.blocks.{}.attention.f.query": "encoder.layers.{}.self_attn.q_proj",
    "encoder.blocks.{}.attention.f.key": "encoder.layers.{}.self_attn.k_proj",
    "encoder.blocks.{}.attention.f.value": "encoder.layers.{}.self_attn.v_proj",
    "encoder.blocks.{}.attention.f.output": "encoder.layers.{}.self_attn.out_proj",
    "encoder.blocks.{}.attention.norm": "encoder.layers.{}.self_attn_layer_norm",
    "encoder.blocks.{}.feed_forward.f.expand": "encoder.layers.{}.fc1",
    "encoder.blocks.{}.feed_forward.f.contract": "encoder.layers.{}.fc2",
    "encoder.blocks.{}.feed_forward.norm": "encoder.layers.{}.final_layer_norm",
    "decoder.blocks.{}.attention.f.query": "decoder.layers.{}.self_attn.q_proj",
    "decoder.blocks.{}.attention.f.key": "decoder.layers.{}.self_attn.k_proj",
    "decoder.blocks.{}.attention.f.value": "decoder.layers.{}.self_attn.v_proj",
    "decoder.blocks.{}.attention.f.output": "decoder.layers.{}.self_attn.out_proj",
    "decoder.blocks.{}.attention.norm": "decoder.layers.{}.self_attn_layer_norm",
    "decoder.blocks.{}.cross_attention.f.query": "decoder.layers.{}.encoder_attn.q_proj",
    "decoder.blocks.{}.cross_attention.f.key": "decoder.layers.{}.encoder_attn.k_proj",
    "decoder.blocks.{}.cross_attention.f.value": "decoder.layers.{}.encoder_attn.v_proj",
    "decoder.blocks.{}.cross_attention.f.output": "decoder.layers.{}.encoder_attn.out_proj",
    "decoder.blocks.{}.cross_attention.norm": "decoder.layers.{}.encoder_attn_layer_norm",
    "decoder.blocks.{}.feed_forward.f.expand": "decoder.layers.{}.fc1",
    "decoder.blocks.{}.feed_forward.f.contract": "decoder.layers.{}.fc2",
    "decoder.blocks.{}.feed_forward.norm": "decoder.layers.{}.final_layer_norm",
}
BEGINNING = {  # of BART's stacks
    "encoder.position": "encoder.embed_positions",
    "encoder.embedding_norm": "encoder.layernorm_embedding",
    "decoder.position": "decoder.embed_positions",
    "decoder.embedding_norm": "decoder.layernorm_embedding",
}
TWO_TABLES = {"encoder.token": "encoder.embed_tokens", "decoder.token": "decoder.embed_tokens"}
COPIES = {
    "encoder.embed_tokens.weight": ("shared.weight",),
    "decoder.embed_tokens.weight": ("shared.weight",),
    "lm_head.weight": ("shared.weight", "decoder.embed_tokens.weight"),
}
SAME = {"norm_order": "post", "final_norm": None}
WORDS = Head(
    SequenceToSequence,
    "model.",
    tensors={"head.bias": Whole("final_logits_bias", lambda config: (1, -1))},
    settings=lambda published: PLAIN_LOSS | {"output_bias": published["has_output_bias"]},
)


def normalised(published, names):
    """Return config.json with what it leaves open: whether there is an output bias, and Marian's second vocabulary."""
    size = published.get("decoder_vocab_size")
    size = published.get("vocab_size") if size is None else size
    return published | {"has_output_bias": "final_logits_bias" in names, "decoder_vocab_size": size}


BART = Family(
    model_type="bart",
    body=Transformer,
    config=TransformerConfig,
    keys=KEYS
    | {
        "vocab_size": Key(("source_vocab_size", "target_vocab_size")),
        "pad_token_id": Key("pad_id", 1),
        "decoder_start_token_id": Key("start_id", 2),
        "eos_token_id": Key("stop_id", 2),
    },
    fixed=FIXED | {"normalize_embedding": (True,), "static_position_embeddings": (False,)},
    settings=SAME | {"tied": "three-way", "embedding_norm": True, "positions": "learned", "unused_positions": 2},
    names=NAMES | BEGINNING,
    heads={"BartForConditionalGeneration": WORDS, "BartModel": Head()},
    copies=COPIES,
    normalised=normalised,
)
MARIAN = Family(
    model_type="marian",
    body=Transformer,
    config=TransformerConfig,
    keys=KEYS
    | {
        "vocab_size": Key("source_vocab_size"),
        "decoder_vocab_size": Key("target_vocab_size"),
        "share_encoder_decoder_embeddings": Key("tied", True, {True: "three-way", False: "two-way"}),
        "pad_token_id": Key("pad_id", 58100),
        "decoder_start_token_id": Key("start_id", 58100),
        "eos_token_id": Key("stop_id", 0),
    },
    fixed=FIXED | {"normalize_embedding": (False,), "static_position_embeddings": (True,)},
    settings=SAME | {"embedding_norm": False, "positions": "halves", "unused_positions": 0},
    names=NAMES,
    varying=lambda config: {} if config.tied == "three-way" else TWO_TABLES,
    heads={"MarianMTModel": WORDS, "MarianModel": Head()},
    copies=COPIES,
    skipped=r"(model\.)?(en|de)coder\.embed_positions\.weight",
    normalised=normalised,
)
