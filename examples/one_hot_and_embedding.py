"""One-hot vectors and embeddings: the same product; and why a word gets few numbers.

    python examples/one_hot_and_embedding.py --out one_hot_and_embedding.png

A word as a *one-hot* vector has V numbers, of which one is 1. Its product with a table W (V, D) is one row of the table, so
an embedding is that product without the multiplications: y = W[id]. The gradient is the same too, dW = O^T dY: the rows of
words that are not in the batch are 0 (`tinytx.ops.embedding`). The program compares both, for 256 words out of 1,000:

    largest difference of outputs 0e+00, of gradients 0e+00
    215 different words; 215 rows of the gradient are not 0

Any two one-hot vectors are equally far apart: that "cat" and "dog" are alike is not in them. So a model that has separate
numbers for each word learns about each word alone. Here are 80 words of four classes; a word of one class is followed by any
word of the next class, all 20 equally often. 60 % of these 1,600 pairs of words are seen, 40 % never. Two models of the next
word, trained alike: a row of 80 logits for each word, and two numbers for each word with a linear map behind them.

                   numbers  loss on seen pairs  unseen  cosine in a class, between classes
    one-hot           6,400                2.76    5.66               0.00,             0.00
    embedding           400                2.99    3.23               0.98,            -0.33

"unseen" is the loss on the pairs that were never seen. At best it is ln 20 = 3.00; a guess among all words has ln 80 = 4.38,
and the table of all pairs is worse: it learned that what it did not see does not occur. Two numbers for each word cannot
hold which 960 pairs were seen; what they can hold is which words are used alike, and that is right for unseen pairs too
(Bengio et al. 2003, "A neural probabilistic language model"). "cosine" is the mean cosine of two words' vectors, of one
class and of different classes.
"""

import argparse
from pathlib import Path

import numpy as np

from tinytx import ops
from tinytx.core import Tape
from tinytx.layers import Embedding, Linear, Sequential
from tinytx.layers.init import normal
from tinytx.training import AdamW
from tinytx.viz import style

CLASSES, EACH = 4, 20
V, D = CLASSES * EACH, 2
STEPS, RATE, DECAY = 400, 0.05, 0.5


def both_ways(rng, v=1000, d=16, n=256):
    """Return (the largest differences of outputs and of gradients, the rows of the gradient that are not 0, words used)."""
    table, ids = rng.normal(size=(v, d)), rng.integers(0, v, n)
    dy, one_hot = rng.normal(size=(n, d)), np.eye(v)[ids]
    y, saved = ops.embedding(ids, table)
    dtable = ops.embedding_backward(dy, saved)
    product, kept = ops.linear(one_hot, table)
    _, dproduct, _ = ops.linear_backward(dy, kept)
    rows = int((dtable != 0).any(axis=1).sum())
    return np.abs(y - product).max(), np.abs(dtable - dproduct).max(), rows, len(np.unique(ids))


def pairs(rng):
    """Return the pairs of words (N, 2) that are seen, and those that are not."""
    words = np.arange(V)
    following = (words[:, None] // EACH + 1) % CLASSES == words // EACH
    allowed = rng.permutation(np.argwhere(following))
    n = len(allowed) * 6 // 10
    return allowed[:n], allowed[n:]


def models(rng):
    """Return {name: model}: ids (N,) -> logits (N, V)."""
    small = {"rng": rng, "init": normal(0.1)}
    return {
        "one-hot": Sequential(Embedding(V, V, **small)),  # a row of logits for each word
        "embedding": Sequential(Embedding(V, D, **small), Linear(D, V, **small)),
    }


def train(model, seen, steps):
    """Minimise the loss of the seen pairs; return it."""
    adam, loss = AdamW(model, RATE, weight_decay=DECAY), None
    for _ in range(steps):
        tape = Tape()
        loss, saved = ops.cross_entropy(model(seen[:, 0], tape), seen[:, 1])
        model.backward(ops.cross_entropy_backward(1.0, saved), tape)
        adam.step()
        model.zero_grad()
    return loss


def cosines(vectors):
    """Return the mean cosine of vectors (V, D) of different words, for words of one class and of different classes."""
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosine, names = unit @ unit.T, np.arange(V) // EACH
    alike, other = names[:, None] == names, ~np.eye(V, dtype=bool)
    return cosine[alike & other].mean(), cosine[~alike].mean()


def draw(probabilities, seen, path):
    """Draw which pairs were seen, and what each model expects, as V x V pictures."""
    figure = style.new_figure("drawing what follows a word", 12, 4.6, layout="constrained")
    truth = np.zeros((V, V))
    truth[tuple(seen.T)] = 1 / EACH
    panels = {"seen pairs": truth} | {f"{name}: what it expects": p for name, p in probabilities.items()}
    for axes, (title, shown) in zip(figure.subplots(1, len(panels)), panels.items()):
        axes.imshow(shown, cmap="Blues", vmin=0, vmax=0.1)
        axes.set(xlabel="next word", ylabel="word", xticks=[], yticks=[])
        axes.set_title(title, fontsize=style.LABEL, color=style.TEXT, loc="left")
        for edge in np.arange(1, CLASSES) * EACH - 0.5:
            axes.axhline(edge, color=style.FAINT, linewidth=0.6)
            axes.axvline(edge, color=style.FAINT, linewidth=0.6)
    style.write_heading(figure, "Two numbers for each word fill in the pairs that were never seen")
    style.save(figure, path, 110)


def main():
    """Compare, train, print the tables, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="one_hot_and_embedding.png", metavar="FILE", help="the picture")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="5 steps: shows that it runs, and no more")
    arguments = parser.parse_args()
    if not Path(arguments.out).resolve().parent.is_dir():
        parser.error(f"--out: there is no folder for {arguments.out}")
    rng = np.random.default_rng(arguments.seed)
    y, dtable, rows, words = both_ways(rng)
    print(f"largest difference of outputs {y:.0e}, of gradients {dtable:.0e}")
    print(f"{words} different words; {rows} rows of the gradient are not 0")
    (seen, unseen), probabilities = pairs(rng), {}
    print("               numbers  loss on seen pairs  unseen  cosine in a class, between classes")
    for name, model in models(rng).items():
        loss = train(model, seen, 5 if arguments.quick else STEPS)
        away, _ = ops.cross_entropy(model(unseen[:, 0]), unseen[:, 1])
        probabilities[name], _ = ops.softmax(model(np.arange(V)))
        size = sum(parameter.data.size for parameter in model.parameters())
        within, between = cosines(model.layers[0].weight.data if name == "embedding" else np.eye(V))
        print(f"{name:13} {size:9,}  {loss:18.2f}  {away:6.2f}  {within:17.2f}, {between:16.2f}")
    draw(probabilities, seen, arguments.out)
    print(f"Wrote {arguments.out}")


if __name__ == "__main__":
    main()
