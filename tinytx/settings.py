"""Settings: one line says a setting's type, its default, its meaning and the values that are allowed.

::

    class GPTConfig(Settings):
        d_model: int = setting(128, "width of the model, D", minimum=1)

From this line come the check (``GPTConfig: d_model is 0, expected a whole number of at least 1``), the part of
``help(GPTConfig)`` that describes it, and the flag ``--d-model`` of the command line with its help.
"""

import dataclasses
import difflib
import functools
import inspect
import math
import re
import textwrap
import types
import typing

from tinytx.arguments import check_choice, check_flag, check_number, check_text, check_whole

LAYERS = re.compile(r"n_(\w+_)?layers")  # names of settings that say how many layers there are
LARGEST = 2**31  # a whole number without a ``maximum`` of its own
RAISES = """
Raises
------
TypeError, ValueError
    If a value is of another type, or is not allowed: the message names the setting, the value and what is expected."""


def setting(default=dataclasses.MISSING, help="", **details):
    """Return a field of a class of `Settings`.

    Parameters
    ----------
    default : any, optional
        Without one, the setting must be given.
    help : str
        What it means: a phrase that begins with a small letter and ends without a full stop.
    **details
        ``minimum``, ``maximum``: the smallest and the largest value. ``above``, ``below``: numbers that the value must
        exceed, or stay under. ``choices``: the allowed texts; ``empty=False``: any text but the empty one.
        ``free=True``: a run that goes on may change this setting of a model, because no weight depends on it. Others
        are kept in ``field.metadata`` for those who know them.
    """
    return dataclasses.field(default=default, metadata={"help": help, **details})


@typing.dataclass_transform(frozen_default=True, field_specifiers=(setting,))
class Settings:
    """Base of classes of settings: each subclass becomes a frozen dataclass that checks and documents its fields."""

    def __init_subclass__(cls):
        super().__init_subclass__()
        dataclasses.dataclass(frozen=True)(cls)
        cls.__doc__ = _documentation(cls)

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = _checked(self, field, getattr(self, field.name))
            object.__setattr__(self, field.name, value)

    @classmethod
    def called(cls, name):
        """Return (place, name) as messages call a setting."""
        return cls.__name__, name


def flag_of(name):
    """Return the flag of a field: ``--like-this`` of ``like_this``."""
    return "--" + name.replace("_", "-")


def extended(base, *others, without=(), **defaults):
    """Return a subclass of ``base`` that also has the settings of others, under other defaults.

    Parameters
    ----------
    base : class of Settings, or Settings itself
    *others : classes of Settings, or instances
        An instance gives its values as defaults. Where two have a setting of one name, the first counts.
    without : sequence of str
        Settings of the others that are left out.
    **defaults
        In place of those of ``base`` and the others.

    Examples
    --------
    >>> class Model(Settings):
    ...     width: int = setting(help="width of the model", minimum=1)
    >>> class Run(Settings):
    ...     steps: int = setting(100, "steps in all", minimum=1)
    >>> extended(Run, Model, steps=5, width=8)()
    Extended(steps=5, width=8)
    """
    own, annotations = {}, {}
    for other in (*others, base):
        for field in dataclasses.fields(other) if other is not Settings else ():
            name = field.name
            if name not in annotations and name not in without and (other is not base or name in defaults):
                default = field.default if isinstance(other, type) else getattr(other, name)
                own[name] = dataclasses.field(default=defaults.get(name, default), metadata=field.metadata)
                annotations[name] = kinds(other if isinstance(other, type) else type(other))[name]
    for name in defaults.keys() - own.keys():
        near = difflib.get_close_matches(name, [*own, *kinds(base)], n=1)
        raise TypeError(f"extended: {name} is no setting" + (f"; did you mean {near[0]}?" if near else ""))
    namespace = own | {"__annotations__": annotations, "__doc__": base.__doc__, "__module__": base.__module__}
    return types.new_class("Extended", (base,), exec_body=lambda names: names.update(namespace))


@functools.cache
def kinds(cls):
    """Return {field: type} of a class of `Settings`, such as ``int`` or ``int | None``."""
    return typing.get_type_hints(cls)


def kind_of(cls, name):
    """Return (type, whether it may be None) of a setting: (int, True) of ``int | None``."""
    kind = kinds(cls)[name]
    parts = typing.get_args(kind)
    return next((part for part in parts if part is not types.NoneType), kind), types.NoneType in parts


def _checked(settings, field, value):
    """Return a value in the type of its field."""
    kind, optional = kind_of(type(settings), field.name)
    if value is None and optional:
        return None
    place, details = (*settings.called(field.name), value), field.metadata
    if kind is bool:
        return check_flag(*place)
    if kind is str:
        choices = details.get("choices")
        return check_choice(*place, choices) if choices else check_text(*place, empty=details.get("empty", True))
    if kind is int:
        return check_whole(*place, details.get("minimum", -math.inf), details.get("maximum", LARGEST))
    return check_number(*place, _range(details), lambda x: math.isfinite(x) and _is_inside(x, **details))


def _is_inside(x, minimum=-math.inf, maximum=math.inf, above=-math.inf, below=math.inf, **others):
    return minimum <= x <= maximum and above < x < below


def _range(details):
    """Return in words which numbers are allowed: "a number in [0, 1)", "a finite number of at least 0"."""
    low, high = details.get("minimum", details.get("above")), details.get("maximum", details.get("below"))
    if low is None and high is None:
        return "a finite number"
    if high is None:
        return f"a finite number {'of at least' if 'minimum' in details else 'above'} {low:g}"
    opening, closing = "[" if "minimum" in details else "(", "]" if "maximum" in details else ")"
    return f"a number in {opening}{low:g}, {high:g}{closing}"


def _documentation(cls):
    """Return a class's docstring, with its settings as the section Parameters in place of an inherited one."""
    lines = [inspect.cleandoc(cls.__doc__ or "").partition("\n\nParameters\n")[0], "", "Parameters", "----------"]
    for field in dataclasses.fields(cls):
        kind, optional = kind_of(cls, field.name)
        choices = field.metadata.get("choices")
        said = "{" + ", ".join(f'"{choice}"' for choice in choices) + "}" if choices else kind.__name__
        if kind is float:
            said = re.sub("a (finite )?number", "float", _range(field.metadata))
        if kind is int and "minimum" in field.metadata:
            said += f", at least {field.metadata['minimum']}"
        said += ", or None" if optional else ""
        said += "" if field.default is dataclasses.MISSING else f" (default: {field.default})"
        text = field.metadata["help"]
        filled = textwrap.fill(f"{text[:1].upper()}{text[1:]}.", 112)
        lines += [f"{field.name} : {said}", textwrap.indent(filled, "    ")]
    return "\n".join(lines) + "\n" + RAISES


class Flags(Settings):
    """Base of a command's settings: messages name each by its flag.

    ``metavar`` of a setting is what the help calls its value.
    """

    command = "tinytx"

    @classmethod
    def called(cls, name):
        """Return (command, flag) as messages call a setting."""
        return cls.command, flag_of(name)
