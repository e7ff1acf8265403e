"""ViT: ``ViTModel`` and ``ViTForImageClassification``.

The classifier reads the class token's vector as it is. The pooler of theirs ``ViTModel`` is used by no published head;
``body.pooled(hidden)`` uses it. SimpleViT is not published there.
"""

from tinytx.hub.family import Family, Head, Whole
from tinytx.hub.keys import ACTIVATIONS, D_FF, Key, n_classes, names_of_classes
from tinytx.models import ViT, ViTConfig
from tinytx.tasks import ImageClasses

BLOCK = "encoder.layer.{}."
PATCHES = "embeddings.patch_embeddings.projection"
VIT = Family(
    model_type="vit",
    body=ViT,
    config=ViTConfig,
    keys={
        "image_size": Key("image_size", 224),
        "patch_size": Key("patch_size", 16),
        "num_channels": Key("n_channels", 3),
        "hidden_size": Key("d_model"),
        "num_attention_heads": Key("n_heads"),
        "num_hidden_layers": Key("n_layers"),
        "intermediate_size": Key("d_ff", **D_FF),
        "hidden_act": Key("activation", "gelu", ACTIVATIONS),
        "layer_norm_eps": Key("eps", 1e-12),
        "hidden_dropout_prob": Key("dropout", 0.0),
        "attention_probs_dropout_prob": Key("attention_dropout", 0.0, otherwise="dropout"),
    },
    fixed={"qkv_bias": (True,)},
    settings={"class_token": True, "positions": "learned"},
    names={
        "patches.linear": PATCHES,
        "blocks.{}.attention.norm": BLOCK + "layernorm_before",
        "blocks.{}.attention.f.query": BLOCK + "attention.attention.query",
        "blocks.{}.attention.f.key": BLOCK + "attention.attention.key",
        "blocks.{}.attention.f.value": BLOCK + "attention.attention.value",
        "blocks.{}.attention.f.output": BLOCK + "attention.output.dense",
        "blocks.{}.feed_forward.norm": BLOCK + "layernorm_after",
        "blocks.{}.feed_forward.f.expand": BLOCK + "intermediate.dense",
        "blocks.{}.feed_forward.f.contract": BLOCK + "output.dense",
        "norm": "layernorm",
    },
    tensors={
        "patches.linear.weight": Whole(f"{PATCHES}.weight", lambda config: (-1, config.n_channels, *[config.patch_size] * 2)),
        "class_token.weight": Whole("embeddings.cls_token", lambda config: (1, 1, -1)),
        "position.weight": Whole("embeddings.position_embeddings", lambda config: (1, -1, config.d_model)),
    },
    heads={
        "ViTForImageClassification": Head(
            ImageClasses,
            "vit.",
            {"head.classifier": "classifier"},
            settings=lambda published: {"n_classes": n_classes(published), "dropout": 0.0},
            keys=names_of_classes,
            fits=lambda task: task.asked.pooling == "first",
        ),
        "ViTModel": Head(),
    },
    pooler="pooler.dense",
)
