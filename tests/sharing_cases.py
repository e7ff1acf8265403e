"""What ranks share out; as a program under mpirun it prints what came of it on all of them, as JSON."""

import json
import sys

import numpy as np
from model_cases import MODEL_CASES

from tinytx import workers
from tinytx.workers import ranks

OF_TASKS = (  # a case of each task
    "gpt", "bert", "bert text classes", "bert tags", "bert spans", "gpt text classes, next token", "elmo", "ntm", "transformer",
    "aligned_transformer", "unilm", "gatr", "glove", "word2vec", "vit", "xlnet",
)  # fmt: skip
COUNTS = 0, 1, 2, 5
HURT = {"all": range(5), "one": [3], "none": []}


def measures():
    """Return {case: what its task measures in five unequal batches}, and floats in hexadecimal."""
    measured = {}
    for name in OF_TASKS:
        task, batch = MODEL_CASES[name](np.float32)
        batches = [tuple(np.roll(array, k, axis=0)[: len(array) - k % 2] for array in batch) for k in range(5)]
        measured[name] = {key: float(value).hex() for key, value in task.measure(batches).items()}
    return measured


def shared():
    """Return what `tinytx.workers.each` gives for several numbers of items, of which each call says what it got and where it ran."""
    found = {str(n): workers.each(lambda i: (i, np.full(i, 1.5).sum()), iter(range(n))) for n in COUNTS}
    return {n: [list(result) for result in results] for n, results in found.items()}


def errors():
    """Return what errors say that some calls raise, and one that is raised between calls by the last rank."""
    world, said = ranks.current(), {}

    def call(i):
        if i in bad:
            raise ValueError(f"item {i} is bad")
        return i

    def alone():
        workers.each(call, range(5))
        if world.rank == world.size - 1:
            raise MemoryError("no room here")
        workers.each(call, range(5))

    for name, bad in HURT.items():
        try:
            workers.each(call, range(5))
        except (ValueError, ranks.RanksError) as error:
            said[name] = str(error)
    bad = []
    try:
        world.outcomes(alone)
    except (MemoryError, ranks.RanksError) as error:
        said["between"] = str(error)
    return said


def main():
    """Print what this comes to on the first rank; the others must have the same."""
    from mpi4py import MPI

    with ranks.use(ranks.Ranks(MPI.COMM_WORLD)) as world, workers.use(workers.Pool(int(sys.argv[1]))):
        calls = []
        workers.each(calls.append, range(5))
        spread = world.gather(calls)
        results = {"measures": measures(), "shared": shared(), "errors": errors()}
        world.check_same("results", json.dumps(results))
        if world.is_first:
            print(json.dumps(results | {"spread": spread}))


if __name__ == "__main__":
    main()
