"""A process that is forked while another thread compiles: it computes, and waits for no lock of a thread that it does not have."""

import os
import subprocess
import sys

import pytest

SOURCE = """
from tinytx.kernel import kernel

@kernel
def double(y, x):
    for i in range(x.size):
        y[i] = 2 * x[i]

@kernel(outputs=1)
def halve(y, x):
    for i in range(x.size):
        y[i] = x[i] / 2

@kernel
def square(y, x):
    for i in range(x.size):
        y[i] = x[i] * x[i]
"""
PROGRAM = """
import os, signal, sys, threading, time
import numpy as np
from tinytx import kernel
import kernels_of_a_fork as kernels

began, x, name = threading.Event(), np.ones(3), sys.argv[1]

def long(*name):
    began.set()
    time.sleep(1)

def work():
    if name == "making":
        with kernel._making:
            long()
    else:
        getattr(kernels, name)(np.empty(3), x)

kernel.on_compile = long
kernels.square(np.empty(3), x)  # imports what compiles
began.clear()
thread = threading.Thread(target=work)
thread.start()
assert began.wait(60)
kernel.on_compile = None
child = os.fork()
if not child:
    signal.alarm(20)
    for loop, expected in ((kernels.double, 2), (kernels.halve, 0.5), (kernels.square, 1)):
        y = np.empty(3)
        loop(y, x)
        assert (y == expected).all()
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0, "the new process hangs"
thread.join()
"""


@pytest.mark.compiled
@pytest.mark.skipif(not hasattr(os, "fork"), reason="no forks here")
@pytest.mark.parametrize("held", ["double", "halve", "making"])
def test_a_fork_waits_until_no_other_thread_compiles(held, tmp_path):
    (tmp_path / "kernels_of_a_fork.py").write_text(SOURCE)
    environment = os.environ | {"NUMBA_CACHE_DIR": str(tmp_path / "kept"), "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    done = subprocess.run([sys.executable, "-c", PROGRAM, held], env=environment, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr
