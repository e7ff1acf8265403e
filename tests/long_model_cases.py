"""The cases of models for long texts: part of `model_cases.MODEL_CASES`."""

import bert_cases
import numpy as np
from model_case import case

from tinytx.models import (
    LinearTransformer,
    LinearTransformerConfig,
    Linformer,
    LinformerConfig,
    Longformer,
    LongformerConfig,
    Reformer,
    ReformerConfig,
    SparseTransformer,
    SparseTransformerConfig,
    TransformerXL,
    TransformerXLConfig,
    XLNet,
    XLNetConfig,
)
from tinytx.tasks import HiddenWords, NextToken, PermutedWords


def sparse(dtype, **options):
    config = SparseTransformerConfig(11, max_len=9, d_model=6, n_heads=2, n_layers=2, d_ff=7, dropout=0.2, stride=3, **options)
    ids = np.random.default_rng(2).integers(0, 11, (4, 8))
    return case(NextToken, SparseTransformer, config, (ids[:, :-1], ids[:, 1:]), dtype)


def reformer(dtype, **options):
    """Seven words in chunks of three."""
    sizes = {"max_len": 9, "d_model": 6, "n_heads": 2, "n_layers": 2, "d_ff": 7, "chunk": 3, "n_buckets": 4, "n_rounds": 2}
    ids = np.random.default_rng(2).integers(0, 11, (4, 8))
    config = ReformerConfig(11, **sizes, dropout=0.2, attention_dropout=0.3, **options)
    return case(NextToken, Reformer, config, (ids[:, :-1], ids[:, 1:]), dtype)


def linear_transformer(dtype):
    config = LinearTransformerConfig(11, max_len=9, d_model=6, n_heads=2, n_layers=2, d_ff=7, dropout=0.2)
    ids = np.random.default_rng(2).integers(0, 11, (4, 8))
    return case(NextToken, LinearTransformer, config, (ids[:, :-1], ids[:, 1:]), dtype)


def linformer(dtype, **options):
    config = LinformerConfig(11, max_len=9, d_model=6, n_heads=2, n_layers=2, d_ff=7, dropout=0.2, pad_id=4, n_sums=3, **options)
    return case(HiddenWords, Linformer, config, bert_cases.batch_of(config), dtype, next_sentence=True)


def longformer(dtype, recompute=0):
    """Windows and distances of each block, the first word global, texts with padding."""
    sizes = {"max_len": 9, "d_model": 6, "n_heads": 2, "n_layers": 2, "d_ff": 7, "recompute": recompute}
    windows = {"windows": "2,4", "dilations": "2,1", "dilated_heads": 1, "global_words": "first"}
    config = LongformerConfig(11, **sizes, **windows, dropout=0.2, pad_id=4)
    ids, targets, *_ = bert_cases.batch_of(config)
    return case(HiddenWords, Longformer, config, (ids, targets), dtype)


def transformer_xl(dtype, **options):
    """A row is one segment: a memory has no gradient that differences could find."""
    small = {"segment": 7, "memory": 5, "d_model": 6, "n_heads": 2, "n_layers": 2, "d_ff": 7}
    config = TransformerXLConfig(11, **small, dropout=0.2, attention_dropout=0.2, **options)
    ids = np.random.default_rng(2).integers(0, 11, (4, 7))
    return case(NextToken, TransformerXL, config, (ids[:, :-1], ids[:, 1:]), dtype)


def xlnet(dtype, **options):
    """Two streams, words of three segments, orders of their own."""
    small = {"segment": 7, "d_model": 6, "n_heads": 2, "n_layers": 2, "d_ff": 7}
    config = XLNetConfig(11, **small, dropout=0.2, attention_dropout=0.2, **options)
    rng = np.random.default_rng(2)
    order = rng.permuted(np.tile(np.arange(7), (4, 1)), axis=1)
    batch = rng.integers(0, 11, (4, 7)), order, np.sort(rng.integers(0, 3, (4, 7)))
    return case(PermutedWords, XLNet, config, batch, dtype, one_in=2)


LONG_MODELS = {
    "linear_transformer": linear_transformer,
    "linformer": linformer,
    "linformer of two matrices for each head": lambda dtype: linformer(dtype, sharing="none"),
    "linformer of one matrix for all": lambda dtype: linformer(dtype, sharing="blocks", recompute=1),
    "longformer": longformer,
    "longformer recomputed": lambda dtype: longformer(dtype, 1),
    "reformer": reformer,
    "reformer of local blocks": lambda dtype: reformer(dtype, kinds="local,hashed", local_chunk=2, d_key=5),
    "sparse_transformer": sparse,
    "sparse_transformer fixed": lambda dtype: sparse(dtype, kind="fixed", n_ends=2),
    "transformer_xl": transformer_xl,
    "xlnet": xlnet,
    "xlnet untied": lambda dtype: xlnet(dtype, tied_head=False),
}
