"""The cases of attention: part of `layer_cases.LAYERS`."""

import numpy as np
from cases import LayerCase

from tinytx.core import Tape
from tinytx.layers import (
    Compress,
    Compressed,
    DotProduct,
    GlobalWindow,
    GlobalWindowAttention,
    HashedSelfAttention,
    LinearAttention,
    MultiHeadAttention,
    Relative,
    RelativeSegments,
    Rotary,
    SegmentMemory,
    Sparse,
    TwoStreams,
)
from tinytx.ops.attention_patterns import CAUSAL, FULL, Band


def attention(make, mask="", cross=False, scores=False, tape=Tape, core=None, **options):
    h, k = make.sizes(2)
    if options.pop("groups", False):
        h, options["n_kv_heads"] = 2 * h, h
    d = h * k
    b, t, s = make.sizes(3, but=(h, k, d))
    inputs = {"x": make.array(b, t, d)} | ({"memory": make.array(b, s, d)} if cross else {})
    s = s if cross else t
    inputs |= {"bias": make.array(b, h, t, s)} if scores else {}
    call = {"mask": make.mask(b, h, t, s)} if mask == "random" else {}
    if mask == "padding":
        call = {"mask": np.arange(s) < make.integers(0, s, (b, 1, 1, 1))}
    return LayerCase(
        make,
        lambda dtype: MultiHeadAttention(d, h, core=DotProduct(**core or {}), rng=np.random.default_rng(0), dtype=dtype, **options),
        inputs,
        tape=tape,
        **call,
    )


def rotary(make):
    b, t, h, k = make.sizes(4)
    layer = {"base": 3.0, "neighbours": make.choice(False, True), "scale": 1.3}
    return LayerCase(make, lambda dtype: Rotary(2 * k, **layer), {"x": make.array(b, t, h, 2 * k + 1)}, start=make.choice(0, 4))


def rotary_attention(make):
    return attention(make, groups=True, d_key=5, rotary=Rotary(4, base=2.0), core={"pattern": CAUSAL})


def dot_product(make, bias=False):
    b, h, t, s, k = make.sizes(5)
    inputs = {"q": make.array(b, h, t, k), "k": make.array(b, h, s, k), "v": make.array(b, h, s, k)}
    inputs |= {"bias": make.array(b, h, t, s)} if bias else {}
    return LayerCase(make, lambda dtype: DotProduct(pattern=Band(1, None), scale=0.7), inputs)


def relative(make, pattern=CAUSAL, seed=None, **options):
    """The core alone: two heads share the keys of a group, and some keys stand before the first query."""
    b, g, t, more, k, d = make.sizes(6)
    inputs = {"q": make.array(b, 2 * g, t, k), "k": make.array(b, g, t + more - 1, k), "v": make.array(b, g, t + more - 1, k + 1)}

    def build(dtype):
        return Relative(d, 2 * g, k, pattern=pattern, rng=np.random.default_rng(0), dtype=dtype, **options)

    return LayerCase(make, build, inputs, tape=lambda: Tape(seed=seed))


def relative_segments(make, streams=1):
    """Pairs of three kinds; with two streams twice the queries at as many places."""
    b, g, t, more, k, d = make.sizes(6)
    s = t + more - 1
    inputs = {"q": make.array(b, 2 * g, streams * t, k), "k": make.array(b, g, s, k), "v": make.array(b, g, s, k + 1)}

    def build(dtype):
        return RelativeSegments(d, 2 * g, k, n_kinds=3, pattern=FULL, rng=np.random.default_rng(0), dtype=dtype)

    return LayerCase(make, build, inputs, kinds=make.integers(0, 2, (b, streams * t, s)), streams=streams)


def two_streams(make, streams=2, apart=False):
    b, t, h, k = make.sizes(4)
    d = h * k

    def build(dtype):
        draw = {"rng": np.random.default_rng(0), "dtype": dtype}
        core = RelativeSegments(d, h, k, pattern=FULL, **draw)
        return TwoStreams(MultiHeadAttention(d, h, core=core, bias=False, **draw), 3)

    call = {"mask": make.mask(b, 1, streams * t, t), "segments": make.integers(0, 2, (b, t))}
    content = {"content": make.array(b, t, d)} if apart else {}
    return LayerCase(make, build, {"x": make.array(b, streams * t, d)} | content, streams=streams, **call)


def segment_memory(make):
    """Without a state: what the state holds is no input (tests/layers/test_segment_memory.py)."""
    b, t, h, k = make.sizes(4)
    d = h * k

    def build(dtype):
        draw = {"rng": np.random.default_rng(0), "dtype": dtype}
        return SegmentMemory(MultiHeadAttention(d, h, core=Relative(d, h, k, **draw), bias=False, **draw), 3)

    return LayerCase(make, build, {"x": make.array(b, t, d)})


def compress(make, heads=True):
    b, h, s, k, c = make.sizes(5)
    options = {"n_heads": h if heads else None, "rng": np.random.default_rng(0)}
    return LayerCase(make, lambda dtype: Compress(c, s + 2, dtype=dtype, **options), {"x": make.array(b, h, s, k)}, mask=make.mask(b, s))


def compressed(make, padding=False, both=False):
    """In a frame; padding of another length in each row; keys and values of one matrix or of two."""
    h, k, c = make.sizes(3)
    b, t = make.sizes(2, but=(h, k, c, h * k))

    def layer(dtype):
        draw = {"rng": np.random.default_rng(0), "dtype": dtype}
        keys = Compress(c, t + 1, **draw)
        core = Compressed(DotProduct(scale=0.7), keys, keys if both else Compress(c, t + 1, n_heads=h, **draw))
        return MultiHeadAttention(h * k, h, core=core, **draw)

    call = {"mask": np.arange(t) <= make.integers(0, t, (b, 1, 1, 1))} if padding else {}
    return LayerCase(make, layer, {"x": make.array(b, t, h * k)}, shares=both, **call)


def linear_attention(make, causal=True):
    b, h, t, k = make.sizes(4)
    inputs = {"q": make.array(b, h, t, k), "k": make.array(b, h, t + 2, k), "v": make.array(b, h, t + 2, k + 1)}
    return LayerCase(make, lambda dtype: LinearAttention(causal=causal), inputs)


def bare_compressed(make):
    b, h, t, s, k = make.sizes(5)

    def layer(dtype):
        keys, values = (Compress(3, s, rng=np.random.default_rng(n), dtype=dtype) for n in (0, 1))
        return Compressed(DotProduct(), keys, values)

    return LayerCase(make, layer, {"q": make.array(b, h, t, k), "k": make.array(b, h, s, k), "v": make.array(b, h, s, k)})


def sparse(make, kind, **options):
    b, h, k = make.sizes(3)
    t = make.integers(4, 9)
    inputs = {"q": make.array(b, h, t, k), "k": make.array(b, h, t, k), "v": make.array(b, h, t, k)}
    tape = (lambda: Tape(seed=5, step=2, first_row=3)) if "dropout" in options else Tape
    return LayerCase(make, lambda dtype: Sparse(kind, 3, scale=0.7, **options), inputs, tape=tape)


def sparse_decoding(make):
    """Fewer queries than keys."""
    b, h, k = make.sizes(3)
    inputs = {"q": make.array(b, h, 2, k), "k": make.array(b, h, 7, k), "v": make.array(b, h, 7, k)}
    return LayerCase(make, lambda dtype: Sparse("fixed", 3, n_ends=2), inputs)


class Chosen(Tape):
    """A tape on which buckets are drawn: a small step of a finite difference cannot change them."""

    def chosen(self, make):
        self.sites += 1
        return np.random.default_rng(self.sites).integers(0, 4, make().shape)


def hashed(make, **options):
    b, h, k, m = make.sizes(4)
    d, t = h * k, m * make.integers(2, 3)

    def build(dtype):
        draw = {"rng": np.random.default_rng(0), "dtype": dtype}
        return HashedSelfAttention(d, h, n_buckets=4, n_rounds=2, chunk=m, **options, **draw)

    return LayerCase(make, build, {"x": make.array(b, t, d)}, tape=lambda: Chosen(seed=3))


def global_window(make, **options):
    """The core alone; the first text has fewer global places than the second."""
    b, h, k = make.sizes(3)
    t, is_global = 7, np.zeros((b, 7), bool)
    is_global[0, 2] = is_global[1:, 1] = is_global[1:, 5] = True
    shapes = {"q": (t, k), "k": (t, k), "v": (t, k), "q_global": (2, k), "k_global": (t, k), "v_global": (t, k)}
    inputs = {name: make.array(b, h, *shape) for name, shape in shapes.items()}
    return LayerCase(make, lambda dtype: GlobalWindow(1, 2, scale=0.7, **options), inputs, batch=("q", "k", "v"), is_global=is_global)


def global_window_attention(make, padding=False, **options):
    """In its frame; the first text has no global place."""
    b, h, k = make.sizes(3)
    d, t, is_global = h * k, 7, np.zeros((b, 7), bool)
    is_global[1:, 1] = is_global[2:, 5] = True

    def build(dtype):
        return GlobalWindowAttention(d, h, core=GlobalWindow(2, 1, **options), rng=np.random.default_rng(0), dtype=dtype)

    call = {"mask": np.arange(t) <= make.integers(1, t - 1, (b, 1, 1, 1))} if padding else {}
    tape = (lambda: Tape(seed=5, step=2, first_row=3)) if "dropout" in options else Tape
    return LayerCase(make, build, {"x": make.array(b, t, d)}, tape=tape, is_global=is_global, **call)


def windows_alone(make):
    """No place is global: six of the eight arrays of the maps for them have no gradient."""
    case = global_window_attention(make)
    case.options["is_global"] = None
    return case


ATTENTION_LAYERS = {
    "GlobalWindow": global_window,
    "GlobalWindowAttention": global_window_attention,
    "GlobalWindowAttention padding, dilation": lambda make: global_window_attention(make, padding=True, dilation=2),
    "GlobalWindowAttention dropout": lambda make: global_window_attention(make, dropout=0.3),
    "GlobalWindowAttention without a global place": windows_alone,
    "HashedSelfAttention": hashed,
    "HashedSelfAttention both ways, dropout": lambda make: hashed(make, causal=False, d_key=3, dropout=0.3),
    "Relative": relative,
    "Relative both sides": lambda make: relative(make, FULL),
    "Relative window, dropout": lambda make: relative(make, Band(2, 1), seed=5, dropout=0.3),
    "RelativeSegments": relative_segments,
    "RelativeSegments two streams": lambda make: relative_segments(make, 2),
    "SegmentMemory": segment_memory,
    "TwoStreams": two_streams,
    "TwoStreams content alone": lambda make: two_streams(make, 1),
    "TwoStreams content apart": lambda make: two_streams(make, 1, apart=True),
    "LinearAttention": linear_attention,
    "LinearAttention of all": lambda make: linear_attention(make, causal=False),
    "Sparse strided": lambda make: sparse(make, "strided"),
    "Sparse fixed": lambda make: sparse(make, "fixed", n_ends=2),
    "Sparse dropout": lambda make: sparse(make, "fixed", dropout=0.3),
    "Sparse decoding": sparse_decoding,
    "Compress": compress,
    "Compress of one matrix": lambda make: compress(make, heads=False),
    "Compressed": bare_compressed,
    "MultiHeadAttention compressed": compressed,
    "MultiHeadAttention compressed, padding": lambda make: compressed(make, padding=True),
    "MultiHeadAttention compressed, one matrix for both": lambda make: compressed(make, both=True),
    "MultiHeadAttention": attention,
    "MultiHeadAttention without bias": lambda make: attention(make, bias=False),
    "MultiHeadAttention causal": lambda make: attention(make, core={"pattern": CAUSAL}),
    "MultiHeadAttention groups": lambda make: attention(make, groups=True, d_key=3, core={"scale": 0.4}),
    "MultiHeadAttention rotary": rotary_attention,
    "Rotary": rotary,
    "DotProduct": dot_product,
    "DotProduct with a bias": lambda make: dot_product(make, bias=True),
    "MultiHeadAttention masked": lambda make: attention(make, "random"),
    "MultiHeadAttention padding": lambda make: attention(make, "padding"),
    "MultiHeadAttention dropout": lambda make: attention(
        make, core={"pattern": CAUSAL, "dropout": 0.3}, tape=lambda: Tape(seed=5, step=2, first_row=3)
    ),
    "MultiHeadAttention cross": lambda make: attention(make, cross=True),
    "MultiHeadAttention cross, bias": lambda make: attention(make, cross=True, scores=True, core={"scale": 0.4}),
    "MultiHeadAttention cross, masked": lambda make: attention(make, "random", cross=True),
    "MultiHeadAttention cross, causal": lambda make: attention(make, cross=True, core={"pattern": CAUSAL}),
}
