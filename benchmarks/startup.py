"""From nothing to the first training step: what a newcomer waits for, against PyTorch.

    python benchmarks/startup.py --json startup.json

Each run is a new process. "cold" has an empty folder for compiled kernels, as after an installation; "warm" has one that
an earlier process filled, as ever after. PyTorch takes the first step of the same model, with weights of its own.
Everything else that a first start pays for (byte code, the disk) was paid in a round that does not count. Times are
taken in the process, from where Python itself has started: import, and on until the first step's loss is there.

Then whole processes are timed, from before their start to after their end: `python -m tinytx --help`, and imports. What an
import takes above NumPy's own is the difference to a process of the same round that imports NumPy alone.
"""

import importlib
import subprocess
import sys
import tempfile
import time
from types import SimpleNamespace

import turns

COMMANDS = {
    "python": ["-c", ""],
    "numpy": ["-c", "import numpy"],
    "tinytx": ["-c", "import numpy, tinytx"],
    "models_and_training": ["-c", "import numpy, tinytx.models, tinytx.training"],
    "help": ["-m", "tinytx", "--help"],
}  # name of a process: what Python is given


def child(side, threads):
    """Import, take one step, and answer with both times; nothing of the other side is imported."""
    began = time.perf_counter()
    for module in ("torch", "torch_gpt") if side == "torch" else ("tinytx.models", "tinytx.training"):
        importlib.import_module(module)
    imported = time.perf_counter()
    import sides

    shape = sides.SHAPES["nano"]
    if side == "torch":
        import torch_gpt

        trainer = sides.torch_trainer(torch_gpt.TorchGPT(SimpleNamespace(**shape.sizes, dropout=0.0)), threads)
    else:
        trainer = sides.ours(sides.make_model(shape), threads)
    loss = trainer.step(*sides.make_batch(shape))
    stepped = time.perf_counter()
    answer = {"import": imported - began, "first_step": stepped - began, "loss": loss}
    turns.serve(lambda _: answer)


def run(side, threads, env, folder):
    """Return the answer of one process; a cold one gets a new folder."""
    with tempfile.TemporaryDirectory() as empty:
        cache = {"NUMBA_CACHE_DIR": empty if side == "cold" else folder}
        return turns.ask_once(__file__, side, None, "--threads", threads, env=env | cache)


def process_seconds(rounds, env):
    """Return {name: seconds of each round} of the processes of `COMMANDS`; one more round comes first, which does not count."""
    seconds = {name: [] for name in COMMANDS}
    for each in range(rounds + 1):
        for name, arguments in COMMANDS.items():
            began = time.perf_counter()
            subprocess.run([sys.executable, *arguments], env=env, check=True, stdout=subprocess.DEVNULL)
            if each:
                seconds[name].append(time.perf_counter() - began)
    return seconds


def process_figures(seconds):
    """Return the medians of `process_seconds`, and those of what imports take above NumPy's own."""
    figures = {name: turns.median(values) for name, values in seconds.items()}
    for name in ("tinytx", "models_and_training"):
        figures[f"{name}_above_numpy"] = turns.median(a - b for a, b in zip(seconds[name], seconds["numpy"]))
    return figures


def described(figures):
    """Return a line of text about the medians of processes."""
    imports = ", ".join(f"{name} {figures[f'{name}_above_numpy']:.3f} s" for name in ("tinytx", "models_and_training"))
    return (f"processes: python -m tinytx --help {figures['help']:.3f} s, python alone {figures['python']:.3f} s, "
            f"with numpy {figures['numpy']:.3f} s; imports above numpy: {imports.replace('_', ' ')}")  # fmt: skip


def main():
    """Let the sides start in turns, print the table, and write the JSON."""
    parser = turns.parser(__doc__, quick="--turns 1 --processes 1")
    parser.add_argument("--processes", type=int, default=9, help="of each kind that are timed whole (default 9)")
    arguments = parser.parse_args()
    if arguments.child:
        return child(arguments.child, arguments.threads)
    sides = ["cold", "warm", *turns.rivals(["torch"], "torch")]
    env = turns.environment(arguments.keep_env)
    turns.describe(arguments.threads, sides, env)
    runs = {side: [] for side in sides}
    with tempfile.TemporaryDirectory() as folder:
        for turn in range(arguments.turns + 1):
            for side in sides if turn else sides[1:]:  # the warm side's first start compiles, as the cold one does
                answer = run(side, arguments.threads, env, folder)
                if turn:  # the first round fills folder, and the system's caches
                    runs[side].append(answer)
    for side in sides:  # each has weights of its own
        turns.check_losses({side: answer["loss"] for answer in runs[side]})
    figures = {}
    for side in sides:
        figures[side] = {key: turns.median(x[key] for x in runs[side]) for key in ("import", "first_step", "loss")}
        if "torch" in sides and side != "torch":
            for key in ("import", "first_step"):
                pairs = zip(runs["torch"], runs[side])
                figures[side][f"{key}_ratio"] = turns.median(theirs[key] / ours[key] for theirs, ours in pairs)
        row = figures[side]
        print(f"{side:>5}: import {row['import']:.2f} s, to the first step {row['first_step']:.2f} s", end="")
        ratio = f", PyTorch / ours {row['import_ratio']:.2f} and {row['first_step_ratio']:.2f}" if len(row) > 3 else ""
        print(f"{ratio}, its loss {row['loss']:.3f}", flush=True)
    figures["processes"] = process_figures(process_seconds(arguments.processes, env))
    print(described(figures["processes"]))
    turns.write_json(arguments.json, figures)


if __name__ == "__main__":
    main()
