"""ALBERT: ``AlbertModel``, ``AlbertForPreTraining``, ``AlbertForMaskedLM``, and the heads for classes, tags and spans.

Their blocks stand in groups, of which each holds one block. The pooler belongs to the heads that use it, as BERT's.
"""

from functools import partial

from tinytx.hub.bert import BERT, class_keys, class_settings, heads_of, words_head
from tinytx.hub.family import Family
from tinytx.hub.keys import Key
from tinytx.models import Albert, AlbertConfig

WORDS = {"transform.linear": "predictions.dense", "transform.norm": "predictions.LayerNorm", "head": "predictions"}
POOLER, BLOCK = "pooler", "encoder.albert_layer_groups.{}.albert_layers.0."
DROPOUT = "classifier_dropout_prob"
CLASSES = {"settings": partial(class_settings, name=DROPOUT, default=0.1), "keys": partial(class_keys, name=DROPOUT, default=0.1)}

ALBERT = Family(
    model_type="albert",
    body=Albert,
    config=AlbertConfig,
    keys=BERT.keys
    | {
        "embedding_size": Key("d_embedding", 128),
        "num_hidden_groups": Key("n_groups", 1),
        "hidden_dropout_prob": Key("dropout", 0.0),
        "attention_probs_dropout_prob": Key("attention_dropout", 0.0, otherwise="dropout"),
        "hidden_act": BERT.keys["hidden_act"]._replace(default="gelu_new"),
    },
    fixed=BERT.fixed | {"inner_group_num": (1,)},
    settings={"embedding_dropout": None, "recompute": 0},
    names={
        "encoder.token": "embeddings.word_embeddings",
        "encoder.segment": "embeddings.token_type_embeddings",
        "encoder.position": "embeddings.position_embeddings",
        "encoder.embedding_norm": "embeddings.LayerNorm",
        "encoder.widen": "encoder.embedding_hidden_mapping_in",
        "blocks.{}.attention.f.query": BLOCK + "attention.query",
        "blocks.{}.attention.f.key": BLOCK + "attention.key",
        "blocks.{}.attention.f.value": BLOCK + "attention.value",
        "blocks.{}.attention.f.output": BLOCK + "attention.dense",
        "blocks.{}.attention.norm": BLOCK + "attention.LayerNorm",
        "blocks.{}.feed_forward.f.expand": BLOCK + "ffn",
        "blocks.{}.feed_forward.f.contract": BLOCK + "ffn_output",
        "blocks.{}.feed_forward.norm": BLOCK + "full_layer_layer_norm",
    },
    heads=heads_of("Albert", "albert.", WORDS, f"albert.{POOLER}", **CLASSES)
    | {
        "AlbertForPreTraining": words_head(
            "albert.", WORDS | {"next_sentence.pooler": f"albert.{POOLER}", "next_sentence.classifier": "sop_classifier.classifier"}
        )
    },
    pooler=POOLER,
    copies={
        "predictions.decoder.weight": ("embeddings.word_embeddings.weight",),
        "predictions.decoder.bias": ("predictions.bias",),
    },
    skipped=r"(albert\.)?embeddings\.(position_ids|token_type_ids)",
)
