"""Settings of the whole suite. Standing here, it also puts this folder on the path: `import properties` works."""

from importlib.util import find_spec

import pytest
from hypothesis import HealthCheck, settings

pytest.register_assert_rewrite("properties")

# No deadline: the first call of a kernel compiles it.
settings.register_profile("tinytx", deadline=None, max_examples=10, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tinytx")


def pytest_configure(config):
    config.addinivalue_line("markers", "oracle: compares with PyTorch; skipped where torch is not installed")


def pytest_collection_modifyitems(config, items):
    """Skip what needs PyTorch where there is none."""
    if find_spec("torch") is None:
        for item in items:
            if item.get_closest_marker("oracle"):
                item.add_marker(pytest.mark.skip(reason="torch is not installed: pip install tinytx[oracle]"))
