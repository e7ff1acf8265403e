"""How time and memory of a training step grow with the length of one sequence, for each way to make attention cheaper.

    python benchmarks/long.py --png long.png --json long.json
    python benchmarks/long.py --lengths 512 1024 --sides full window

One sequence of T tokens, V = 65, two blocks of width 128 with four heads; a step is forward, backward, clipping and AdamW. What
the sides are, and what each gives up:

full        every word sees all before it                           nothing
window      a word sees the last 512                                what is farther away than blocks times 512
global      256 on each side, and the first word sees all (Longformer)   the same, but for what the first word carries
strided     the last l, and every l-th before, l = sqrt(T)          what is far takes two steps
fixed       its block of l, and the last of each block before       what is far has to be summed up in the ends of blocks
hashed      its chunk of 64 and the one before, 4 times (Reformer)  what a hash does not bring together
low rank    256 weighted sums of all words (Linformer)              which word it was, and that it stands before
linear      one matrix of products for each head, no softmax        looking up one word among many
segments    512 words at a time, and a memory of 512                the gradient beyond a segment

Each point of each side is a process of its own, and the sides of a length take turns; figures are medians. Memory is the peak
above that of a tiny model's first step. Attention never holds T x T numbers here, on the full side neither, so memory is linear in T
for all of them: what the cheaper ones save is time. Hashing has 128 buckets at most: products with more of them would grow with
the square of T. Needs matplotlib for --png.
"""

import argparse
import math
import time

import numpy as np
import turns
from sides import ours

LENGTHS = [512, 1024, 2048, 4096, 8192, 16384, 32768]
SIZES = {"vocab_size": 65, "d_model": 128, "n_heads": 4, "n_layers": 2}
WINDOW, CHUNK, ROUNDS, BUCKETS, SUMS, TINY = 512, 64, 4, 128, 256, 64
SECONDS = 1  # of a turn


def full(n, draw):
    from tinytx.models import GPT, GPTConfig

    return GPT(GPTConfig(**SIZES, max_len=n), **draw)


def window(n, draw):
    from tinytx.models import GPT, GPTConfig

    return GPT(GPTConfig(**SIZES, max_len=n, windows=str(WINDOW)), **draw)


def with_global(n, draw):
    from tinytx.models import Longformer, LongformerConfig

    settings = {"windows": str(WINDOW), "global_words": "first", "n_segments": 0, "masks_padding": False}
    return Longformer(LongformerConfig(**SIZES, max_len=n + 2, dropout=0.0, norm_order="pre", **settings), **draw)


def sparse(kind):
    """Return the function that makes a body of this kind."""

    def make(n, draw):
        from tinytx.models import SparseTransformer, SparseTransformerConfig

        return SparseTransformer(SparseTransformerConfig(**SIZES, max_len=n, kind=kind, stride=math.isqrt(n)), **draw)

    return make


def hashed(n, draw):
    from tinytx.models import Reformer, ReformerConfig

    return Reformer(ReformerConfig(**SIZES, max_len=n, chunk=CHUNK, n_buckets=min(BUCKETS, 2 * n // CHUNK), n_rounds=ROUNDS), **draw)


def low_rank(n, draw):
    from tinytx.models import Linformer, LinformerConfig

    config = LinformerConfig(**SIZES, max_len=n, n_sums=min(n, SUMS), n_segments=0, masks_padding=False, dropout=0.0, norm_order="pre")
    return Linformer(config, **draw)


def linear(n, draw):
    from tinytx.models import LinearTransformer, LinearTransformerConfig

    return LinearTransformer(LinearTransformerConfig(**SIZES, max_len=n), **draw)


def segments(n, draw):
    from tinytx.models import TransformerXL, TransformerXLConfig

    return TransformerXL(TransformerXLConfig(**SIZES, segment=WINDOW, memory=WINDOW), **draw)


SIDES = {
    "full": full, "window": window, "global": with_global, "strided": sparse("strided"), "fixed": sparse("fixed"), "hashed": hashed, "low rank": low_rank,
    "linear": linear, "segments": segments,
}  # fmt: skip


def trainer_and_batch(side, n, threads):
    """Return the trainer of a body, and ids and targets (1, n)."""
    from tinytx.tasks import NextToken

    rng = np.random.default_rng(0)
    model = NextToken(SIDES[side](n, {"rng": rng}), rng=rng)
    return ours(model, threads), np.random.default_rng(1).integers(0, SIZES["vocab_size"], (2, 1, n))


def child(side, n, threads):
    """Answer a number of steps with milliseconds for one, the loss, and MB above what a tiny model's step took."""
    trainer, batch = trainer_and_batch(side, TINY, threads)
    trainer.step(*batch)  # loads what is imported, or compiled, at the first step only
    before = turns.peak_memory()
    trainer, batch = trainer_and_batch(side, n, threads)

    def answer(n):
        began = time.perf_counter()
        for _ in range(n):
            loss = trainer.step(*batch)
        return {"ms": (time.perf_counter() - began) / n * 1e3, "loss": loss, "memory": turns.peak_memory() - before}

    turns.serve(answer)


def measure(n, sides, arguments, env):
    """Return {side: figures} of a length."""
    with turns.running(__file__, sides, "--length", n, "--threads", arguments.threads, env=env) as running:
        turns.take_turns(running.values(), 1, 1)
        turns.check_losses({name: side.turns[0]["loss"] for name, side in running.items()})
        steps = {name: turns.steps(side, SECONDS) for name, side in running.items()}
        for side in running.values():
            side.turns.clear()
        for _ in range(arguments.turns):
            for name, side in running.items():
                side.ask(steps[name])
    return {name: {key: side.median(key) for key in ("ms", "memory")} for name, side in running.items()}


def draw(figures, path):
    """Draw time and memory against length, a line for each side, and write the PNG."""
    from tinytx.viz import style

    figure = style.new_figure("drawing the curves", 10.5, 4.4, layout="constrained")
    lengths, sides = list(figures), list(next(iter(figures.values())))
    labels = {"ms": "time of a step (ms)", "memory": "memory above a tiny model's (MB)"}
    for panel, (key, label) in zip(figure.subplots(1, 2), labels.items()):
        lines = []
        for side, color in zip(sides, (style.REFERENCE, *style.SERIES)):
            numbers = [max(1, point[side][key]) for point in figures.values()]
            lines += panel.plot(lengths, numbers, "o-", color=color, markersize=4, linewidth=1.8)
        panel.set_xscale("log", base=2)
        panel.set_yscale("log")
        panel.set_xticks(lengths, [f"{n // 1024}k" if n >= 1024 else str(n) for n in lengths])
        panel.yaxis.set_major_formatter("{x:,.0f}")
        panel.minorticks_off()
        panel.set(xlabel="tokens T, one sequence", ylabel=label)
        style.tidy(panel)
    style.write_legend(figure.axes[0], list(zip(sides, lines)), fontsize=style.SMALL, loc="upper left")
    style.write_heading(figure, "What a longer sequence costs", "Two blocks of width 128; forward, backward and AdamW")
    style.save(figure, path, 110)
    print(f"Wrote {path}")


def main():
    """Measure the lengths, print a line for each, how time grew from length to length, and write picture and JSON."""
    parser = turns.parser(__doc__, turns=5, quick="--lengths 64 --turns 1")
    parser.add_argument("--lengths", nargs="+", type=int, default=LENGTHS, help="tokens, at least 64 (default: 512 to 32,768)")
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES))
    parser.add_argument("--png", type=turns.file_to_write, help="file to draw the curves to")
    parser.add_argument("--length", type=int, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        return child(arguments.child, arguments.length, arguments.threads)
    if min(arguments.lengths) < TINY:
        parser.error(f"--lengths: {min(arguments.lengths)} is too short, expected at least {TINY}")
    env = turns.environment(arguments.keep_env)
    turns.describe(arguments.threads, arguments.sides, env)
    figures = {}
    for n in sorted(arguments.lengths):
        figures[n] = measure(n, arguments.sides, arguments, env)
        print(f"{n}: " + "; ".join(f"{name} {x['ms']:.1f} ms, {x['memory']:.0f} MB" for name, x in figures[n].items()), flush=True)
    for (short, before), (long, after) in zip(figures.items(), list(figures.items())[1:]):
        grown = ", ".join(f"{name} {after[name]['ms'] / before[name]['ms']:.2f}" for name in arguments.sides)
        print(f"time of {long} / {short}: {grown}")
    if arguments.png:
        draw(figures, arguments.png)
    turns.write_json(arguments.json, {str(n): point for n, point in figures.items()})


if __name__ == "__main__":
    main()
