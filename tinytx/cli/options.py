"""Command-line flags from a dataclass: one field, one flag, one place for its default and its help."""

import argparse
import dataclasses
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
    """Add a flag ``--like-this`` for every field ``like_this`` of a dataclass; a flag not given is absent."""
    for field in dataclasses.fields(cls):
        kind, text = _kind(cls, field), field.metadata["help"]
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
    """Return {field: value} of the flags that were given, each within its bounds."""
    values = {}
    for field in dataclasses.fields(cls):
        if hasattr(arguments, field.name):
            value = values[field.name] = getattr(arguments, field.name)
            minimum = field.metadata.get("minimum")
            if minimum is not None and not value >= minimum:
                raise ValueError(f"--{field.name.replace('_', '-')} is {value}, expected at least {minimum}")
    return values


def _kind(cls, field):
    """Return the type of a field, without the None of an optional one."""
    kind = typing.get_type_hints(cls)[field.name]
    if isinstance(kind, types.UnionType):
        kind = next(part for part in typing.get_args(kind) if part is not type(None))
    return kind
