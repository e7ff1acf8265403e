"""Keys of config.json beside our settings, one by one, and values that several families share."""

from collections.abc import Callable
from typing import NamedTuple

NEEDED = object()  # in place of a default: a config.json must have the key
D_FF = {"otherwise": lambda config: 4 * config.d_model}  # what our d_ff of None is
PLAIN_LOSS = {"label_smoothing": 0.0, "loss_form": "cross_entropy"}  # of published encoder-decoders
ACTIVATIONS = {  # theirs: ours
    "gelu_new": "gelu_tanh", "gelu_pytorch_tanh": "gelu_tanh", "gelu": "gelu", "relu": "relu", "silu": "silu", "swish": "silu",
    "tanh": "tanh",
}  # fmt: skip


class Key(NamedTuple):
    """What a key of config.json is among our settings.

    Parameters
    ----------
    setting : str, or tuple of str
        Several of one key: ``values`` are then tuples; without, all have the key's value.
    default : any
        Where the key is missing: that of the published classes.
    values : dict, optional
        Ours of theirs: {"gelu_new": "gelu_tanh"}. Without, they are the same.
    otherwise : str or function (config) -> value
        What is written where our setting is None: the value of another one.
    """

    setting: str | tuple
    default: object = NEEDED
    values: dict | None = None
    otherwise: str | Callable = ""

    def read(self, name, value):
        """Return {our setting: value} of their value."""
        if self.values is not None:
            if not isinstance(value, str | bool | type(None)) or value not in self.values:
                raise ValueError(f"{name} is {value!r:.80}, expected one of {', '.join(map(str, self.values))}")
            value = self.values[value]
        if isinstance(self.setting, str):
            return {self.setting: value}
        return dict(zip(self.setting, value if self.values else [value] * len(self.setting), strict=True))

    def write(self, config):
        """Return their value of our config's settings."""
        if isinstance(self.setting, str):
            value = getattr(config, self.setting)
            if value is None and self.otherwise:
                value = self.otherwise(config) if callable(self.otherwise) else getattr(config, self.otherwise)
        else:
            value = tuple(getattr(config, name) for name in self.setting)
        if self.values is None:
            return value if isinstance(self.setting, str) else value[0]
        for theirs, ours in self.values.items():
            if ours == value:
                return theirs
        raise ValueError(f"{self.setting} is {value!r}, expected one of {', '.join(map(repr, self.values.values()))}")


def n_classes(published):
    """Return how many classes config.json names, or counts."""
    return len(published["id2label"]) if "id2label" in published else published.get("num_labels", 2)


def names_of_classes(task, kept):
    """Return what config.json says of a task's classes: nothing new, if it has names and they are as many."""
    if n_classes(kept) == task.asked.n_classes and "id2label" in kept:
        return {}
    names = {str(i): f"LABEL_{i}" for i in range(task.asked.n_classes)}
    return {"id2label": names, "label2id": {name: int(i) for i, name in names.items()}}
