"""The loss falls with the bug, too: one small GPT trained right, and ten times with a fault of the bug zoo.

    python examples/bug_zoo.py --out bug_zoo.png

Eleven runs on text that comes with Python, from the same weights and on the same batches, and what gradcheck says of
each fault. About two minutes on two cores. The faults are those of tests/bug_zoo, each found in shipped code or planted
to see who would notice.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from tinytx.data import CharTokenizer, builtin_corpus, random_batch, split, windows
from tinytx.models import GPT, GPTConfig
from tinytx.progress import progress
from tinytx.tasks import NextToken
from tinytx.testing import gradcheck, leak_check
from tinytx.training import AdamW, Trainer, WarmupCosine
from tinytx.viz import style

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from bug_zoo.models import INFECTIONS, infect, tiny_gpt  # noqa: E402

LENGTH, BATCH, EVERY = 32, 16, 20  # characters, sequences, steps between points of a curve
SUBTITLE = "A small GPT trained right (blue) and with one fault (red); under its name, what gradcheck says of the fault"
QUICK = "--steps 20 --faults 2 --out quick-bug-zoo.png"
NEAR, LAST = 0.2, 1 / 3  # curves whose ends are as near are drawn again, large: the last third of the steps


def train(infection, text, steps, bar):
    """Return (steps, validation losses) of a GPT with a fault, or of a healthy one."""
    tokenizer = CharTokenizer.from_text(text)
    training, validation = split(tokenizer.encode(text))
    inputs, targets = windows(validation, LENGTH)
    judged = [(inputs[:: len(inputs) // 64], targets[:: len(inputs) // 64])]
    config = GPTConfig(vocab_size=tokenizer.vocab_size, max_len=LENGTH, d_model=48, n_heads=4, n_layers=2)
    model = NextToken(GPT(config, rng=np.random.default_rng(0)))
    if infection:
        infect(model, infection)
    schedule = WarmupCosine(3e-3, steps // 12, steps, 3e-4)
    trainer = Trainer(model, AdamW(model, schedule, betas=(0.9, 0.99), weight_decay=0.1), clip=1.0, threads=1)
    losses = [trainer.evaluate(judged)]
    for step in range(1, steps + 1):
        trainer.step(*random_batch(training, max_len=LENGTH, batch_size=BATCH, seed=0, step=step))
        if step % EVERY == 0 or step == steps:
            losses.append(trainer.evaluate(judged))
        bar.update(f"loss {losses[-1]:.2f}")
    return [*range(0, steps, EVERY), steps], losses


def diagnose(infection):
    """Return what the checks say of a fault, in a few words."""
    model, ids, targets = tiny_gpt(infection)
    report = gradcheck(model.loss, ids, targets, mode="sampled", samples=1)
    if report:
        try:
            leak_check(model, ids)
        except AssertionError:
            return "PASS, but leak_check: FAIL"
        return "PASS"
    found = report[infection.tensor]
    return f"{found.verdict} at {'.'.join(found.name.split('.')[-2:])}"


def draw(axis, name, diagnosis, right, wrong):
    """Draw one fault's loss curve over the right one."""
    curves(axis, right, wrong)
    for height, color, label, loss in (
        (0.92, style.RIGHT, "right", right[1][-1]),
        (0.81, style.WRONG, "wrong", wrong[1][-1]),
    ):
        text = axis.text(0.97, height, f"{label} {loss:.2f}", color=color, transform=axis.transAxes)
        text.set(fontsize=style.LABEL, horizontalalignment="right", verticalalignment="top")
    axis.set_title(f"{name}\n", fontsize=style.LABEL, fontweight="bold", color=style.TEXT, loc="left")
    small = {"fontsize": style.SMALL + 1, "color": style.WRONG}
    axis.text(0, 1.04, diagnosis, transform=axis.transAxes, in_layout=False, **small)
    axis.set(ylim=(0, 4.9), yticks=range(5))
    style.tidy(axis)
    axis.tick_params(labelsize=style.SMALL)
    if abs(wrong[1][-1] - right[1][-1]) < NEAR:
        enlarge(axis, right, wrong)


def curves(axis, right, wrong):
    """Draw both curves, the right one wide, so that the wrong one is seen where they coincide."""
    axis.plot(*right, color=style.RIGHT, linewidth=5, alpha=0.35, solid_capstyle="butt")
    axis.plot(*wrong, color=style.WRONG, linewidth=1.5)


def enlarge(axis, right, wrong):
    """Draw the ends of both curves again, large: on the whole scale they lie on each other."""
    first = (1 - LAST) * right[0][-1]
    ends = [loss for curve in (right, wrong) for step, loss in zip(*curve) if step >= first]
    inset = axis.inset_axes((0.5, 0.06, 0.48, 0.28))
    curves(inset, right, wrong)
    style.tidy(inset)
    inset.set(xlim=(first, right[0][-1]), ylim=(min(ends) - 0.02, max(ends) + 0.02), xticks=[])
    inset.tick_params(labelsize=style.SMALL - 2, pad=1)
    inset.locator_params(axis="y", nbins=3)
    inset.set_title("enlarged", fontsize=style.SMALL - 2, color=style.TEXT, loc="left", pad=1)


def main():
    """Train, diagnose, draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default="bug_zoo.png", metavar="FILE", help="the picture (default: bug_zoo.png)")
    parser.add_argument("--steps", type=int, default=600, help="of each run (default: 600)")
    parser.add_argument("--faults", type=int, default=len(INFECTIONS), help="how many of them (default: all)")
    parser.add_argument("--quick", action="store_true", help=f"the same as {QUICK}: shows that it runs, and no more")
    arguments = parser.parse_args([*QUICK.split(), *sys.argv[1:]] if "--quick" in sys.argv else None)
    if not Path(arguments.out).resolve().parent.is_dir():
        parser.error(f"--out: there is no folder for {arguments.out}")
    figure = style.new_figure("drawing the bug zoo", 12, 6.4, layout="constrained")
    infections = list(INFECTIONS.items())[: arguments.faults]
    bar = progress((1 + len(infections)) * arguments.steps)
    text = builtin_corpus()
    right = train(None, text, arguments.steps, bar)
    axes = figure.subplots(2, 5, sharex=True, sharey=True)
    for axis, (name, infection) in zip(axes.flat, infections):
        wrong, diagnosis = train(infection, text, arguments.steps, bar), diagnose(infection)
        draw(axis, name, diagnosis, right, wrong)
        bar.say(f"{name:36}  loss {wrong[1][-1]:.3f} (right: {right[1][-1]:.3f})  {diagnosis}")
    bar.close()
    figure.supxlabel("step", fontsize=style.LABEL, color=style.TEXT)
    figure.supylabel("validation loss (nats per character)", fontsize=style.LABEL, color=style.TEXT)
    style.write_heading(figure, "The loss falls with the bug, too", SUBTITLE)
    style.save(figure, arguments.out, 110)
    print(f"Wrote {arguments.out}")


if __name__ == "__main__":
    main()
