"""A training step, against PyTorch in the same run: forward, backward, clipping at 1.0, AdamW.

    python benchmarks/train_step.py --shapes nano baby --json step.json
    python benchmarks/train_step.py --shapes nano gpt2 --dtype float64 --turns 2

Every side is a process of its own with the same weights, batch, optimiser and number of threads, and they take turns
(turns.py). Figures are medians over the turns; a ratio is taken pair by pair. A side "products" makes the step's matrix
products and nothing else, with the same threads, where there are as many sequences as threads: the ratio to it says what
is lost between products. Rounding grows from step to step, most of all where a small batch is learned by heart: --dtype
float64 shows that the losses differ by nothing else.
"""

import time

import turns
from sides import SHAPES, SIDES, flops, make_batch, make_model, product_peak

EARLY = 3  # steps before that of which the sides' losses are compared first: rounding has not grown
WARM_UP = 12  # steps of each side before it is timed: after eight our trainer writes down what it does, and after two more it repeats that


def child(side, shape, arguments):
    """Answer a number of steps with milliseconds for one, loss and peak memory; "product" with NumPy's rate."""
    if side == "product":
        return turns.serve(lambda _: {"gflops": product_peak(arguments.dtype)})
    batch = make_batch(shape)
    if side == "products":
        from products import Products

        step = Products(shape, arguments.threads, arguments.dtype).step
    else:
        step = SIDES[side](make_model(shape, arguments.dtype, arguments.dropout), arguments.threads).step
    early = [step(*batch) for _ in range(WARM_UP)][EARLY]

    def answer(n):
        began = time.perf_counter()
        for _ in range(n):
            loss = step(*batch)
        return {"ms": (time.perf_counter() - began) / n * 1e3, "loss": loss, "early": early, "memory": turns.peak_memory()}

    turns.serve(answer)


def compare(shape, sides, arguments, env):
    """Return the figures of one shape."""
    options = [f"--{name}={getattr(arguments, name)}" for name in ("threads", "dtype", "dropout")]
    options += ["--shapes", shape]
    gflops = turns.ask_once(__file__, "product", None, *options, env=env)["gflops"]
    if SHAPES[shape].batch >= arguments.threads:
        sides = [*sides, "products"]
    with turns.running(__file__, sides, *options, env=env) as running:
        ours = running["ours"]
        turns.take_turns(running.values(), 1, 1)
        turns.take_turns(running.values(), arguments.turns, turns.steps(ours, arguments.seconds))
    row = {f"{name}_ms": side.median("ms") for name, side in running.items()}
    if "products" in running:
        row["products_ratio"] = turns.ratio(ours, running.pop("products"), "ms")
    rivals = [side for name, side in running.items() if name != "ours"]
    if rivals:
        row["ratio"] = turns.ratio(min(rivals, key=lambda side: side.median("ms")), ours, "ms")
    if "torch_eager" in running:
        row["memory_ratio"] = ours.median("memory") / running["torch_eager"].median("memory")
    row["gflops"], row["sgemm_share"] = gflops, flops(SHAPES[shape]) / row["ours_ms"] / 1e6 / gflops
    # Rounding grows: after eleven steps of gpt2 PyTorch's loss is 1 % from that in float64, and at last a batch is known by heart.
    for key, turn, of, rtol, nats in (("early_loss", 0, "early", 1e-3, 0.0), ("loss", 0, "loss", 0.01, 0.0), ("last_loss", -1, "loss", 0.05, 0.01)):
        row[key] = {name: side.turns[turn][of] for name, side in running.items()}
        turns.check_losses(row[key], None if arguments.dropout else rtol, nats)
    row["memory_mb"] = {name: side.median("memory") for name, side in running.items()}
    return row


def main():
    """Run the shapes, print the table, and write the JSON."""
    parser = turns.parser(__doc__, seconds=1, quick="--shapes nano --turns 1 --seconds 0")
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--sides", nargs="+", choices=[s for s in SIDES if s != "ours"], default=["torch_eager"])
    parser.add_argument("--dtype", choices=["float32", "float64"], default="float32", help="default float32")
    parser.add_argument("--dropout", type=float, default=0.0, metavar="P", help="default 0; other masks, other losses")
    arguments = parser.parse_args()
    if arguments.child:
        return child(arguments.child, SHAPES[arguments.shapes[0]], arguments)
    sides = ["ours", *turns.rivals(arguments.sides, "torch")]
    env = turns.environment(arguments.keep_env)
    turns.describe(arguments.threads, sides, env)
    figures = {}
    for shape in arguments.shapes:
        row = figures[shape] = compare(shape, sides, arguments, env)
        times = ", ".join(f"{key[:-3]} {row[key]:.1f} ms" for key in row if key.endswith("_ms"))
        ratio = f", PyTorch / ours {row['ratio']:.2f}" if "ratio" in row else ""
        ratio += f", ours / products {row['products_ratio']:.2f}" if "products_ratio" in row else ""
        peak = f"{row['sgemm_share']:.0%} of {row['gflops']:.0f} GFLOP/s"
        memory = f", memory ours / eager {row['memory_ratio']:.2f}" if "memory_ratio" in row else ""
        print(f"{shape:>5}: {times}{ratio}, {peak}{memory}", flush=True)
        print(f"       losses {row['loss']}, at last {row['last_loss']}, MB {row['memory_mb']}")
    turns.write_json(arguments.json, figures)


if __name__ == "__main__":
    main()
