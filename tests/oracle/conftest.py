"""PyTorch's own random numbers are the same in every run: a test passes or fails by what it compares, not by a draw."""

import pytest


@pytest.fixture(autouse=True)
def seeded():
    """PyTorch draws each test's values from the same seed, in whatever order the tests run."""
    pytest.importorskip("torch").manual_seed(0)
