"""Checkpoints of earlier versions, in which a model had its head and its loss inside it: read as those of today."""

import re

TASK_OF = {"bert": "hidden_words", "gpt": "next_token", "transformer": "sequence_to_sequence"}  # what each kind of model was trained for
HEADS = {  # paths of the task, then and now; all others are the body's
    "bert": {
        "head.transform.": "transform.linear.",
        "head.norm.": "transform.norm.",
        "head.decoder.": "head.",
        "head.": "head.",
        "next_sentence.": "next_sentence.",
    },
    "gpt": {"head.": "head."},
    "transformer": {"decoder.head.": "head."},
}


MOVED = {"transformer": ("label_smoothing", "loss_form"), "bert": ("head", "next_sentence")}  # settings of the task above


def with_task_settings(meta):
    """Return meta in which settings of the task are no longer among those of the model."""
    config, model, settings = meta.get("config"), meta.get("model"), meta.get("task_settings") or {}
    known = isinstance(config, dict) and isinstance(settings, dict) and model in list(MOVED)
    moved = {name: config[name] for name in MOVED[model] if name in config} if known else {}
    if not moved:
        return meta
    settings = settings | (moved if meta.get("task") == TASK_OF[model] else {})
    return meta | {"config": {name: config[name] for name in config if name not in moved}, "task_settings": settings}


def upgraded(arrays, meta):
    """Return (arrays, meta) as format 2 has them.

    Parameters
    ----------
    arrays : dict of str to array
        ``model.PATH`` and ``optimizer.SLOT.PATH``; a path now begins with ``body.``, where it is not the task's.
    meta : dict
        Of format 1, with a ``model`` in `TASK_OF`.
    """
    task, heads = TASK_OF[meta["model"]], HEADS[meta["model"]]

    def renamed(match):
        slot, path = match.groups()
        head = next((then for then in heads if path.startswith(then)), None)
        return f"{slot}body.{path}" if head is None else slot + heads[head] + path.removeprefix(head)

    names = {name: re.sub(r"^(model\.|optimizer\.(?:fast\.)?\w+\.)(.+)$", renamed, name) for name in arrays}
    return {names[name]: array for name, array in arrays.items()}, meta | {"format": 2, "task": task}
