"""Settings of the whole suite. Standing here, it also puts this folder on the path: `import properties` works."""

import signal

import pytest
from hypothesis import HealthCheck, settings

pytest.register_assert_rewrite("properties")

# No deadline: the first call of a kernel compiles it.
settings.register_profile("tinytx", deadline=None, max_examples=10, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tinytx")


@pytest.fixture
def heeds_ctrl_c():
    """Ctrl-C interrupts, also where the suite was started to ignore it: with & in a script, or by nohup."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def pytest_configure(config):
    config.addinivalue_line("markers", "oracle: compares with PyTorch; a file that does skips itself where there is none")
