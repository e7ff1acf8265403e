"""tinytx: transformers whose every backward pass is written by hand, checked by machine, and fast.

Where to start reading:

1. ``tinytx/ops/linear.py``: what dy and dx mean, and the derivation that all others use. Then ``softmax.py``,
   ``layer_norm.py``, ``attention.py`` and ``cross_entropy.py`` there. Each file holds the derivation of one
   operation, its forward and its backward; ``plain.py`` has all of them in a few lines of plain NumPy each.
2. ``tinytx/core.py``: Parameter, Tape and Layer, which connect operations.
3. ``tinytx/layers``: layers own parameters and call operations in order. ``tinytx/models``: one file for each paper.
   ``tinytx/tasks``: what a model is trained for, with head and loss.
4. ``tinytx/testing``: how a backward is checked. ``tinytx/training`` and ``tinytx/decoding``: train a model and use it.

``dy`` is short for ∂loss/∂y, the gradient of the loss with respect to y, wherever it occurs.

Each letter of a shape has one meaning in the whole package:

====  =============================================
B     batch: sequences computed together
T     target positions (queries; what is predicted)
S     source positions (keys and values)
D     model width, ``d_model``
H     attention heads, ``n_heads``
K     width of one head, D / H
F     width inside the feed-forward layer, ``d_ff``
V     vocabulary size, ``vocab_size``
N     rows of a matrix: the leading axes flattened, B·T
====  =============================================
"""

import importlib

__version__ = "0.1.0"
__all__ = ["Layer", "Parameter", "Tape", "TapeError", "ops", "pipeline", "__version__"]


def __getattr__(name):
    """Import a name when it is first used: importing everything takes a second."""
    if name in ("core", "ops"):
        return importlib.import_module(f"tinytx.{name}")
    if name == "pipeline":
        return importlib.import_module("tinytx.pipelines").pipeline
    if name in __all__:
        return getattr(importlib.import_module("tinytx.core"), name)
    raise AttributeError(f"module 'tinytx' has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *__all__})
