"""The pairs that a Transformer learns from: to train on, to validate, and held out."""

from typing import NamedTuple

from tinytx.data import date_pairs, read_aligned, read_pairs, split_pairs
from tinytx.wording import counted


class Parts(NamedTuple):
    """The three parts of the pairs, each a list of (source, target); all pairs that were read; where they come from."""

    train: list
    validation: list
    held_out: list
    pairs: list
    report: str


def generated_dates(settings):
    """Return (pairs, one line that says where they come from): as many dates as the settings say."""
    return date_pairs(settings.dates), counted(settings.dates, "generated date")


def read_parts(settings, generate=generated_dates):
    """Return the `Parts` that settings name: each from a file of its own, or all cut out of one file.

    Parameters
    ----------
    settings : Settings
        With those of `tinytx.recipes.pair_texts.PairSettings`.
    generate : function (settings) -> (pairs, one line that says where they come from)
        Makes the pairs where no file is named.

    Raises
    ------
    ValueError
        If files are named that do not go together, or cannot be read, or a part is empty.
    """
    pairs, report = _read(settings, generate)
    valid, test = (_read_file(path, settings) for path in (settings.valid, settings.test))
    train, rest = split_pairs(pairs, settings.train_fraction) if valid is None else (pairs, valid.pairs)
    parts = [train, rest, test.pairs] if test else [train, *split_pairs(rest, 0.5)]
    if not all(parts):
        sizes = ", ".join(map(str, map(len, parts)))
        if valid:
            facts = f"{settings.valid} has {counted(len(rest), 'pair')}: {sizes} to train, to validate and to hold out"
            raise ValueError(f"{facts}; none may be empty; give --test FILE.tsv, too, or more pairs")
        raise ValueError(
            f"--train-fraction is {settings.train_fraction}, which cuts {counted(len(pairs), 'pair')} into {sizes} to "
            "train, to validate and to hold out: none may be empty (pairs that share a text stay together); give more "
            "pairs that differ, or another fraction below 1"
        )
    others = [each for each in (valid, test) if each]
    everything = pairs + [pair for each in others for pair in each.pairs]
    return Parts(*parts, everything, "; ".join([report, *(each.report for each in others)]))


def _read(settings, generate):
    """Return (pairs, one line that says where they come from)."""
    files = [path for path in (settings.source, settings.target) if path is not None]
    if len(files) == 1 or (files and settings.pairs is not None):
        raise ValueError("the data: either --pairs FILE, or --source FILE and --target FILE, or none for generated pairs")
    if files:
        pairs, _, report = read_aligned(*files, skip_empty=settings.skip_empty)
    elif settings.pairs is not None:
        return _read_file(settings.pairs, settings)[::2]
    else:
        pairs, report = generate(settings)
    return _turned(pairs, settings), report


def _read_file(path, settings):
    """Return the pairs of a tab-separated file, or None without a path."""
    if path is None:
        return None
    found = read_pairs(path, skip_empty=settings.skip_empty)
    return found._replace(pairs=_turned(found.pairs, settings))


def _turned(pairs, settings):
    """Return the pairs, turned around if the settings say so."""
    return [(target, source) for source, target in pairs] if settings.swap else pairs
