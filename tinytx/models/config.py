"""Checks of a config's fields, each with an error that names the field, its value and what is expected."""

MOST_LAYERS = 10_000


def check_whole(config, *names):
    """Raise ValueError unless these fields are whole numbers of at least 1 that any array's size could be."""
    for name in names:
        value = getattr(config, name)
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 2**31:
            raise ValueError(f"{type(config).__name__}: {name} is {value!r}, expected a whole number of at least 1")
        if name.endswith("_layers") and value > MOST_LAYERS:
            raise ValueError(f"{type(config).__name__}: {name} is {value}, expected at most {MOST_LAYERS:,}")


def check_choice(config, name, known):
    """Raise ValueError unless a field has one of the ``known`` values (None and bool are told from 0 and 1)."""
    value = getattr(config, name)
    if not any(value is one or isinstance(one, str) and value == one for one in known):
        raise ValueError(
            f"{type(config).__name__}: {name} is {value!r}, expected one of {', '.join(str(one) for one in known)}"
        )


def check_special_ids(config, names, size):
    """Raise ValueError unless these fields are distinct ids of a vocabulary of ``size``."""
    seen = {}
    for name in names:
        value = getattr(config, name)
        if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < size:
            raise ValueError(f"{type(config).__name__}: {name} is {value!r}, expected an id in 0..{size - 1}")
        if value in seen:
            raise ValueError(f"{type(config).__name__}: {name} is {value}, and so is {seen[value]}: give each its own")
        seen[value] = name
