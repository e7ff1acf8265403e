"""Geometry that is built in, and geometry that has to be learned: a Geometric Algebra Transformer and a plain one of its size.

    python examples/geometric.py                 # a minute and a half of processor time
    python examples/geometric.py --out runs/geometric.png

Both read the mass, the position and the velocity of a star and three planets, and say how far each body moves in a while. Both
learn from the same systems, which are turned and placed at random, with the same loss, and have as many weights as each other.
The plain transformer (layer norm, dot products, GELU) has to learn from examples that a scene that is turned moves alike. The
other one cannot do otherwise (Brehmer et al. 2023, arXiv:2305.18415). So it needs fewer examples; and systems that are far from
all that were learned from are nothing new to it.

Printed is the mean squared distance from where a body is afterwards, of systems that were not learned from, as they are and
moved by 200; drawn, how both fall with the number of systems. A body that went straight on would be 0.1077 off::

    model      weights  systems   error  200 away
    geometric   16,584       30  0.0174    0.0174
    geometric   16,584      150  0.0029    0.0029
    geometric   16,584    1,000  0.0038    0.0038
    plain       16,531       30  0.1414    1.6446
    plain       16,531      150  0.0613    1.7668
    plain       16,531    1,000  0.0112    1.4966

The geometric one takes 500 steps of 64 systems, which take longer, and the plain one 1,500: 20 and 10 seconds of processor time.
With 1,000 systems the first one is as far off on those that it learned from: there its steps are too few, not its examples.
"""

import argparse
from pathlib import Path
from types import SimpleNamespace

import numpy as np

from tinytx import ops, workers
from tinytx.core import Layer
from tinytx.data import planetary_systems
from tinytx.layers import LayerNorm, Linear, Sequential
from tinytx.layers.init import uniform_fan_in
from tinytx.models import Gatr, GatrConfig
from tinytx.models.stacks import make_blocks
from tinytx.ops.multivector import DIRECTION
from tinytx.progress import tracked
from tinytx.tasks import Motion
from tinytx.training import Adam, Trainer, WarmupCosine
from tinytx.viz import style

SYSTEMS, HELD_OUT, FAR = (30, 150, 1000), 1000, np.float32(200)
BATCH, WARMUP = 64, 50
STEPS, RATES = {"geometric": 500, "plain": 1500}, {"geometric": 5e-3, "plain": 3e-3}
WIDTH, INNER = 24, 104  # of the plain transformer, which then has as many weights as the other one


class Plain(Layer):
    """A transformer without positions. It puts out directions: three numbers, which `Motion` reads as they are."""

    def __init__(self, *, rng, dtype=np.float32):
        self.config, draw = SimpleNamespace(n_in=3, d_model=16), {"rng": rng, "dtype": dtype}
        parts = {"d_model": WIDTH, "n_heads": 2, "d_ff": INNER, "dropout": 0.0, "norm_order": "pre", "activation": "gelu_tanh"}
        blocks = make_blocks(SimpleNamespace(**parts), 2, init=uniform_fan_in, **draw)
        self.parts = Sequential(Linear(48, WIDTH, **draw), *blocks, LayerNorm(WIDTH, dtype=dtype), Linear(WIDTH, 3, **draw))
        self.directions = DIRECTION.astype(dtype)

    def forward(self, x, tape=None):
        """(B, T, 48) -> (B, T, 16)."""
        y, saved = ops.linear(self.parts(x, tape), self.directions)
        if tape is not None:
            tape.push(self, saved)
        return y

    def backward(self, dy, tape):
        return self.parts.backward(ops.linear_backward(dy, tape.pop(self), frozen=True)[0], tape)


def models(rng, dtype=np.float32):
    """Return {name: task}, of two models with nearly the same number of weights."""
    geometric = Gatr(GatrConfig(n_in=3, n_channels=8, n_heads=4, n_layers=2), rng=rng, dtype=dtype)
    return {"geometric": Motion(geometric), "plain": Motion(Plain(rng=rng, dtype=dtype))}


def systems(seed, n):
    """Return n systems and how far their bodies move, in float32."""
    return tuple(array.astype(np.float32) for array in planetary_systems(n, rng=np.random.default_rng(seed)))


def learn(name, model, n, steps, threads):
    """Train on n systems."""
    bodies, moved = systems(0, n)
    trainer = Trainer(model, Adam(model, WarmupCosine(RATES[name], min(WARMUP, steps), steps)), clip=1.0, threads=threads)
    for step in tracked(range(steps), "step"):
        rows = np.random.default_rng((1, step)).integers(0, n, BATCH)
        trainer.step(bodies[rows], moved[rows])


def errors(model, n):
    """Return the mean squared distance of n systems not learned from, as they are and moved by 200."""
    bodies, moved = systems(2, n)
    away = bodies + FAR * np.eye(7, dtype=np.float32)[1]
    return [model.measure([(place, moved)])["error"] for place in (bodies, away)]


def draw_errors(path, curves, straight):
    """Draw the errors of both models over the number of systems, those far away as squares; going straight on is a line."""
    figure = style.new_figure("drawing the errors", 8, 4.6, layout="constrained")
    axes, lines = figure.subplots(), []
    for name, color in (("geometric", style.OURS), ("plain", style.NEUTRAL)):
        n, error, away = np.array(curves[name]).T
        lines.append((name, axes.plot(n, error, color=color, marker="o")[0]))
        squares = {"marker": "s", "markersize": 12, "markerfacecolor": "none", "linestyle": ":"}
        lines.append((f"{name}, {FAR:.0f} away", axes.plot(n, away, color=color, **squares)[0]))
    lines.append(("straight on", axes.axhline(straight, color=style.SERIES[1], linewidth=1)))
    axes.set(xlabel="systems learned from", ylabel="mean squared distance", xscale="log", yscale="log")
    style.write_title(axes, "What is built in need not be learned")
    style.write_legend(axes, lines, fontsize=style.SMALL, loc=(0.02, 0.66))
    style.tidy(axes)
    style.save(figure, path, 110)


def main():
    """Train both models on more and more systems, print the table, draw the errors."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="geometric.png", metavar="FILE", help="the picture")
    parser.add_argument("--threads", type=int, default=workers.processors())
    parser.add_argument("--quick", action="store_true", help="2 steps: shows that it runs, and no more")
    arguments = parser.parse_args()
    if not Path(arguments.out).resolve().parent.is_dir():
        parser.error(f"--out: there is no folder for {arguments.out}")
    n_judged, curves = 10 if arguments.quick else HELD_OUT, {"geometric": [], "plain": []}
    bodies, moved = systems(2, n_judged)
    straight = float(((moved - 0.5 * bodies[..., 4:]) ** 2).sum(axis=2).mean())
    print(f"A body that went straight on would be {straight:.4f} off\n\nmodel      weights  systems   error  200 away")
    for name in curves:
        for n in SYSTEMS[:: 2 if arguments.quick else 1]:
            model = models(np.random.default_rng(0))[name]
            learn(name, model, n, 2 if arguments.quick else STEPS[name], arguments.threads)
            error, away = errors(model, n_judged)
            curves[name].append((n, error, away))
            size = sum(parameter.data.size for parameter in model.parameters())
            print(f"{name:9} {size:8,}  {n:7,}  {error:.4f}  {away:8.4f}", flush=True)
    draw_errors(arguments.out, curves, straight)
    print(f"Wrote {arguments.out}")


if __name__ == "__main__":
    main()
