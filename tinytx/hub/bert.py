"""BERT: ``BertModel``, ``BertForPreTraining``, ``BertForMaskedLM``, and the heads for classes, tags and spans.

The pooler, which reads the first position, is a part of theirs ``BertModel``; here it belongs to the heads that use it, and
a body keeps the one of its folder beside it: ``body.pooled(hidden)`` is their ``pooler_output``.
"""

from tinytx.hub.family import Family, Head
from tinytx.hub.keys import ACTIVATIONS, D_FF, Key, n_classes, names_of_classes
from tinytx.models import Bert, BertConfig
from tinytx.tasks import HiddenWords, Spans, Tags, TextClasses

WORDS = {  # its weight is the table of embeddings
    "transform.linear": "cls.predictions.transform.dense",
    "transform.norm": "cls.predictions.transform.LayerNorm",
    "head": "cls.predictions",
}
POOLER = "pooler.dense"
NAMES = {
    "encoder.token": "embeddings.word_embeddings",
    "encoder.segment": "embeddings.token_type_embeddings",
    "encoder.position": "embeddings.position_embeddings",
    "encoder.embedding_norm": "embeddings.LayerNorm",
    "encoder.blocks.{}.attention.f.query": "encoder.layer.{}.attention.self.query",
    "encoder.blocks.{}.attention.f.key": "encoder.layer.{}.attention.self.key",
    "encoder.blocks.{}.attention.f.value": "encoder.layer.{}.attention.self.value",
    "encoder.blocks.{}.attention.f.output": "encoder.layer.{}.attention.output.dense",
    "encoder.blocks.{}.attention.norm": "encoder.layer.{}.attention.output.LayerNorm",
    "encoder.blocks.{}.feed_forward.f.expand": "encoder.layer.{}.intermediate.dense",
    "encoder.blocks.{}.feed_forward.f.contract": "encoder.layer.{}.output.dense",
    "encoder.blocks.{}.feed_forward.norm": "encoder.layer.{}.output.LayerNorm",
}


def class_settings(published, name="classifier_dropout", default=None):
    """Return the settings of a task with classes, whose dropout has a name in config.json."""
    dropout = published.get(name, default)
    dropout = published.get("hidden_dropout_prob", 0.1) if dropout is None else dropout
    return {"n_classes": n_classes(published), "dropout": dropout}


def class_keys(task, kept, name="classifier_dropout", default=None):
    """Return what config.json says of a task's classes and its dropout."""
    keys = {} if class_settings(kept, name, default)["dropout"] == task.asked.dropout else {name: task.asked.dropout}
    return keys | names_of_classes(task, kept)


def words_head(prefix, names):
    """Return the head of hidden words; with names of a next sentence, of both."""
    both = "next_sentence.classifier" in names
    return Head(
        HiddenWords,
        prefix,
        names,
        settings=lambda published: {"head": "tied", "next_sentence": both},
        fits=lambda task: task.transform and bool(task.next_sentence) == both,
    )


def heads_of(name, prefix, words, pooler, classifier="classifier", **classes):
    """Return {class: Head} of those that each family of encoders has.

    Parameters
    ----------
    name : str
        What the classes' names begin with.
    prefix, words
        Of `words_head`.
    pooler, classifier : str
        Names of the head of texts.
    **classes
        ``settings`` and ``keys`` of the heads with classes, as for `Head`.
    """
    texts = {"head.pooler": pooler, "head.classifier": classifier}
    return {
        f"{name}ForMaskedLM": words_head(prefix, words),
        f"{name}ForSequenceClassification": Head(
            TextClasses, prefix, texts, fits=lambda task: task.asked.pooling == "cls", **classes
        ),
        f"{name}ForTokenClassification": Head(Tags, prefix, {"head": "classifier"}, **classes),
        f"{name}ForQuestionAnswering": Head(Spans, prefix, {"head": "qa_outputs"}),
        f"{name}Model": Head(),
    }


BERT = Family(
    model_type="bert",
    body=Bert,
    config=BertConfig,
    keys={
        "vocab_size": Key("vocab_size"),
        "max_position_embeddings": Key("max_len"),
        "hidden_size": Key("d_model"),
        "num_attention_heads": Key("n_heads"),
        "num_hidden_layers": Key("n_layers"),
        "intermediate_size": Key("d_ff", **D_FF),
        "type_vocab_size": Key("n_segments", 2),
        "hidden_dropout_prob": Key("dropout", 0.1),
        "attention_probs_dropout_prob": Key("attention_dropout", 0.1, otherwise="dropout"),
        "hidden_act": Key("activation", "gelu", ACTIVATIONS),
        "layer_norm_eps": Key("eps", 1e-12),
        "pad_token_id": Key("pad_id", 0),
    },
    fixed={
        "position_embedding_type": ("absolute", None),
        "is_decoder": (False,),
        "add_cross_attention": (False,),
        "tie_word_embeddings": (True,),
    },
    settings={
        "norm_order": "post", "embedding_norm": True, "positions": "learned", "masks_padding": True,
        "embedding_dropout": None, "feed_forward_dropout": 0.0, "recompute": 0,
    },
    names=NAMES,
    heads=heads_of("Bert", "bert.", WORDS, f"bert.{POOLER}", settings=class_settings, keys=class_keys)
    | {
        "BertForPreTraining": words_head(
            "bert.", WORDS | {"next_sentence.pooler": f"bert.{POOLER}", "next_sentence.classifier": "cls.seq_relationship"}
        )
    },
    copies={
        "cls.predictions.decoder.weight": ("embeddings.word_embeddings.weight",),
        "cls.predictions.decoder.bias": ("cls.predictions.bias",),
    },
    pooler=POOLER,
    skipped=r"(bert\.)?embeddings\.(position_ids|token_type_ids)",
    old_names={r"LayerNorm\.gamma$": "LayerNorm.weight", r"LayerNorm\.beta$": "LayerNorm.bias"},
)
