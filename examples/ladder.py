"""The ladder that ends in attention: five ways to make one vector of a sequence, on one task.

    python examples/ladder.py --out ladder.png

The task is to recall: six pairs of a letter and a number, "k 3, b 11, ...", and then one of the letters again; say its number.
There are 16 letters and 16 numbers, drawn anew for each list. The rungs, each with what it says of x_1 .. x_T, and x_q, the
letter that is asked for, which stands at the end:

concatenation  MLP([x_1; ..; x_T; x_q])                  every position has weights of its own: one length, and no other
recurrence     the last state of an LSTM                 any length, one position after the other
convolution    four layers of tanh(sum_k x_(t+k) W_k)    any length, neighbours only: eight positions reach the last one
pairs          f(mean_ij g(x_i, x_j))                    any pair of positions, T^2 of them (Santoro et al. 2017)
attention      two blocks of a Transformer               any pair too, but each pair is one weight, and a choice

A pair of positions is all that the task needs: x_q, and the one with its letter. Attention can name this pair; g(x_i, x_j)
could too, but the mean over all pairs hides it. 1,000 steps of 128 lists, width 64, Adam with a rate that rises to 0.002 and
falls to 0; right answers on 2,000 new lists of 6 and of 12 pairs:

    rung           weights  ms a step  loss at the end  right of 6 pairs  of 12, never seen
    concatenation   68,816          3             1.71              0.29                  -
    recurrence      36,112          8             1.66              0.34               0.23
    convolution     85,264         17             1.74              0.27               0.18
    pairs           19,664         11             1.78              0.29               0.22
    attention      103,184         26             0.00              1.00               1.00

By chance 0.06 are right; the number that occurs most often in the list is right in about 0.28. Milliseconds are those of
processor time. A list of 12 pairs has positions that the concatenation has no weights for.
"""

import argparse
import time
from pathlib import Path

import numpy as np

from tinytx import ops, workers
from tinytx.core import Layer
from tinytx.layers import (
    LSTM,
    Activation,
    Block,
    Conv1d,
    DotProduct,
    Embedding,
    FeedForward,
    LayerNorm,
    Linear,
    MultiHeadAttention,
    Pairs,
    Pool,
    Residual,
    Sequential,
)
from tinytx.progress import tracked
from tinytx.training import Adam, Trainer, WarmupCosine
from tinytx.viz import style

N, D, PAIRS, FURTHER = 16, 64, 6, 12  # letters and numbers, width, pairs in a list, pairs in a longer one
STEPS, BATCH, RATE, WARMUP, JUDGED = 1000, 128, 2e-3, 100, 2000


class Rows(Layer):
    """(B, ..., D) -> (B, -1, width): positions beside each other, or pairs of positions as a sequence."""

    def __init__(self, width):
        self.width = width

    def forward(self, x, tape=None):
        if tape is not None:
            tape.push(self, x.shape)
        return x.reshape(len(x), -1, self.width)

    def backward(self, dy, tape):
        return dy.reshape(tape.pop(self))


def rungs(draw):
    """Return {name: layer (B, T + 1, D) -> (B, D)}."""

    def dense(d_in, d_out=D):
        return Linear(d_in, d_out, **draw), Activation("relu")

    def block():
        attention, feed_forward = MultiHeadAttention(D, 4, core=DotProduct(), **draw), FeedForward(D, 4 * D, **draw)
        return Block(Residual(attention, LayerNorm(D)), Residual(feed_forward, LayerNorm(D)))

    convolutions = [layer for _ in range(4) for layer in (Conv1d(D, D, 5, left=2, right=2, **draw), Activation("tanh"))]
    width = (PAIRS + 1) * D
    return {
        "concatenation": Sequential(Rows(width), *dense(width, 2 * D), *dense(2 * D), Pool("last")),
        "recurrence": Sequential(LSTM(D, D, **draw), Pool("last")),
        "convolution": Sequential(*convolutions, Pool("last")),
        "pairs": Sequential(Pairs(D, D, **draw), Activation("relu"), *dense(D), Rows(D), Pool("mean"), *dense(D)),
        "attention": Sequential(block(), block(), LayerNorm(D), Pool("last")),
    }


class Recall(Layer):
    """Reads pairs and a letter; returns a logit for each number. The mean loss is in nats, as `Trainer` needs it.

    Parameters
    ----------
    rung : Layer
        (B, T + 1, D) -> (B, D).
    """

    def __init__(self, rung, draw):
        self.letter, self.number = Embedding(N, D, **draw), Embedding(N, D, **draw)
        self.rung, self.head = rung, Linear(D, N, **draw)

    def forward(self, letters, numbers, tape=None):
        """Letters (B, T + 1), the last of which is asked for, and numbers (B, T) -> (B, N)."""
        x = self.letter(letters, tape)
        y = self.number(numbers, tape)
        return self.head(self.rung(x + np.pad(y, ((0, 0), (0, 1), (0, 0))), tape), tape)

    def backward(self, dlogits, tape):
        """Return (None, None): ids have no gradient."""
        dx = self.rung.backward(self.head.backward(dlogits, tape), tape)
        self.number.backward(np.ascontiguousarray(dx[:, :-1]), tape)
        self.letter.backward(dx, tape)
        return None, None

    def loss(self, letters, numbers, right, tape=None, *, count=None):
        loss, saved = ops.cross_entropy(self(letters, numbers, tape), right, count=count)
        if tape is not None:
            tape.push(self, saved)
        return loss

    def loss_backward(self, tape):
        self.backward(ops.cross_entropy_backward(1.0, tape.pop(self)), tape)

    @staticmethod
    def count(letters, numbers, right):
        return len(right)


def lists(rng, n, pairs=PAIRS):
    """Return letters (n, pairs + 1), different but for the last, which is asked for; numbers (n, pairs); answers (n,)."""
    letters = rng.permuted(np.tile(np.arange(N), (n, 1)), axis=1)[:, :pairs]
    numbers, place = rng.integers(0, N, (n, pairs)), rng.integers(0, pairs, (n, 1))
    asked = np.take_along_axis(letters, place, axis=1)
    return np.concatenate([letters, asked], axis=1), numbers, np.take_along_axis(numbers, place, axis=1)[:, 0]


def learn(model, steps, threads):
    """Train on new lists at each step; return (the losses, milliseconds of processor time that a step takes)."""
    trainer, losses = Trainer(model, Adam(model, WarmupCosine(RATE, WARMUP, steps)), clip=1.0, threads=threads), []
    began = time.process_time()
    for step in tracked(range(steps), "step"):
        losses.append(trainer.step(*lists(np.random.default_rng((0, step)), BATCH)))
    return losses, 1000 * (time.process_time() - began) / steps


def right(model, pairs, n):
    """Return the share of right answers on n new lists."""
    *batch, answers = lists(np.random.default_rng((1, pairs)), n, pairs)
    return float((model(*batch).argmax(axis=1) == answers).mean())


def draw_losses(path, curves):
    """Draw the loss of each rung over the steps, as means of 20."""
    figure = style.new_figure("drawing the curves", 9, 4.6, layout="constrained")
    axes, lines = figure.subplots(), []
    for (name, losses), color in zip(curves.items(), (style.NEUTRAL, style.SERIES[2], style.SERIES[1], style.WRONG, style.OURS)):
        means = np.array(losses[: len(losses) // 20 * 20] or losses).reshape(-1, min(20, len(losses))).mean(axis=1)
        lines.append((name, axes.plot(20 * np.arange(1, len(means) + 1), means, color=color)[0]))
    axes.set(xlabel="step", ylabel="loss, nats", ylim=(0, None))
    style.write_title(axes, "Only attention chooses the pair that the task is about")
    style.write_legend(axes, lines, fontsize=style.SMALL, loc="center right")
    style.tidy(axes)
    style.save(figure, path, 110)


def main():
    """Train each rung, print the table, draw the losses."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="ladder.png", metavar="FILE", help="the picture")
    parser.add_argument("--steps", type=int, default=STEPS, help=f"steps of each rung (default {STEPS})")
    parser.add_argument("--threads", type=int, default=workers.processors())
    parser.add_argument("--quick", action="store_true", help="3 steps: shows that it runs, and no more")
    arguments = parser.parse_args()
    if not Path(arguments.out).resolve().parent.is_dir():
        parser.error(f"--out: there is no folder for {arguments.out}")
    steps, n, curves = (3, 50, {}) if arguments.quick else (arguments.steps, JUDGED, {})
    print(f"rung           weights  ms a step  loss at the end  right of {PAIRS} pairs  of {FURTHER}, never seen")
    for name in rungs({"rng": np.random.default_rng(0)}):
        draw = {"rng": np.random.default_rng(0)}
        model = Recall(rungs(draw)[name], draw)
        curves[name], ms = learn(model, steps, arguments.threads)
        further = "-" if name == "concatenation" else f"{right(model, FURTHER, n):.2f}"
        size, loss = sum(parameter.data.size for parameter in model.parameters()), np.mean(curves[name][-50:])
        print(f"{name:13} {size:8,}  {ms:9.0f}  {loss:15.2f}  {right(model, PAIRS, n):16.2f}  {further:>17}", flush=True)
    draw_losses(arguments.out, curves)
    print(f"Wrote {arguments.out}")


if __name__ == "__main__":
    main()
