"""Are planted mistakes found? Each mutant is made in the library's source, by itself, and examined.

    python tests/mutation_run.py gradcheck --only softmax --no-torch    # wrong backwards; all of them take two minutes
    python tests/mutation_run.py tests --only attention                 # mistakes of all kinds; all take about an hour

Exit code 1 if mutants survive, or if a mutant's text does not occur exactly once in the source.
"""

import argparse
import importlib
import sys

from mutants import rotten


def main():
    """Examine the mutants of one kind and print the result."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("examiner", choices=("gradcheck", "tests"), help="what has to find them")
    parser.add_argument("--only", default="", help="part of a mutant's file, name, category or problem")
    parser.add_argument("--part", default="1/1", help="such as 2/3: the second third of the mutants (default: all)")
    parser.add_argument("--near", action="store_true", help="tests: run the nearest only")
    parser.add_argument("--no-torch", action="store_true", help="gradcheck: leave the comparison with PyTorch out")
    parser.add_argument("--json", action="store_true", help="gradcheck: print one JSON object in place of the table")
    arguments = parser.parse_args()
    module = importlib.import_module(f"mutants.by_{arguments.examiner}")  # by_tests must not find tinytx imported
    mutants = [m for m in module.MUTANTS if arguments.only in f"{m.file} {m.name} {m.category} {m.problem}"]
    part, parts = map(int, arguments.part.split("/"))
    mutants = mutants[part - 1 :: parts]
    messages = rotten(module.MUTANTS)
    if messages or not mutants:
        print("\n".join(messages) or f"no mutant has {arguments.only!r} in its file, name, category or problem")
        return 1
    return module.run(mutants, arguments)


if __name__ == "__main__":
    sys.exit(main())
