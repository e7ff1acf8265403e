"""Speed and memory of this checkout beside another one: a training step of each shape, and generation.

    git worktree add ../before COMMIT
    python benchmarks/before_after.py ../before --json change.json

Each side runs the benchmark of its own checkout, as a process of its own, and they take turns (turns.py): figures are
medians, a ratio is taken pair by pair, and its spread is that of the middle half of the pairs. Without another
checkout, this one is compared with itself: how far the ratios are from 1 then is the noise of the machine.
"""

import statistics
import sys
from contextlib import ExitStack, closing
from pathlib import Path

import turns

HERE = Path(__file__).resolve().parents[1]
CASES = {  # name -> (benchmark, its options, the figure)
    **{f"{shape} step": ("train_step.py", ["--shapes", shape], "ms") for shape in ("nano", "baby", "gpt2", "long")},
    **{f"T {t} step": ("scaling.py", ["--axes", "length", "--point", t], "ms") for t in (128, 256, 512)},
    "nano generation": ("generate.py", ["--models", "nano", "--batches", 1, "--tokens", 64], "rate"),
    "gpt2 generation": ("generate.py", ["--models", "gpt2", "--batches", 1, "--tokens", 32], "rate"),
}


def compare(case, other, arguments, env):
    """Return {"time": ratio, "low": , "high": , "memory": ratio} of this checkout to the other; below 1 is better."""
    script, options, key = CASES[case]
    with ExitStack() as stack:
        sides = []
        for folder in (other, HERE):
            place = str(folder / "benchmarks" / script)
            own = env | {"PYTHONPATH": str(folder)}
            child = turns.Child(place, "ours", "--threads", arguments.threads, *options, env=own)
            sides.append(stack.enter_context(closing(child)))
            if not child.alive:
                raise SystemExit(f"{case} does not run in {folder}: {child.error()}")
        request = None
        if key == "ms":
            turns.take_turns(sides, 1, 1)
            request = turns.steps(sides[1], arguments.seconds)
        turns.take_turns(sides, arguments.turns, request)
        before, after = sides
    pairs = [(old[key], new[key]) for old, new in zip(before.turns, after.turns, strict=True)]
    ratios = sorted(new / old if key == "ms" else old / new for old, new in pairs)
    low, _, high = statistics.quantiles(ratios, n=4) if len(ratios) > 1 else ratios * 3
    row = {"before": before.median(key), "after": after.median(key), "unit": {"ms": "ms", "rate": "tokens/s"}[key]}
    row |= {"time": statistics.median(ratios), "low": low, "high": high}
    if "memory" in before.turns[-1]:
        row["memory"] = after.median("memory") / before.median("memory")
    return row


def main():
    """Run the cases, print a line for each, and write the JSON."""
    parser = turns.parser(__doc__, turns=9, seconds=1, quick="--cases nano-step --turns 1 --seconds 0")
    names = [case.replace(" ", "-") for case in CASES]
    parser.add_argument("other", nargs="?", type=Path, default=HERE, help="folder of the other checkout (default: this one)")
    parser.add_argument("--cases", nargs="+", choices=names, default=names)
    arguments = parser.parse_args()
    other = arguments.other.resolve()
    if not (other / "benchmarks" / "turns.py").is_file():
        parser.error(f"{arguments.other} is no checkout of tinytx: it has no benchmarks/turns.py")
    env = turns.environment(arguments.keep_env)
    turns.describe(arguments.threads, [str(arguments.other), "this checkout"], env)
    figures = {}
    for case in CASES:
        if case.replace(" ", "-") in arguments.cases:
            row = figures[case] = compare(case, other, arguments, env)
            memory = f", memory after / before {row['memory']:.2f}" if "memory" in row else ""
            print(
                f"{case}: before {row['before']:.1f} {row['unit']}, after {row['after']:.1f}; time after / before "
                f"{row['time']:.3f} ({row['low']:.3f} to {row['high']:.3f}){memory}",
                flush=True,
            )
    turns.write_json(arguments.json, figures)


if __name__ == "__main__":
    sys.exit(main())
