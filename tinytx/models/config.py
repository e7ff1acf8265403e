"""Checks of a config's fields beside each other, each with an error that names the field, its value and what is expected."""

import re

from tinytx.arguments import check_whole

MOST_LAYERS = 10_000
LAYERS = re.compile(r"n_(\w+_)?layers")  # names of a config's fields that say how many layers there are


def check_heads(config):
    """Raise ValueError unless the heads divide the width."""
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
