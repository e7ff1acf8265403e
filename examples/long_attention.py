"""What each way to make attention cheaper gives up: two questions about a row of words, asked of eight kinds of model.

    python examples/long_attention.py --out long_attention.png

needle   127 small letters, one of which, somewhere in the first half, is a large one; which, asks the last word
copying  64 small letters, then 64 question marks; the model says the letters again, each at its own question mark

Each model has two blocks, width 64 and four heads, and about 22 keys for each word where it does not see all. Learned positions
(distances in the model with segments), Adam with a rate that rises to 0.003 and falls to 0; the share that is said right in 500
new rows, where chance is 0.06:

    kind        needle  copying
    full          1.00     0.97
    window        0.07     0.06
    strided       0.95     0.06
    fixed         0.99     0.14
    hashed        1.00     0.36
    low rank      0.07     0.13
    linear        1.00     0.66
    segments      0.07     0.06

Trained one by one, in one thread, one seed. The window and the segments do not reach the needle, nor the letters; that is what they
give up. The distance of copying, 64, is no multiple of the stride, so that strided attention has to find its letters in two steps,
which it did not learn here (`examples/sparse_copying.py` has a distance that is). A hash has to bring a question mark and its letter
into one bucket by their positions alone. A few sums do not say which word was where. Sums of features, in linear attention, hold
one needle, and half of 64 letters. Half an hour of processor time.

`benchmarks/long.py` measures what each saves.
"""

import argparse
from pathlib import Path

import numpy as np

from tinytx import models, workers
from tinytx.progress import tracked
from tinytx.tasks import NextToken
from tinytx.training import Adam, Trainer, WarmupCosine
from tinytx.viz import style

LETTERS, N, MARK = 16, 128, 32  # small letters are 0 to 15, large ones 16 to 31, the question mark is 32
STRIDE, KEYS, CHUNK, ROUNDS = 11, 22, 8, 2
RATE, WARMUP, BATCH, JUDGED = 3e-3, 100, 32, 500
STEPS = {"needle": 1000, "copying": 1500}
IGNORED = NextToken.ignored  # a target that is not judged
SIZES = {"vocab_size": 2 * LETTERS + 1, "d_model": 64, "n_heads": 4, "n_layers": 2}
KINDS = {  # kind -> model, config, and the settings in which it differs
    "full": ("GPT", {}),
    "window": ("GPT", {"windows": str(KEYS)}),
    "strided": ("SparseTransformer", {"kind": "strided", "stride": STRIDE}),
    "fixed": ("SparseTransformer", {"kind": "fixed", "stride": STRIDE}),
    "hashed": ("Reformer", {"chunk": CHUNK, "n_buckets": 2 * N // CHUNK, "n_rounds": ROUNDS}),
    "low rank": ("Linformer", {"n_sums": KEYS, "n_segments": 0, "masks_padding": False, "dropout": 0.0, "norm_order": "pre"}),
    "linear": ("LinearTransformer", {}),
    "segments": ("TransformerXL", {"segment": KEYS // 2, "memory": KEYS // 2}),
}


def make(kind):
    """Return the model of a kind; the same each time."""
    name, settings = KINDS[kind]
    rng, length = np.random.default_rng(0), {} if "segment" in settings else {"max_len": N}
    config = getattr(models, f"{name}Config")(**SIZES, **length, **settings)
    return NextToken(getattr(models, name)(config, rng=rng), rng=rng)


def needles(rng, n):
    """Return inputs and targets (n, N): one large letter in the first half, which the question mark at the end asks for."""
    ids, targets = rng.integers(0, LETTERS, (n, N)), np.full((n, N), IGNORED)
    needle, place = rng.integers(LETTERS, 2 * LETTERS, n), rng.integers(0, N // 2, n)
    ids[np.arange(n), place], ids[:, -1], targets[:, -1] = needle, MARK, needle
    return ids, targets


def copies(rng, n):
    """Return inputs and targets (n, N): half a row of letters, and as many question marks, each of which asks for one."""
    letters, half = rng.integers(0, LETTERS, (n, N // 2)), (n, N // 2)
    return np.hstack([letters, np.full(half, MARK)]), np.hstack([np.full(half, IGNORED), letters])


TASKS = {"needle": needles, "copying": copies}


def right(task, kind, steps, threads):
    """Train a kind of model on new rows at each step; return the share that it says right in rows that it has not seen."""
    model = make(kind)
    trainer = Trainer(model, Adam(model, WarmupCosine(RATE, min(WARMUP, steps), steps)), clip=1.0, threads=threads)
    for step in tracked(range(steps), f"{task}, {kind}: step"):
        trainer.step(*TASKS[task](np.random.default_rng((0, step)), BATCH))
    inputs, targets = TASKS[task](np.random.default_rng(1), JUDGED)
    judged = targets != IGNORED
    return float((model(inputs).argmax(axis=-1) == targets)[judged].mean())


def draw(shares, path):
    """Draw the shares, a bar for each task and kind."""
    figure = style.new_figure("drawing the shares", 9, 3.6, layout="constrained")
    axes, lines, kinds = figure.subplots(), [], list(shares)
    for i, (task, color) in enumerate(zip(TASKS, (style.OURS, style.SERIES[1]))):
        bars = axes.bar(np.arange(len(kinds)) + 0.38 * i, [shares[kind].get(task, 0) for kind in kinds], 0.36, color=color)
        axes.bar_label(bars, fmt="%.2f", fontsize=style.SMALL)
        lines.append((task, bars))
    axes.set_xticks(np.arange(len(kinds)) + 0.19, kinds)
    axes.axhline(1 / LETTERS, color=style.NEUTRAL, linewidth=1)
    axes.set(ylabel="said right", ylim=(0, 1.15))
    style.write_legend(axes, lines, fontsize=style.SMALL, loc="upper right")
    style.tidy(axes)
    style.save(figure, path, 110)
    print(f"Wrote {path}")


def main():
    """Train each model on each task, print the table, draw it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="long_attention.png", metavar="FILE", help="the picture")
    parser.add_argument("--kinds", nargs="+", choices=KINDS, default=list(KINDS))
    parser.add_argument("--tasks", nargs="+", choices=TASKS, default=list(TASKS))
    parser.add_argument("--steps", type=int, help=f"steps of each model (default: needle {STEPS['needle']}, copying {STEPS['copying']})")
    parser.add_argument("--threads", type=int, default=workers.processors())
    parser.add_argument("--quick", action="store_true", help="2 steps: shows that it runs, and no more")
    arguments = parser.parse_args()
    if not Path(arguments.out).resolve().parent.is_dir():
        parser.error(f"--out: there is no folder for {arguments.out}")
    print("kind     " + "".join(f"{task:>9}" for task in arguments.tasks))
    shares = {}
    for kind in arguments.kinds:
        steps = {task: 2 if arguments.quick else arguments.steps or STEPS[task] for task in arguments.tasks}
        shares[kind] = {task: right(task, kind, steps[task], arguments.threads) for task in arguments.tasks}
        print(f"{kind:9}" + "".join(f"{share:9.2f}" for share in shares[kind].values()), flush=True)
    draw(shares, arguments.out)


if __name__ == "__main__":
    main()
