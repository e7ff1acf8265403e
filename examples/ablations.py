"""What is each part of a transformer worth? One task, one change at a time.

    python examples/ablations.py --out ablations.png

A small GPT, four pre-norm blocks of width 64, learns to say the next character of the text that comes with Python. Each line
changes one thing: the norm and where it stands, with and without a warm-up of the learning rate; the short cut around each
part; how positions are known; and the parts of a Llama, one by one and together. Steps and batches are the same, and the
number of parameters nearly so (gates are narrower, so that their third matrix costs nothing); 200 steps, three seeds each, eleven
minutes of processor time. All have one learning rate, 3e-3: what learns badly is part of the answer.

                                                 loss   from     to  parameters
    GPT: as it is                               2.202  2.197  2.212     210,752
    norm: pre-norm, no warm-up                  2.263  2.220  2.294     210,752
    norm: post-norm                             3.364  3.353  3.379     210,624
    norm: post-norm, no warm-up                 2.600  2.202  3.355     210,624
    norm: RMS norm                              2.209  2.197  2.228     210,176
    norm: batch norm                            2.232  2.223  2.246     210,752
    norm: no norm                               2.639  2.619  2.662     209,600
    short cut: none                             3.362  3.353  3.370     210,752
    positions: none                             2.172  2.159  2.190     206,656
    positions: sinusoidal                       3.362  3.353  3.372     206,656
    positions: sinusoidal, embeddings times 8   2.511  2.355  2.685     206,656
    positions: ALiBi                            2.035  2.021  2.051     206,656
    positions: rotary                           1.969  1.958  1.983     206,656
    today: gates with SiLU                      2.412  2.257  2.520     208,960
    today: 2 heads of keys for 4                2.209  2.194  2.232     194,112
    today: no biases                            2.231  2.227  2.237     208,448
    today: all, with rotary and RMS             2.001  1.917  2.154     186,880

A loss of 3.36 is that of a model which knows how frequent each character is, and no more. Rotary positions gain most, 0.23, and
ALiBi nearly as much; learned positions do not help yet in so few steps. Sinusoids are as large as 1 and embedded characters start
at 0.02, so that they are lost in the sum; the paper multiplies them by the root of the width, 8, which helps. Post-norm learns at
this rate in two runs of six, both without a warm-up. RMS norm equals layer norm, and two heads of keys equal four. Gates alone
learn slower in these steps; the best single runs have all the parts of a Llama.

Batch norm learns nearly as well here, 0.03 behind layer norm, but at a price. Its means are those of the 1,024 rows of a batch,
later positions among them, which a causal model must not see; so validation reads each row with means and variances of the
population, found after training in twenty more batches. And they need the whole batch in one place: this variant is trained on
one thread, because shards would each have means of their own.
"""

import argparse
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tinytx import Layer, workers
from tinytx.data import CharTokenizer, builtin_corpus, random_batch, split, windows
from tinytx.layers import (
    Alibi,
    BatchNorm,
    Block,
    DotProduct,
    Embedding,
    FeedForward,
    GatedFeedForward,
    LayerNorm,
    LearnedPositions,
    MultiHeadAttention,
    Residual,
    RMSNorm,
    Rotary,
    SinusoidalPositions,
)
from tinytx.layers.batch_norm import calibrate
from tinytx.layers.init import normal
from tinytx.models import GPTConfig
from tinytx.models.stacks import Stack
from tinytx.ops.attention_patterns import CAUSAL
from tinytx.progress import progress
from tinytx.tasks import NextToken
from tinytx.training import AdamW, Trainer, WarmupCosine
from tinytx.training.trainer import NotFiniteError
from tinytx.viz import style

D, HEADS, LENGTH, BATCH, LR = 64, 4, 64, 16, 3e-3
CALIBRATION = 20  # batches that give batch norm the population's means and variances
QUICK = {"steps": 2, "n_layers": 1, "seeds": 1}


class Parts(NamedTuple):
    """What a model is made of; the defaults are a GPT's."""

    norm: str = "layer"  # or "rms", "batch", "none"
    order: str = "pre"  # or "post"
    short_cut: bool = True
    positions: str = "learned"  # or "none", "sinusoidal", "rotary", "alibi"
    scale: float = 1.0  # of embedded characters
    gated: bool = False
    groups: int = HEADS  # heads of keys and values
    bias: bool = True
    warmup: float = 0.1  # share of the steps


MODERN = {"norm": "rms", "positions": "rotary", "gated": True, "groups": 2, "bias": False}
VARIANTS = {  # group: {name: what is changed}
    "GPT": {"as it is": {}},
    "norm": {
        "pre-norm, no warm-up": {"warmup": 0.0},
        "post-norm": {"order": "post"},
        "post-norm, no warm-up": {"order": "post", "warmup": 0.0},
        "RMS norm": {"norm": "rms"},
        "batch norm": {"norm": "batch"},
        "no norm": {"norm": "none"},
    },
    "short cut": {"none": {"short_cut": False}},
    "positions": {
        "none": {"positions": "none"},
        "sinusoidal": {"positions": "sinusoidal"},
        "sinusoidal, embeddings times 8": {"positions": "sinusoidal", "scale": D**0.5},  # as the paper has it
        "ALiBi": {"positions": "alibi"},
        "rotary": {"positions": "rotary"},
    },
    "today": {
        "gates with SiLU": {"gated": True},
        "2 heads of keys for 4": {"groups": 2},
        "no biases": {"bias": False},
        "all, with rotary and RMS": MODERN,
    },
}


class Same(Layer):
    """In place of a norm: nothing."""

    def forward(self, x, tape=None):
        return x

    def backward(self, dy, tape):
        return dy


class Bare(Layer):
    """In place of a `Residual`: without the short cut."""

    def __init__(self, f, norm):
        self.f, self.norm = f, norm

    def forward(self, x, *others, tape=None, **settings):
        return self.f(self.norm(x, tape), *others, tape, **settings)

    def backward(self, dy, tape):
        return self.norm.backward(self.f.backward(dy, tape), tape)


def body(parts, vocab_size, n_layers, rng):
    """Return a stack of such parts."""
    draw = {"rng": rng, "init": normal(0.02), "init_output": normal(0.02 / (2 * n_layers) ** 0.5)}
    rotary = Rotary(D // HEADS) if parts.positions == "rotary" else None

    def norm():
        return {"layer": lambda: LayerNorm(D), "rms": lambda: RMSNorm(D), "batch": lambda: BatchNorm(D), "none": Same}[parts.norm]()

    def part(f):
        if not parts.short_cut:
            return Bare(f, norm())
        return Residual(f, norm(), norm_order=parts.order)

    def block():
        heads = {"n_kv_heads": parts.groups, "rotary": rotary, "core": DotProduct(pattern=CAUSAL), "bias": parts.bias}
        attention = MultiHeadAttention(D, HEADS, **heads, **draw)
        if parts.gated:
            return Block(part(attention), part(GatedFeedForward(D, 8 * D // 3, activation="silu", **draw)))
        return Block(part(attention), part(FeedForward(D, 4 * D, activation="gelu_tanh", bias=parts.bias, **draw)))

    token = Embedding(vocab_size, D, scale=parts.scale, rng=rng, init=normal(0.02))
    positions = {
        "learned": lambda: LearnedPositions(LENGTH, D, rng=rng, init=normal(0.02)),
        "sinusoidal": lambda: SinusoidalPositions(LENGTH, D),
    }
    made = Stack(
        token,
        [block() for _ in range(n_layers)],
        position=positions.get(parts.positions, lambda: None)(),
        relative=Alibi(HEADS) if parts.positions == "alibi" else None,
        norm=norm() if parts.order == "pre" else None,
        max_len=LENGTH,
    )
    made.config, made.output_table, made.init = GPTConfig(vocab_size, d_model=D, max_len=LENGTH), token.weight, normal(0.02)
    return made


def train(parts, text, seed, steps, n_layers, threads, bar):
    """Return (validation loss, NaN if the training failed; number of parameters)."""
    tokenizer, ids, validation = text
    model = NextToken(body(parts, tokenizer.vocab_size, n_layers, np.random.default_rng(seed)))
    rate = WarmupCosine(LR, int(parts.warmup * steps), steps, LR / 10)
    threads = 1 if parts.norm == "batch" else threads  # the batch's means, not those of its shards
    trainer = Trainer(model, AdamW(model, rate, betas=(0.9, 0.99), weight_decay=0.1), threads=threads, seed=seed)
    size = sum(parameter.data.size for parameter in model.parameters())

    def batch(step):
        return random_batch(ids, max_len=LENGTH, batch_size=BATCH, seed=seed, step=step)

    try:
        for step in range(steps):
            bar.update(f"loss {trainer.step(*batch(step)):.2f}")
        if parts.norm == "batch":  # validation reads each row by itself
            calibrate(model, [batch(step)[:1] for step in range(steps, steps + CALIBRATION)])
        return trainer.evaluate(validation), size
    except NotFiniteError:
        return float("nan"), size


def draw(found, path):
    """Draw a bar for the mean of each variant, and a point for each seed."""
    figure = style.new_figure("drawing the losses", 9, 5.6, layout="constrained")
    axes, (base, *_) = figure.subplots(), [np.mean(losses) for losses, _ in found.values()]
    for y, (losses, _) in enumerate(reversed(found.values())):
        mean = np.mean(losses)
        axes.barh(y, mean, color=style.FAINT if mean == base else style.OURS if mean < base else style.WRONG)
        axes.plot(losses, [y] * len(losses), ".", color=style.TEXT)
    every = np.concatenate([losses for losses, _ in found.values()])
    axes.axvline(base, color=style.NEUTRAL, linestyle=":")
    axes.set_yticks(range(len(found)), [": ".join(name) for name in reversed(found)])
    axes.set_xlim(0.97 * np.nanmin(every), 1.01 * np.nanmax(every))
    axes.set_xlabel("validation loss (nats per character); points: seeds", fontsize=style.LABEL)
    style.tidy(axes)
    axes.grid(visible=False, axis="y")
    style.write_heading(figure, "One change to a small GPT at a time: blue learns faster, red slower")
    style.save(figure, path, 110)


def main():
    """Train each variant with each seed; print a table, draw it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="ablations.png", metavar="FILE", help="the picture")
    parser.add_argument("--steps", type=int, default=200, help="of each run (default: 200)")
    parser.add_argument("--seeds", type=int, default=3, help="runs of each variant (default: 3)")
    parser.add_argument("--n-layers", type=int, default=4, help="blocks (default: 4)")
    parser.add_argument("--threads", type=int, default=workers.processors())
    parser.add_argument("--quick", action="store_true", help="one block, two steps, one seed: shows that it runs, and no more")
    arguments = parser.parse_args()
    if arguments.quick:
        parser.set_defaults(**QUICK)
        arguments = parser.parse_args()
    if not Path(arguments.out).resolve().parent.is_dir():
        parser.error(f"--out: there is no folder for {arguments.out}")
    corpus = builtin_corpus()
    tokenizer = CharTokenizer.from_text(corpus)
    ids, validation = split(tokenizer.encode(corpus))
    text = tokenizer, ids, [tuple(array[::16] for array in windows(validation, LENGTH))]
    variants = {(group, name): changes for group, names in VARIANTS.items() for name, changes in names.items()}
    found = {}
    print(f"{'':42}{'loss':>7}{'from':>7}{'to':>7}{'parameters':>12}")
    with closing(progress(len(variants) * arguments.seeds * arguments.steps)) as bar:
        for key, changes in variants.items():
            settings = (arguments.steps, arguments.n_layers, arguments.threads, bar)
            runs = [train(Parts(**changes), text, seed, *settings) for seed in range(arguments.seeds)]
            losses, sizes = zip(*runs)
            found[key] = losses, sizes[0]
            line = f"{': '.join(key):42}{np.mean(losses):7.3f}{min(losses):7.3f}{max(losses):7.3f}{sizes[0]:12,}"
            bar.say(line)
    draw(found, arguments.out)
    print(f"Wrote {arguments.out}")


if __name__ == "__main__":
    main()
