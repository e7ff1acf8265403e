"""Layers: they own parameters and put operations in order; the arithmetic is in ``tinytx.ops``."""

from tinytx.layers.activation_penalty import ActivationPenalty
from tinytx.layers.attention import (
    Additive,
    Compress,
    Compressed,
    DotProduct,
    GlobalWindow,
    GlobalWindowAttention,
    HashedSelfAttention,
    LinearAttention,
    MultiHeadAttention,
    Pointer,
    Relative,
    RelativeSegments,
    SegmentMemory,
    SingleHeadAttention,
    Sparse,
    TwoStreams,
)
from tinytx.layers.batch_norm import BatchNorm
from tinytx.layers.block import Block, DecoderBlock, Residual
from tinytx.layers.character_words import CharacterWords
from tinytx.layers.checkpoint import Checkpoint
from tinytx.layers.convolution import Conv1d
from tinytx.layers.dropout import Dropout
from tinytx.layers.embedding import Embedding, GridPositions, LearnedPositions, SinusoidalPositions
from tinytx.layers.feed_forward import Activation, FeedForward
from tinytx.layers.gated_feed_forward import GatedFeedForward
from tinytx.layers.geometric import (
    Distances,
    EquivariantLinear,
    EquivariantNorm,
    GatedGELU,
    GeometricAttention,
    GeometricBlock,
    GeometricFeedForward,
    Orientation,
)
from tinytx.layers.highway import Highway
from tinytx.layers.layer_norm import LayerNorm
from tinytx.layers.linear import Linear, TiedLinear
from tinytx.layers.low_rank import LowRankLinear
from tinytx.layers.masks import causal_mask, padding_mask, permutation_masks
from tinytx.layers.maxout import Maxout
from tinytx.layers.memory import ExternalMemory
from tinytx.layers.mixture_of_experts import MixtureOfExperts
from tinytx.layers.pairs import Pairs
from tinytx.layers.patch_embedding import ClassToken, PatchEmbedding
from tinytx.layers.pool import Pool
from tinytx.layers.recurrent import GRU, LSTM, RNN, MultiplicativeLSTM, OriginalGRU
from tinytx.layers.recurrent_stack import Bidirectional, RecurrentStack
from tinytx.layers.relative_bias import Alibi, RelativePositionBias
from tinytx.layers.reversible import ReversibleStack
from tinytx.layers.rms_norm import RMSNorm
from tinytx.layers.rotary import Rotary
from tinytx.layers.scalar_mix import ScalarMix
from tinytx.layers.sequential import Scale, Sequential

__all__ = [
    "Activation",
    "ActivationPenalty",
    "Additive",
    "Alibi",
    "BatchNorm",
    "Bidirectional",
    "Block",
    "CharacterWords",
    "Checkpoint",
    "ClassToken",
    "Compress",
    "Compressed",
    "Conv1d",
    "DecoderBlock",
    "Distances",
    "DotProduct",
    "Dropout",
    "Embedding",
    "EquivariantLinear",
    "EquivariantNorm",
    "ExternalMemory",
    "FeedForward",
    "GRU",
    "GatedFeedForward",
    "GatedGELU",
    "GeometricAttention",
    "GeometricBlock",
    "GeometricFeedForward",
    "GlobalWindow",
    "GlobalWindowAttention",
    "GridPositions",
    "HashedSelfAttention",
    "Highway",
    "LSTM",
    "LayerNorm",
    "LearnedPositions",
    "Linear",
    "LinearAttention",
    "LowRankLinear",
    "Maxout",
    "MixtureOfExperts",
    "MultiHeadAttention",
    "MultiplicativeLSTM",
    "Orientation",
    "OriginalGRU",
    "Pairs",
    "PatchEmbedding",
    "Pointer",
    "Pool",
    "RMSNorm",
    "RNN",
    "RecurrentStack",
    "Relative",
    "RelativePositionBias",
    "RelativeSegments",
    "Residual",
    "ReversibleStack",
    "Rotary",
    "ScalarMix",
    "Scale",
    "SegmentMemory",
    "Sequential",
    "SingleHeadAttention",
    "SinusoidalPositions",
    "Sparse",
    "TiedLinear",
    "TwoStreams",
    "causal_mask",
    "padding_mask",
    "permutation_masks",
]
