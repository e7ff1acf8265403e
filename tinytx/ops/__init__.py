"""Operations: pure functions, each with its derivation, its forward and its backward in one file.

Each forward returns ``(y, saved)``; each backward takes ``(dy, saved)`` and returns the gradients of the forward's
array arguments, in their order. Arguments are never written to.

``dy`` is short for the gradient of the loss with respect to y, ∂loss/∂y: an array of y's shape that says, entry by
entry, how fast the loss grows with y. In the same way backward returns dx = ∂loss/∂x.

Read ``linear.py`` first, then ``softmax.py``, ``layer_norm.py``, ``attention.py`` and ``cross_entropy.py``. Each page
derives its backward step by step and ends with numbers to follow by hand. ``plain.py`` has all operations once more in
plain NumPy, a few lines each.
"""

from tinytx.ops.activation_penalty import activation_penalty, activation_penalty_backward
from tinytx.ops.add_rows import add_rows, add_rows_backward
from tinytx.ops.additive_scores import additive_scores, additive_scores_backward
from tinytx.ops.addressing import address, address_backward
from tinytx.ops.affinities import affinities
from tinytx.ops.alibi import alibi
from tinytx.ops.attention import attention, attention_backward
from tinytx.ops.attention_weights import attention_weights
from tinytx.ops.batch_norm import batch_norm, batch_norm_backward
from tinytx.ops.binary_cross_entropy import binary_cross_entropy, binary_cross_entropy_backward
from tinytx.ops.compress import compress, compress_backward
from tinytx.ops.conv1d import conv1d, conv1d_backward
from tinytx.ops.cross_entropy import count_targets, cross_entropy, cross_entropy_backward
from tinytx.ops.displacement import displacement, displacement_backward
from tinytx.ops.distance_features import distance_features, distance_features_backward
from tinytx.ops.dropout import dropout, dropout_backward
from tinytx.ops.embedding import embedding, embedding_backward
from tinytx.ops.equivariant_linear import equivariant_linear, equivariant_linear_backward
from tinytx.ops.equivariant_norm import equivariant_norm, equivariant_norm_backward
from tinytx.ops.gate import gate, gate_backward
from tinytx.ops.gated_gelu import gated_gelu, gated_gelu_backward
from tinytx.ops.gelu import gelu, gelu_backward, gelu_tanh, gelu_tanh_backward
from tinytx.ops.gelu_linear import gelu_linear, gelu_linear_backward
from tinytx.ops.geometric_product import geometric_product, geometric_product_backward, join, join_backward
from tinytx.ops.global_window_attention import (
    global_window_attention,
    global_window_attention_backward,
    global_window_weights,
)
from tinytx.ops.glove_loss import glove_loss, glove_loss_backward
from tinytx.ops.gru import gru, gru_backward
from tinytx.ops.highway import highway, highway_backward
from tinytx.ops.kl_divergence import kl_divergence, kl_divergence_backward
from tinytx.ops.layer_norm import layer_norm, layer_norm_backward
from tinytx.ops.linear import linear, linear_backward
from tinytx.ops.linear_attention import linear_attention, linear_attention_backward, linear_attention_weights
from tinytx.ops.linear_cross_entropy import linear_cross_entropy, linear_cross_entropy_backward
from tinytx.ops.logistic_rows import logistic_rows, logistic_rows_backward
from tinytx.ops.lsh_attention import lsh_attention, lsh_attention_backward, lsh_buckets, lsh_weights
from tinytx.ops.lstm import lstm, lstm_backward
from tinytx.ops.maxout import maxout, maxout_backward
from tinytx.ops.memory import read_memory, read_memory_backward, write_memory, write_memory_backward
from tinytx.ops.merge import merge, merge_backward
from tinytx.ops.mlstm import mlstm, mlstm_backward
from tinytx.ops.original_gru import original_gru, original_gru_backward
from tinytx.ops.pair_sum import pair_sum, pair_sum_backward
from tinytx.ops.patches import patches, patches_backward
from tinytx.ops.pool import pool, pool_backward
from tinytx.ops.positions import add_positions, add_positions_backward, sinusoidal_grid, sinusoidal_positions
from tinytx.ops.prepend import prepend, prepend_backward
from tinytx.ops.product_scores import product_scores, product_scores_backward
from tinytx.ops.quantized_linear import quantize_rows, quantized_embedding, quantized_linear
from tinytx.ops.relative_scores import relative_scores, relative_scores_backward
from tinytx.ops.relu import relu, relu_backward
from tinytx.ops.rms_norm import rms_norm, rms_norm_backward
from tinytx.ops.rnn import rnn, rnn_backward
from tinytx.ops.rotate import rotary_frequencies, rotate, rotate_backward
from tinytx.ops.route import balance, balance_backward, by_expert, route, route_backward
from tinytx.ops.scalar_mix import scalar_mix, scalar_mix_backward
from tinytx.ops.scale import scale, scale_backward
from tinytx.ops.segment_scores import segment_scores, segment_scores_backward
from tinytx.ops.select_rows import select_rows, select_rows_backward
from tinytx.ops.silu import silu, silu_backward
from tinytx.ops.soft_cross_entropy import soft_cross_entropy, soft_cross_entropy_backward
from tinytx.ops.softmax import softmax, softmax_backward
from tinytx.ops.sparse_attention import sparse_attention, sparse_attention_backward
from tinytx.ops.squared_error import squared_error, squared_error_backward
from tinytx.ops.tanh import tanh, tanh_backward
from tinytx.ops.tsne import tsne, tsne_backward
from tinytx.ops.word_dropout import word_dropout, word_dropout_backward

__all__ = [
    "activation_penalty",
    "activation_penalty_backward",
    "add_positions",
    "add_positions_backward",
    "add_rows",
    "add_rows_backward",
    "additive_scores",
    "additive_scores_backward",
    "address",
    "address_backward",
    "affinities",
    "alibi",
    "attention",
    "attention_backward",
    "attention_weights",
    "balance",
    "balance_backward",
    "batch_norm",
    "batch_norm_backward",
    "binary_cross_entropy",
    "binary_cross_entropy_backward",
    "by_expert",
    "compress",
    "compress_backward",
    "conv1d",
    "conv1d_backward",
    "count_targets",
    "cross_entropy",
    "cross_entropy_backward",
    "displacement",
    "displacement_backward",
    "distance_features",
    "distance_features_backward",
    "dropout",
    "dropout_backward",
    "embedding",
    "embedding_backward",
    "equivariant_linear",
    "equivariant_linear_backward",
    "equivariant_norm",
    "equivariant_norm_backward",
    "gate",
    "gate_backward",
    "gated_gelu",
    "gated_gelu_backward",
    "gelu",
    "gelu_backward",
    "gelu_linear",
    "gelu_linear_backward",
    "gelu_tanh",
    "gelu_tanh_backward",
    "geometric_product",
    "geometric_product_backward",
    "global_window_attention",
    "global_window_attention_backward",
    "global_window_weights",
    "glove_loss",
    "glove_loss_backward",
    "gru",
    "gru_backward",
    "highway",
    "highway_backward",
    "join",
    "join_backward",
    "kl_divergence",
    "kl_divergence_backward",
    "layer_norm",
    "layer_norm_backward",
    "linear",
    "linear_attention",
    "linear_attention_backward",
    "linear_attention_weights",
    "linear_backward",
    "linear_cross_entropy",
    "linear_cross_entropy_backward",
    "logistic_rows",
    "logistic_rows_backward",
    "lsh_attention",
    "lsh_attention_backward",
    "lsh_buckets",
    "lsh_weights",
    "lstm",
    "lstm_backward",
    "maxout",
    "maxout_backward",
    "merge",
    "merge_backward",
    "mlstm",
    "mlstm_backward",
    "original_gru",
    "original_gru_backward",
    "pair_sum",
    "pair_sum_backward",
    "patches",
    "patches_backward",
    "pool",
    "pool_backward",
    "prepend",
    "prepend_backward",
    "product_scores",
    "product_scores_backward",
    "quantize_rows",
    "quantized_embedding",
    "quantized_linear",
    "read_memory",
    "read_memory_backward",
    "relative_scores",
    "relative_scores_backward",
    "relu",
    "relu_backward",
    "rms_norm",
    "rms_norm_backward",
    "rnn",
    "rnn_backward",
    "rotary_frequencies",
    "rotate",
    "rotate_backward",
    "route",
    "route_backward",
    "scalar_mix",
    "scalar_mix_backward",
    "scale",
    "scale_backward",
    "segment_scores",
    "segment_scores_backward",
    "select_rows",
    "select_rows_backward",
    "silu",
    "silu_backward",
    "sinusoidal_grid",
    "sinusoidal_positions",
    "soft_cross_entropy",
    "soft_cross_entropy_backward",
    "softmax",
    "softmax_backward",
    "sparse_attention",
    "sparse_attention_backward",
    "squared_error",
    "squared_error_backward",
    "tanh",
    "tanh_backward",
    "tsne",
    "tsne_backward",
    "word_dropout",
    "word_dropout_backward",
    "write_memory",
    "write_memory_backward",
]
