"""Memory that stays with the process, and memory that goes back to the system."""

import json
import subprocess
import sys

import pytest

from tinytx import memory

PROGRAM = """
import json, os
import numpy as np
from tinytx.memory import give_back_freed_memory, keep_freed_memory

def held():
    return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

keep_freed_memory()
arrays, between = [], []
seen = [held()]
for _ in range(64):
    arrays.append(np.ones(1 << 17))
    between.append(np.ones(100))  # so that what is freed lies between what is not
seen.append(held())
arrays.clear()
seen.append(held())
give_back_freed_memory()
print(json.dumps([*seen, held()]))
"""


@pytest.mark.skipif(memory._of_glibc("malloc_trim") is None, reason="the C library is not glibc")
def test_freed_memory_stays_until_it_is_given_back():
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    before, full, kept, given_back = json.loads(done.stdout)
    assert full - before > 60 and kept - before > 60 and given_back - before < 10


@pytest.mark.parametrize("most", [2**31 - 1, 2**25])
def test_the_largest_arrays_that_a_version_of_glibc_keeps(most, monkeypatch):
    """Catches a limit that older versions refuse: with the other one set, each array above 128 kB is asked for and given back for ever."""
    limits = {}

    def mallopt(option, value):
        if option == memory._M_MMAP_THRESHOLD and value > most:
            return 0
        limits[option] = value
        return 1

    monkeypatch.setattr(memory, "_of_glibc", {"mallopt": mallopt}.get)
    memory.keep_freed_memory.__wrapped__()
    assert limits == {memory._M_MMAP_THRESHOLD: most, memory._M_TRIM_THRESHOLD: 2**31 - 1, memory._M_ARENA_MAX: 1}


def test_other_libraries_are_left_alone(monkeypatch):
    monkeypatch.setattr(memory, "_of_glibc", lambda name: None)
    memory.keep_freed_memory.__wrapped__()
    memory.give_back_freed_memory()
