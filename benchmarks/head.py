"""The head of a large vocabulary: all logits at once, and in chunks. Time of a step, and peak memory.

    python benchmarks/head.py --json head.json

A GPT of two layers and width 256 with 50,257 tokens takes steps on 4 sequences of 1,024; each way is a process of its own,
and they take turns.
"""

import time

import turns
from sides import Shape, make_batch, make_model, ours

from tinytx.tasks import task

LOGITS = {"whole": 1 << 40, "chunks": 0}  # kept for backward, at most


def child(side, shape, threads):
    """Answer with milliseconds of a step, the loss, and the peak memory in MB."""
    task.LOGITS = LOGITS[side]
    trainer, batch = ours(make_model(shape), threads), make_batch(shape)
    first = trainer.step(*batch)

    def answer(_):
        began = time.perf_counter()
        trainer.step(*batch)
        return {"ms": (time.perf_counter() - began) * 1e3, "loss": first, "memory": turns.peak_memory()}

    turns.serve(answer)


def main():
    """Run both ways, print the table, and write the JSON."""
    parser = turns.parser(__doc__, turns=3, quick="--vocab-size 3000 --tokens 64 --turns 1")
    parser.add_argument("--vocab-size", type=int, default=50257, help="V (default %(default)s)")
    parser.add_argument("--tokens", type=int, default=1024, help="of each sequence, T (default %(default)s)")
    arguments = parser.parse_args()
    if arguments.child:
        shape = Shape(arguments.vocab_size, arguments.tokens, 256, 4, 2, 4)
        return child(arguments.child, shape, arguments.threads)
    env = turns.environment(arguments.keep_env)
    turns.describe(arguments.threads, list(LOGITS), env)
    options = "--threads", arguments.threads, "--vocab-size", arguments.vocab_size, "--tokens", arguments.tokens
    with turns.running(__file__, LOGITS, *options, env=env) as running:
        turns.take_turns(running.values(), arguments.turns)
    figures = {name: {key: side.median(key) for key in ("ms", "loss", "memory")} for name, side in running.items()}
    turns.check_losses({name: row["loss"] for name, row in figures.items()}, 1e-5)
    for name, row in figures.items():
        print(f"{name:>6}: {row['ms']:8.1f} ms, peak {row['memory']:6.0f} MB, loss {row['loss']:.5f}")
    turns.write_json(arguments.json, figures)


if __name__ == "__main__":
    main()
