"""Where a Neural Turing Machine reads and writes while it copies, and what brings its heads there: one picture.

    python -m tinytx train ntm --out runs/ntm
    python examples/ntm_memory.py runs/ntm --length 16

writes ntm_memory.png into --out. Each line is a step: a mark, those in which the sequence is read, a second mark, and the
steps in which it is copied. From left to right: where a head would be by content alone, the gate g that says how much of
that counts, the shares of moving by -1, 0 and 1 rows, the sharpness, and the weights of the rows that come out.

A machine that has learned to copy puts one element after the other into rows of their own, and visits the same rows in
the same order: while it reads, the head that writes has a small gate and moves by one row in each step, and the head
that reads waits; while it copies, that one moves. The head that writes has nothing to do then, and its gate sends it to
the rows that are still blank: by content, where it does no harm. --quick draws a machine without training, in a second.
"""

import argparse
from pathlib import Path

import numpy as np

from tinytx.models import NTM, NTMConfig
from tinytx.recipes.ntm import copied
from tinytx.tasks import Bits
from tinytx.training import load_checkpoint
from tinytx.viz import memory_picture
from tinytx.viz.attention import watched


def main():
    """Draw one sequence."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", nargs="?", help="folder of a run of the recipe ntm")
    parser.add_argument("--length", type=int, default=16, help="elements of the sequence")
    parser.add_argument("--out", default=".", help="folder of the picture")
    parser.add_argument("--quick", action="store_true", help="a machine without training")
    arguments = parser.parse_args()
    if arguments.quick:
        rng = np.random.default_rng(0)
        task = Bits(NTM(NTMConfig(d_in=8, d_controller=8, n_rows=16, d_row=4), rng=rng), n_bits=6, rng=rng)
    elif arguments.run is None:
        parser.error("give the folder of a run, or --quick")
    else:
        task, _, _ = load_checkpoint(arguments.run)
    n, dtype = arguments.length, task.head.weight.data.dtype
    x, bits = copied(np.random.default_rng(0), 1, n, task.n_bits, dtype)
    (steering,) = watched(task, "steering", x).values()
    wrong = task.measure([(x, bits)])["wrong_bits"]
    path = Path(arguments.out) / "ntm_memory.png"
    steps = ["begin", *(f"read-{i + 1}" for i in range(n)), "mark", *(f"copy-{i + 1}" for i in range(n))]
    n_reads = steering.w.shape[1] - 1
    heads = [f"reads{f' ({i + 1})' if n_reads > 1 else ''}" for i in range(n_reads)] + ["writes"]
    memory_picture(path, steering, steps, heads, f"Copying {n} elements: {wrong:.1%} of bits wrong")
    print(f"{wrong:.1%} of bits wrong: {path}")


if __name__ == "__main__":
    main()
