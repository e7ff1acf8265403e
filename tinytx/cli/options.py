"""Command-line flags from a class of settings: one field, one flag, one place for its default and its help."""

import argparse
import dataclasses

from tinytx.pipelines.load import load_run
from tinytx.recipes import load_recipe
from tinytx.settings import flag_of, kind_of


def add_options(parser, cls):
    """Add a flag ``--like-this`` for every field ``like_this`` of a class of settings; a flag not given is absent.

    The class's own settings come first, and inherited ones after them.
    """
    order = {name: (place, i) for place, base in reversed([*enumerate(cls.__mro__)])
             for i, name in enumerate(vars(base).get("__annotations__", {}))}  # fmt: skip
    for field in sorted(dataclasses.fields(cls), key=lambda field: order[field.name]):
        kind, text = kind_of(cls, field.name)[0], field.metadata["help"]
        text += f" (default: {field.default})" if field.default is not None else ""
        flag = {"dest": field.name, "default": argparse.SUPPRESS, "help": text.replace("%", "%%")}
        if kind is bool:
            flag["action"] = argparse.BooleanOptionalAction
        elif "choices" in field.metadata:
            flag |= {"choices": field.metadata["choices"]}
        else:
            flag |= {"type": kind, "metavar": field.metadata.get("metavar", field.name.upper())}
        parser.add_argument(flag_of(field.name), **flag)


def add_run(parser, **options):
    """Add the arguments that name a run: its folder, and the file of a recipe of the user's."""
    parser.add_argument("dir", metavar="DIR", help="folder of a run, which holds checkpoint.npz", **options)
    parser.add_argument("--recipe", metavar="FILE.py", help="the recipe of the run, where it is a file of your own")


def own_of(arguments):
    """Return the classes of the recipe's file, as `tinytx.training.load_checkpoint` takes them, or None."""
    return None if arguments.recipe is None else load_recipe(arguments.recipe).own


INT8 = "read matrices as 8-bit numbers: a quarter of the memory, faster word by word, and nearly the same model"


def load(arguments, *pipelines, int8=False, folder=None):
    """Return the run that a command names, or that of another folder, as one of the pipelines: `tinytx.pipelines.load_run`; with ``int8`` in 8 bits."""
    loaded = load_run(arguments.dir if folder is None else folder, *pipelines, own=own_of(arguments))
    return loaded._replace(model=_in_8_bits(loaded.model, folder or arguments.dir)) if int8 else loaded


def _in_8_bits(model, folder):
    """Return a folder's model in 8 bits."""
    try:
        return model.quantized()
    except ValueError as error:
        raise ValueError(f"{folder}: {error}") from error


def given(arguments, cls):
    """Return {field: value} of the flags that were given."""
    names = [field.name for field in dataclasses.fields(cls)]
    return {name: getattr(arguments, name) for name in names if hasattr(arguments, name)}
