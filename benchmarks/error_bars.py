"""Does the error bar of `tinytx.testing.numeric.derivative` bound the true error?

    python benchmarks/error_bars.py --repeats 3 --seed 0

For each function and input scale some coordinates of every array are differentiated twice: by `derivative`, from the
library's float64 forward with its rounding noise measured as gradcheck does, and by the complex step from a twin of
that forward, written here without the library in extended precision (NumPy's long double, where the machine has one).
The ratio (true error) / (error bar) should never exceed 1. Exit code 1 if it does, or if a number is not finite. "size" in the table is the true
derivative's, or a thousandth of what it would be if the array mattered, where that is larger.
"""

import argparse
import json
import sys

import numpy as np

from tinytx import ops
from tinytx.ops.attention_patterns import CAUSAL
from tinytx.testing.numeric import derivative, look_closely, rounding_noise
from tinytx.testing.rounding import cotangent, rms

SCALES = (1e-2, 1.0, 3.0, 10.0)
HEADER = (
    f"{'function':<15}{'scale':>6}{'coordinates':>13}{'worst ratio':>13}{'exceed 1':>10}{'median':>9}"
    f"{'error/size':>12}{'bar/size':>10}{'its largest':>13}"
)
ROW = (
    "{function:<15}{scale:>6g}{coordinates:>13}{worst_ratio:>13.3f}{exceed:>10}{median_ratio:>9.3f}"
    "{largest_error:>12.1e}{median_bar:>10.1e}{largest_bar:>13.1e}"
)
QUICK = "--coordinates 2"
STEP = 1e-60  # of the complex step: nothing is subtracted, so it can be as small as it likes
WIDE = np.clongdouble


# ---------------------------------------------------------------- twins: plain NumPy, complex, extended precision


def twin_layer_norm(x, weight, bias, eps=1e-5):
    centred = x - x.mean(-1, keepdims=True)
    variance = (centred * centred).mean(-1, keepdims=True)
    return weight * centred / np.sqrt(variance + WIDE(eps)) + bias


def twin_softmax(x, allowed=None):
    allowed = np.ones(x.shape, bool) if allowed is None else np.broadcast_to(allowed, x.shape)
    largest = np.where(allowed, x.real, -np.inf).max(-1, keepdims=True)
    e = np.where(allowed, np.exp(np.where(allowed, x - largest, 0)), 0)
    return e / e.sum(-1, keepdims=True)


def twin_attention(q, k, v, causal=True):
    scores = np.einsum("bhtk,bhsk->bhts", q, k) / np.sqrt(np.longdouble(q.shape[-1]))
    t, s = scores.shape[2:]
    allowed = np.arange(s) <= np.arange(t)[:, None] + s - t if causal else None
    return np.einsum("bhts,bhsk->bhtk", twin_softmax(scores, allowed), v)


def twin_gelu_tanh(x):
    u = np.sqrt(2 / np.longdouble(np.pi)) * (x + WIDE(0.044715) * x * x * x)
    return x * (1 + np.tanh(u)) / 2


def twin_gelu(x):
    """The exact form; erf from its values and its derivative, which to first order is what a step of 1e-60 needs."""
    import mpmath

    y = np.empty(x.shape, WIDE)
    with mpmath.workdps(40):
        for i, value in enumerate(x.flat):
            real = mpmath.mpf(str(value.real))
            slope = mpmath.diff(lambda r: r * mpmath.ncdf(r), real) * mpmath.mpf(str(value.imag / STEP))
            y.flat[i] = WIDE(complex(real * mpmath.ncdf(real))) + 1j * np.longdouble(str(slope)) * np.longdouble(STEP)
    return y


def twin_cross_entropy(logits, targets):
    largest = logits.real.max(-1, keepdims=True)
    log_sum = np.log(np.exp(logits - largest).sum(-1)) + largest[..., 0]
    return (log_sum - np.take_along_axis(logits, targets[..., None], -1)[..., 0]).mean()


def split(x, n_heads):
    return x.reshape(*x.shape[:2], n_heads, -1).swapaxes(1, 2)


def merge(x):
    x = x.swapaxes(1, 2)
    return x.reshape(*x.shape[:2], -1)


N_HEADS, TARGETS = 2, np.array([[0, 3, 1], [4, 2, 2]])


def block(x, weight, bias, wq, wk, wv, wo, norm=None, attention=None, gelu=None, loss=None):
    """LayerNorm, attention, GELU, cross-entropy, from parts that are either the library's or the twins."""
    n = norm(x, weight, bias)
    y = merge(attention(*(split(n @ w, N_HEADS) for w in (wq, wk, wv))))
    return loss(gelu(y) @ wo, TARGETS)


def ours_block(*arrays):
    return block(
        *arrays,
        norm=lambda *a: ops.layer_norm(*a)[0],
        attention=lambda *a: ops.attention(*a, pattern=CAUSAL)[0],
        gelu=lambda x: ops.gelu_tanh(x)[0],
        loss=lambda *a: ops.cross_entropy(*a)[0],
    )


def twin_block(*arrays):
    parts = {"norm": twin_layer_norm, "attention": twin_attention, "gelu": twin_gelu_tanh}
    return block(*arrays, **parts, loss=twin_cross_entropy)


BLOCK_SHAPES = [(2, 3, 6), (6,), (6,), (6, 6), (6, 6), (6, 6), (6, 5)]
# name -> (the library's forward, its twin, shapes, how many of the arrays have the input scale; the others have 1)
FUNCTIONS = {
    "layer norm": (lambda *a: ops.layer_norm(*a)[0], twin_layer_norm, [(2, 3, 5), (5,), (5,)], 1),
    "softmax": (lambda x: ops.softmax(x)[0], twin_softmax, [(2, 3, 7)], 1),
    "attention": (lambda *a: ops.attention(*a, pattern=CAUSAL)[0], twin_attention, [(2, 2, 3, 4)] * 3, 3),
    "gelu": (lambda x: ops.gelu(x)[0], twin_gelu, [(3, 4, 5)], 1),
    "gelu_tanh": (lambda x: ops.gelu_tanh(x)[0], twin_gelu_tanh, [(3, 4, 5)], 1),
    "cross-entropy": (
        lambda logits: ops.cross_entropy(logits, TARGETS)[0],
        lambda logits: twin_cross_entropy(logits, TARGETS),
        [(2, 3, 5)],
        1,
    ),
    "block": (ours_block, twin_block, BLOCK_SHAPES, 1),
    "block, weights": (ours_block, twin_block, BLOCK_SHAPES, 7),
}


def objective(ours, arrays, dy):
    """Return f() = (sum(dy * y), the sum of its terms' absolute values) at the arrays as they are."""

    def f():
        terms = dy * ours(*arrays)
        return float(np.sum(terms)), float(np.abs(terms).sum())

    return f


def measured_noise(f, arrays, rng):
    """Return the rounding error of f, relative to its size, as gradcheck measures it."""
    kept, ways = [array.copy() for array in arrays], [rng.uniform(-1, 1, array.shape) for array in arrays]

    def moved(step):
        for array, value, way in zip(arrays, kept, ways):
            array[...] = value * (1 + step * way)
        return f()

    noise = max(rounding_noise(moved, 1e-7), rounding_noise(moved, 1.1e-7))
    moved(0.0)
    return noise


def compare(name, scale, coordinates, rng, differentiate=derivative):
    """Yield (true error, error bar, size) for some coordinates of each array."""
    ours, twin, shapes, scaled = FUNCTIONS[name]
    arrays = [rng.normal(size=shape) * (scale if i < scaled else 1.0) for i, shape in enumerate(shapes)]
    dy = cotangent(rng, np.shape(ours(*arrays)))
    f = objective(ours, arrays, dy)
    noise = measured_noise(f, arrays, rng)
    for which, array in enumerate(arrays):
        for i in rng.permutation(array.size)[:coordinates]:
            kept = array.flat[i]

            def along(h, array=array, i=i, kept=kept):
                array.flat[i] = kept + h
                value = f()
                array.flat[i] = kept
                return value

            estimate = differentiate(along, 0.25 * rms(array), noise=noise)
            stepped = [a.astype(WIDE) for a in arrays]
            stepped[which].flat[i] += 1j * np.longdouble(STEP)
            truth = np.sum(dy * twin(*stepped)).imag / np.longdouble(STEP)
            yield abs(float(estimate.value - truth)), estimate.error, max(abs(float(truth)), 1e-3 * f()[1] / rms(array))


def row(name, scale, found):
    """Return a row of the table."""
    error, bar, size = np.array(found).T
    ratio = np.divide(error, bar, out=np.zeros_like(error), where=error != 0)
    ratio[~np.isfinite(ratio)] = np.inf  # neither side may be broken: NaN exceeds no bar
    return {
        "function": name,
        "scale": scale,
        "coordinates": len(found),
        "worst_ratio": float(ratio.max()),
        "exceed": int((ratio > 1).sum()),
        "median_ratio": float(np.median(ratio)),
        "largest_error": float((error / size).max()),
        "median_bar": float(np.median(bar / size)),
        "largest_bar": float((bar / size).max()),
    }


def main():
    """Compare, print the table, and exit with 1 if a bar was too short."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--coordinates", type=int, default=40, help="of each array (default: %(default)s)")
    parser.add_argument("--repeats", type=int, default=1, help="draws of each problem (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--closely", action="store_true", help="put look_closely to the test in derivative's place")
    parser.add_argument("--json", action="store_true", help="print one JSON object in place of the table")
    parser.add_argument("--quick", action="store_true", help=f"the same as {QUICK}: shows that it runs, and no more")
    arguments = parser.parse_args([*QUICK.split(), *sys.argv[1:]] if "--quick" in sys.argv else None)
    rng, rows = np.random.default_rng(arguments.seed), []
    differentiate = look_closely if arguments.closely else derivative
    for name in FUNCTIONS:
        for scale in SCALES:
            draws = (compare(name, scale, arguments.coordinates, rng, differentiate) for _ in range(arguments.repeats))
            rows.append(row(name, scale, [found for draw in draws for found in draw]))
    total, exceed = sum(r["coordinates"] for r in rows), sum(r["exceed"] for r in rows)
    worst = max(r["worst_ratio"] for r in rows)
    if arguments.json:
        print(json.dumps({"rows": rows, "coordinates": total, "exceed": exceed, "worst_ratio": worst}))
    else:
        print(HEADER)
        for r in rows:
            print(ROW.format(**r))
        print(f"{total} coordinates; worst ratio of true error to error bar {worst:.3f}; {exceed} exceed 1")
    return 1 if exceed else 0


if __name__ == "__main__":
    sys.exit(main())
