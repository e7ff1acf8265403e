"""A training step, against PyTorch in the same run: forward, backward, clipping at 1.0, AdamW.

    python benchmarks/train_step.py --shapes nano baby --json step.json

Every side is a process of its own with the same weights, batch, optimiser and number of threads, and they take turns,
so that a machine whose speed drifts treats all alike. Figures are medians over the turns; a ratio is taken pair by pair.
"""

import argparse
import importlib.util
import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from sides import SHAPES, SIDES, flops, make_model, sgemm_peak
from threadpoolctl import threadpool_info

FORCED = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")  # they halve NumPy's speed and leave PyTorch alone


def child(side, shape, threads):
    """Answer each line of input, a number of steps, with milliseconds for one step, the loss and the peak memory."""
    model, ids, targets = make_model(shape)
    step = SIDES[side](model, threads)
    for _ in range(2):
        step(ids, targets)
    print("ready", flush=True)
    for line in sys.stdin:
        n, began = int(line), time.perf_counter()
        for _ in range(n):
            loss = step(ids, targets)
        milliseconds = (time.perf_counter() - began) / n * 1e3
        print(json.dumps({"ms": milliseconds, "loss": loss, "memory": _peak_memory()}), flush=True)


def _peak_memory():
    """Return the process's peak resident memory in MB; NaN where the system does not tell."""
    try:
        import resource
    except ImportError:
        return float("nan")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


class Side:
    """A child process, and what it reported."""

    def __init__(self, name, shape, threads, environment):
        command = [sys.executable, __file__, "--child", name, "--shapes", shape, "--threads", str(threads)]
        self.process = subprocess.Popen(
            command, env=environment, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self.turns = []
        self.alive = self.process.stdout.readline().strip() == "ready"

    def turn(self, steps):
        """Let it take some steps."""
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        self.turns.append(json.loads(self.process.stdout.readline()))

    def median(self, key):
        """Return the median of a figure over the turns."""
        return statistics.median(turn[key] for turn in self.turns)

    def close(self):
        """End the process."""
        self.process.stdin.close()
        self.process.wait()
        self.process.stdout.close()
        self.process.stderr.close()


def compare(shape, sides, turns, threads, environment):
    """Return the figures of one shape."""
    running = {name: Side(name, shape, threads, environment) for name in sides}
    for name in [name for name, side in running.items() if not side.alive]:
        print(f"{shape}: {name} does not run here: {running[name].process.stderr.read().strip()[-200:]}")
        running.pop(name).close()
    ours = running["ours"]
    for side in running.values():
        side.turn(1)
    steps = max(1, round(1000 / ours.turns[0]["ms"]))  # about a second a turn
    for side in running.values():
        side.turns.clear()
    for _ in range(turns):
        for side in running.values():
            side.turn(steps)
    for side in running.values():
        side.close()
    row = {f"{name}_ms": side.median("ms") for name, side in running.items()}
    rivals = {name: side for name, side in running.items() if name != "ours"}
    if rivals:
        best = min(rivals.values(), key=lambda side: side.median("ms"))
        row["ratio"] = statistics.median(b["ms"] / a["ms"] for a, b in zip(ours.turns, best.turns))
    if "torch_eager" in rivals:
        row["memory_ratio"] = ours.median("memory") / rivals["torch_eager"].median("memory")
    row["loss"] = {name: side.turns[-1]["loss"] for name, side in running.items()}
    row["memory_mb"] = {name: side.median("memory") for name, side in running.items()}
    return row


def main():
    """Run the shapes, print the table, and write the JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shapes", nargs="+", choices=SHAPES, default=list(SHAPES))
    parser.add_argument("--sides", nargs="+", choices=[s for s in SIDES if s != "ours"], default=["torch_eager"])
    parser.add_argument("--turns", type=int, default=7)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--keep-env", action="store_true", help=f"leave {' and '.join(FORCED)} as they are set")
    parser.add_argument("--json", type=Path, help="file to write the figures to")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.child:
        return child(arguments.child, arguments.shapes[0], arguments.threads)
    environment = {k: v for k, v in os.environ.items() if arguments.keep_env or k not in FORCED}
    sides = ["ours", *arguments.sides] if importlib.util.find_spec("torch") else ["ours"]
    if len(sides) == 1:
        print("torch is not installed: no rival")
    blas = {f"{x['internal_api']} {x['version']} {x.get('architecture')}" for x in threadpool_info()}
    print(f"NumPy {np.__version__}, {', '.join(sorted(blas))}, {arguments.threads} threads, sides: {', '.join(sides)}")
    figures = {}
    for shape in arguments.shapes:
        peak = sgemm_peak()
        row = figures[shape] = compare(shape, sides, arguments.turns, arguments.threads, environment)
        row["sgemm_share"] = flops(shape) / (row["ours_ms"] / 1e3) / 1e9 / peak
        times = ", ".join(f"{key[:-3]} {row[key]:.1f} ms" for key in row if key.endswith("_ms"))
        ratio = f", PyTorch / ours {row['ratio']:.2f}" if "ratio" in row else ""
        memory = f", memory ours / eager {row['memory_ratio']:.2f}" if "memory_ratio" in row else ""
        print(f"{shape:>5}: {times}{ratio}, {row['sgemm_share']:.0%} of {peak:.0f} GFLOP/s{memory}", flush=True)
        print(f"       losses {row['loss']}, MB {row['memory_mb']}")
    if arguments.json:
        arguments.json.write_text(json.dumps(figures, indent=2))
        print(f"Wrote {arguments.json}")


if __name__ == "__main__":
    main()
