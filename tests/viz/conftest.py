"""What the tests of pictures share."""

import errno
import os

import pytest


@pytest.fixture
def full_disk(monkeypatch):
    """Let every file be refused just before it takes its name."""

    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
