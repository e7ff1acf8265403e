"""Where a Neural Turing Machine writes and reads while it copies: one picture, the rows of the memory from left to right.

    python -m tinytx train ntm --out runs/ntm
    python examples/ntm_memory.py runs/ntm --length 16

writes ntm_memory.png into --out. Each line is a step: first those in which the sequence is read, with the weights of the
head that writes; then the second mark and the steps in which it is copied, with the weights of the head that reads. A
machine that has learned to copy puts one element after the other into rows of their own, and visits the same rows in the
same order. --quick draws a machine without training, in a second.
"""

import argparse
from pathlib import Path

import numpy as np

from tinytx.models import NTM, NTMConfig
from tinytx.recipes.ntm import copied
from tinytx.tasks import Bits
from tinytx.training import load_checkpoint
from tinytx.viz import alignment_picture, attention_maps


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
    (weights,) = attention_maps(task, x).values()
    *_, reads, writes = weights[0]  # (T, N) each
    wrong = task.measure([(x, bits)])["wrong_bits"]
    path = Path(arguments.out) / "ntm_memory.png"
    steps = [*(f"write-{i + 1}" for i in range(n)), "mark", *(f"copy-{i + 1}" for i in range(n))]
    alignment_picture(
        path, np.concatenate([writes[1 : n + 1], reads[n + 1 :]]), [str(row) for row in range(reads.shape[1])], steps,
        title=f"Copying {n} elements: {wrong:.1%} of bits wrong", axes=("rows of the memory", "steps"),
    )  # fmt: skip
    print(f"{wrong:.1%} of bits wrong: {path}")


if __name__ == "__main__":
    main()
