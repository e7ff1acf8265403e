"""Optional dependencies: imported where they are used; if one is missing, the error says how to install it."""

import importlib


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
