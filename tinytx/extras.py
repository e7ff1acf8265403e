"""Optional dependencies: imported where they are used, and named in the error where they are missing."""

import importlib


class MissingExtra(ImportError):
    """Something optional is not installed; the message says what for, and the command that installs it."""


def require(module, extra, purpose):
    """Import a module that only an extra of tinytx installs.

    Parameters
    ----------
    module : str
        The module's full name, such as ``"matplotlib.figure"``.
    extra : str
        The extra in setup.cfg that brings it, such as ``"train"``.
    purpose : str
        What the caller wants it for; the message begins with it: "drawing the loss curve".

    Returns
    -------
    module
        The imported module, also where ``module`` is dotted.

    Raises
    ------
    MissingExtra
        If the module is not installed. An installed module that fails to import raises its own error: to install it
        again would not help.
    """
    try:
        return importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{module}.".startswith(f"{error.name}."):
            raise  # the module is there, and one that it imports is not
        package = module.partition(".")[0]
        message = f'{purpose} needs {package}: pip install "tinytx[{extra}]"'
        raise MissingExtra(message, name=error.name) from error
