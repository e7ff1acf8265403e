"""The head of a large vocabulary: all logits at once, and in chunks. Time of a step, and peak memory.

    python benchmarks/head.py --json head.json

A GPT of two layers and width 256 with 50,257 tokens takes steps on 4 sequences of 1,024; each way is a process of its own,
and they take turns.
"""

import time

import numpy as np
import turns
from sides import Shape, make_batch, make_model, ours

from tinytx.models import gpt

SHAPE = Shape(50257, 1024, 256, 4, 2, 4)
LOGITS = {"whole": 1 << 40, "chunks": 0}  # kept for backward, at most


def child(side, threads):
    """Answer with milliseconds of a step, the loss, and the peak memory in MB."""
    gpt.LOGITS = LOGITS[side]
    trainer, batch = ours(make_model(SHAPE), threads), make_batch(SHAPE)
    first = trainer.step(*batch)

    def answer(_):
        began = time.perf_counter()
        trainer.step(*batch)
        return {"ms": (time.perf_counter() - began) * 1e3, "loss": first, "memory": turns.peak_memory()}

    turns.serve(answer)


def main():
    """Run both ways, print the table, and write the JSON."""
    arguments = turns.parser(__doc__, turns=3).parse_args()
    if arguments.child:
        return child(arguments.child, arguments.threads)
    env = turns.environment(arguments.keep_env)
    turns.describe(arguments.threads, list(LOGITS), env)
    running = turns.start(__file__, LOGITS, "--threads", arguments.threads, env=env)
    turns.take_turns(running.values(), arguments.turns)
    figures = {name: {key: side.median(key) for key in ("ms", "loss", "memory")} for name, side in running.items()}
    for side in running.values():
        side.close()
    assert np.isclose(figures["whole"]["loss"], figures["chunks"]["loss"], rtol=1e-5), figures
    for name, row in figures.items():
        print(f"{name:>6}: {row['ms']:8.1f} ms, peak {row['memory']:6.0f} MB, loss {row['loss']:.5f}")
    turns.write_json(arguments.json, figures)


if __name__ == "__main__":
    main()
