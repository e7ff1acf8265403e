"""Where a model looks: the attention weights of every layer and head; `tinytx.viz.attention_picture` draws them.

A row of a map is a query, a column a key: P[t, s] says how much of position s there is in what position t hears, and a
row adds up to 1. Where the keys are another text (cross-attention), the map is an alignment of the two.

What a weight does not say: how much the output depends on that word. After the first layer a position has already heard
others, and speaks for them too (Jain and Wallace 2019, arXiv:1902.10186).
"""

from tinytx.core import Tape
from tinytx.tasks.task import Task


class _Watcher(Tape):
    """A tape that keeps nothing but the weights of attention."""

    def __init__(self, model):
        super().__init__()
        self._paths = {id(layer): path for path, layer in model.named_layers()}
        self.maps = {}

    def call(self, layer, inputs, settings):
        if hasattr(layer, "attention_weights"):
            path, n = self._paths[id(layer)], 1
            while path in self.maps:  # a layer that is called several times
                n += 1
                path = f"{self._paths[id(layer)]}, call {n}"
            self.maps[path] = layer.attention_weights(*inputs, **settings)
        return super().call(layer, inputs, settings)

    def push(self, layer, saved):
        pass


def attention_maps(model, *inputs):
    """Return the attention weights of a model's every layer and head, for one batch.

    The model runs forward once, without dropout. No layer keeps the weights: they are made again from queries and keys
    (`tinytx.ops.attention`).

    Parameters
    ----------
    model : Layer
        Called as ``model(*inputs, tape)``: any with a layer in it that has ``attention_weights``. Of a task, the body.
    *inputs : arrays
        Ids (B, T) for a GPT; source ids (B, S) and the decoder's input (B, T) for a Transformer.

    Returns
    -------
    dict of str to array (B, H, T, S), the model's dtype
        By the layer's path, as `Layer.named_layers` gives it, in the order of the forward pass:
        ``decoder.blocks.0.cross_attention.f``. A layer that is called more than once has ``, call 2`` behind its path.
        Each row adds up to 1, or is 0 where a query may see nothing.

    Raises
    ------
    ValueError
        If no layer attends; or as the model.

    Examples
    --------
    >>> from tinytx.models import GPT, GPTConfig
    >>> model = GPT(GPTConfig(vocab_size=9, d_model=8, n_heads=2, n_layers=1), rng=np.random.default_rng(0))
    >>> {path: p.shape for path, p in attention_maps(model, np.array([[1, 2, 3]])).items()}
    {'blocks.0.attention.f': (1, 2, 3, 3)}
    """
    model = model.body if isinstance(model, Task) else model
    watcher = _Watcher(model)
    model(*inputs, watcher)
    if not watcher.maps:
        raise ValueError(f"attention_maps: {type(model).__name__} called no layer that has attention_weights: nothing to show")
    return watcher.maps
