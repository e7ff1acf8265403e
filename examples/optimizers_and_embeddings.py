"""Do RAdam and Ranger fail to learn word embeddings?

    python examples/optimizers_and_embeddings.py --out optimizers_and_embeddings.png

A tutorial that trains BERT from scratch (Whiax/BERT-Transformer-Pytorch) warns that they do, and takes Adam: rate 2e-3,
an L2 decay of 1e-4 added to the gradient, and PyTorch's start of an embedding, N(0, 1). Here a small GPT learns to
predict words of the text that comes with Python: 600 steps, the same batches for all, means of three seeds. "Agreement"
is the correlation, over all pairs of 1,000 words, between the cosine of their embeddings and the cosine of their
neighbours in the text: 0 at the start. It is taken of the table, and of the table's change since the start.

Verdict: no, they learn the same. Three things hide it, and the tutorial's settings have them all:

1. Short steps. RAdam's rectification is a warm-up of hundreds of steps, and Lookahead goes half of the way. At 2e-3
   rows have moved by 18 % of their length with AdamW, 7 % with RAdam, 1 % with Ranger: agreement 0.03, 0.01, 0.00.
   The validation loss that Adam has at 2e-3, 3.09, Ranger has at 32e-3.
2. A large start, which hides what short steps add. The change alone agrees by 0.27, 0.20, 0.10 at 2e-3, and by 0.30,
   0.27, 0.25 at 8e-3. From N(0, 0.02^2), at 8e-3, all tables agree by 0.32 to 0.36, RAdam's and Ranger's best.
3. Decay that takes the start away, or does not. Where a word does not occur, L2 is all the gradient that its row has,
   and Adam divides it by its own size: rows without gradient keep 38 % of their length at 2e-3, 2 % at 8e-3. What
   remains is learned: agreement 0.33 at 8e-3, AdamW's 0.14. RAdam's and Ranger's authors decay decoupled: rows keep
   99.99 %.
   After 6,000 steps at 2e-3 (one seed), Adam and RAdam agree by 0.24 and 0.23 with L2, by 0.15 and 0.14 decoupled.

Rows without gradient: SGD and Lookahead leave them; Adam and RAdam move a row on while a moment of its last gradient
lasts, and Lookahead halves that; L2 shrinks it by up to the rate in each step, decoupled decay by 1e-4 times the rate.
So give Ranger a larger rate than Adam, and embeddings a small start. Five minutes of processor time.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from tinytx.data import WordTokenizer, builtin_corpus, random_batch, read_text, split, windows
from tinytx.models import GPT, GPTConfig
from tinytx.progress import progress
from tinytx.tasks import NextToken
from tinytx.training import Adam, AdamW, RAdam, Ranger, Trainer
from tinytx.viz import style

WORDS, UNSEEN, LENGTH, BATCH, BLOCK = 2000, 20, 16, 24, 20  # vocabulary, ids in no text, words, windows, steps a point
EVERYTHING = {"groups": [("*", {"weight_decay": 1e-4})]}  # the tutorial's: biases and gains, too
OPTIMIZERS = {
    "Adam, L2": lambda model, lr: Adam(model, lr, **EVERYTHING),
    "RAdam, L2": lambda model, lr: RAdam(model, lr, **EVERYTHING),
    "AdamW": lambda model, lr: AdamW(model, lr, **EVERYTHING),
    "RAdam": lambda model, lr: RAdam(model, lr, decoupled_weight_decay=True, **EVERYTHING),
    "Ranger": lambda model, lr: Ranger(model, lr, **EVERYTHING),
}
SETTINGS = [(1.0, 2e-3), (1.0, 8e-3), (1.0, 32e-3), (0.02, 8e-3)]  # spread of the embedding's start, learning rate
COLORS = dict(zip(OPTIMIZERS, (style.SERIES[i] for i in (9, 1, 7, 3, 2))))
TITLE = "Every optimiser learns the embeddings; a large start hides it where steps are short and decay is decoupled"
QUICK = "--steps 20 --seeds 1 --out quick-optimizers.png"


def neighbours(ids, size, frequent=200):
    """Return (size, 2 frequent): how much oftener than by chance, as max(0, log), a word has each neighbour (PPMI)."""
    counts = np.zeros((size, 2 * frequent))
    for column, words, others in ((0, ids[:-1], ids[1:]), (frequent, ids[1:], ids[:-1])):
        near = others < frequent  # ids are in the order of frequency
        np.add.at(counts, (words[near], column + others[near]), 1)
    chance = counts.sum(1, keepdims=True) * counts.sum(0) / counts.sum()
    return np.log(np.maximum(counts, chance) / np.maximum(chance, 1e-9), where=chance > 0, out=np.zeros_like(counts))


def agreement(embedding, expected, words=slice(1, 1001)):
    """Return the correlation of the words' cosines in an embedding with those of their neighbours: 0 for noise."""
    tables = embedding[words] - embedding[words].mean(0), expected[words]
    units = [table / np.maximum(np.linalg.norm(table, axis=1, keepdims=True), 1e-12) for table in tables]
    return np.corrcoef([(x @ x.T)[np.triu_indices(len(x), 1)] for x in units])[0, 1]


def train(make, spread, lr, seed, ids, expected, steps, bar):
    """Return (training losses, measures) of one run; batches depend on the seed alone."""
    (training, validation), rng = split(ids), np.random.default_rng(seed)
    body = GPT(GPTConfig(len(expected), LENGTH, d_model=32, n_heads=4, n_layers=1, tied_head=False), rng=rng)
    model, embedding = NextToken(body, rng=rng), body.token.weight.data
    embedding[...] = spread * rng.standard_normal(embedding.shape)
    start, trainer, losses = embedding.copy(), Trainer(model, make(model, lr), clip=None), []
    for step in range(steps):
        losses.append(trainer.step(*random_batch(training, max_len=LENGTH, batch_size=BATCH, seed=seed, step=step)))
        bar.update(f"loss {losses[-1]:.2f}")
    size, size_of_start, size_of_change = (np.linalg.norm(x, axis=1) for x in (embedding, start, embedding - start))
    measures = {
        "loss": trainer.evaluate([tuple(array[::4] for array in windows(validation, LENGTH))]),
        "agreement": agreement(embedding, expected),
        "of change": agreement(embedding - start, expected),
        "moved": (size_of_change / size_of_start)[1:1001].mean(),
        "unseen rows keep": (size / size_of_start)[-UNSEEN:].mean(),
    }
    return np.reshape(losses[: steps // BLOCK * BLOCK], (-1, BLOCK)).mean(1), measures


def draw(top, bottom, title, results):
    """Draw the loss curves of one setting, and below them what the embeddings are worth."""
    for row, (name, (curve, measures)) in enumerate(reversed(results.items())):
        wide = {"linewidth": 1.5} if "L2" in name else {"linewidth": 5, "alpha": 0.7}  # two that coincide are both seen
        top.plot((np.arange(len(curve)) + 0.5) * BLOCK, curve, color=COLORS[name], **wide)
        bottom.barh(row, measures["agreement"], color=COLORS[name], height=0.62, zorder=1.8)
        small = {"color": style.TEXT, "fontsize": style.SMALL, "va": "center", "ha": "right"}
        bottom.text(0.52, row, f"{measures['agreement']:.2f}", **small)
        if "L2" not in name:  # with L2 the change is mostly that the start goes away
            bottom.plot(measures["of change"], row, "o", color="white", markeredgecolor=style.TEXT, markersize=6)
    top.set_title(title, fontsize=style.LABEL, color=style.TEXT, loc="left")
    bottom.set(xlim=(0, 0.53), xticks=[0, 0.2, 0.4], yticks=range(len(results)), yticklabels=reversed(results))
    for axis, label in ((top, "step"), (bottom, "agreement with the text (o: the change alone)")):
        axis.set_xlabel(label, fontsize=style.SMALL)
        style.tidy(axis)
        axis.tick_params(labelsize=style.SMALL)
    bottom.grid(visible=False, axis="y")


def main():
    """Train, measure, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="optimizers_and_embeddings.png", metavar="FILE", help="the picture")
    parser.add_argument("--text", metavar="FILE", help="UTF-8 text (default: the one that comes with Python)")
    parser.add_argument("--steps", type=int, default=600, help="of each run (default: 600)")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each kind (default: 3)")
    parser.add_argument("--quick", action="store_true", help=f"the same as {QUICK}: shows that it runs, and no more")
    arguments = parser.parse_args([*QUICK.split(), *sys.argv[1:]] if "--quick" in sys.argv else None)
    if not Path(arguments.out).resolve().parent.is_dir():
        parser.error(f"--out: there is no folder for {arguments.out}")
    figure = style.new_figure("drawing the curves", 13, 6.4, layout="constrained")
    text = read_text(arguments.text) if arguments.text else builtin_corpus()
    tokenizer = WordTokenizer.from_texts([text], WORDS, special=("<unk>",), lower=True)
    ids = tokenizer.encode(text)
    expected = neighbours(split(ids)[0], tokenizer.vocab_size + UNSEEN)
    bar = progress(len(SETTINGS) * len(OPTIMIZERS) * arguments.seeds * arguments.steps)
    panels = figure.subplots(2, len(SETTINGS), sharey="row", squeeze=False)
    for column, setting in enumerate(SETTINGS):
        results = {}
        for name, make in OPTIMIZERS.items():
            runs = [train(make, *setting, seed, ids, expected, arguments.steps, bar) for seed in range(arguments.seeds)]
            means = {key: np.mean([measures[key] for _, measures in runs]) for key in runs[0][1]}
            results[name] = np.mean([curve for curve, _ in runs], axis=0), means
            spread = np.ptp([measures["agreement"] for _, measures in runs])
            facts = "  ".join(f"{key} {value:.2f}" for key, value in means.items())
            bar.say(f"start {setting[0]:4} rate {setting[1]:5}  {name:9}  {facts}  (range of agreement {spread:.2f})")
        draw(*panels[:, column], f"start N(0, {setting[0]:g}$^2$), learning rate {setting[1]:g}", results)
    bar.close()
    panels[0, 0].set_ylabel("training loss (nats per word)", fontsize=style.SMALL)
    style.write_legend(panels[0, 0], list(zip(results, reversed(panels[0, 0].lines))), fontsize=style.SMALL)
    style.write_heading(figure, TITLE)
    style.save(figure, arguments.out, 110)
    print(f"Wrote {arguments.out}")


if __name__ == "__main__":
    main()
