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


@pytest.fixture
def figures(monkeypatch):
    """Return the list of figures that are saved."""
    figure, saved = pytest.importorskip("matplotlib.figure"), []
    savefig = figure.Figure.savefig

    def watched(self, *given, **options):
        saved.append(self)
        return savefig(self, *given, **options)

    monkeypatch.setattr(figure.Figure, "savefig", watched)
    return saved
