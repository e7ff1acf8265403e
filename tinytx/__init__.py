"""tinytx: transformers whose every backward pass is written by hand, checked by machine, and fast.

Read a file of ``tinytx/ops`` first: each holds the derivation of one operation, its forward and its backward.
``tinytx/layers`` gives operations their parameters, ``tinytx/models`` wires layers as a paper does, and
``tinytx/training`` and ``tinytx/decoding`` are what is done with a model.

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

from tinytx import ops
from tinytx.core import Layer, Parameter, Tape, TapeError

__version__ = "0.1.0"
__all__ = ["Layer", "Parameter", "Tape", "TapeError", "ops", "__version__"]
