"""Run the benchmarks one after the other, print their ratios in one table, and write every figure to one file.

    python -m benchmarks --json today.json
    python -m benchmarks --only train_step generate --json today.json
    python -m benchmarks --compare before.json today.json

Each benchmark prints its own lines while it runs. The table has the figures that are ratios, of a rival's time, speed or memory to
ours: others depend on the machine, and on what else it does. --compare prints every figure of two files side by side, with their
ratio; it warns where the files come from different machines or versions. All of them, whole, take an hour and more.
"""

import argparse
import importlib
import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.append(str(HERE))  # python -m leaves out the folder of a module
turns = importlib.import_module("turns")
SCRIPTS = (
    "startup", "train_step", "bert_tutorial", "recurrent", "generate", "busy", "word2vec", "head", "laptop_recipe", "ops", "scaling", "long",
    "machines", "perplexity", "speculative",
)  # fmt: skip


def processor():
    """Return the processor's name, where the system tells it."""
    try:
        names = re.findall(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        names = []
    return names[0] if names else platform.processor() or platform.machine()


def machine():
    """Return what the figures depend on: processor, number of them, and versions."""
    versions = subprocess.run([sys.executable, HERE / "turns.py"], check=True, stdout=subprocess.PIPE, text=True).stdout
    return f"{os.cpu_count()} x {processor()}; Python {sys.version.split()[0]}, {versions.strip()}"


def run(name, flags):
    """Run a benchmark, which prints to this terminal; return its figures."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "figures.json"
        subprocess.run([sys.executable, HERE / f"{name}.py", *flags, "--json", path], env=os.environ | {turns.PART: "1"}, check=True)
        return json.loads(path.read_text())


def numbers(figures, path=""):
    """Return {path: number} of figures, which are dicts and lists in each other."""
    if isinstance(figures, int | float):
        return {path: figures}
    parts = figures.items() if isinstance(figures, dict) else enumerate(figures) if isinstance(figures, list) else ()
    return {name: value for key, part in parts for name, value in numbers(part, f"{path}.{key}" if path else str(key)).items()}


def ratios(benchmarks):
    """Return {path: number} of those figures that are ratios."""
    return {path: value for path, value in numbers(benchmarks).items() if path.split(".")[-1].endswith("ratio")}


def compare(before, after):
    """Print the figures that two files share, and say what one of them lacks."""
    for key in before.keys() & after.keys() - {"benchmarks"}:
        if before[key] != after[key]:
            print(f"warning: {key} differs: {before[key]}, and then {after[key]}")
    olds, news = numbers(before["benchmarks"]), numbers(after["benchmarks"])
    shared = [path for path in olds if path in news]
    width = max(map(len, shared), default=6)
    print(f"{'figure':<{width}} {'before':>12} {'after':>12} {'after/before':>13}")
    for path in shared:
        ratio = f"{news[path] / olds[path]:13.3f}" if olds[path] else f"{'-':>13}"
        print(f"{path:<{width}} {olds[path]:12.5g} {news[path]:12.5g} {ratio}")
    for name, others in (("before", olds.keys() - news.keys()), ("after", news.keys() - olds.keys())):
        if others:
            print(f"{len(others)} figures in the file {name} only, such as {min(others)}")


def read(path, parser):
    """Return what a file holds; end with an error that names it unless `main` wrote it."""
    try:
        held = json.loads(Path(path).read_text())
    except (OSError, ValueError) as error:
        parser.error(f"--compare: {path}: {error}")
    if not isinstance(held, dict) or not isinstance(held.get("benchmarks"), dict):
        parser.error(f"--compare: {path} has no benchmarks, expected a file that --json wrote")
    return held


def main():
    """Run the benchmarks, or compare two files."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", nargs="+", choices=SCRIPTS, default=SCRIPTS, metavar="NAME", help=f"of {', '.join(SCRIPTS)}")
    parser.add_argument("--quick", action="store_true", help="each in its quickest mode: shows that they run, and no more")
    parser.add_argument("--json", type=turns.file_to_write, metavar="FILE", help="write every figure, and what machine this is")
    parser.add_argument("--compare", nargs=2, metavar=("BEFORE", "AFTER"), help="compare two such files, and run nothing")
    arguments = parser.parse_args()
    if arguments.compare:
        return compare(*(read(path, parser) for path in arguments.compare))
    figures, failed = {}, []
    for i, name in enumerate(arguments.only, 1):
        print(f"\n== {name} ({i} of {len(arguments.only)})", flush=True)
        try:
            figures[name] = run(name, ["--quick"] if arguments.quick else [])
        except subprocess.CalledProcessError:
            failed.append(name)
    held = {"machine": machine(), "quick": arguments.quick, "benchmarks": figures}
    print(f"\n{held['machine']}")
    table = ratios(figures)
    width = max(map(len, table), default=0)
    for path, value in table.items():
        print(f"{path:<{width}} {value:8.2f}")
    if arguments.json:
        turns.write_json(arguments.json, held)
        print(f"Next: python -m benchmarks --compare {arguments.json} ANOTHER")
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
