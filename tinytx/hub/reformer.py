"""Reformer: ``ReformerModel`` and ``ReformerModelWithLMHead``.

"attn_layers" names each block's attention, "lsh" or "local". Buckets that are not given are worked out there of the first
text, and here of the longest. Rotations are drawn anew in each forward there, so texts longer than a chunk have the same logits
only with the same rotations, and if whole chunks hold them: there, what fills up the last chunk has a bucket of its own. The
vector "lm_head.bias" is in files, and nobody reads it but older versions, where it is the output layer's bias.
"""

from typing import NamedTuple

from tinytx.arguments import check_whole
from tinytx.hub.family import Family, Head
from tinytx.hub.keys import ACTIVATIONS, Key
from tinytx.models import Reformer, ReformerConfig
from tinytx.models.reformer import kinds_of
from tinytx.tasks import NextToken

KINDS = {"lsh": "hashed", "local": "local"}  # theirs: ours
SIZES = {"max_position_embeddings": 4096, "lsh_attn_chunk_length": 64}  # what the buckets are worked out of
ATTENTION, MAPS = "stack.fs.{}.layers.{}", ("query_key", "query", "key", "value")


class Kinds(NamedTuple):
    """The key "attn_layers", which is read and written as a `tinytx.hub.keys.Key` is."""

    setting: tuple = ("kinds", "n_layers")
    default: tuple = ("local", "lsh") * 3

    def read(self, name, value):
        """Return {our setting: value} of a list: the shortest that repeats over the blocks, None where all are hashed."""
        kinds = list(value) if isinstance(value, list | tuple) else []
        if not kinds or not all(isinstance(kind, str) and kind in KINDS for kind in kinds):
            raise ValueError(f"{name} is {value!r:.120}, expected a list of {' and '.join(KINDS)}")
        n = next(n for n in range(1, len(kinds) + 1) if kinds == [kinds[i % n] for i in range(len(kinds))])
        ours = ",".join(KINDS[kind] for kind in kinds[:n])
        return {"kinds": None if ours == "hashed" else ours, "n_layers": len(kinds)}

    def write(self, config):
        """Return the list."""
        theirs = {ours: kind for kind, ours in KINDS.items()}
        return [theirs[kind] for kind in kinds_of(config)]


def normalised(published, names):
    """Return config.json with what is worked out where it is missing."""
    new = {"is_decoder": published.get("is_decoder", False), "axial_pos_embds": published.get("axial_pos_embds", True)}
    if published.get("num_buckets") is None:
        length, chunk = (check_whole("config.json", name, published.get(name, default), 1) for name, default in SIZES.items())
        new["num_buckets"] = 2 ** max(1, (2 * (length // chunk)).bit_length() - 1)
    return published | new


REFORMER = Family(
    model_type="reformer",
    body=Reformer,
    config=ReformerConfig,
    keys={
        "vocab_size": Key("vocab_size", 320),
        "max_position_embeddings": Key("max_len", SIZES["max_position_embeddings"]),
        "hidden_size": Key("d_model", 256),
        "num_attention_heads": Key("n_heads", 12),
        "attention_head_size": Key("d_key", 64, otherwise="key_width"),
        "feed_forward_size": Key("d_ff", 512, otherwise="inner_width"),
        "attn_layers": Kinds(),
        "lsh_attn_chunk_length": Key("chunk", SIZES["lsh_attn_chunk_length"]),
        "local_attn_chunk_length": Key("local_chunk", 64, otherwise="chunk"),
        "num_buckets": Key("n_buckets", None),
        "num_hashes": Key("n_rounds", 1),
        "hidden_act": Key("activation", "relu", ACTIVATIONS),
        "hidden_dropout_prob": Key("dropout", 0.05),
        "lsh_attention_probs_dropout_prob": Key("attention_dropout", 0.0),
        "local_attention_probs_dropout_prob": Key("local_dropout", 0.05, otherwise="attention_dropout"),
        "layer_norm_eps": Key("eps", 1e-12),
    },
    fixed={
        "is_decoder": (True,),
        "axial_pos_embds": (False,),
        "lsh_num_chunks_before": (1,),
        "lsh_num_chunks_after": (0,),
        "local_num_chunks_before": (1,),
        "local_num_chunks_after": (0,),
        "tie_word_embeddings": (False,),
    },
    names={
        "token": "embeddings.word_embeddings",
        "position": "embeddings.position_embeddings.embedding",
        "stack.fs.{}.layers.0": "encoder.layers.{}.attention.layer_norm",
        **{f"{ATTENTION}.{name}": f"encoder.layers.{{}}.attention.self_attention.{name}" for name in MAPS},
        f"{ATTENTION}.output": "encoder.layers.{}.attention.output.dense",
        "stack.gs.{}.layers.0": "encoder.layers.{}.feed_forward.layer_norm",
        "stack.gs.{}.layers.{}.expand": "encoder.layers.{}.feed_forward.dense.dense",
        "stack.gs.{}.layers.{}.contract": "encoder.layers.{}.feed_forward.output.dense",
        "norm": "encoder.layer_norm",
    },
    heads={
        "ReformerModelWithLMHead": Head(NextToken, "reformer.", {"head": "lm_head.decoder"}),
        "ReformerModel": Head(),
    },
    stand_ins={"lm_head.decoder.bias": "lm_head.bias"},
    skipped=r"lm_head\.bias",
    normalised=normalised,
)
