"""Command-line flags from a class of settings: one field, one flag, one place for its default and its help."""

import argparse
import dataclasses

from tinytx.settings import Settings, kind_of


class Flags(Settings):
    """Base of a command's settings: messages name each by its flag.

    ``metavar`` of a setting is what the help calls its value.
    """

    command = "tinytx"

    @classmethod
    def called(cls, name):
        """Return (command, flag) as messages call a setting."""
        return cls.command, flag_of(name)

    @classmethod
    def of(cls, arguments):
        """Return the settings of the flags that were given."""
        return cls(**given(arguments, cls))


def add_options(parser, cls, others=None):
    """Add a flag ``--like-this`` for every field ``like_this`` of a class; a flag not given is absent.

    What the class itself names comes first, and what it inherits behind.

    Parameters
    ----------
    parser : argparse.ArgumentParser
    cls : class of Settings
    others : dict, optional
        {name: class} of settings with other defaults, which the help names too.
    """
    order = {name: place for place, base in reversed([*enumerate(cls.__mro__)])
             for name in vars(base).get("__annotations__", {})}  # fmt: skip
    for field in sorted(dataclasses.fields(cls), key=lambda field: order[field.name]):
        kind, text = kind_of(cls, field.name)[0], field.metadata["help"]
        defaults = {name: getattr(other, field.name) for name, other in {"default": cls, **(others or {})}.items()}
        told = [f"{name}: {value}" for name, value in defaults.items()
                if value is not None and (name == "default" or value != field.default)]  # fmt: skip
        text += f" ({'; '.join(told)})" if told else ""
        flag = {"dest": field.name, "default": argparse.SUPPRESS, "help": text.replace("%", "%%")}
        if kind is bool:
            flag["action"] = argparse.BooleanOptionalAction
        elif "choices" in field.metadata:
            flag |= {"choices": field.metadata["choices"]}
        else:
            flag |= {"type": kind, "metavar": field.metadata.get("metavar", field.name.upper())}
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
        for other, values in field.metadata.get("only", {}).items():
            beside = getattr(settings, other)
            if getattr(settings, field.name) != field.default and beside not in values:
                lines.append(f"{flag_of(field.name)} has no effect where {flag_of(other)} is {beside}")
    return lines
