"""What a sparse pattern reaches, and what a window of as many keys does not.

    python examples/sparse_copying.py --out sparse_copying.png

A row is 33 letters, drawn anew, and the same 33 again; the model says the second half, letter by letter. The letter to say
stands 32 places before, four strides of eight. Each model is a GPT of two blocks, width 64; they differ in what a word sees:

dense     all words before it
strided   the last 8 words, and those 8, 16, 24, .. before (Child et al. 2019)
fixed     its own block of 8 words, and the last 2 of each block before
window    the last 16 words: as many keys as the strided pattern at the end of the row

A window of 16 in two blocks reaches 30 places back, and so never the letter; the strided pattern has it in one step. The fixed
pattern has it in two: the ends of a block have to hold its letters for those who come later. 1,500 steps of 64 rows, Adam with a
rate that rises to 0.003 and falls to 0; letters of the second halves of 500 new rows that are said right:

    pattern   keys of the last word  loss at the end  right
    dense                        65             0.00   1.00
    strided                      16             0.00   1.00
    fixed                        17             0.00   1.00
    window                       16             2.77   0.06

By chance 0.06 are right. The picture shows which words see which.
"""

import argparse
from pathlib import Path

import numpy as np

from tinytx import workers
from tinytx.models import GPT, GPTConfig, SparseTransformer, SparseTransformerConfig
from tinytx.progress import tracked
from tinytx.tasks import NextToken
from tinytx.training import Adam, Trainer, WarmupCosine
from tinytx.viz import style

LETTERS, HALF, STRIDE, WINDOW = 16, 33, 8, 16
STEPS, BATCH, RATE, WARMUP, JUDGED = 1500, 64, 3e-3, 100, 500
IGNORED = NextToken.ignored  # a target that is not judged
SIZES = {"vocab_size": LETTERS, "max_len": 2 * HALF - 1, "d_model": 64, "n_heads": 4, "n_layers": 2}


def bodies():
    """Return {name: body}, each with the same initial values where they have the same parameters."""
    sparse = {"strided": {"kind": "strided"}, "fixed": {"kind": "fixed", "n_ends": 2}}
    made = {"dense": GPT(GPTConfig(**SIZES), rng=np.random.default_rng(0))}
    for name, settings in sparse.items():
        config = SparseTransformerConfig(**SIZES, stride=STRIDE, **settings)
        made[name] = SparseTransformer(config, rng=np.random.default_rng(0))
    return made | {"window": GPT(GPTConfig(**SIZES, windows=str(WINDOW)), rng=np.random.default_rng(0))}


def rows(rng, n):
    """Return inputs and targets (n, 65): targets are judged in the second half alone."""
    ids = np.tile(rng.integers(0, LETTERS, (n, HALF)), 2)
    targets = ids[:, 1:].copy()
    targets[:, : HALF - 1] = IGNORED
    return ids[:, :-1], targets


def seen(body):
    """Return who sees whom in each block of a body: booleans (T, T)."""
    core, n = body.blocks[0].attention.f.core, SIZES["max_len"]
    core = getattr(core, "whole", core)
    return core.pattern.allowed(slice(0, 1), slice(0, n), slice(0, n)).reshape(n, n)


def learn(model, steps, threads):
    """Train on new rows at each step; return the losses."""
    trainer, losses = Trainer(model, Adam(model, WarmupCosine(RATE, WARMUP, steps)), clip=1.0, threads=threads), []
    for step in tracked(range(steps), "step"):
        losses.append(trainer.step(*rows(np.random.default_rng((0, step)), BATCH)))
    return losses


def right(model, n):
    """Return the share of letters of the second half that are said right, in n new rows."""
    inputs, targets = rows(np.random.default_rng(1), n)
    judged = targets != IGNORED
    return float((model(inputs).argmax(axis=-1) == targets)[judged].mean())


def draw(path, results):
    """Draw each pattern, with the place of the letter that the last word has to say."""
    figure = style.new_figure("drawing the patterns", 11, 3.4, layout="constrained")
    for axes, (name, (pattern, share)) in zip(figure.subplots(1, len(results)), results.items(), strict=True):
        axes.imshow(np.where(pattern, 0.6, 0), cmap="Blues", vmin=0, vmax=1, interpolation="nearest")
        axes.plot(HALF - 1, len(pattern) - 1, "s", color=style.WRONG, markersize=5, fillstyle="none")
        axes.set(xlabel="word that is seen", xticks=[0, 32, 64], yticks=[0, 32, 64])
        axes.set_title(f"{name}: {share:.2f} right", fontsize=style.SMALL)
    figure.axes[0].set_ylabel("word that looks")
    style.save(figure, path, 110)


def main():
    """Train each model, print the table, draw the patterns."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="sparse_copying.png", metavar="FILE", help="the picture")
    parser.add_argument("--steps", type=int, default=STEPS, help=f"steps of each model (default {STEPS})")
    parser.add_argument("--threads", type=int, default=workers.processors())
    parser.add_argument("--quick", action="store_true", help="3 steps: shows that it runs, and no more")
    arguments = parser.parse_args()
    if not Path(arguments.out).resolve().parent.is_dir():
        parser.error(f"--out: there is no folder for {arguments.out}")
    steps, n, results = (3, 20, {}) if arguments.quick else (arguments.steps, JUDGED, {})
    print("pattern   keys of the last word  loss at the end  right")
    for name, body in bodies().items():
        model = NextToken(body)
        losses = learn(model, steps, arguments.threads)
        results[name] = seen(body), right(model, n)
        print(f"{name:8}  {results[name][0][-1].sum():21}  {np.mean(losses[-50:]):15.2f}  {results[name][1]:5.2f}", flush=True)
    draw(arguments.out, results)
    print(f"Wrote {arguments.out}")


if __name__ == "__main__":
    main()
