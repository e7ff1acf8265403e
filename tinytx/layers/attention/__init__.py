"""Attention: projections and heads (`MultiHeadAttention`), and what happens between them, which is called a core.

A core is a layer of queries, keys and values of heads: ``core(q, k, v, tape, mask=mask)`` takes (B, H, T, K),
(B, G, S, K), (B, G, S, W) and returns (B, H, T, W); its backward returns (dq, dk, dv); its ``weights`` of the same
inputs returns where each query looks, (B, H, T, S).
"""

from tinytx.layers.attention.dot_product import DotProduct
from tinytx.layers.attention.multi_head import MultiHeadAttention

__all__ = ["DotProduct", "MultiHeadAttention"]
