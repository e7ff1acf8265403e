"""Imports on demand: optional dependencies, with an error that says how to install them; Python files of the user's."""

import importlib
import importlib.util
import sys
import traceback
from pathlib import Path


class MissingExtra(ImportError):
    """An optional package is not installed. The message says what needs it, and the command that installs it."""


def require(module, extra, purpose):
    """Import a module that only an extra of tinytx installs.

    Parameters
    ----------
    module : str
        The module's full name, such as ``"matplotlib.figure"``.
    extra : str
        The extra in setup.cfg that brings it, such as ``"train"``.
    purpose : str
        What needs the module: "drawing the loss curve". The message begins with these words.

    Returns
    -------
    module
        The imported module; for a dotted name the last one.

    Raises
    ------
    MissingExtra
        If the module is not installed. If it is installed and its import fails, that error is raised: installing it
        again would not help.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise  # the module is installed, and one that it imports is missing
        package = module.partition(".")[0]
        message = f'{purpose} needs {package}: pip install "tinytx[{extra}]"'
        raise MissingExtra(message, name=error.name) from error


def import_file(name):
    """Run a Python file of the user's, which may import its neighbours, and return it as a module.

    Parameters
    ----------
    name : str or Path

    Raises
    ------
    ValueError
        If there is no such file, or it raises an error: the message names file and line.
    """
    path = Path(name)
    if not path.is_file():
        raise ValueError(f"there is no file {name}: check its name and the working folder")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = sys.modules[path.stem] = importlib.util.module_from_spec(spec)
    sys.path.insert(0, str(path.resolve().parent))
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # a user's file may raise any exception
        frames = [frame for frame in traceback.extract_tb(error.__traceback__) if frame.filename == module.__file__]
        line = frames[-1].lineno if frames else getattr(error, "lineno", None)  # a SyntaxError has no frame there
        place = name if line is None else f"{name}, line {line}"
        raise ValueError(f"{place}: {type(error).__name__}: {error}") from error
    finally:
        sys.path.pop(0)
    return module
