"""Checks of a config's fields against each other. Each error names the field, its value and what is expected."""

from tinytx.arguments import check_whole
from tinytx.settings import LAYERS

MOST_LAYERS = 10_000
MOST_LOADED = 1024  # layers of a model from a file: their Python objects take 16 MB
MOST_FIXED = 2**22  # numbers in a table of positions that is computed, not loaded


def check_heads(config):
    """Raise ValueError unless n_heads divides d_model."""
    if config.d_model % config.n_heads:
        place = type(config).__name__
        raise ValueError(f"{place}: n_heads {config.n_heads} does not divide d_model {config.d_model}")


def check_special_ids(config, names, size):
    """Raise ValueError unless these fields are distinct ids of a vocabulary of ``size``."""
    seen, place = {}, type(config).__name__
    for name in names:
        value = check_whole(place, name, getattr(config, name), 0, size - 1)
        if value in seen:
            raise ValueError(f"{place}: {name} is {value}, and so is {seen[value]}: give each its own")
        seen[value] = name


def check_vouched(config, n_arrays, held):
    """Raise ValueError, before a model is made, if the config in its file is too large for the arrays in the file.

    Layers take memory even without weights (with shared layers only ``n_groups`` exist), and so does a computed table
    of positions. The number of weights is checked while the model is made: `tinytx.layers.init.Zeros`.

    Parameters
    ----------
    config : Settings
    n_arrays : int
        The number of arrays in the file.
    held : int
        The number of values in all of these arrays together.
    """
    sizes = vars(config)
    n_layers = sizes.get("n_groups") or sum(n for name, n in sizes.items() if LAYERS.fullmatch(name))
    if n_layers > min(n_arrays, MOST_LOADED):
        facts = f"the config has {n_layers:,} layers, and there are {n_arrays:,} arrays of weights"
        raise ValueError(f"{facts}: expected at most as many layers, and at most {MOST_LOADED:,}")
    positions = config.max_len * config.d_model if sizes.get("positions", "learned") != "learned" else 0
    if positions > max(held, MOST_FIXED):
        facts = f"max_len is {config.max_len:,}, which makes a table of {positions:,} numbers"
        raise ValueError(f"{facts}, expected at most {max(held, MOST_FIXED):,}")
