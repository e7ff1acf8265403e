"""What the benchmarks share: sides that are processes of their own and take turns.

A machine's speed drifts, and two programs in one process share its caches and its memory. So each side is a child
process, the children answer one after the other, figures are medians over the turns, and a ratio is taken pair by pair.
A benchmark calls itself with ``--child`` for each side; what it imports here is the standard library alone, so that a
child can time its own imports.
"""

import argparse
import contextlib
import importlib.metadata
import importlib.util
import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

PART = "TINYTX_PART_OF_ALL"  # is set where `python -m benchmarks` runs a script and reads its figures from a file that goes away
FORCED = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE")  # they halve NumPy's speed and leave PyTorch alone


class Parser(argparse.ArgumentParser):
    """A parser with ``--quick``, which stands for some other options: those that make the program short."""

    def __init__(self, description, quick):
        super().__init__(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
        self._quick = quick
        self.add_argument("--quick", action="store_true", help=f"the same as {quick}: shows that it runs, and no more")

    def parse_args(self, args=None, namespace=None):
        """Parse; what is given beside ``--quick`` comes after its options, and so before them in rank."""
        args = sys.argv[1:] if args is None else args
        return super().parse_args(self._quick.split() + args if "--quick" in args else args, namespace)


def file_to_write(text):
    """Return the path of a file that is written at the end; raise an error of argparse now, where it cannot be."""
    path = Path(text)
    if path.is_dir() or not path.resolve().parent.is_dir():
        facts = "is a folder" if path.is_dir() else f"is in {path.resolve().parent}, which is no folder"
        raise argparse.ArgumentTypeError(f"{text} {facts}; expected a file, in a folder that there is")
    return path


def parser(description, turns=7, *, quick, seconds=None):
    """Return a parser with the options that every benchmark has; without ``--turns`` or ``--seconds`` if that is None."""
    made = Parser(description, quick)
    if turns:
        made.add_argument("--turns", type=int, default=turns, help=f"turns of each side (default {turns})")
    if seconds:
        made.add_argument("--seconds", type=float, default=seconds, help=f"that a turn lasts, about (default {seconds:g})")
    made.add_argument("--threads", type=int, default=os.cpu_count(), help="of every side (default: all processors)")
    made.add_argument("--keep-env", action="store_true", help=f"leave {' and '.join(FORCED)} as they are set")
    made.add_argument("--json", type=file_to_write, help="file to write the figures to")
    made.add_argument("--child", help=argparse.SUPPRESS)
    return made


def environment(keep):
    """Return the children's environment: this one, without what slows down one side only."""
    return {name: value for name, value in os.environ.items() if keep or name not in FORCED}


def rivals(wanted, *modules, without="no rival"):
    """Return the rivals that can run here; say which module is missing, and what follows, where none can."""
    missing = [module for module in modules if not importlib.util.find_spec(module)]
    if missing:
        print(f"{' and '.join(missing)} not installed: {without}")
    return [] if missing else list(wanted)


def describe(threads, sides, env):
    """Print the versions of everything that computes, BLAS's architecture as the children have it, and who takes part."""
    versions = subprocess.run([sys.executable, __file__], env=env, check=True, stdout=subprocess.PIPE, text=True).stdout
    print(f"{versions.strip()}, {threads} threads, sides: {', '.join(sides)}", flush=True)


def _versions():
    import numpy as np
    from threadpoolctl import threadpool_info

    blas = {f"{x['internal_api']} {x['version']} {x.get('architecture')}" for x in threadpool_info()}
    others = filter(importlib.util.find_spec, ("numba", "torch", "transformers", "ctranslate2"))
    others = [f"{name} {importlib.metadata.version(name)}" for name in others]
    return [f"NumPy {np.__version__}", *sorted(blas), *others]


def write_json(path, figures):
    """Write the figures, if a path is given."""
    if path:
        from tinytx.files import atomic_write

        with atomic_write(path) as file:
            file.write(json.dumps(figures, indent=2).encode())
        if PART not in os.environ:
            print(f"Wrote {path}")


def median(values):
    """Return the median of any iterable of numbers."""
    return statistics.median(values)


# ------------------------------------------------------------------------------------------------ in the child


def serve(answer):
    """Say that the child is ready; then print the answer, a dict, to each line of input."""
    print("ready", flush=True)
    for line in sys.stdin:
        print(json.dumps(answer(json.loads(line))), flush=True)


def peak_memory():
    """Return the process's peak resident memory in MB; NaN where the system does not tell."""
    try:
        import resource
    except ImportError:
        return float("nan")
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1e6 if sys.platform == "darwin" else 1e3)


# ------------------------------------------------------------------------------------------------ in the parent


class Child:
    """A side: a process that runs ``script --child name``, and what it answered.

    Parameters
    ----------
    script : str
        The benchmark's own ``__file__``.
    name : str
        The side.
    *options : str or number
        Further arguments of the child.
    env : dict
        Its environment.
    start : list of str, optional
        What starts a script, in place of this Python.
    """

    def __init__(self, script, name, *options, env, start=(sys.executable,)):
        self.name, self.turns = name, []
        self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 - a pipe that nobody reads would fill up
        command = [*start, script, "--child", name, *map(str, options)]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": self._errors}
        self._process = subprocess.Popen(command, env=env, text=True, **pipes)
        self.alive = self._process.stdout.readline().strip() == "ready"

    def ask(self, request=None):
        """Let it take a turn: send it something, and keep what it answers."""
        with contextlib.suppress(BrokenPipeError):  # it has ended: the answer, or rather that there is none, says so
            self._process.stdin.write(json.dumps(request) + "\n")
            self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.name} ended in its turn {len(self.turns)}: {self.error()}")
        self.turns.append(json.loads(line))
        return self.turns[-1]

    def error(self):
        """Return the end of what it wrote to its standard error."""
        self._process.wait()
        self._errors.seek(0)
        return self._errors.read().strip()[-300:] or f"exit status {self._process.returncode}"

    def median(self, key):
        """Return the median of a figure over the turns."""
        return median(turn[key] for turn in self.turns)

    def close(self):
        """End the process."""
        with self._process, contextlib.suppress(BrokenPipeError):  # closes the pipes and waits
            self._process.stdin.close()
        self._errors.close()


@contextlib.contextmanager
def running(script, sides, *options, env):
    """Start the sides and yield {name: Child}; end them.

    Raises
    ------
    SystemExit
        With exit code 1, if one of them does not run here: a comparison without its rival is none.
    """
    with contextlib.ExitStack() as stack:
        yield {name: stack.enter_context(_started(Child(script, name, *options, env=env))) for name in sides}


@contextlib.contextmanager
def _started(child):
    with contextlib.closing(child):
        if not child.alive:
            raise SystemExit(f"{child.name} does not run here: {child.error()}")
        yield child


def ask_once(script, side, request, *options, env):
    """Return what a process, which lives for this one request, answers."""
    with running(script, [side], *options, env=env) as children:
        return children[side].ask(request)


def check_losses(losses, rtol=None, atol=0.0):
    """End with exit code 1 unless the sides' losses are finite, and equal to ``rtol`` if one is given, or to ``atol``.

    Parameters
    ----------
    losses : dict of str to float
    rtol : float, optional
        None where the sides draw other random numbers.
    atol : float
        In nats: what a loss near 0, of a batch known by heart, may differ by.
    """
    low, high = min(losses.values()), max(losses.values())
    if not all(map(math.isfinite, losses.values())) or rtol is not None and high - low > max(rtol * abs(high), atol):
        allowed = "" if rtol is None else f" and equal to {rtol:g}"
        raise SystemExit(f"the sides do not compute the same: losses {losses}, expected finite ones{allowed}")


def take_turns(children, turns, request=None):
    """Let children answer a request alternately, ``turns`` times each, after whatever they answered before."""
    for child in children:
        child.turns.clear()
    for _ in range(turns):
        for child in children:
            child.ask(request)


def steps(side, seconds):
    """Return how many steps take a side so many seconds, at least one, as it took its first turn."""
    return max(1, round(seconds * 1000 / side.turns[0]["ms"]))


def ratio(of, to, key):
    """Return the median of ``of``'s figure divided by ``to``'s, turn by turn."""
    return median(a[key] / b[key] for a, b in zip(of.turns, to.turns))


if __name__ == "__main__":
    print(", ".join(_versions()))
