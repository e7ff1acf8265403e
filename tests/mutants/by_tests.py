"""Do the tests find every mistake of `mutants.SUITE`? Each is made in a copy of the library, by itself, and tested.

The nearest tests run first (`nearest`); the first failure ends them. Before that, the unchanged copy must pass the nearest
tests of all files. Exit code 1 if fewer than 97 % of the mutants are found.
"""

import os
import re
import shutil
import signal
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numba  # noqa: F401 - before the forks, which are spared the import
import pytest

from mutants import SUITE, mutated
from mutants.nearest import TOP, steps_of

MUTANTS = SUITE
COPIED = ("tinytx", "tests", "examples", "benchmarks", "README.md", "setup.cfg", "pyproject.toml")
SHARE = 0.97  # of the mutants, which the tests must find
SECONDS = 600  # for the tests of one step: what takes longer hangs, and a mutant that hangs is found
SECONDS_SOUND = 3600  # for the nearest tests of all files, which the copy without a mistake must pass


class Copy:
    """A copy of the library and its tests in a folder of its own, with compiled kernels that mutants do not touch."""

    def __init__(self, folder):
        self.folder, self.kernels, self.sound = folder / "copy", folder / "kernels", folder / "sound"
        for name in COPIED:
            source, target = TOP / name, self.folder / name
            ignored = shutil.ignore_patterns("__pycache__", ".hypothesis")
            if source.is_dir():
                shutil.copytree(source, target, ignore=ignored)  # keeps the times of files, by which Numba knows them
            else:
                target.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(source, target)
        self.sound.mkdir()

    def test(self, paths, words="", seconds=SECONDS):
        """Return (whether the tests found something, which test or why): tests below ``paths``, ``words`` as pytest's -k."""
        log = self.folder / "log"
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a fork beside the threads of BLAS, which come up again by themselves
            child = os.fork()
        if not child:
            self._run_pytest([f"tests/{path}" for path in paths], words, log)
        limit = time.monotonic() + seconds
        while not (ended := os.waitpid(child, os.WNOHANG))[0]:
            time.sleep(0.02)
            if time.monotonic() > limit:
                os.killpg(child, signal.SIGKILL)
                os.waitpid(child, 0)
                return True, f"no end after {seconds} s"
        out = self.log()
        failed = re.search(r"^(?:FAILED|ERROR) (\S+)", out, re.MULTILINE)
        return ended[1] != 0, failed[1].removeprefix("tests/") if failed else out.strip()[-300:]

    def log(self):
        """Return what the tests printed last."""
        return (self.folder / "log").read_text(encoding="utf-8", errors="replace")

    def _run_pytest(self, paths, words, log):
        """Run pytest in this process, a fork, which has imported what is slow to import and nothing of the copy; and end."""
        try:
            os.setsid()
            os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
            os.dup2(os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC), 1)
            os.dup2(1, 2)
            os.chdir(self.folder)
            os.environ["PYTHONPATH"] = sys.path[0] = str(self.folder)
            for name in [name for name in sys.modules if name.partition(".")[0] == "mutants"]:
                del sys.modules[name]  # ours; the tests have their own
            options = ["-x", "-q", "-p", "no:cacheprovider", "--hypothesis-seed=0", "-rfE", "-k", words]
            code = int(pytest.main([*options, *(path for path in paths if Path(path).exists())]))
            sys.stdout.flush()
            os._exit(code)
        finally:
            os._exit(99)

    def examine(self, mutant, most=None):
        """Return (whether the mutant is found, by what) in the first steps of tests, or in all."""
        path = self.folder / "tinytx" / mutant.file
        text = mutated(path.read_text(encoding="utf-8"), mutant)
        kept = self.sound / "file"
        shutil.copy2(path, kept)
        fill(self.kernels, self.sound / "kernels")
        path.write_text(text, encoding="utf-8")
        try:
            for paths, words in steps_of(mutant.file)[:most]:
                found, what = self.test(paths, words)
                if found:
                    return True, what
            return False, "survives"
        finally:
            shutil.copy2(kept, path)
            shutil.rmtree(self.folder / ".hypothesis", ignore_errors=True)


def fill(folder, source):
    """Make a folder a copy of another one, or empty."""
    shutil.rmtree(folder, ignore_errors=True)
    if source.exists():
        shutil.copytree(source, folder)


def run(mutants, arguments):
    """Examine the mutants one after the other and print what found them; return 1 if too many survive."""
    os.nice(10)
    began, survivors = time.monotonic(), []
    with tempfile.TemporaryDirectory() as folder:
        copy = Copy(Path(folder))
        os.environ |= {"NUMBA_CACHE_DIR": str(copy.kernels), "PYTHONDONTWRITEBYTECODE": "1"}
        numba.config.reload_config()
        sys.dont_write_bytecode = True
        first = {path for mutant in mutants for path in steps_of(mutant.file)[0][0]}
        words = " or ".join(sorted({steps_of(mutant.file)[0][1] for mutant in mutants}))
        wrong, what = copy.test(sorted(first), words, SECONDS_SOUND)
        if wrong:
            print(f"the copy without any mistake fails: {what}\n{copy.log()}")
            return 1
        fill(copy.sound / "kernels", copy.kernels)
        print(f"{len(mutants)} mutants; the sound copy passes, {time.monotonic() - began:.0f} s", flush=True)
        start = time.monotonic()
        for number, mutant in enumerate(mutants, start=1):
            before = time.monotonic()
            found, what = copy.examine(mutant, 1 if arguments.near else None)
            now = time.monotonic()
            left = (now - start) / number * (len(mutants) - number)
            word = "found   " if found else "SURVIVES"
            print(f"{word} {now - before:4.0f} s, {left:5.0f} s left  {mutant.file}: {mutant.name}  <- {what}", flush=True)
            survivors += [] if found else [mutant]
    share = 1 - len(survivors) / len(mutants)
    print(f"\n{len(mutants)} mutants, {len(survivors)} survive, {share:.1%} found, {time.monotonic() - began:.0f} s")
    print(*(f"  {mutant.file}: {mutant.name}" for mutant in survivors), sep="\n")
    return 0 if share >= SHARE else 1
