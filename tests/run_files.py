"""What a run left in its folder, as tests compare it."""

from tinytx.files import load_arrays, read_json_lines
from tinytx.training.checkpoint import NAME
from tinytx.training.loop import METRICS


def content(folder):
    """Return arrays and meta of a run's checkpoint, without what depends on the libraries that happen to be loaded."""
    arrays, meta = load_arrays(folder / NAME)
    return {name: array.tobytes() for name, array in arrays.items()}, {**meta, "fingerprint": None}


def records(folder):
    """Return the lines of a run's metrics."""
    return read_json_lines(folder / METRICS)
