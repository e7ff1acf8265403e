"""T5 in both versions: ``T5ForConditionalGeneration``, ``T5Model``.

Three things that a config.json leaves open, or says in two ways: whether vectors are scaled before the output layer
("scale_decoder_outputs" today; before, "tie_word_embeddings" meant both), whether that layer has a matrix of its own (the
file holds one, or not), and how many blocks the decoder has, if they are as many as the encoder's.
"""

from tinytx.hub.family import Family, Head
from tinytx.hub.keys import PLAIN_LOSS, Key
from tinytx.models import T5, T5Config
from tinytx.tasks import SequenceToSequence

FEED_FORWARD = {  # "feed_forward_proj": (activation, gated)
    "relu": ("relu", False),
    "gelu": ("gelu", False),
    "gelu_new": ("gelu_tanh", False),
    "gated-gelu": ("gelu_tanh", True),  # not the form of "gelu"
    "gated-gelu_new": ("gelu_tanh", True),
    "gated-relu": ("relu", True),
    "gated-silu": ("silu", True),
}


def normalised(published, names):
    """Return config.json with what it leaves open."""
    scaled = published.get("scale_decoder_outputs", published.get("tie_word_embeddings", True))
    blocks = published.get("num_decoder_layers")
    return published | {
        "scale_decoder_outputs": scaled,
        "tie_word_embeddings": scaled is not False or "lm_head.weight" not in names,
        "num_decoder_layers": published.get("num_layers") if blocks is None else blocks,
    }


NAMES = {
    "encoder.token": "shared",
    "encoder.relative": "encoder.block.0.layer.0.SelfAttention.relative_attention_bias",
    "encoder.blocks.{}.attention.norm": "encoder.block.{}.layer.0.layer_norm",
    "encoder.blocks.{}.attention.f.query": "encoder.block.{}.layer.0.SelfAttention.q",
    "encoder.blocks.{}.attention.f.key": "encoder.block.{}.layer.0.SelfAttention.k",
    "encoder.blocks.{}.attention.f.value": "encoder.block.{}.layer.0.SelfAttention.v",
    "encoder.blocks.{}.attention.f.output": "encoder.block.{}.layer.0.SelfAttention.o",
    "encoder.blocks.{}.feed_forward.norm": "encoder.block.{}.layer.1.layer_norm",
    "encoder.blocks.{}.feed_forward.f.expand": "encoder.block.{}.layer.1.DenseReluDense.wi",
    "encoder.blocks.{}.feed_forward.f.contract": "encoder.block.{}.layer.1.DenseReluDense.wo",
    "encoder.norm.layers.0": "encoder.final_layer_norm",
    "decoder.relative": "decoder.block.0.layer.0.SelfAttention.relative_attention_bias",
    "decoder.blocks.{}.attention.norm": "decoder.block.{}.layer.0.layer_norm",
    "decoder.blocks.{}.attention.f.query": "decoder.block.{}.layer.0.SelfAttention.q",
    "decoder.blocks.{}.attention.f.key": "decoder.block.{}.layer.0.SelfAttention.k",
    "decoder.blocks.{}.attention.f.value": "decoder.block.{}.layer.0.SelfAttention.v",
    "decoder.blocks.{}.attention.f.output": "decoder.block.{}.layer.0.SelfAttention.o",
    "decoder.blocks.{}.cross_attention.norm": "decoder.block.{}.layer.1.layer_norm",
    "decoder.blocks.{}.cross_attention.f.query": "decoder.block.{}.layer.1.EncDecAttention.q",
    "decoder.blocks.{}.cross_attention.f.key": "decoder.block.{}.layer.1.EncDecAttention.k",
    "decoder.blocks.{}.cross_attention.f.value": "decoder.block.{}.layer.1.EncDecAttention.v",
    "decoder.blocks.{}.cross_attention.f.output": "decoder.block.{}.layer.1.EncDecAttention.o",
    "decoder.blocks.{}.feed_forward.norm": "decoder.block.{}.layer.2.layer_norm",
    "decoder.blocks.{}.feed_forward.f.expand": "decoder.block.{}.layer.2.DenseReluDense.wi",
    "decoder.blocks.{}.feed_forward.f.contract": "decoder.block.{}.layer.2.DenseReluDense.wo",
    "decoder.norm.layers.0": "decoder.final_layer_norm",
}
GATED = {  # in place of those
    "encoder.blocks.{}.feed_forward.f.gate": "encoder.block.{}.layer.1.DenseReluDense.wi_0",
    "encoder.blocks.{}.feed_forward.f.expand": "encoder.block.{}.layer.1.DenseReluDense.wi_1",
    "decoder.blocks.{}.feed_forward.f.gate": "decoder.block.{}.layer.2.DenseReluDense.wi_0",
    "decoder.blocks.{}.feed_forward.f.expand": "decoder.block.{}.layer.2.DenseReluDense.wi_1",
}

T5_FAMILY = Family(
    model_type="t5",
    body=T5,
    config=T5Config,
    keys={
        "vocab_size": Key("vocab_size"),
        "d_model": Key("d_model"),
        "num_heads": Key("n_heads"),
        "d_kv": Key("d_key"),
        "d_ff": Key("d_ff"),
        "num_layers": Key("n_encoder_layers"),
        "num_decoder_layers": Key("n_decoder_layers"),
        "n_positions": Key("max_len", 512),
        "relative_attention_num_buckets": Key("n_buckets", 32),
        "relative_attention_max_distance": Key("max_distance", 128),
        "dropout_rate": Key("dropout", 0.1),
        "feed_forward_proj": Key(("activation", "gated"), "relu", FEED_FORWARD),
        "layer_norm_epsilon": Key("eps", 1e-6),
        "tie_word_embeddings": Key("tied_head"),
        "scale_decoder_outputs": Key("scaled_head", otherwise="tied_head"),
        "pad_token_id": Key("pad_id", 0),
        "decoder_start_token_id": Key("start_id", 0),
        "eos_token_id": Key("stop_id", 1),
    },
    fixed={"is_encoder_decoder": (True,)},
    names=NAMES,
    varying=lambda config: GATED if config.gated else {},
    heads={
        "T5ForConditionalGeneration": Head(SequenceToSequence, "", {"head": "lm_head"}, settings=lambda published: PLAIN_LOSS),
        "T5Model": Head(),
    },
    copies={
        name: ("shared.weight",) for name in ("lm_head.weight", "encoder.embed_tokens.weight", "decoder.embed_tokens.weight")
    },
    skipped=r"decoder\.block\.0\.layer\.1\.EncDecAttention\.relative_attention_bias\.weight",  # of old files; it was never used
    normalised=normalised,
)
