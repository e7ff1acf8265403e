"""Attention weights of every layer and head of a model; `tinytx.viz.attention_picture` draws them.

A row of a map is a query, and a column is a key: P[t, s] is the weight that query t gives to the value at position s.
Each row adds up to 1. In cross-attention the keys are another text, so the map is an alignment of two texts.

A weight is not a measure of how much the output depends on the word at s. After the first layer, the vector at s also
contains information from other positions (Jain and Wallace 2019, arXiv:1902.10186).
"""

import re

from tinytx.core import Tape
from tinytx.tasks.task import Task


class _Watcher(Tape):
    """A tape that keeps only what a method of the layers that have it says of their inputs."""

    def __init__(self, model, method):
        super().__init__()
        self._paths = {id(layer): path for path, layer in model.named_layers()}
        self._method, self.said = method, {}

    def call(self, layer, inputs, settings):
        if hasattr(layer, self._method):
            path, n = self._paths[id(layer)], 1
            while path in self.said:  # a layer that is called several times
                n += 1
                path = f"{self._paths[id(layer)]}, call {n}"
            self.said[path] = getattr(layer, self._method)(*inputs, **settings)
        return super().call(layer, inputs, settings)

    def push(self, layer, saved):
        pass


def watched(model, method, *inputs, **settings):
    """Return {path of a layer: what its method says of what the layer is called with}, for every layer that has the method.

    The model runs forward once, without dropout. For the second call of a layer, ``, call 2`` follows the path.

    Parameters
    ----------
    model : Layer
        Called as ``model(*inputs, tape)``. If it is a task, its body is called.
    method : str
        ``attention_weights``, ``queries_and_keys``, ``expert_shares``, or another one that takes what the layer's forward
        takes, but for the tape.
    *inputs : arrays
    **settings
        The model's, such as ``segments``.

    Examples
    --------
    >>> from tinytx.models import Llama, LlamaConfig
    >>> config = LlamaConfig(vocab_size=9, d_model=8, n_heads=2, n_layers=1, n_experts=2)
    >>> [*watched(Llama(config, rng=np.random.default_rng(0)), "expert_shares", np.array([[1, 2, 3]]))]
    ['blocks.0.feed_forward.f']
    """
    model = model.body if isinstance(model, Task) else model
    watcher = _Watcher(model, method)
    model(*inputs, watcher, **settings)
    return watcher.said


def attention_maps(model, *inputs, **settings):
    """Return the attention weights of every layer and head of a model, for one batch.

    The model runs forward once, without dropout. No layer stores the weights in its forward, so each layer computes
    them here a second time, from its queries and keys (`tinytx.ops.attention`).

    Parameters
    ----------
    model : Layer
        Called as ``model(*inputs, tape)``. At least one of its layers has a method ``attention_weights``. If the model
        is a task, its body is called.
    *inputs : arrays
        Ids (B, T) for a GPT; source ids (B, S) and the decoder's input (B, T) for a Transformer.
    **settings
        The model's, such as ``segments``.

    Returns
    -------
    dict of str to array (B, H, T, S), the model's dtype
        The keys are the layers' paths, as `Layer.named_layers` gives them, in the order of the forward pass:
        ``decoder.blocks.0.cross_attention.f``. For the second call of a layer, ``, call 2`` follows the path.
        Each row adds up to 1. It is 0 if the mask hides all keys from its query.

    Raises
    ------
    ValueError
        If no layer has ``attention_weights``, or the model refuses its inputs.

    Examples
    --------
    >>> from tinytx.models import GPT, GPTConfig
    >>> model = GPT(GPTConfig(vocab_size=9, d_model=8, n_heads=2, n_layers=1), rng=np.random.default_rng(0))
    >>> {path: p.shape for path, p in attention_maps(model, np.array([[1, 2, 3]])).items()}
    {'blocks.0.attention.f': (1, 2, 3, 3)}
    """
    maps = watched(model, "attention_weights", *inputs, **settings)
    if not maps:
        name = type(model.body if isinstance(model, Task) else model).__name__
        raise ValueError(f"attention_maps: {name} called no layer that has attention_weights: nothing to show")
    return maps


def texts_of(place, paths, words, target_words=None):
    """Yield (path, kind, words that look, words that are looked at) for the path of each layer, as `attention_maps` has them.

    A kind is a path without numbers: layers of one kind are shown together.

    Parameters
    ----------
    place : str
        For the message.
    paths : iterable of str
    words : list of str
        What the model read; for an encoder-decoder, the source.
    target_words : list of str, optional
        What the decoder read. If they are given, a layer that is neither in an encoder nor in a decoder looks from them to
        ``words``.

    Raises
    ------
    ValueError
        If there are none, and a layer belongs to a decoder.
    """
    two_texts = target_words is not None or any(path.startswith("encoder") or "cross_attention" in path for path in paths)
    for path in paths:
        kind = re.sub(r"\.\d+(?=\.|$)|, call \d+$", "", path)
        read = keys = words
        if two_texts and not kind.startswith("encoder"):
            if target_words is None:
                raise ValueError(f"{place}: {path} belongs to a decoder: give target_words, which it read")
            read = target_words
            keys = target_words if kind.startswith("decoder") and "cross_attention" not in kind else words
        yield path, kind, read, keys


def title_of(kind):
    """Return the title of layers of a kind.

    >>> title_of("encoder.blocks.attention.f")
    'Encoder: attention to itself'
    """
    if "cross_attention" in kind:
        return "Cross-attention: from the decoder to the source"
    name = {"encoder": "Encoder", "decoder": "Decoder"}.get(kind.partition(".")[0])
    return f"{name}: attention to itself" if name else "Attention"
