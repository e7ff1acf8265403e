"""Attention: `MultiHeadAttention` makes the queries, keys and values of all heads, and a *core* computes from them.

`SingleHeadAttention` is the frame of recurrent encoder-decoders, for the same cores.
`SegmentMemory` is a frame around `MultiHeadAttention`, which remembers earlier parts of a text; `TwoStreams` is one
for two vectors at each position. `GlobalWindowAttention` is one whose core also takes what global places ask and see.
`Pointer` ends with the scores: they say which element is meant.

A core is a layer. ``core(q, k, v, tape, mask=mask)`` takes q (B, H, T, K), k (B, G, S, K) and v (B, G, S, W) and
returns (B, H, T, W): T queries in H heads attend to S keys in G heads, and G divides H. Its backward returns (dq, dk,
dv). Its method ``weights`` takes the same inputs and returns the attention weights (B, H, T, S), and ``compared`` the
queries and keys as it compares them (`Compared`): a frame's methods ``attention_weights`` and ``queries_and_keys`` ask it.
"""

from tinytx.layers.attention.additive import Additive
from tinytx.layers.attention.compressed import Compress, Compressed
from tinytx.layers.attention.dot_product import DotProduct
from tinytx.layers.attention.global_window import GlobalWindow, GlobalWindowAttention
from tinytx.layers.attention.hashed import HashedSelfAttention
from tinytx.layers.attention.linear_attention import LinearAttention
from tinytx.layers.attention.multi_head import MultiHeadAttention
from tinytx.layers.attention.pointer import Pointer
from tinytx.layers.attention.relative import Relative
from tinytx.layers.attention.relative_segments import RelativeSegments
from tinytx.layers.attention.segment_memory import SegmentMemory
from tinytx.layers.attention.single_head import SingleHeadAttention
from tinytx.layers.attention.sparse import Sparse
from tinytx.layers.attention.two_streams import TwoStreams

__all__ = [
    "Additive",
    "Compress",
    "Compressed",
    "DotProduct",
    "GlobalWindow",
    "GlobalWindowAttention",
    "HashedSelfAttention",
    "LinearAttention",
    "MultiHeadAttention",
    "Pointer",
    "Relative",
    "RelativeSegments",
    "SegmentMemory",
    "SingleHeadAttention",
    "Sparse",
    "TwoStreams",
]
