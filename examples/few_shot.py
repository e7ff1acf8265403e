"""Learning from examples in the context: a curve, and the head of attention that does it.

    python examples/few_shot.py --out few_shot.png

A GPT reads rows of letters with labels, "c 1 a 3 d 0 c 1": which label a letter has is drawn anew for each row. Nothing in
its weights says it; what it can learn is to look where the letter was before. So it is right by chance at first, and the
more often, the more examples it has read (Brown et al. 2020, arXiv:2005.14165). This takes two blocks: a head of the first
tells each position which token was before it, and an induction head of the second finds the letter's last place, and looks
at what followed (Olsson et al. 2022, arXiv:2209.11895). Three seeds of each kind, 500 steps:

                    right after 0, 1, 2, 4 and 11 examples        last, each seed    highest induction score
    banded, dense   0.23, 0.42, 0.60, 0.77, 0.96                  0.96 to 0.96       0.99
    dense, dense    0.23, 0.42, 0.52, 0.55, 0.55                  0.50 to 0.65       0.31
    one dense       0.24, 0.42, 0.49, 0.54, 0.54                  0.50 to 0.56       0.20

After 11 examples a letter was there before in 0.96 of the rows. One block knows which labels the row has, and not whose.
Two dense blocks get further, but not in so few steps: where the first is a band of two tokens (GPT-3's pattern, windows of
"2,all"), the token before is all that it can look at, and the induction head is there after 200 steps.

The second task is a text: words of four topics, "cat 2 red 0 dog 2", whose topics have a label in each row. 800 steps: 0.25,
0.43, 0.58, 0.76, 0.96. Its head has 0.69 of its weight behind earlier places of the word itself: it also looks behind other
words of the topic.
"""

import argparse
from pathlib import Path

import numpy as np

from tinytx import workers
from tinytx.recipes import load_recipe
from tinytx.recipes.few_shot import curve, heads
from tinytx.recipes.train import trained
from tinytx.viz import attention_maps, style

KINDS = {  # name: settings
    "banded, dense": {"windows": "2,all"},
    "dense, dense": {"windows": None},
    "one dense block": {"windows": None, "n_layers": 1},
}
WORDS = {"kind": "words", "steps": 800}
COLORS = dict(zip(KINDS, (style.OURS, style.SERIES[1], style.SERIES[2])))
QUICK = {"steps": 4, "d_model": 16}


def runs(settings, label, seeds, common):
    """Return (curves (seeds, examples), induction scores of the first seed's heads, its trainer and data)."""
    recipe, curves, first = load_recipe("few_shot"), [], None
    for seed in range(seeds):
        trainer, prepared = trained(recipe, settings | common | {"seed": seed}, f"{label}, seed {seed}")
        curves.append(curve(trainer.model, prepared))
        first = first or (trainer.model, prepared)
    return np.array(curves), heads(*first), first


def draw_curves(axes, curves, title, chance):
    """Draw the mean of each kind's seeds over the number of examples, and the seeds as points."""
    lines = []
    for name, found in curves.items():
        color, x = COLORS.get(name, style.OURS), np.arange(found.shape[1])
        lines.append((name, axes.plot(x, found.mean(0), color=color)[0]))
        axes.plot(x, found.T, ".", color=color, markersize=4)
    lines.append(("by chance", axes.axhline(chance, color=style.NEUTRAL, linestyle=":")))
    axes.set(xlabel="examples in the context", ylabel="answers that are right", ylim=(0, 1.02))
    axes.set_title(title, fontsize=style.LABEL, color=style.TEXT, loc="left")
    style.write_legend(axes, lines, fontsize=style.SMALL, loc="lower right")
    style.tidy(axes)


def draw_head(axes, figure, model, prepared, scores):
    """Draw where the head with the highest score looks in one row."""
    layer, head = np.unravel_index(scores.argmax(), scores.shape)
    ids = prepared.validation[0][0][:1]
    weights = list(attention_maps(model, ids).values())[layer][0, head]
    text = prepared.tokenizers["tokenizer"]["words"]
    text = [text[i] for i in ids[0]]
    shown = axes.imshow(weights, cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(text)), text, fontsize=style.SMALL)
    axes.set_yticks(range(len(text)), text, fontsize=style.SMALL)
    axes.set(xlabel="looks at", ylabel="position")
    title = f"block {layer + 1}, head {head + 1}: {scores.max():.2f} of its weight on what followed"
    axes.set_title(title, fontsize=style.LABEL, color=style.TEXT, loc="left")
    figure.colorbar(shown, ax=axes, shrink=0.7).outline.set_visible(False)


def draw_scores(axes, scores):
    """Draw a bar for each head's induction score."""
    names = [f"block {i + 1}, head {j + 1}" for i, j in np.ndindex(scores.shape)]
    axes.barh(names, scores.reshape(-1), color=[style.OURS if s == scores.max() else style.FAINT for s in scores.reshape(-1)])
    axes.invert_yaxis()
    axes.set(xlim=(0, 1), xlabel="weight on what followed the letter's earlier places")
    axes.set_title("each head, as an induction head", fontsize=style.LABEL, color=style.TEXT, loc="left")
    style.tidy(axes)


def main():
    """Train, print the curves, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="few_shot.png", metavar="FILE", help="the picture")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each kind (default: 3)")
    parser.add_argument("--threads", type=int, default=workers.processors())
    parser.add_argument("--quick", action="store_true", help="tiny models, 4 steps, one seed: shows that it runs, and no more")
    arguments = parser.parse_args()
    if not Path(arguments.out).resolve().parent.is_dir():
        parser.error(f"--out: there is no folder for {arguments.out}")
    common = {"threads": arguments.threads} | (QUICK if arguments.quick else {})
    seeds = 1 if arguments.quick else arguments.seeds
    figure = style.new_figure("drawing the curves", 12, 8.4, layout="constrained")
    found = {name: runs(settings, name, seeds, common) for name, settings in KINDS.items()}
    words = runs(WORDS, "words", seeds, common)
    for name, (curves, scores, _) in [*found.items(), ("words", words)]:
        print(f"{name:16} right after 0, 1, 2, ... examples: {' '.join(f'{mean:.2f}' for mean in curves.mean(0))}")
        lowest, highest = curves[:, -1].min(), curves[:, -1].max()
        print(f"{'':16} last, each seed: from {lowest:.2f} to {highest:.2f}; highest induction score {scores.max():.2f}")
    (left, right), (below, picture) = figure.subplots(2, 2)
    draw_curves(left, {name: curves for name, (curves, *_) in found.items()}, "labels of letters, new in each row", 0.25)
    draw_curves(right, {"banded, dense": words[0]}, "labels of words by their topics, new in each row", 0.25)
    _, scores, (model, prepared) = next(iter(found.values()))
    draw_scores(below, scores)
    draw_head(picture, figure, model, prepared, scores)
    style.write_heading(figure, "The more examples in the context, the more often right: an induction head looks them up")
    style.save(figure, arguments.out, 110)
    print(f"Wrote {arguments.out}")


if __name__ == "__main__":
    main()
