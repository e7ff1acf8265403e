"""Attention: a mean whose weights depend on the input.

    python examples/weights_of_the_input.py --out weights_of_the_input.png

A layer that mixes positions can do it with weights that are learned, and then the same for every input: y = sum_s p_s m_s
with p = softmax(w). Attention computes the weights: p = softmax(q . k_s / sqrt(d)), where q and k_s are linear maps of the
inputs. What is learned is how to find the weights.

The task: a list of eight keys, each with a value, in random order, and one of the keys again: what is its value? "g2 c7 a1
... c" is answered with 7. Which position holds the answer is different in each list. Both models have the same embeddings,
and the same two layers behind the mean and the asked key; 300 steps of 64 lists:

                   numbers  right on 2,000 new lists  weight on the asked key  weights move with the list
    fixed weights     5,200                      0.32                     0.12                          no
    attention         7,240                      1.00                     1.00                         yes
    the list's most frequent value: 0.32 right

By chance 0.12 are right. All that the fixed weights can tell is how often each value is in the list. The program also
shuffles a list: the weights of attention move with the pairs, and its answer stays the same, because it knows no positions;
the fixed weights stay where they were.

For the gradients, with dY = ∂loss/∂y: of the fixed weights dp_s = dY . m_s, then the softmax's; of attention those of
`tinytx.ops.attention`. The memory gets dm_s = p_s dY in both, and in attention also what comes back through its key.
"""

import argparse
from pathlib import Path

import numpy as np

from tinytx import ops
from tinytx.core import Layer, Parameter, Tape
from tinytx.layers import Activation, DotProduct, Embedding, Linear, Sequential, SingleHeadAttention
from tinytx.progress import tracked
from tinytx.training import Adam
from tinytx.viz import style

KEYS, VALUES, D, HIDDEN = 8, 8, 32, 64
STEPS, BATCH, RATE, JUDGED = 300, 64, 0.005, 2000


class FixedWeights(Layer):
    """A mean over positions with learned weights, the same for every input: p = softmax(scores), y = sum_s p_s m_s."""

    def __init__(self, n):
        self.scores = Parameter(np.zeros(n, np.float32))

    def forward(self, x, memory, tape=None):
        """Return y (B, 1, D) of a memory (B, S, D); x (B, 1, D) has no effect."""
        p, saved = ops.softmax(self.scores.data[None])
        if tape is not None:
            tape.push(self, (p, saved, memory))
        return p @ memory

    def backward(self, dy, tape):
        """Return (dx, dmemory)."""
        p, saved, memory = tape.pop(self)
        dp = np.einsum("bod,bsd->s", dy, memory)
        self.scores.add_grad(ops.softmax_backward(dp[None], saved)[0])
        return np.zeros_like(dy), p[:, :, None] * dy

    def attention_weights(self, x, memory):
        """Return p as (B, 1, 1, S)."""
        return np.broadcast_to(ops.softmax(self.scores.data)[0], (len(memory), 1, 1, memory.shape[1]))


class Lookup(Layer):
    """Reads a list of keys with values, and a key; returns a logit for each value.

    Parameters
    ----------
    mix : Layer
        ``mix(x, memory)`` returns a mean of the memory for the asked key x.
    rng : numpy.random.Generator
    """

    def __init__(self, mix, rng):
        draw = {"rng": rng, "dtype": np.float32}
        self.key, self.value = Embedding(KEYS, D, **draw), Embedding(VALUES, D, **draw)
        self.mix = mix
        self.answer = Sequential(Linear(2 * D, HIDDEN, **draw), Activation("relu"), Linear(HIDDEN, VALUES, **draw))

    def forward(self, keys, values, asked, tape=None):
        """Keys (B, S), values (B, S) and asked keys (B, 1) -> logits (B, VALUES)."""
        x, memory = self.key(asked, tape), self.key(keys, tape) + self.value(values, tape)
        y = self.mix(x, memory, tape)
        return self.answer(np.concatenate([x, y], axis=2)[:, 0], tape)

    def backward(self, dlogits, tape):
        """Return (None, None, None): ids have no gradient."""
        dx, dy = np.split(self.answer.backward(dlogits, tape)[:, None], 2, axis=2)
        through, dmemory = self.mix.backward(dy, tape)
        self.value.backward(dmemory, tape)
        self.key.backward(dmemory, tape)
        self.key.backward(dx + through, tape)
        return None, None, None

    def weights(self, keys, values, asked):
        """Return the weights (B, S) of the positions."""
        return self.mix.attention_weights(self.key(asked), self.key(keys) + self.value(values))[:, 0, 0]


def lists(rng, n):
    """Return keys (n, KEYS), each in random order, values (n, KEYS), asked keys (n, 1) and the right values (n,)."""
    keys = rng.permuted(np.tile(np.arange(KEYS), (n, 1)), axis=1)
    values, place = rng.integers(0, VALUES, (n, KEYS)), rng.integers(0, KEYS, (n, 1))
    asked = np.take_along_axis(keys, place, axis=1)
    return keys, values, asked, np.take_along_axis(values, place, axis=1)[:, 0]


def models(rng):
    """Return {name: Lookup}."""
    linear = {"rng": rng, "bias": False}
    attention = SingleHeadAttention(DotProduct(), query=Linear(D, D, **linear), key=Linear(D, D, **linear))
    return {"fixed weights": Lookup(FixedWeights(KEYS), rng), "attention": Lookup(attention, rng)}


def train(model, rng, steps):
    """Train on new lists at each step."""
    adam = Adam(model, RATE)
    for _ in tracked(range(steps), "step"):
        *batch, right = lists(rng, BATCH)
        _, saved = ops.cross_entropy(model(*batch, tape := Tape()), right)
        model.backward(ops.cross_entropy_backward(1.0, saved), tape)
        adam.step()
        model.zero_grad()


def shuffled(keys, values, order):
    """Return keys and values in another order, the same for all lists."""
    return keys[:, order], values[:, order]


def draw(trained, batch, path):
    """Draw the weights of both models for each list of a batch; a ring marks the position of the asked key."""
    keys, values, asked = batch
    figure = style.new_figure("drawing weights", 12, 1.2 + 0.62 * len(trained) * len(keys), layout="constrained")
    rows = figure.subplots(len(keys), len(trained), squeeze=False)
    for column, (name, model) in enumerate(trained.items()):
        for axes, weights, *pairs, key in zip(rows[:, column], model.weights(*batch), keys, values, asked[:, 0]):
            axes.imshow(weights[None], cmap="Blues", vmin=0, vmax=1, aspect="auto")
            text = [f"{'abcdefgh'[k]} {v}" for k, v in zip(*pairs)]
            axes.set_xticks(range(KEYS), text, fontsize=style.SMALL, color=style.TEXT)
            axes.set_yticks([])
            axes.add_patch(ring(int(np.flatnonzero(pairs[0] == key)[0])))
            axes.set_title(f"{name}: asked for {'abcdefgh'[key]}", fontsize=style.LABEL, color=style.TEXT, loc="left")
    style.write_heading(figure, "Fixed weights are the same for every list; attention finds the key that was asked for")
    style.save(figure, path, 110)


def ring(place):
    """Return a frame around one position."""
    from matplotlib.patches import Rectangle  # the figure has been made: matplotlib is there

    return Rectangle((place - 0.5, -0.5), 1, 1, fill=False, edgecolor=style.SERIES[1], linewidth=3)


def main():
    """Train both, print the table, shuffle a list, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="weights_of_the_input.png", metavar="FILE", help="the picture")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="5 steps: shows that it runs, and no more")
    arguments = parser.parse_args()
    if not Path(arguments.out).resolve().parent.is_dir():
        parser.error(f"--out: there is no folder for {arguments.out}")
    rng = np.random.default_rng(arguments.seed)
    trained, (keys, values, asked, right) = models(rng), lists(np.random.default_rng(arguments.seed + 1), JUDGED)
    moved = shuffled(keys, values, order := np.roll(np.arange(KEYS), 3))
    print("               numbers  right on 2,000 new lists  weight on the asked key  weights move with the list")
    for name, model in trained.items():
        train(model, rng, 5 if arguments.quick else STEPS)
        weights = model.weights(keys, values, asked)
        accuracy = (model(keys, values, asked).argmax(axis=1) == right).mean()
        found = weights[keys == asked].mean()
        follows = np.allclose(model.weights(*moved, asked), weights[:, order], atol=1e-6)
        size = sum(parameter.data.size for parameter in model.parameters())
        print(f"{name:13} {size:9,}  {accuracy:24.2f}  {found:23.2f}  {'yes' if follows else 'no':>26}")
    counts = (values[:, :, None] == np.arange(VALUES)).sum(axis=1)
    print(f"the list's most frequent value: {(counts.argmax(axis=1) == right).mean():.2f} right")
    draw(trained, (keys[:3], values[:3], asked[:3]), arguments.out)
    print(f"Wrote {arguments.out}")


if __name__ == "__main__":
    main()
