"""The table of operations: name -> function (Maker) -> OpCase. A new operation is tested by a new line here."""

import numpy as np
from cases import OpCase, features
from geometric_op_cases import cases as geometric_cases
from linear_op_cases import cases as linear_cases
from loss_op_cases import CASES as LOSS_CASES
from recurrent_op_cases import cases as recurrent_cases

from tinytx import ops
from tinytx.ops.attention_patterns import CAUSAL, Band, Prefix, Strided


def layer_norm(make):
    b, t, d = make.sizes(3)
    d = features(d)
    arrays = {"x": make.array(b, t, d), "weight": make.array(d), "bias": make.array(d)}
    return OpCase(ops.layer_norm, ops.layer_norm_backward, arrays, batch=("x",), eps=make.choice(0.1, 1e-2, 1e-5))


def rms_norm(make):
    b, t, d = make.sizes(3)
    arrays = {"x": make.array(b, t, d), "weight": make.array(d)}
    return OpCase(ops.rms_norm, ops.rms_norm_backward, arrays, batch=("x",), eps=make.choice(0.1, 1e-2, 1e-5))


def gate(make, activation, reach=0.25):
    shape = make.sizes(3)
    arrays = {"a": make.array(*shape, scale=2.0), "b": make.array(*shape)}
    return OpCase(ops.gate, ops.gate_backward, arrays, batch=("a", "b"), reach=reach, activation=activation)


def rotate(make, neighbours):
    b, t, h, n = make.sizes(4)
    x, frequencies = make.array(b, t, h, 2 * n + make.integers(0, 2)), np.geomspace(1.5, 0.01, n)
    options = {"start": make.choice(0, 3), "neighbours": neighbours, "scale": make.choice(1.0, 1.3)}
    case = OpCase(ops.rotate, ops.rotate_backward, {"x": x}, batch=("x",), frequencies=frequencies, **options)
    return case


def softmax(make, masked=False):
    b, t, s = make.sizes(3)
    mask = make.mask(b, t, s) if masked else None
    return OpCase(ops.softmax, ops.softmax_backward, {"x": make.array(b, t, s)}, batch=("x",), mask=mask)


def elementwise(op, op_backward, reach=0.25):
    def case(make):
        return OpCase(op, op_backward, {"x": make.array(*make.sizes(3), scale=2.0)}, batch=("x",), reach=reach)

    return case


def embedding(make):
    b, t, v, d = make.sizes(4)
    ids = make.ids(v, b, t)
    return OpCase(ops.embedding, ops.embedding_backward, {"weight": make.array(v, d)}, before=(ids,))


def select_rows(make):
    b, t, n, d = make.sizes(4)
    rows = make.ids(b * t, n)
    case = OpCase(lambda x: ops.select_rows(x, rows), ops.select_rows_backward, {"x": make.array(b, t, d)})
    case.facts = rows
    return case


def pool(make, *kinds, padded=False):
    """Rows of several lengths; with ``padded`` there are gaps, and a row without a real position."""
    b, t, d = make.sizes(3)
    mask = make.mask(b, t) if padded else np.arange(t) < make.integers(1, t, (b, 1))
    x = make.array(b, t, d) + make.choice(0.0, 5.0)  # above 0 all of it: padding is not 0, and not the maximum by chance
    return OpCase(ops.pool, ops.pool_backward, {"x": x}, batch=("x",), reach=0.002, kinds=kinds, mask=mask)


def maxout(make):
    """The two of a pair are apart: no step reaches the kink."""
    b, t, n = make.sizes(3)
    x = make.array(b, t, n, 2)
    x[..., 1] += np.where(x[..., 1] < x[..., 0], -0.5, 0.5)
    return OpCase(ops.maxout, ops.maxout_backward, {"x": x.reshape(b, t, 2 * n)}, batch=("x",), reach=0.1)


def prepend(make):
    b, t, n, d = make.sizes(4)
    return OpCase(ops.prepend, ops.prepend_backward, {"x": make.array(b, t, d), "weight": make.array(n, d)}, batch=("x",))


def patches(make):
    """Sides and numbers of patches are distinct, so that no axis goes unseen."""
    b, rows, columns, size, c = make.sizes(5)
    images = make.array(b, rows * size, columns * size, c)
    return OpCase(ops.patches, ops.patches_backward, {"images": images}, batch=("images",), size=size)


def route(make, renormalise):
    """Logits of a token are a permutation of steps of 0.5, and noise: far from ties, where which experts are chosen jumps."""
    b, t, k, more = make.sizes(4)
    x = k + more
    order = np.argsort(np.sin(np.arange(b * t * x).reshape(b, t, x) * 12.9898 + make.integers(0, 9)), axis=-1)
    logits = 0.5 * order + make.array(b, t, x, scale=0.05)
    options = {"n_chosen": k, "renormalise": renormalise}
    return OpCase(ops.route, ops.route_backward, {"logits": logits}, batch=("logits",), reach=0.02, **options)


def balance(make):
    b, t, k, x = make.sizes(4)
    experts = make.ids(x, b, t, k)
    case = OpCase(ops.balance, ops.balance_backward, {"logits": make.array(b, t, x)}, experts=experts)
    return case


def add_rows(make):
    """More rows than slots, of which some have none."""
    n, t, k, d = make.sizes(4)
    slots = make.ids(n * t * k, n * t * k + 1)
    arrays = {"x": make.array(len(slots), d), "weights": make.array(n, t, k)}
    return OpCase(ops.add_rows, ops.add_rows_backward, arrays, slots=slots)


def compress(make, shared=False, mask=False):
    """Sequences that are shorter than the matrices."""
    b, h, s, k, c = make.sizes(5)
    weight = make.array(*(() if shared else (h,)), c, s + 2)
    options = {"mask": make.mask(b, s)} if mask else {}
    arrays = {"x": make.array(b, h, s, k), "weight": weight}
    return OpCase(ops.compress, ops.compress_backward, arrays, batch=("x",), **options)


def add_positions(make):
    b, t, d = make.sizes(3)
    start = make.integers(0, 2)
    arrays = {"x": make.array(b, t, d), "table": make.array(t + 3, d)}
    return OpCase(ops.add_positions, ops.add_positions_backward, arrays, batch=("x",), start=start)


def dropout(make, **options):
    options |= {"p": make.choice(0.5, 0.1, 0.9), "key": make.integers(0, 2**63 - 1), "first_row": make.integers(0, 9)}
    return OpCase(ops.dropout, ops.dropout_backward, {"x": make.array(*make.sizes(3))}, batch=("x",), **options)


def scale(make):
    return OpCase(ops.scale, ops.scale_backward, {"x": make.array(*make.sizes(3))}, batch=("x",), factor=0.3)


def attention(make, mask="", bias="", groups=False, **options):
    b, h, t, s, k = make.sizes(5)
    g, w = (h, k + 1) if groups else (h, k)
    h = 2 * h if groups else h
    arrays = {"q": make.array(b, h, t, k), "k": make.array(b, g, s, k), "v": make.array(b, g, s, w)}
    if bias:
        sizes = {"b": b, "h": h, "t": t, "s": s, "1": 1}
        arrays["bias"] = make.array(*(sizes[letter] for letter in bias))
    if mask == "padding":
        options["mask"] = np.arange(s) < make.integers(0, s, (b, 1, 1, 1))
    if mask == "random":
        options["mask"] = make.mask(b, h, t, s)
    if "dropout" in options:
        options |= {"key": make.integers(0, 2**63 - 1), "first_row": make.integers(0, 9)}
    batch = ("q", "k", "v", "bias")[: 4 if bias.startswith("b") else 3]
    return OpCase(ops.attention, ops.attention_backward, arrays, batch=batch, **options)


def sparse_attention(make, kind, **options):
    """Groups of heads; the sequence does not end where a block ends."""
    b, g, k = make.sizes(3)
    t = make.integers(4, 9)
    arrays = {"q": make.array(b, 2 * g, t, k), "k": make.array(b, g, t, k), "v": make.array(b, g, t, k + 1)}
    if "dropout" in options:
        options |= {"key": make.integers(0, 2**63 - 1), "first_row": make.integers(0, 9)}
    return OpCase(
        ops.sparse_attention, ops.sparse_attention_backward, arrays, batch=("q", "k", "v"), kind=kind, stride=3, scale=0.7, **options
    )


def linear_attention(make, causal=True, decoding=False):
    """With fewer queries than keys, as in decoding; without a triangle, with more."""
    b, h, t, k = make.sizes(4)
    s = t + (make.integers(1, 3) if decoding else 0) if causal else make.integers(2, 5)
    arrays = {"q": make.array(b, h, t, k), "k": make.array(b, h, s, k), "v": make.array(b, h, s, k + 1)}
    return OpCase(ops.linear_attention, ops.linear_attention_backward, arrays, batch=("q", "k", "v"), causal=causal)


def global_window_attention(make, padding=False, **options):
    """No global place in the first text, fewer in the second than queries; in some cases padding."""
    b, h, k = make.sizes(3)
    n, t = make.integers(1, 3), make.integers(5, 9)
    shapes = {"q": (t, k), "k": (t, k), "v": (t, k + 1), "q_global": (n, k), "k_global": (t, k), "v_global": (t, k + 1)}
    is_global = np.zeros((b, t), bool)
    for row in range(1, b):
        is_global[row, make.integers(0, t - 1, (n if row > 1 else 1,))] = True
    if padding:
        options["mask"] = np.arange(t) <= make.integers(1, t - 1, (b, 1, 1, 1))
    if "dropout" in options:
        options |= {"key": make.integers(0, 2**63 - 1), "first_row": make.integers(0, 9)}
    if options.get("dilation") == "heads":
        options["dilation"] = [1 + head % 2 for head in range(h)]
    options |= {"is_global": is_global, "left": 2, "right": 1, "scale": 0.7}
    arrays = {name: make.array(b, h, *shape) for name, shape in shapes.items()}
    return OpCase(ops.global_window_attention, ops.global_window_attention_backward, arrays, batch=("q", "k", "v"), **options)


def lsh_attention(make, causal=True, **options):
    """Two rounds of two chunks or more; some places see nothing but themselves."""
    b, h, k, m = make.sizes(4)
    t = m * make.integers(2, 3)
    arrays = {"q": make.array(b, h, t, k), "k": make.array(b, h, t, k), "v": make.array(b, h, t, k + 1)}
    if "dropout" in options:
        options |= {"key": make.integers(0, 2**63 - 1), "first_row": make.integers(0, 9)}
    options |= {"buckets": make.ids(3, b, h, 2, t), "chunk": m, "causal": causal, "scale": 0.7}
    return OpCase(ops.lsh_attention, ops.lsh_attention_backward, arrays, batch=("q", "k", "v"), **options)


def both_outputs(case):
    """Put an operation's two outputs behind each other: y (..., W), L (...) -> (..., W + 1)."""
    op, op_backward = case.op, case.op_backward

    def forward(*arrays, **settings):
        (y, lse), saved = op(*arrays, **settings)
        return np.concatenate([y, lse[..., None]], axis=-1), saved

    def backward(dy, saved):
        return op_backward((dy[..., :-1], dy[..., -1]) if isinstance(dy, np.ndarray) and dy.ndim > 1 else (dy, dy), saved)

    case.op, case.op_backward = forward, backward
    return case


def merge(make):
    n, b, t, w = make.sizes(4)
    arrays = {"ys": make.array(n, b, t, w), "lses": make.array(n, b, t)}
    return both_outputs(OpCase(ops.merge, ops.merge_backward, arrays))


def highway(make):
    sizes = make.sizes(3)
    arrays = {name: make.array(*sizes) for name in ("x", "h", "gate")}
    return OpCase(ops.highway, ops.highway_backward, arrays, batch=("x", "h", "gate"))


LOSSES = (  # y is a number, and so is its gradient
    "binary_cross_entropy", "cross_entropy", "glove_loss", "linear_cross_entropy", "kl_divergence", "logistic_rows",
    "soft_cross_entropy", "squared_error", "tsne",
)  # fmt: skip
OPS = linear_cases(ops) | recurrent_cases(ops) | geometric_cases(ops) | LOSS_CASES | {
    "layer_norm": layer_norm,
    "rms_norm": rms_norm,
    "gate": lambda make: gate(make, "gelu_tanh"),
    "gate gelu": lambda make: gate(make, "gelu"),
    "gate silu": lambda make: gate(make, "silu"),
    "gate relu": lambda make: gate(make, "relu", reach=0.05),
    "highway": highway,
    "softmax": softmax,
    "softmax masked": lambda make: softmax(make, masked=True),
    "gelu": elementwise(ops.gelu, ops.gelu_backward),
    "gelu_tanh": elementwise(ops.gelu_tanh, ops.gelu_tanh_backward),
    "relu": elementwise(ops.relu, ops.relu_backward, reach=0.05),  # no step reaches the kink
    "silu": elementwise(ops.silu, ops.silu_backward),
    "tanh": elementwise(ops.tanh, ops.tanh_backward),
    "maxout": maxout,
    "embedding": embedding,
    "select_rows": select_rows,
    "pool mean": lambda make: pool(make, "mean"),
    "pool max": lambda make: pool(make, "max"),
    "pool first, last": lambda make: pool(make, "first", "last", padded=True),
    "pool last, max, mean": lambda make: pool(make, "last", "max", "mean", padded=True),
    "compress": compress,
    "compress, one matrix": lambda make: compress(make, shared=True),
    "compress, padding": lambda make: compress(make, mask=True),
    "add_positions": add_positions,
    "prepend": prepend,
    "route": lambda make: route(make, True),
    "route as they are": lambda make: route(make, False),
    "balance": balance,
    "add_rows": add_rows,
    "patches": patches,
    "rotate": lambda make: rotate(make, neighbours=False),
    "rotate neighbours": lambda make: rotate(make, neighbours=True),
    "dropout": dropout,
    "dropout repeated": lambda make: dropout(make, repeat=2),
    "scale": scale,
    "merge": merge,
    "linear_attention": linear_attention,
    "linear_attention decoding": lambda make: linear_attention(make, decoding=True),
    "linear_attention of all": lambda make: linear_attention(make, causal=False),
    "sparse_attention strided": lambda make: sparse_attention(make, "strided"),
    "sparse_attention fixed": lambda make: sparse_attention(make, "fixed", n_ends=2),
    "sparse_attention dropout": lambda make: sparse_attention(make, "strided", dropout=0.3),
    "global_window_attention": global_window_attention,
    "global_window_attention padding": lambda make: global_window_attention(make, padding=True),
    "global_window_attention dilated": lambda make: global_window_attention(make, dilation=2),
    "global_window_attention heads, dropout": lambda make: global_window_attention(make, dilation="heads", dropout=0.3),
    "lsh_attention": lsh_attention,
    "lsh_attention both ways": lambda make: lsh_attention(make, causal=False),
    "lsh_attention dropout": lambda make: lsh_attention(make, dropout=0.3),
    "attention": attention,
    "attention causal": lambda make: attention(make, pattern=CAUSAL),
    "attention padding": lambda make: attention(make, "padding"),
    "attention masked": lambda make: attention(make, "random"),
    "attention causal, masked": lambda make: attention(make, "random", pattern=CAUSAL),
    "attention dropout": lambda make: attention(make, dropout=0.3, pattern=CAUSAL),
    "attention window": lambda make: attention(make, pattern=Band(1, 2)),
    "attention strided": lambda make: attention(make, pattern=CAUSAL & (Band(1, 0) | Strided(3))),
    "attention prefix": lambda make: attention(make, "padding", pattern=CAUSAL | Prefix(2)),
    "attention bias": lambda make: attention(make, bias="bhts", scale=0.7),
    "attention bias of positions": lambda make: attention(make, "padding", bias="1hts", scale=1.3, pattern=CAUSAL),
    "attention bias of keys": lambda make: attention(make, bias="b11s", scale=0.7),
    "attention bias of queries and keys": lambda make: attention(make, bias="11ts", groups=True, scale=0.4),
    "attention groups": lambda make: attention(make, groups=True, pattern=CAUSAL),
    "attention groups, bias, dropout": lambda make: attention(
        make, "random", bias="1hts", groups=True, scale=0.7, dropout=0.3
    ),
    "attention log-sum-exp": lambda make: both_outputs(
        attention(make, scale=0.7, groups=True, log_sum_exp=True)
    ),
    "attention log-sum-exp, bias": lambda make: both_outputs(
        attention(make, bias="bh1s", scale=0.7, log_sum_exp=True)
    ),
}
