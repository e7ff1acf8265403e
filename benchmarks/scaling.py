"""How time and memory of a training step grow with length, layers, width and threads, against PyTorch.

    python benchmarks/scaling.py --png scaling.png --json scaling.json
    python benchmarks/scaling.py --points 3 --axes length

Each point of each side is a process of its own; the sides of a point take turns, and figures are medians. From one base
(V = 65, T = 256, D = 128, H = 4, 2 layers, 8 sequences) one thing grows at a time. Length grows with ONE sequence in the
batch, so that the tokens of a step grow with it; with width, heads stay 32 wide. Memory is the peak above that of a
tiny model's first step: weights, gradients, moments and what backward keeps. Needs matplotlib for --png.
"""

import argparse
import math
import time

import turns
from sides import SIDES, Shape, make_batch, make_model

BASE = Shape(65, 256, 128, 4, 2, 8)
AXES = {
    "length": [128, 256, 512, 1024, 2048, 4096, 8192, 16384],
    "layers": [1, 2, 4, 8, 16],
    "width": [64, 128, 256, 512, 1024],
    "threads": [],  # up to --threads, by doubling
}
TINY = Shape(65, 8, 32, 1, 1, 1)
SECONDS = 0.5  # of a turn
LABELS = {"length": "tokens T, one sequence", "layers": "layers", "width": "width D", "threads": "threads"}
NAMES = {"ours": "tinytx", "torch_eager": "PyTorch"}


def shape_at(axis, value):
    """Return the shape of a point."""
    changes = {
        "length": {"max_len": value, "batch": 1},
        "layers": {"n_layers": value},
        "width": {"d_model": value, "n_heads": value // 32},
        "threads": {},
    }
    return BASE._replace(**changes[axis])


def trainer_and_batch(side, shape, threads):
    """Return them, without the model that the rival has copied."""
    return SIDES[side](make_model(shape), threads), make_batch(shape)


def child(side, shape, threads):
    """Answer a number of steps with milliseconds for one, the loss, and MB above what a tiny model's step took."""
    trainer, batch = trainer_and_batch(side, TINY, threads)
    trainer.step(*batch)  # loads what is imported, or compiled, at the first step only
    before = turns.peak_memory()
    trainer, batch = trainer_and_batch(side, shape, threads)
    trainer.step(*batch)

    def answer(n):
        began = time.perf_counter()
        for _ in range(n):
            loss = trainer.step(*batch)
        milliseconds = (time.perf_counter() - began) / n * 1e3
        return {"ms": milliseconds, "loss": loss, "memory": turns.peak_memory() - before}

    turns.serve(answer)


def measure(axis, value, sides, arguments, env):
    """Return {side: figures} of a point."""
    threads = value if axis == "threads" else arguments.threads
    options = "--axes", axis, "--point", value, "--threads", threads
    with turns.running(__file__, sides, *options, env=env) as running:
        turns.take_turns(running.values(), 1, 1)
        turns.check_losses({name: side.turns[0]["loss"] for name, side in running.items()}, 1e-3)
        steps = max(1, round(SECONDS * 1e3 / running["ours"].turns[0]["ms"]))
        turns.take_turns(running.values(), arguments.turns, steps)
    point = {name: {key: side.median(key) for key in ("ms", "loss", "memory")} for name, side in running.items()}
    for name, side in running.items():
        if name != "ours":
            point[name]["ratio"] = turns.ratio(side, running["ours"], "ms")
    return point


def draw(figures, path):
    """Draw time, memory and the ratio of times, a column for each axis, and write the PNG."""
    from tinytx.viz import style

    colours = {"ours": style.OURS, "torch_eager": style.REFERENCE}
    compared = any(len(point) > 1 for points in figures.values() for point in points.values())
    rows = {"ms": "time of a step (ms)", "memory": "memory above a tiny model's (MB)"}
    rows |= {"ratio": "PyTorch's time / tinytx's"} if compared else {}
    figure = style.new_figure("drawing the curves", 1.2 + 3.4 * len(figures), 3 * len(rows), layout="constrained")
    panels = figure.subplots(len(rows), len(figures), sharex="col", sharey="row", squeeze=False)
    for column, (axis, points) in enumerate(figures.items()):
        values, sides = list(points), list(next(iter(points.values())))
        for panel, key in zip(panels[:, column], rows):
            if key == "ratio":
                draw_ratio(panel, values, [point["torch_eager"]["ratio"] for point in points.values()], style)
            else:
                lines = []
                for side in sides:
                    numbers = [max(1 if key == "memory" else 0, point[side][key]) for point in points.values()]
                    lines += panel.plot(values, numbers, "o-", color=colours[side], markersize=4, linewidth=1.8)
                panel.set_yscale("log")
                panel.yaxis.set_major_formatter("{x:,.0f}")
                if column == 0 and key == "ms":
                    style.write_legend(panel, list(zip([NAMES[side] for side in sides], lines)))
            panel.set_xscale("log", base=2)
            panel.set_xticks(values, [f"{v // 1024}k" if v >= 1024 else str(v) for v in values])
            panel.minorticks_off()
            style.tidy(panel)
        panels[-1, column].set_xlabel(LABELS[axis])
    for panel, label in zip(panels[:, 0], rows.values()):
        panel.set_ylabel(label)
    for panel in panels[:2, 0]:  # whole decades, so that there are labels
        low, high = map(math.log10, panel.get_ylim())
        panel.set_ylim(10 ** math.floor(low + 0.1), 10 ** math.ceil(high - 0.1))
    if compared:
        ratios = [point["torch_eager"]["ratio"] for points in figures.values() for point in points.values()]
        panels[2, 0].set_ylim(min(ratios + [0.8]) - 0.05, max(ratios + [1.2]) + 0.05)
    sizes = f"T {BASE.max_len}, D {BASE.d_model}, {BASE.n_layers} layers, {BASE.batch} sequences"
    style.write_heading(figure, "How a training step grows", f"One thing grows at a time, from {sizes}")
    style.save(figure, path, 120)
    print(f"Wrote {path}")


def draw_ratio(panel, values, ratios, style):
    """Draw how many times as long PyTorch takes, and which side of 1 is the better one."""
    panel.plot(values, ratios, "o-", color=style.OURS, markersize=4, linewidth=1.8)
    panel.axhline(1, color=style.NEUTRAL, linewidth=1)
    panel.axhspan(0, 1, color=style.WRONG, alpha=0.07, linewidth=0)
    for height, up, side, color in ((1, "bottom", "faster", style.OURS), (1, "top", "slower", style.WRONG)):
        place = {"transform": panel.get_yaxis_transform(), "verticalalignment": up, "horizontalalignment": "right"}
        panel.text(0.98, height, f"tinytx is {side}", color=color, fontsize=style.SMALL, **place)


def main():
    """Measure the axes, print a line for each point, and write picture and JSON."""
    parser = turns.parser(__doc__, turns=5, quick="--axes length threads --points 1 --turns 1")
    parser.add_argument("--axes", nargs="+", choices=AXES, default=list(AXES))
    parser.add_argument("--points", type=int, help="the first so many of each axis (default: all)")
    parser.add_argument("--png", type=turns.file_to_write, help="file to draw the curves to")
    parser.add_argument("--point", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        return child(arguments.child, shape_at(arguments.axes[0], arguments.point), arguments.threads)
    sides = ["ours", *turns.rivals(["torch_eager"], "torch")]
    env = turns.environment(arguments.keep_env)
    turns.describe(arguments.threads, sides, env)
    figures = {}
    for axis in arguments.axes:
        values = AXES[axis] or sorted({2**i for i in range(arguments.threads.bit_length())} | {arguments.threads})
        figures[axis] = {}
        for value in values[: arguments.points]:
            point = figures[axis][value] = measure(axis, value, sides, arguments, env)
            text = "; ".join(f"{NAMES[name]} {x['ms']:.1f} ms, {x['memory']:.0f} MB" for name, x in point.items())
            ratios = "".join(f"; {NAMES[name]} / ours {x['ratio']:.2f}" for name, x in point.items() if "ratio" in x)
            print(f"{axis} {value}: {text}{ratios}", flush=True)
    if arguments.png:
        draw(figures, arguments.png)
    turns.write_json(arguments.json, figures)


if __name__ == "__main__":
    main()
