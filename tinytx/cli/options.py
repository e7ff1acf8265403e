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
    **details
        ``choices``, ``minimum``, ``maximum``: allowed values, the smallest one, the largest one.
        ``fixed=True``: a run that goes on cannot change it. ``file=True``: the path of a file that is read.
        ``only={other: (value, ...)}``: it has an effect only where the other setting has one of these values.
        ``also``: other defaults, which some runs take.
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
        parser.add_argument(flag_of(field.name), **flag)


def given(arguments, cls):
    """Return {field: value} of the flags that were given."""
    names = [field.name for field in dataclasses.fields(cls)]
    return {name: getattr(arguments, name) for name in names if hasattr(arguments, name)}


def flag_of(name):
    """Return the flag of a field: ``--like-this`` of ``like_this``."""
    return "--" + name.replace("_", "-")


def without_effect(settings):
    """Return a line for each setting that was chosen and has no effect beside another (the fields' ``only``)."""
    lines = []
    for field in dataclasses.fields(settings):
        value, defaults = getattr(settings, field.name), (field.default, *field.metadata.get("also", ()))
        for other, values in field.metadata.get("only", {}).items():
            beside = getattr(settings, other)
            if value not in defaults and beside not in values:
                lines.append(f"{flag_of(field.name)} has no effect where {flag_of(other)} is {beside}")
    return lines


def check(settings):
    """Raise ValueError for the first value of another type than its field's, or out of bounds.

    For the dataclass's ``__post_init__``: values come from flags, and from a checkpoint that may be anybody's.
    """
    for field in dataclasses.fields(settings):
        value, kind = getattr(settings, field.name), _kinds(type(settings))[field.name]
        if value is None and field.default is None:
            continue
        minimum, maximum, choices = (field.metadata.get(name) for name in ("minimum", "maximum", "choices"))
        if type(value) is not kind and not (kind is float and type(value) is int):
            expected = f"a value of type {kind.__name__}"
        elif kind is float and not math.isfinite(value):
            expected = "a finite number"
        elif minimum is not None and value < minimum:
            expected = f"at least {minimum}"
        elif maximum is not None and value > maximum:
            expected = f"at most {maximum}"
        elif choices and value not in choices:
            expected = f"one of {', '.join(choices)}"
        else:
            continue
        raise ValueError(f"{flag_of(field.name)} is {value!r}, expected {expected}")


@functools.cache
def _kinds(cls):
    """Return {field: type}, without the None of an optional one."""
    kinds = typing.get_type_hints(cls)
    for name, kind in kinds.items():
        if isinstance(kind, types.UnionType):
            kinds[name] = next(part for part in typing.get_args(kind) if part is not type(None))
    return kinds
