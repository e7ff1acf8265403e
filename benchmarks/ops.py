"""Every operation forward and backward, against PyTorch's and plain NumPy's, between matrix products.

    python benchmarks/ops.py --shape baby --json ops.json
    python benchmarks/ops.py --long 16384

An operation alone in a loop finds its data in the cache and the processors to itself; in a network it finds neither. So
the sequence that runs is product, forward, product, backward, and time is taken inside it, of the operation alone.
The library and the NumPy twin run as in training: the batch is cut into as many shards as there are threads, each with
one BLAS thread, and the slowest shard's time counts. PyTorch has the whole batch and as many threads of its own.
Results are compared with the twin's before anything is timed. --long takes causal attention alone, forward and backward
on one sequence of 6 heads of width 64, with the peak memory; the library's threads share the heads, as in training, and
NumPy's twin is left out, whose weights would not fit.
"""

import time
from functools import lru_cache, partial

import numpy as np
import op_sides
import turns
from sides import SHAPES, Shape

from tinytx import workers

SIDES = ("ours", "torch", "numpy")


def sequence(pair, case, product, repeats):
    """Return seconds of one forward and of one backward, with a product before each."""
    (forward, backward), inputs, spent = pair, (*case.rows, *case.weights), np.zeros(2)
    for _ in range(repeats):
        product()
        began = time.perf_counter()
        y, saved = forward(*inputs)
        spent[0] += time.perf_counter() - began
        product()
        began = time.perf_counter()
        gradients = backward(case.dy, saved)
        spent[1] += time.perf_counter() - began
        del y, saved, gradients
    return spent / repeats


def child(side, shape, threads):
    """Answer {"op", "repeats"} with milliseconds of forward and backward."""
    rows, width = shape.batch * shape.max_len, shape.d_model
    x, weight = (np.ones(sizes, np.float32) for sizes in ((rows, width), (width, 4 * width)))
    pool = workers.Pool(threads)
    if side == "torch":
        import torch

        torch.set_num_threads(threads)
        table, a, b = op_sides.torch_side(), torch.from_numpy(x), torch.from_numpy(weight)
    else:
        table = {"ours": op_sides.OURS, "numpy": op_sides.NUMPY}[side]

    @lru_cache(1)
    def prepared(name):
        case = op_sides.make_case(name, shape)
        whole = op_sides.torch_case(name, case) if side == "torch" else case
        op_sides.check(name, table[name], whole, op_sides.twin_results(name, case))
        if side == "torch":
            return [(table[name], whole, lambda: a @ b)]
        return [
            (table[name], shard, lambda part=part: part @ weight)
            for shard, part in zip(case.shards(threads), np.array_split(x, threads))
        ]

    def answer(request):
        sequences = prepared(request["op"])
        if side == "torch":
            spent = sequence(*sequences[0], request["repeats"])
        else:
            with workers.use(pool):
                spent = max(workers.map(lambda s: sequence(*s, request["repeats"]), sequences), key=sum)
        return dict(zip(("forward", "backward"), spent * 1e3))

    turns.serve(answer)


def long_child(side, length, threads):
    """Answer with milliseconds of attention of one sequence, and MB of memory before and at the peak."""
    pair, convert, pool = op_sides.OURS["attention"], lambda case: case, workers.Pool(threads)
    if side == "torch":
        import torch

        torch.set_num_threads(threads)
        pair, convert = op_sides.torch_side()["attention"], partial(op_sides.torch_case, "attention")

    def run(case):
        with workers.use(pool):
            return sequence(pair, case, lambda: None, 1)

    short, case = (convert(op_sides.make_case("attention", Shape(65, t, 384, 6, 6, 1))) for t in (64, length))
    run(short)  # loads machine code, which is no memory of the operation's
    before = turns.peak_memory()

    def answer(_):
        forward, backward = run(case) * 1e3
        return {"forward": forward, "backward": backward, "before": before, "peak": turns.peak_memory()}

    turns.serve(answer)


def figures_of(running):
    """Return each side's median times of both passes, and the rivals' ratios to ours."""
    figures = {}
    for way in ("forward", "backward"):
        row = {f"{name}_ms": side.median(way) for name, side in running.items()}
        rivals = {name: side for name, side in running.items() if name != "ours"}
        row |= {f"{name}_ratio": turns.ratio(side, running["ours"], way) for name, side in rivals.items()}
        figures[way] = row
    return figures


def show(name, figures):
    """Print one operation's two rows."""
    for way in ("forward", "backward"):
        row = figures[way]
        times = ", ".join(f"{key[:-3]} {row[key]:9.3f} ms" for key in row if key.endswith("_ms"))
        ratios = "".join(f", {key[:-6]} / ours {row[key]:6.2f}" for key in row if key.endswith("_ratio"))
        print(f"{name:>13} {way:<8}  {times}{ratios}", flush=True)


def main():
    """Run the operations, print the table, and write the JSON."""
    parser = turns.parser(__doc__, seconds=0.3, quick="--shape nano --turns 1 --seconds 0")
    parser.add_argument("--shape", choices=["nano", "baby", "gpt2"], default="baby", help="sizes, as in sides.py")
    parser.add_argument("--ops", nargs="+", choices=op_sides.OURS, default=list(op_sides.OURS))
    parser.add_argument("--long", type=int, nargs="?", const=16384, metavar="T", help="attention at this length alone")
    arguments = parser.parse_args()
    shape, threads, env = SHAPES[arguments.shape], arguments.threads, turns.environment(arguments.keep_env)
    if arguments.child:
        if arguments.long:
            return long_child(arguments.child, arguments.long, threads)
        return child(arguments.child, shape, threads)
    sides = ["ours", *turns.rivals(["torch"], "torch"), *([] if arguments.long else ["numpy"])]
    turns.describe(threads, sides, env)
    options = ["--shape", arguments.shape, "--threads", threads]
    options += ["--long", arguments.long] if arguments.long else []
    figures = {}
    with turns.running(__file__, sides, *options, env=env) as running:
        for name in ["attention"] if arguments.long else arguments.ops:
            turns.take_turns(running.values(), 1, {"op": name, "repeats": 1})
            slowest = max(side.turns[0]["forward"] + side.turns[0]["backward"] for side in running.values())
            repeats = max(1, round(arguments.seconds * 1e3 / slowest))
            turns.take_turns(running.values(), arguments.turns, {"op": name, "repeats": repeats})
            figures[name] = figures_of(running)
            show(name, figures[name])
    if arguments.long:
        figures["memory_mb"] = {
            name: side.turns[-1]["peak"] - side.turns[-1]["before"] for name, side in running.items()
        }
        print(f"peak memory above the inputs, MB: {figures['memory_mb']}")
    turns.write_json(arguments.json, figures)


if __name__ == "__main__":
    main()
