"""How often does gradcheck cry wolf? Thousands of seeded checks of backwards that are right.

    python benchmarks/calibrate_gradcheck.py --checks 10000 --seed 0 --jobs 2

Each check draws an operation or a layer, small pairwise distinct sizes, the scale of its inputs and that of its
parameters (1e-3 to 1e2 each), and one of gradcheck's modes. FAIL must not occur: exit code 1 if it does. KINK and
INCONCLUSIVE are counted by cause, and by the largest attention score: a softmax over scores in the hundreds is
saturated, its gradient is next to 0, and what is left of it is rounding. Check n of a seed is the same in every run:
``--first`` runs a slice.
"""

import argparse
import json
import multiprocessing
import sys
from collections import Counter

import numpy as np

from tinytx import ops
from tinytx.core import Layer, Tape
from tinytx.layers import (
    Activation,
    Block,
    Dropout,
    Embedding,
    FeedForward,
    LayerNorm,
    LearnedPositions,
    Linear,
    MultiHeadAttention,
    Residual,
    SinusoidalPositions,
    TiedLinear,
)
from tinytx.testing import gradcheck
from tinytx.testing.problem import make_problem
from tinytx.testing.report import FAIL, INCONCLUSIVE, KINK, PASS, VERDICTS
from tinytx.training.progress import tracked

SCALES = (1e-3, 1e-2, 1e-1, 1.0, 10.0, 100.0)
LAYER_SHARE = 0.2  # of the checks; a layer's is some ten times as long as an operation's
SCORES = (10, 100, 1000, np.inf)  # bins of the largest attention score
CAUSES = {  # what a reason contains -> what it means
    "rounded anew": "backward itself is ill-conditioned: rounding its inputs moves it",
    "float32 inside": "forward loses more than six digits to rounding",
    "rounding hides it": "the slope changes over steps that are lost in rounding",
    "not finite": "forward or its surroundings are not finite",
    "at a kink": "an entry at a kink of relu",
    "kinks than": "more kinks than can be left out of a direction",
}


class Draw:
    """Sizes, arrays and choices of one check."""

    def __init__(self, rng):
        self.rng = rng
        self.x_scale, self.w_scale = rng.choice(SCALES, 2)

    def sizes(self, n):
        return [int(size) for size in self.rng.permutation(np.arange(2, 4 + n))[:n]]

    def x(self, *shape):
        return self.x_scale * self.rng.normal(size=shape)

    def w(self, *shape):
        return self.w_scale * self.rng.normal(size=shape)

    def ids(self, size, *shape):
        return self.rng.integers(0, size, shape)

    def chance(self):
        return bool(self.rng.integers(2))

    def layer(self, layer, x, **settings):
        """Return the arguments for a layer, its parameters at this check's scale."""
        for parameter in layer.parameters():
            parameter.data = self.w(*parameter.data.shape)
        return layer, (x,), {"randomize": False, **settings}


def pair(op, backward, *inputs):
    return op, inputs, {"backward": backward}


def linear(d):
    b, t, i, o = d.sizes(4)
    if d.chance():
        return pair(ops.linear, ops.linear_backward, d.x(b, t, i), d.w(i, o), d.w(o))
    return pair(ops.linear, lambda dy, saved: ops.linear_backward(dy, saved)[:2], d.x(b, t, i), d.w(i, o))


def layer_norm(d):
    b, t, w = d.sizes(3)
    eps = d.rng.choice((1e-5, 1e-12, 0.1))
    return pair(
        lambda x, weight, bias: ops.layer_norm(x, weight, bias, eps),
        ops.layer_norm_backward, d.x(b, t, w + 1), d.w(w + 1), d.w(w + 1),
    )  # fmt: skip


def softmax(d, masked=False):
    b, t, s = d.sizes(3)
    mask = None
    if masked:
        mask = d.rng.random((b, t, s)) < 0.7
        mask[0, 0] = False
    return pair(lambda x: ops.softmax(x, mask), ops.softmax_backward, d.x(b, t, s))


def elementwise(op, backward):
    return lambda d: pair(op, backward, d.x(*d.sizes(2)))


def relu_at_zero(d):
    """A third of the entries sit on the kink."""
    x = d.x(*d.sizes(2))
    x[d.rng.random(x.shape) < 0.3] = 0.0
    return pair(ops.relu, ops.relu_backward, x)


def embedding(d):
    b, t, v, w = d.sizes(4)
    return pair(ops.embedding, lambda dy, saved: (None, ops.embedding_backward(dy, saved)), d.ids(v, b, t), d.w(v, w))


def add_positions(d):
    b, t, w = d.sizes(3)
    start = int(d.rng.integers(0, 3))
    op = lambda x, table: ops.add_positions(x, table, start)  # noqa: E731
    return pair(op, ops.add_positions_backward, d.x(b, t, w), d.w(t + 3, w))


def dropout(d):
    p, key = d.rng.choice((0.1, 0.5, 0.9)), int(d.rng.integers(2**62))
    return pair(lambda x: ops.dropout(x, p, key, 3), ops.dropout_backward, d.x(*d.sizes(3)))


def cross_entropy(d, smoothing=0.0, ignore=False):
    b, t, v = d.sizes(3)
    targets = d.ids(v, b, t)
    if ignore:
        targets[d.rng.random((b, t)) < 0.3] = -100
    return pair(
        lambda logits: ops.cross_entropy(logits, targets, label_smoothing=smoothing),
        lambda dloss, saved: ops.cross_entropy_backward(saved, dloss), d.x(b, t, v),
    )  # fmt: skip


def attention(d, mask="", dropout=0.0, causal=False):
    b, h, t, s, k = d.sizes(5)
    b, h = min(b, 2), min(h, 3)
    if causal and t > s and d.chance():
        t, s = s, t
    settings = {"causal": causal, "dropout": dropout, "key": 12345 if dropout else None}
    if mask == "padding":
        settings["mask"] = np.arange(s) < d.rng.integers(0, s + 1, (b, 1, 1, 1))
    if mask == "random":
        settings["mask"] = d.rng.random((b, 1, t, s)) < 0.7
    op = lambda q, k, v: ops.attention(q, k, v, **settings)  # noqa: E731
    return pair(op, ops.attention_backward, d.x(b, h, t, k), d.x(b, h, s, k), d.w(b, h, s, k))


OPS = {
    "linear": linear,
    "layer_norm": layer_norm,
    "softmax": softmax,
    "softmax masked": lambda d: softmax(d, masked=True),
    "gelu": elementwise(ops.gelu, ops.gelu_backward),
    "gelu_tanh": elementwise(ops.gelu_tanh, ops.gelu_tanh_backward),
    "relu": elementwise(ops.relu, ops.relu_backward),
    "relu at 0": relu_at_zero,
    "embedding": embedding,
    "add_positions": add_positions,
    "dropout": dropout,
    "cross_entropy": cross_entropy,
    "cross_entropy smoothed": lambda d: cross_entropy(d, smoothing=0.1),
    "cross_entropy ignored": lambda d: cross_entropy(d, ignore=True, smoothing=0.2),
    "attention": attention,
    "attention causal": lambda d: attention(d, causal=True),
    "attention padding": lambda d: attention(d, "padding"),
    "attention random mask": lambda d: attention(d, "random"),
    "attention causal, mask": lambda d: attention(d, "random", causal=True),
    "attention dropout": lambda d: attention(d, dropout=0.3, causal=True),
}


class Tied(Layer):
    """An embedding whose table is the output layer's weight."""

    def __init__(self, v, w, rng):
        self.token = Embedding(v, w, rng=rng)
        self.head = TiedLinear(self.token.weight)

    def forward(self, ids, tape=None):
        return self.head(self.token(ids, tape), tape)

    def backward(self, dy, tape):
        return self.token.backward(self.head.backward(dy, tape), tape)


def tied(d):
    b, t, v, w = d.sizes(4)
    return d.layer(Tied(v, w, d.rng), d.ids(v, b, t))


def seeded():
    return Tape(seed=5, step=2)


def a_layer(make):
    """Return a builder for a layer of (B, T, D) made by make(draw, D)."""

    def build(d):
        b, t, w = d.sizes(3)
        return d.layer(make(d, w), d.x(b, t, w), tape=seeded)

    return build


def multi_head(d, cross=False, **settings):
    b, t, s, h = 2, *d.sizes(3)
    settings = {"causal": d.chance() and not cross, "dropout": 0.2 * d.chance(), "bias": d.chance(), **settings}
    layer = MultiHeadAttention(2 * h, h, rng=d.rng, **settings)
    options = {"memory": d.x(b, s, 2 * h)} if cross else {}
    options |= {"mask": d.rng.random((b, 1, t, s if cross else t)) < 0.8}
    return d.layer(layer, d.x(b, t, 2 * h), options=options, tape=seeded)


def block(d):
    b, t, f = d.sizes(3)
    order, activation = d.rng.choice(("pre", "post")), d.rng.choice(("gelu", "gelu_tanh", "relu"))
    kinds = {"norm_order": str(order), "activation": str(activation)}
    layer = Block(6, 2, f + 4, causal=d.chance(), dropout=0.1 * d.chance(), **kinds, rng=d.rng)
    return d.layer(layer, d.x(b, t, 6), tape=seeded)


LAYERS = {
    "Linear": a_layer(lambda d, w: Linear(w, w + 3, rng=d.rng)),
    "TiedLinear": tied,
    "LayerNorm": a_layer(lambda d, w: LayerNorm(w, eps=float(d.rng.choice((1e-5, 1e-12))))),
    "LearnedPositions": a_layer(lambda d, w: LearnedPositions(9, w, rng=d.rng)),
    "SinusoidalPositions": a_layer(lambda d, w: SinusoidalPositions(9, w)),
    "Dropout": a_layer(lambda d, w: Dropout(0.4)),
    "Activation": a_layer(lambda d, w: Activation("gelu")),
    "FeedForward": a_layer(lambda d, w: FeedForward(w, w + 3, dropout=0.1 * d.chance(), rng=d.rng)),
    "FeedForward relu": a_layer(lambda d, w: FeedForward(w, w + 3, activation="relu", rng=d.rng)),
    "Residual pre": a_layer(lambda d, w: Residual(Linear(w, w, rng=d.rng), LayerNorm(w))),
    "Residual post": a_layer(lambda d, w: Residual(Linear(w, w, rng=d.rng), LayerNorm(w), norm_order="post")),
    "MultiHeadAttention": multi_head,
    "MultiHeadAttention cross": lambda d: multi_head(d, cross=True),
    "Block": block,
}


def largest_score(target, inputs, settings):
    """Return the largest absolute attention score of a forward, 0 where there is no attention."""
    found, attention = [0.0], ops.attention

    def watched(q, k, v, **options):
        found.append(float(np.abs(q @ k.swapaxes(2, 3)).max()) / np.sqrt(q.shape[3]))
        return attention(q, k, v, **options)

    ops.attention = watched
    try:
        tape = settings.get("tape", Tape)
        make_problem(target, inputs, settings.get("backward"), settings.get("options"), tape).forward()
    finally:
        ops.attention = attention
    return max(found)


def check(job):
    """Run one check; return its name, scales and what came out of it."""
    seed, n = job
    rng = np.random.default_rng((seed, n))
    draw = Draw(rng)
    table = LAYERS if rng.random() < LAYER_SHARE else OPS
    name = str(rng.choice(list(table)))
    target, inputs, settings = table[name](draw)
    mode = str(rng.choice(("sampled", "directional", "full") if table is OPS else ("sampled", "directional")))
    if mode == "full" and sum(np.size(array) for array in inputs) > 60:
        mode = "sampled"
    samples = 2 if name == "Block" else 4
    report = gradcheck(target, *inputs, mode=mode, samples=samples, directions=1, seed=n, **settings)
    reasons = [f"{t.name}: {t.reason}" for t in report.tensors if t.verdict != PASS] or [report.reason]
    return {
        "n": n,
        "name": name,
        "mode": mode,
        "x_scale": float(draw.x_scale),
        "w_scale": float(draw.w_scale),
        "score": largest_score(target, inputs, settings),
        "verdict": report.verdict,
        "compared": sum(t.checked for t in report.tensors),
        "reason": "" if report.verdict == PASS else "; ".join(reasons),
        "report": str(report) if report.verdict == FAIL else "",
    }


def cause(reason):
    return next((meaning for part, meaning in CAUSES.items() if part in reason), "other: " + reason)


def table(results):
    """Return the printed tables."""
    verdicts = Counter((r["name"], r["verdict"]) for r in results)
    total = Counter(r["verdict"] for r in results)
    lines = [f"{'':<26}" + "".join(f"{verdict:>14}" for verdict in VERDICTS)]
    for name in (*OPS, *LAYERS):
        lines.append(f"{name:<26}" + "".join(f"{verdicts[name, verdict]:>14}" for verdict in VERDICTS))
    lines += [f"{'all':<26}" + "".join(f"{total[verdict]:>14}" for verdict in VERDICTS), ""]
    lines += ["checks / INCONCLUSIVE by scale of inputs (down) and parameters (across)"]
    lines += [f"{'':<10}" + "".join(f"{w:>12g}" for w in SCALES)]
    for x in SCALES:
        cells = [_share(r for r in results if (r["x_scale"], r["w_scale"]) == (x, w)) for w in SCALES]
        lines.append(f"{x:<10g}" + "".join(f"{cell:>12}" for cell in cells))
    lines += ["", "checks / INCONCLUSIVE by the largest attention score"]
    lines += [f"no attention: {_share(r for r in results if not r['score'])}"]
    for low, high in zip((0, *SCORES), SCORES):
        lines.append(f"{low:g} to {high:g}: {_share(r for r in results if low < r['score'] <= high)}")
    lines.append("")
    for verdict in (KINK, INCONCLUSIVE):
        causes = Counter(cause(r["reason"]) for r in results if r["verdict"] == verdict)
        lines += [f"{n:>6} {verdict}: {meaning}" for meaning, n in causes.most_common()]
    compared = sum(r["compared"] for r in results)
    lines.append(f"{len(results):,} checks, {compared:,} derivatives compared, {total[FAIL]} FAIL")
    return "\n".join(lines)


def _share(results):
    verdicts = [r["verdict"] for r in results]
    return f"{len(verdicts)} / {verdicts.count(INCONCLUSIVE)}"


def main():
    """Run the checks and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checks", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0, help="number of the first check (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=1, help="processes (default: %(default)s)")
    parser.add_argument("--json", action="store_true", help="print one JSON object in place of the tables")
    arguments = parser.parse_args()
    jobs = [(arguments.seed, arguments.first + n) for n in range(arguments.checks)]
    check((arguments.seed, 0))  # compiles what is not compiled yet, once
    with multiprocessing.Pool(arguments.jobs) as pool:
        results = list(tracked(pool.imap(check, jobs, chunksize=8), "check", len(jobs)))
    failed = [r for r in results if r["verdict"] == FAIL]
    if arguments.json:
        print(json.dumps({"seed": arguments.seed, "first": arguments.first, "results": results}))
    else:
        print(table(results))
        for r in failed:
            print(f"check {r['n']}, {r['name']}, scales {r['x_scale']:g} and {r['w_scale']:g}\n{r['report']}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
