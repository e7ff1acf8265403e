"""Whatever is handed to an operation, it computes or says what is wrong: place, value and remedy, and no odd exception."""

import inspect
import re
import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinytx import ops
from tinytx.ops.attention_patterns import CAUSAL

X, W = np.linspace(-1, 1, 6).reshape(2, 3), np.linspace(-1, 2, 12).reshape(3, 4)
Q = np.linspace(-1, 1, 24).reshape(2, 2, 2, 3)
P = (1 - np.eye(3)) / 6
M = np.linspace(-1, 1, 32).reshape(2, 16)  # two multivectors

# name -> what it is called with; every argument that is not given has its default
CALLS = {
    "linear": dict(x=X, weight=W, bias=W[0], onto=W[:2]),
    "quantize_rows": dict(weight=W, out=np.zeros((3, 4), np.int8)),
    "quantized_linear": dict(x=X, weight=np.ones((4, 3), np.int8), steps=W[0], bias=W[0]),
    "quantized_embedding": dict(ids=[[0, 2]], weight=np.ones((4, 3), np.int8), steps=W[0]),
    "layer_norm": dict(x=X, weight=W[:, 0], bias=W[:, 1], eps=1e-5),
    "rms_norm": dict(x=X, weight=W[:, 0], eps=1e-5),
    "batch_norm": dict(x=X, weight=W[:, 0], bias=W[:, 1], mean=W[:, 2], variance=np.ones(3), mask=np.ones(2, bool), eps=1e-5),
    "gate": dict(a=X, b=X, activation="relu"),
    "highway": dict(x=X, h=X, gate=X),
    "softmax": dict(x=X, mask=X > 0),
    "gelu": dict(x=X), "gelu_tanh": dict(x=X),
    "gelu_linear": dict(x=X, weight=W, bias=W[0], activation="gelu", onto=W[:2]),
    "relu": dict(x=X), "silu": dict(x=X), "tanh": dict(x=X),
    "rotate": dict(x=Q, frequencies=np.ones(1), start=2, neighbours=True, scale=0.5),
    "rotary_frequencies": dict(width=4, base=100.0, scaling=("llama3", 8, 1, 4, 8192)),
    "scale": dict(x=X, factor=0.5),
    "dropout": dict(x=X, p=0.5, key=3, first_row=2, repeat=2),
    "word_dropout": dict(x=X, ids=[0, 2], p=0.5, key=3),
    "activation_penalty": dict(raw=Q[0], dropped=Q[0], alpha=0.5, beta=0.5),
    "embedding": dict(ids=[[0, 2]], weight=W),
    "select_rows": dict(x=X, rows=[1, 0, 1]),
    "maxout": dict(x=W),
    "pool": dict(x=Q[0], kinds=("max", "mean"), mask=np.ones((2, 2), bool)),
    "prepend": dict(x=Q[0], weight=X),
    "route": dict(logits=X, n_chosen=2, renormalise=True),
    "balance": dict(logits=Q[0], experts=[[[0], [1]], [[2], [2]]]),
    "by_expert": dict(experts=[[0, 1]], n_experts=3),
    "add_rows": dict(x=X, weights=X, slots=[4, 0]),
    "patches": dict(images=Q, size=1),
    "compress": dict(x=Q, weight=Q[0], mask=np.ones((2, 2), bool)),
    "pair_sum": dict(a=Q[0], b=Q[0]),
    "scalar_mix": dict(layers=X, scores=W[0, :2], gamma=W[0, :1]),
    "conv1d": dict(x=Q[0], weight=W[None], bias=W[0], left=0, right=0, step=1, distance=1),
    "sinusoidal_grid": dict(n_rows=2, n_columns=3, d_model=8, dtype=np.float32),
    "add_positions": dict(x=Q[0], table=W.reshape(4, 3), start=1),
    "sinusoidal_positions": dict(max_len=4, d_model=3, dtype=np.float32, doubled=False, halves=False, first=-1),
    "attention": dict(
        q=Q, k=Q, v=Q, bias=Q[:, :, :, :2], mask=np.ones((2, 1, 1, 2), bool), pattern=CAUSAL, scale=0.5,
        dropout=0.1, key=2, first_row=1, log_sum_exp=True,
    ),  # fmt: skip
    "linear_attention": dict(q=Q, k=Q, v=Q, causal=True),
    "sparse_attention": dict(q=Q, k=Q, v=Q, kind="fixed", stride=2, n_ends=1, scale=0.5, dropout=0.1, key=2, first_row=1),
    "global_window_attention": dict(
        q=Q, k=Q, v=Q, q_global=Q[:, :, :1], k_global=Q, v_global=Q, is_global=np.eye(2, dtype=bool), left=1, right=0, dilation=2,
        mask=np.ones((2, 1, 1, 2), bool), scale=0.5, dropout=0.1, key=2, first_row=1,
    ),
    "lsh_buckets": dict(x=Q, rotations=np.ones((2, 3, 1, 2))),
    "lsh_attention": dict(
        q=Q, k=Q, v=Q, buckets=np.zeros((2, 2, 1, 2), int), chunk=1, causal=True, scale=0.5, dropout=0.1, key=2, first_row=1
    ),
    "rnn": dict(x=Q[0], weight_x=W, weight_h=np.eye(4), bias=W[0], h=np.eye(2, 4), mask=np.ones((2, 1), bool), reverse=True),
    "gru": dict(
        x=Q[0], weight_x=W[:, :3], weight_h=X[:1], bias_x=X[0], bias_h=X[1], h=X[:, :1], mask=np.ones((2, 1), bool), reverse=True
    ),  # fmt: skip
    "original_gru": dict(
        x=Q[0], weight_x=W[:, :3], weight_h=X[:1], bias=X[0], h=X[:, :1], mask=np.ones((2, 1), bool), reverse=True
    ),
    "mlstm": dict(
        x=Q[0], weight_x=np.ones((3, 5)), weight_h=np.ones((1, 5)), bias=W[0], h=X[:, :1], c=X[:, 1:2],
        mask=np.ones((2, 1), bool), reverse=True,
    ),  # fmt: skip
    "lstm": dict(
        x=Q[0], weight_x=W, weight_h=W[:1], bias=W[0], h=X[:, :1], c=X[:, 1:2], mask=np.ones((2, 1), bool), reverse=True
    ),
    "product_scores": dict(q=Q, k=Q, scale=0.5),
    "relative_scores": dict(q=Q, r=Q[0], ahead=1, scale=0.5),
    "segment_scores": dict(q=Q, u=Q[0], kinds=[[[0, 1], [1, 0]]], scale=0.5),
    "additive_scores": dict(q=Q, k=Q, weight=X, mask=np.ones((2, 1, 1, 2), bool)),
    "address": dict(
        k=np.ones((2, 1, 3)), strength=X[:, :1], gate=X[:, :1], shift=X[:, None], sharpness=X[:, :1], before=np.ones((2, 1, 2)), memory=Q[0]
    ),
    "read_memory": dict(w=np.ones((2, 1, 2)), memory=Q[0]),
    "write_memory": dict(memory=Q[0], w=X[:, :2], erase=X, add=X),
    "merge": dict(ys=Q, lses=Q[..., 0]),
    "geometric_product": dict(x=M, y=M),
    "join": dict(x=M, y=M, reference=X[:, 0]),
    "equivariant_linear": dict(x=M, weight=np.ones((9, 1, 2)), bias=X[0, :2]),
    "equivariant_norm": dict(x=M, eps=0.1),
    "gated_gelu": dict(x=M),
    "distance_features": dict(x=M, of_keys=True, eps=0.1),
    "displacement": dict(x=M, origin=X),
    "squared_error": dict(y=X, targets=X, count=3),
    "cross_entropy": dict(logits=X, targets=[0, 2], ignore_index=-1, label_smoothing=0.1, count=3),
    "binary_cross_entropy": dict(logits=X, targets=[[0, 1, -1], [1, 1, 0]], ignore_index=-1, count=3),
    "linear_cross_entropy": dict(
        x=X, weight=W, targets=[0, 3], ignore_index=-1, label_smoothing=0.1, count=3, chunk=5
    ),
    "soft_cross_entropy": dict(scores=X, distribution=np.eye(2, 3), mask=np.ones((1, 3), bool), count=3),
    "kl_divergence": dict(logits=X, targets=[0, 2], pad_id=1, label_smoothing=0.1, count=3),
    "logistic_rows": dict(h=X, table=W[:, :3], rows=[[0, 2], [1, -1]], labels=[[1, 0], [0, 0]], count=3),
    "glove_loss": dict(
        w=X, c=X, bias_w=X[:, 0], bias_c=X[:, 0], words=[0, 1, 1], contexts=[1, 1, 0], x=np.array([0.5, 1, 2]), x_max=1.0, alpha=0.75, count=3
    ),
    "count_targets": dict(targets=[0, 2], ignore_index=-1),
    "affinities": dict(x=W, perplexity=1.0),
    "alibi": dict(queries=[3], keys=[0, 1, 2, 3], n_heads=3, dtype=np.float32),
    "tsne": dict(y=W[:, :2], p=P, exaggeration=1.0),
}
CALLS["affinities"]["x"] = np.linspace(-1, 2, 12).reshape(6, 2) ** 3

FLOATS = {
    "a list": [[1.0, 2.0]],
    "None": None,
    "a number": 1.0,
    "a text": "x",
    "integers": np.ones((2, 3), int),
    "float16": np.ones((2, 3), np.float16),
    "another byte order": X.astype(X.dtype.newbyteorder()),
    "complex": np.ones((2, 3), complex),
    "objects": np.ones((2, 3), object),
    "texts": np.full((2, 3), "1"),
    "dates": np.zeros((2, 3), "M8[s]"),
    "records": np.zeros((2, 3), [("a", float)]),
    "a dict": {},
    "a masked array": np.ma.zeros((2, 3)),
}
IDS = {
    "floats": [0.0, 1.0],
    "None": None,
    "a text": "01",
    "texts": ["0", "1"],
    "booleans": [True, False],
    "objects": np.array([0, None]),
    "dates": np.zeros(2, "M8[s]"),
    "rows of different lengths": [[0], [1, 2]],
    "NaN": np.full(2, np.nan),
    "too large for any dtype": [2**70, 0],
    "a masked array": np.ma.zeros(2, int),
    "a dict": {},
}
NUMBERS = {"an array": np.ones(2), "a list": [0.5], "a text": "0.5", "complex": 1j, "a boolean": True, "a dict": {}}
WHOLE = {"a fraction": 1.5, "NaN": np.nan, "a float": 1.0} | NUMBERS
MASKS = {"numbers": np.ones((2, 3)), "a text": "x", "rows of different lengths": [[True], [True, False]]}

FLOAT_NAMES = ("x", "a", "b", "weight", "bias", "table", "q", "k", "v", "h", "c", "weight_x", "weight_h", "bias_x", "bias_h", "ys", "lses", "logits", "y", "p", "images", "weights")
FLOAT_NAMES += ("r", "u", "mean", "variance", "strength", "gate", "shift", "sharpness", "before", "memory", "w", "erase", "add", "layers", "scores", "gamma", "distribution")
KINDS = dict.fromkeys((*FLOAT_NAMES, "reference", "origin", "raw", "dropped"), FLOATS)
KINDS |= dict.fromkeys(("ids", "rows", "targets", "slots", "experts", "labels"), IDS)
KINDS |= dict.fromkeys(("eps", "factor", "scale", "dropout", "label_smoothing", "perplexity", "exaggeration", "alpha", "beta"), NUMBERS)
KINDS |= dict.fromkeys(("first_row", "repeat", "start", "max_len", "n_rows", "n_columns", "size", "n_experts", "n_chosen", "d_model", "ignore_index", "pad_id", "chunk", "left", "right", "step", "distance"), WHOLE)
KINDS |= {"mask": MASKS, "key": WHOLE, "count": WHOLE, "doubled": NUMBERS | {"0": 0, "None": None}, "pattern": NUMBERS}
KINDS["doubled"] = {kind: value for kind, value in KINDS["doubled"].items() if kind != "a boolean"}
KINDS["dtype"] = {"None": None, "int": int, "float16": np.float16, "a text": "x", "a number": 3, "swapped": ">f4"}
KINDS["of_keys"] = KINDS["log_sum_exp"] = KINDS["halves"] = KINDS["reverse"] = KINDS["renormalise"] = KINDS["doubled"]
KINDS |= {"words": IDS, "contexts": IDS, "x_max": NUMBERS, "alpha": NUMBERS, "bias_w": FLOATS, "bias_c": FLOATS}
KINDS["kinds"] = NUMBERS | {"none": (), "another": ("mean", "median"), "a name": "mean", "None": None}
KINDS |= {"neighbours": KINDS["doubled"], "activation": NUMBERS, "width": WHOLE, "ahead": WHOLE, "first": WHOLE, "base": NUMBERS, "scaling": NUMBERS}
KINDS |= {"queries": IDS, "keys": IDS, "n_heads": WHOLE, "steps": FLOATS, "out": FLOATS | {"None": np.ones(3)}}
KINDS |= {"is_global": MASKS | {"None": None}, "dilation": WHOLE, **dict.fromkeys(("q_global", "k_global", "v_global"), FLOATS)}
KINDS |= {"rotations": FLOATS, "onto": FLOATS, "buckets": IDS, "causal": KINDS["doubled"], "frequencies": FLOATS, "kind": NUMBERS | {"None": None}, "stride": WHOLE, "n_ends": WHOLE}

ODD = [
    pytest.param(op, name, value, id=f"{op}, {name}: {kind}")
    for op, arguments in CALLS.items()
    for name in arguments
    for kind, value in (NUMBERS if name == "p" and op.endswith("dropout") else KINDS[name]).items()
    if not (name in ("bias", "h", "c", "onto") and value is None)
]

RANGES = [
    ("layer_norm", "eps", (-1e-9, np.nan, np.inf, 1e300)),
    ("rms_norm", "eps", (-1e-9, np.nan, np.inf, 1e300)),
    ("batch_norm", "eps", (-1e-9, np.nan, np.inf, 1e300)),
    ("batch_norm", "variance", (-np.ones(3), np.full(3, np.nan), W[0], None)),
    ("batch_norm", "mean", (W[0], None)),
    ("equivariant_norm", "eps", (-1e-9, np.nan, np.inf, 1e300)),
    ("distance_features", "eps", (-1e-9, np.nan, np.inf, 1e300)),
    ("geometric_product", "x", (M[:, :15], M[:1])),
    ("join", "reference", (X, X[0])),
    ("squared_error", "count", (0, -1)),
    *((op, "onto", (X, W, W[0], W[:1])) for op in ("linear", "gelu_linear")),
    ("maxout", "x", (X, np.float64(1.0))),
    ("gate", "activation", ("swish", "", None, 3)),
    ("rotate", "start", (2**70,)),
    ("rotate", "frequencies", (np.ones(2), np.ones((1, 1)))),
    ("quantize_rows", "weight", (np.full((3, 4), np.nan), np.full((3, 4), np.inf), W[0])),
    ("quantized_linear", "steps", (W[0, :3], X)),
    ("rotary_frequencies", "width", (3, -2, 2**70)),
    ("rotary_frequencies", "base", (0.5, 0, -1, np.nan, np.inf)),
    ("rotate", "scale", (0, -1.0, np.nan, np.inf)),
    ("rotary_frequencies", "scaling", (
        ("llama3", 8, 4, 1, 8192), ("yarn", 0.5, 1, 4, 8192), ("yarn", 8, 1, 4), ("llama3", 8, 1, 4, 0), ("yarn", 8, 1, 4, np.nan),
        ("linear", 0.5), ("linear", 2, 1, 4, 8), ("ntk", 2), (8, 1, 4, 8192), (),
    )),
    ("alibi", "queries", ([[0]], 0)),
    ("alibi", "n_heads", (0, -1, 2**70)),
    ("scale", "factor", (np.nan, np.inf, -np.inf, 10**400)),
    ("dropout", "p", (-0.1, 1, 1.5, np.nan, 10**400)),
    ("dropout", "key", (-1, 2**64)),
    ("word_dropout", "p", (-0.1, 1, np.nan)),
    ("word_dropout", "key", (-1, 2**64)),
    ("word_dropout", "ids", ([0], [0, -1], 0)),
    ("activation_penalty", "alpha", (-0.1, np.nan, np.inf)),
    ("activation_penalty", "beta", (-0.1, np.nan, np.inf)),
    ("dropout", "first_row", (-1, 2**63)),
    ("dropout", "repeat", (0, 2**63)),
    ("attention", "dropout", (-0.1, 1, np.nan)),
    ("attention", "scale", (0, -1, np.nan, np.inf, 1e-300)),
    ("attention", "key", (-1, 2**64)),
    ("attention", "first_row", (-1, 2**63)),
    ("lsh_buckets", "rotations", (np.ones((2, 3, 1, 0)), np.ones((1, 3, 1, 2)), np.ones((2, 3, 2)))),
    ("lsh_attention", "buckets", (np.zeros((2, 2, 2), int), np.zeros((2, 2, 0, 2), int), np.zeros((2, 2, 1, 3), int))),
    ("lsh_attention", "chunk", (0, 3)),
    ("lsh_attention", "k", (Q[:, :1], Q[:, :, :1])),
    ("linear_attention", "k", (Q[:, :1], Q[:, :, :1])),
    ("linear_attention", "v", (Q[:1], Q[:, :, :1])),
    ("global_window_attention", "is_global", (np.ones((2, 2), bool), np.ones((2, 1), bool), np.ones(2, bool))),
    ("global_window_attention", "left", (-1, 2**70)),
    ("global_window_attention", "right", (-1,)),
    ("global_window_attention", "dilation", (0, -1, 2**70, [1], [1, 0], (1, 2, 3))),
    ("global_window_attention", "mask", (np.ones((2, 2), bool), np.ones((2, 1, 2, 2), bool), np.ones((2, 1, 1, 1), bool))),
    ("global_window_attention", "q_global", (np.ones((2, 2, 3, 3)), Q[:, :, :0], Q[:, :1, :1], Q[:1, :, :1])),
    ("global_window_attention", "k_global", (Q[:, :, :1], Q[:, :1])),
    ("global_window_attention", "v_global", (Q[:, :, :1], Q[:1])),
    ("global_window_attention", "k", (Q[:, :, :1], Q[:, :1])),
    ("sparse_attention", "kind", ("full", "")),
    ("sparse_attention", "stride", (0, -1, 2**70)),
    ("sparse_attention", "n_ends", (0, 3)),
    ("sparse_attention", "k", (Q[:, :, :1], Q[:, :1, :1])),
    ("add_positions", "start", (-1, 4, 2**80)),
    ("sinusoidal_positions", "max_len", (-1, 2**63)),
    ("sinusoidal_positions", "d_model", (-1,)),
    ("sinusoidal_positions", "first", (-(2**31) - 1, 2**63)),
    ("sinusoidal_grid", "d_model", (-4, 4, 10)),
    ("sinusoidal_grid", "n_rows", (-1, 2**63)),
    ("patches", "size", (0, -1, 3, 2**70)),
    ("compress", "weight", (X[:, :1], Q, np.ones((3, 2, 2)), X[0])),
    ("conv1d", "left", (-1, 1, 2**70)),
    ("conv1d", "right", (-1, 1)),
    ("conv1d", "step", (0, -1)),
    ("conv1d", "distance", (0, -1)),
    ("route", "n_chosen", (0, -1, 4, 2**70)),
    ("balance", "experts", ([[[3], [0]], [[0], [0]]], [[[0]], [[0]]], [[0, 0], [0, 0]])),
    ("by_expert", "experts", ([[3]], [[-1]], 0)),
    ("by_expert", "n_experts", (0, -1)),
    ("add_rows", "slots", ([6, 0], [-1, 0], [0], [[0, 0]])),
    ("cross_entropy", "ignore_index", (2**63, -(2**63) - 1)),
    ("cross_entropy", "label_smoothing", (-0.1, 1, np.nan)),
    ("cross_entropy", "count", (-1,)),
    ("cross_entropy", "targets", ([0, 3], [-2, 0], np.array([0, 2**64 - 1], np.uint64), 0, [[0, 1]])),
    ("linear_cross_entropy", "ignore_index", (2**63,)),
    ("linear_cross_entropy", "label_smoothing", (1,)),
    ("linear_cross_entropy", "count", (-1,)),
    ("linear_cross_entropy", "chunk", (0, -1)),
    ("linear_cross_entropy", "targets", ([0, 4], [0, 1, 2])),
    ("binary_cross_entropy", "ignore_index", (2**63,)),
    ("binary_cross_entropy", "count", (-1,)),
    ("binary_cross_entropy", "targets", ([[0, 2, 0]] * 2, [[0, -2, 0]] * 2, [0, 1, 1], 0)),
    ("segment_scores", "scale", (0, -1, np.nan, np.inf)),
    ("segment_scores", "u", (np.ones((2, 2, 2)), np.ones((1, 2, 3)))),
    ("segment_scores", "kinds", ([[[0, 2], [1, 0]]], [[[0, -1], [1, 0]]], [[0, 1], [1, 0]], [[[0, 1]]], np.zeros((3, 2, 2), int))),
    ("relative_scores", "scale", (0, -1, np.nan, np.inf)),
    ("relative_scores", "ahead", (-1, 3, 2**63)),
    ("relative_scores", "r", (np.ones((2, 2, 2)), np.ones((1, 2, 3)))),
    ("product_scores", "scale", (0, -1, np.nan, np.inf)),
    ("product_scores", "k", (np.ones((2, 1, 2, 2)), np.ones((2, 2, 3)))),
    ("address", "shift", (np.ones((2, 1, 2)), np.ones((2, 3)), np.ones((2, 2, 3)))),
    ("address", "memory", (np.ones((2, 0, 3)), np.ones((2, 2, 2)))),
    ("address", "before", (np.ones((2, 1, 3)),)),
    ("soft_cross_entropy", "distribution", (-np.eye(2, 3), np.inf * np.ones((2, 3)), np.full((2, 3), np.nan), np.ones((3, 2)))),
    ("soft_cross_entropy", "mask", (np.zeros((2, 3), bool), np.ones((3, 2), bool))),
    ("soft_cross_entropy", "count", (-1,)),
    ("kl_divergence", "pad_id", (-1, 3, 2**63)),
    ("kl_divergence", "label_smoothing", (-0.1, 1)),
    ("kl_divergence", "count", (-1,)),
    ("kl_divergence", "targets", ([0, 3], [-1, 0], 0)),
    ("logistic_rows", "rows", ([[3, 0], [0, 0]], [[0, 0], [-2, 0]], [[0, 0]], [0, 1], 0)),
    ("logistic_rows", "labels", ([[2, 0], [0, 0]], [[0, 0], [-1, 0]], [[0, 0]], [0, 1], 0)),
    ("logistic_rows", "count", (0, -1)),
    ("glove_loss", "c", (np.ones((2, 2)),)),
    ("glove_loss", "words", ([2, 0, 0], [-1, 0, 0], [0, 0], [[0, 0, 0]])),
    ("glove_loss", "contexts", ([2, 0, 0], [-1, 0, 0], [0, 0])),
    ("glove_loss", "x", (np.array([0.0, 1, 1]), np.array([1, -1.0, 1]), np.array([1, 1, np.nan]), np.array([1, 1, np.inf]))),
    ("glove_loss", "x_max", (0, -1, np.nan, np.inf)),
    ("glove_loss", "alpha", (0, -1, np.nan, np.inf)),
    ("glove_loss", "count", (0, -1)),
    ("count_targets", "ignore_index", (2**63,)),
    ("embedding", "ids", ([3], [-1], np.array([2**63], np.uint64))),
    ("select_rows", "rows", ([2], [[0]], 0)),
    ("affinities", "perplexity", (0.5, 5, np.nan, np.inf)),
    ("tsne", "exaggeration", (0, -1, np.nan, np.inf)),
]


def test_every_operation_is_here():
    """An operation that this file does not know cannot be forgotten."""
    forwards = {name for name in ops.__all__ if not name.endswith("_backward")} - {"attention_weights", "global_window_weights", "linear_attention_weights", "lsh_weights"}
    assert CALLS.keys() == forwards
    for name, arguments in CALLS.items():
        known = inspect.signature(getattr(ops, name)).parameters.keys() - {"parts", "run"}
        assert arguments.keys() == known, f"{name}: arguments {known - arguments.keys()} are not tried"
        getattr(ops, name)(**arguments)


@pytest.mark.parametrize(("op", "name", "value"), ODD)
def test_an_argument_of_another_kind_is_named(op, name, value):
    """Catches AttributeError, IndexError, OverflowError and Numba's TypingError."""
    with pytest.raises((TypeError, ValueError), match=rf"{op}: .*{'id' if name == 'ids' else name}.*\b(is|are|have|has)\b"):
        getattr(ops, op)(**CALLS[op] | {name: value})


@pytest.mark.parametrize(("op", "name", "values"), RANGES, ids=[f"{op}, {name}" for op, name, _ in RANGES])
def test_an_argument_out_of_range_is_named(op, name, values):
    for value in values:
        with pytest.raises(ValueError, match=rf"{op}: .*({name.rstrip('s')}|position)"):
            getattr(ops, op)(**CALLS[op] | {name: value})


FUZZ = st.sampled_from(
    [None, 0, -1, 2**64, 0.5, np.nan, 1e300, True, "x", b"x", [], [1], [[1, 2], [3]], {}, (), 1j, object()]
    + [np.zeros(shape, dtype) for shape in ((), (0,), (2, 0), (2, 3), (1, 2, 3, 4)) for dtype in "fdiO?"]
    + [np.float32(1), np.int64(1), np.array("x"), np.zeros(2, "M8[s]"), np.zeros((2, 3)).T, np.ma.zeros((2, 3))]
)


@pytest.mark.parametrize("op", CALLS)
@given(data=st.data())
def test_anything_else_is_computed_or_refused_by_name(op, data):
    """Several arguments at a time: no exception but TypeError and ValueError, and each begins with the place."""
    names = data.draw(st.sets(st.sampled_from(sorted(CALLS[op])), min_size=1, max_size=3))
    odd = {name: data.draw(FUZZ, name) for name in names}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # NumPy's word on a number that overflows
            getattr(ops, op)(**CALLS[op] | odd)
    except (TypeError, ValueError, FloatingPointError) as error:
        assert re.match(rf"{op}: .", str(error)), f"{type(error).__name__}: {error}"
        assert len(str(error)) < 400
