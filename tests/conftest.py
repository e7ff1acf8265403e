"""Settings of the whole suite. Standing here, it also puts this folder on the path: `import properties` works.

Two legs find what compiled code hides: an index beyond an array's end, and a kernel that means something else in plain
Python. Both take the files that reach every loop: those of the operations, of the optimizers and of a small training::

    export NUMBA_BOUNDSCHECK=1  # or NUMBA_DISABLE_JIT=1
    pytest tests/ops tests/training/test_optimizers.py tests/training/test_lookahead.py
    pytest tests/test_kernel.py tests/test_matmul.py tests/test_dots.py tests/test_simd.py tests/test_small_training.py

There each property is tried on one example; in plain Python, a hundred times slower, no test marked ``compiled``; and with
indices checked no test of float32, for which every loop would be compiled once more: an index does not depend on the dtype.
"""

import faulthandler
import signal
import sys

import numba
import pytest
from command_runs import *  # noqa: F403 - fixtures of tests/cli and tests/recipes: commands, and runs that many look at
from hypothesis import HealthCheck, settings

pytest.register_assert_rewrite("properties")

# No deadline: the first call of a kernel compiles it.
PROFILE = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("tinytx", max_examples=10, **PROFILE)
settings.register_profile("leg", max_examples=1, **PROFILE)
settings.load_profile("leg" if numba.config.DISABLE_JIT or numba.config.BOUNDSCHECK else "tinytx")


@pytest.fixture
def heeds_ctrl_c():
    """Ctrl-C interrupts, also where the suite was started to ignore it: with & in a script, or by nohup."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def pytest_unconfigure():
    """Say where a process waits, and end it, if it has not ended 100 s after its tests: something waits for ever at its end."""
    if "pytest" in sys.argv[0]:  # a notebook goes on after its tests
        faulthandler.dump_traceback_later(100, exit=True)


def pytest_configure(config):
    config.addinivalue_line("markers", "oracle: compares with PyTorch; a file that does skips itself where there is none")
    config.addinivalue_line("markers", "compiled: too slow in plain Python, or about compiled code itself")


def pytest_collection_modifyitems(items):
    for item in items:
        if numba.config.DISABLE_JIT and item.get_closest_marker("compiled"):
            item.add_marker(pytest.mark.skip(reason="too slow in plain Python, or about compiled code itself"))
        elif numba.config.BOUNDSCHECK and ("float32" in item.name or "check_dtype" in item.name):
            item.add_marker(pytest.mark.skip(reason="an index does not depend on the dtype"))
