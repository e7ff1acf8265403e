"""tinytx: transformers whose every backward pass is written by hand, checked by machine, and fast.

The order in which to read:

1. ``tinytx/ops/linear.py``: what dy and dx mean, and the one derivation that all others use; then ``softmax.py``,
   ``layer_norm.py``, ``cross_entropy.py`` and ``attention.py`` beside it. Each file holds the derivation of one
   operation, its forward and its backward; ``plain.py`` has them all in a few lines of plain NumPy.
2. ``tinytx/core.py``: Parameter, Tape and Layer, which put operations together.
3. ``tinytx/layers``: own the parameters and order the operations. ``tinytx/models``: one file for each paper.
4. ``tinytx/testing``: how a backward is checked. ``tinytx/training`` and ``tinytx/decoding``: what a model is used for.

``dy`` is short for ∂loss/∂y, the gradient of the loss with respect to y, wherever it occurs.

Shape letters, one meaning each in the whole package:

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
__all__ = ["Layer", "Parameter", "Tape", "TapeError", "ops", "__version__"]


def __getattr__(name):
    """Import what is asked for: to import everything takes a second, in which Ctrl-C would be a traceback."""
    if name in ("core", "ops"):
        return importlib.import_module(f"tinytx.{name}")
    if name in __all__:
        return getattr(importlib.import_module("tinytx.core"), name)
    raise AttributeError(f"module 'tinytx' has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *__all__})
