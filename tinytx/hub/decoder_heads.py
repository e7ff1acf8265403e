"""Heads for classes and tags on models that read from left to right: ``GPT2ForSequenceClassification`` and its like.

A text's class is said by the vector of its last word, the rightmost that is not "pad_token_id", through a map without a bias.
Without a "pad_token_id" every token is a word.
"""

from tinytx.hub.bert import class_keys, class_settings
from tinytx.hub.family import Head
from tinytx.hub.keys import n_classes, names_of_classes
from tinytx.tasks import Tags, TextClasses

PAD = "pad_token_id"


def decoder_heads(name, prefix, tags="score"):
    """Return {class: Head} for classes and for tags.

    Parameters
    ----------
    name : str
        What the classes' names begin with.
    prefix : str
        Of the body's names in a file.
    tags : str
        Their name of the linear map to tags.
    """
    return {
        f"{name}ForSequenceClassification": Head(
            TextClasses,
            prefix,
            {"head.classifier": "score"},
            settings=_read,
            keys=_written,
            fits=lambda task: task.asked.pooling == "last" and not task.asked.classifier_bias,
        ),
        f"{name}ForTokenClassification": Head(Tags, prefix, {"head": tags}, settings=class_settings, keys=class_keys),
    }


def _read(published):
    """Return the settings of a task with classes."""
    asked = {"n_classes": n_classes(published), "pooling": "last", "dropout": 0.0, "classifier_bias": False}
    return asked | {"pad_id": published.get(PAD)}


def _written(task, kept):
    """Return what config.json says of the task's classes and of padding."""
    keys = names_of_classes(task, kept)
    return keys if PAD in kept and kept[PAD] == task.asked.pad_id else keys | {PAD: task.asked.pad_id}
