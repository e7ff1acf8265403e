"""Command-line flags from a dataclass: one field, one flag, one place for its default and its help."""

import argparse
import dataclasses
import functools
import inspect
import math
import types
import typing


def option(default, help_text, **details):
    """Return a dataclass field that becomes a flag.

    Parameters
    ----------
    default : any
    help_text : str
    **details : choices, minimum
        Allowed values, or the smallest one.
    """
    return dataclasses.field(default=default, metadata={"help": help_text, **details})


def add_options(parser, cls):
    """Add a flag ``--like-this`` for every field ``like_this`` of a dataclass; a flag not given is absent.

    What the class itself names comes first, and what it inherits behind.
    """
    own = inspect.get_annotations(cls)
    for field in sorted(dataclasses.fields(cls), key=lambda field: field.name not in own):
        kind, text = _kinds(cls)[field.name], field.metadata["help"]
        if field.default is not None:
            text += f" (default: {field.default})"
        flag = {"dest": field.name, "default": argparse.SUPPRESS, "help": text.replace("%", "%%")}
        if kind is bool:
            flag["action"] = argparse.BooleanOptionalAction
        else:
            flag |= {"type": kind, "choices": field.metadata.get("choices"), "metavar": field.name.upper()}
            if flag["choices"]:
                del flag["metavar"]
        parser.add_argument("--" + field.name.replace("_", "-"), **flag)


def given(arguments, cls):
    """Return {field: value} of the flags that were given."""
    names = [field.name for field in dataclasses.fields(cls)]
    return {name: getattr(arguments, name) for name in names if hasattr(arguments, name)}


def check(settings):
    """Raise ValueError for the first value of another type than its field's, or out of bounds.

    For the dataclass's ``__post_init__``: values come from flags, and from a checkpoint that may be anybody's.
    """
    for field in dataclasses.fields(settings):
        value, kind = getattr(settings, field.name), _kinds(type(settings))[field.name]
        if value is None and field.default is None:
            continue
        minimum, choices = field.metadata.get("minimum"), field.metadata.get("choices")
        if type(value) is not kind and not (kind is float and type(value) is int):
            expected = f"a value of type {kind.__name__}"
        elif kind is float and not math.isfinite(value):
            expected = "a finite number"
        elif minimum is not None and value < minimum:
            expected = f"at least {minimum}"
        elif choices and value not in choices:
            expected = f"one of {', '.join(choices)}"
        else:
            continue
        raise ValueError(f"--{field.name.replace('_', '-')} is {value!r}, expected {expected}")


@functools.cache
def _kinds(cls):
    """Return {field: type}, without the None of an optional one."""
    kinds = typing.get_type_hints(cls)
    for name, kind in kinds.items():
        if isinstance(kind, types.UnionType):
            kinds[name] = next(part for part in typing.get_args(kind) if part is not type(None))
    return kinds
