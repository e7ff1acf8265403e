"""How often does gradcheck cry wolf? Thousands of seeded checks of backwards that are right.

    python benchmarks/calibrate_gradcheck.py --checks 10000 --seed 0 --jobs 2

Each check draws a case of the tests' tables of operations and layers, small pairwise distinct sizes, the scale of its
inputs and that of its parameters (1e-3 to 1e2 each), and one of gradcheck's modes. FAIL must not occur: exit code 1 if
it does. KINK and INCONCLUSIVE are counted by cause, and by the largest attention score: a softmax over scores in the
hundreds is saturated, its gradient is next to 0, and what is left of it is rounding. Check n of a seed is the same in
every run: ``--first`` runs a slice.
"""

import argparse
import json
import multiprocessing
import sys
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from tinytx import ops
from tinytx.progress import tracked
from tinytx.testing import gradcheck
from tinytx.testing.report import FAIL, INCONCLUSIVE, KINK, PASS, VERDICTS

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))  # the tables of operations and layers
from cases import Seeded  # noqa: E402
from layer_cases import LAYERS  # noqa: E402
from op_cases import OPS  # noqa: E402

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


class Normal(Seeded):
    """Draws normally distributed arrays."""

    def array(self, *shape, scale=1.0):
        return scale * self._rng.normal(size=shape)


def problem_of(name, rng, x_scale, w_scale):
    """Return (target, inputs, settings) of a case: the arguments of gradcheck."""
    case = (LAYERS if name in LAYERS else OPS)[name](Normal(rng))
    for path, array in case.arrays.items():
        array *= x_scale if path in case.batch else w_scale
    if "relu" in name and rng.random() < 0.5:  # a third of the entries are at the kink
        first = next(array for path, array in case.arrays.items() if path in case.batch)
        first[rng.random(first.shape) < 0.3] = 0.0
    if name not in LAYERS:
        target = lambda *arrays: case.op(*case.before, *arrays, **case.options)  # noqa: E731
        return target, tuple(case.arrays.values()), {"backward": case.op_backward}
    inputs = (*case.before, *(case.arrays[path] for path in case.inputs))
    return case.bind(case.arrays), inputs, {"options": case.options, "tape": case.tape, "randomize": False}


@contextmanager
def attention_scores():
    """Yield a list that gets the largest absolute score of each call of attention."""
    scores, attention = [0.0], ops.attention

    def watched(q, k, v, *others, **options):
        keys = np.repeat(k, q.shape[1] // k.shape[1], axis=1)  # heads of a group share them
        scores.append(float(np.abs(q @ keys.swapaxes(2, 3)).max()) / np.sqrt(q.shape[3]))
        return attention(q, k, v, *others, **options)

    ops.attention = watched
    try:
        yield scores
    finally:
        ops.attention = attention


def check(job):
    """Run one check; return its name, scales and what came out of it."""
    seed, n = job
    rng = np.random.default_rng((seed, n))
    x_scale, w_scale = rng.choice(SCALES, 2).tolist()
    table = LAYERS if rng.random() < LAYER_SHARE else OPS
    name = str(rng.choice(list(table)))
    modes = ("auto", "sampled", "directional", "full") if table is OPS else ("auto", "sampled", "directional")
    mode = str(rng.choice(modes))
    with attention_scores() as scores:
        target, inputs, settings = problem_of(name, rng, x_scale, w_scale)
        if mode == "full" and sum(np.size(array) for array in inputs) > 60:
            mode = "sampled"
        samples = 2 if "Block" in name else 4
        report = gradcheck(target, *inputs, mode=mode, samples=samples, directions=1, seed=n, **settings)
    reasons = [f"{t.name}: {t.reason}" for t in report.tensors if t.verdict != PASS] or [report.reason]
    return {
        "n": n,
        "name": name,
        "mode": mode,
        "x_scale": x_scale,
        "w_scale": w_scale,
        "score": max(scores),
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
