"""What a memory of earlier segments is worth, character by character of a segment, and what it costs.

    python examples/segment_memory.py --text tinyshakespeare.txt

A transformer that reads a text in segments knows little at the beginning of each: there is nothing before the first
character. A Transformer-XL (Dai et al. 2019, arXiv:1901.02860) remembers the inputs of its blocks. Two of the recipe
transformer_xl are trained, 1,000 steps in segments of 32 characters, with a memory of 64 and without one. Then both read
the held-out text, and the first one also with its memory taken away. In nats per character:

                         first 8 of a segment    last 8      all
    memory of 64                        1.865     1.842    1.859
    memory taken away                   2.449     1.876    2.061
    trained without                     2.040     1.853    1.914

The picture shows all places of a segment. A window of 96 characters that slides along the text by one gives each
character as much to look at, but then each character costs a window. In the same run, on one thread, the window took 66
times as long for each character as segments with a memory. All of it takes a minute of processor time.
"""

import argparse
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from tinytx import ops, workers
from tinytx.models import TransformerXL
from tinytx.recipes import load_recipe
from tinytx.recipes.train import trained
from tinytx.recipes.transformer_xl import FIRST, by_segments
from tinytx.state import State
from tinytx.tasks import NextToken
from tinytx.viz import style

ROWS = 16  # that are read side by side, where time is taken


def by_place(model, batches, alone=False):
    """Return the mean loss at each place of a segment (T,), without each row's first segment: nothing is before it."""
    size, sums, count = model.config.segment, 0.0, 0.0
    for ids, targets in batches:
        logits = model(*by_segments((ids,), size)).reshape(*ids.shape, -1) if alone else model(ids)
        p = np.take_along_axis(ops.softmax(logits)[0], np.maximum(targets, 0)[..., None], axis=-1)[..., 0]
        asked = (targets != model.ignored) & (np.arange(ids.shape[1]) >= size)
        sums = sums + np.where(asked, -np.log(p), 0).reshape(-1, size).sum(axis=0)
        count = count + asked.reshape(-1, size).sum(axis=0)
    return sums / count


def seconds(read, n, repeats):
    """Return the processor time of a character, the least of some repeats that read n of them each."""
    taken = []
    for _ in range(repeats):
        began = time.process_time()
        read()
        taken.append(time.process_time() - began)
    return min(taken) / n


def costs(model, text, repeats):
    """Return the processor time of a character: in segments with a full memory, and with a window that slides by one."""
    config = model.config
    window = config.memory + config.segment
    body = TransformerXL(replace(config, segment=window, memory=0), rng=np.random.default_rng(0))
    sliding, starts = NextToken(body), np.arange(ROWS)[:, None]
    sliding.load_state_dict(model.state_dict())
    rows, state = text[starts + np.arange(window)], State()
    for start in range(0, config.memory, config.segment):
        model(rows[:, start : start + config.segment], state=state)
    before = state.state_dict()

    def segment():
        after = State()
        after.load_state_dict(before)
        model(rows[:, -config.segment :], state=after)

    return seconds(segment, ROWS * config.segment, repeats), seconds(lambda: sliding(rows), ROWS, repeats)


def draw(curves, path):
    """Draw the loss at each place of a segment."""
    figure = style.new_figure("drawing the losses", 8, 4.6, layout="constrained")
    axes, lines = figure.subplots(), []
    for (name, curve), color in zip(curves.items(), (style.OURS, style.SERIES[1], style.SERIES[2])):
        lines.append((name, axes.plot(np.arange(1, len(curve) + 1), curve, color=color)[0]))
    axes.set(xlabel="place of the character in its segment", ylabel="nats per character")
    style.write_legend(axes, lines, fontsize=style.SMALL, loc="upper right")
    style.tidy(axes)
    style.write_heading(figure, "With a memory, the beginning of a segment is as easy as its end")
    style.save(figure, path, 110)


def main():
    """Train both, print the losses and the costs, and draw."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--text", metavar="FILE", help="without it, Python's own language reference")
    parser.add_argument("--out", default="segment_memory.png", metavar="FILE", help="the picture")
    parser.add_argument("--threads", type=int, default=workers.processors())
    parser.add_argument("--quick", action="store_true", help="a tiny model and 4 steps: shows that it runs, and no more")
    arguments = parser.parse_args()
    if not Path(arguments.out).resolve().parent.is_dir():
        parser.error(f"--out: there is no folder for {arguments.out}")
    flags = {"data": arguments.text, "threads": arguments.threads}
    flags |= {"steps": 4, "d_model": 8, "n_heads": 2, "segment": 16, "memory": 32, "train_fraction": 0.98} if arguments.quick else {}
    recipe = load_recipe("transformer_xl")
    (with_it, prepared), (without, _) = (trained(recipe, flags | more) for more in ({}, {"memory": 0}))
    memory = with_it.model.config.memory
    curves = {
        f"memory of {memory}": by_place(with_it.model, prepared.validation),
        "memory taken away": by_place(with_it.model, prepared.validation, alone=True),
        "trained without": by_place(without.model, prepared.validation, alone=True),
    }
    print(f"{'nats per character':<22} {f'first {FIRST}':>8} {f'last {FIRST}':>8} {'all':>8}")
    for name, curve in curves.items():
        print(f"{name:<22} {curve[:FIRST].mean():8.3f} {curve[-FIRST:].mean():8.3f} {curve.mean():8.3f}")
    in_segments, in_windows = costs(with_it.model, prepared.kept.validation, 2 if arguments.quick else 20)
    print(f"{1e6 * in_segments:.1f} microseconds per character in segments, ", end="")
    print(f"{1e6 * in_windows:.1f} in windows: {in_windows / in_segments:.0f} times")
    draw(curves, arguments.out)
    print(f"Wrote {arguments.out}")


if __name__ == "__main__":
    main()
