"""argparse with errors of one line that suggest the word that was meant."""

import argparse
import difflib
import importlib
import sys

from tinytx.progress import say


class Parser(argparse.ArgumentParser):
    """argparse whose errors are one line: the fault, the known word that is nearest to a mistyped one, and the help.

    Parameters
    ----------
    module : str, optional
        A command's module with ``add_arguments(parser)`` and ``run(arguments)``, imported when the command is used.
    """

    def __init__(self, *args, module=None, **options):
        super().__init__(*args, **options)
        self._module = module

    def parse_known_args(self, args=None, namespace=None):
        if self._module:
            module, self._module = importlib.import_module(self._module), None
            module.add_arguments(self)
            self.set_defaults(run=module.run)
        args = [self._with_dashes(arg) for arg in (sys.argv[1:] if args is None else args)]
        found, unknown = super().parse_known_args(args, namespace)
        if unknown:  # raised by the innermost command, which knows its own flags
            meant = nearest(next((arg for arg in unknown if arg.startswith("-")), ""), self._option_string_actions)
            self.error(f"unrecognized arguments: {' '.join(unknown)}{meant}")
        return found, unknown

    def error(self, message):
        say(f"tinytx: {message} (see {self.prog} --help)")
        sys.exit(2)

    def _check_value(self, action, value):
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError as error:
            error.message += nearest(str(value), [str(choice) for choice in action.choices])
            raise

    def _with_dashes(self, arg):
        """Return ``--n-layers=2`` for ``--n_layers=2``, if there is such a flag: the name that it has in Python."""
        flag, equals, value = arg.partition("=")
        dashed = flag.replace("_", "-")
        return f"{dashed}{equals}{value}" if dashed in self._option_string_actions else arg


class Version(argparse.Action):
    """Print the versions on which results depend, for reports of faults."""

    def __call__(self, parser, namespace, values, option_string=None):
        from tinytx.training.checkpoint import fingerprint  # imports the models, so it is imported only here

        facts = fingerprint()
        own = sys.modules[__name__.partition(".")[0]].__version__
        print(f"tinytx {own} (Python {facts['python']}, NumPy {facts['numpy']}, Numba {facts['numba']}, BLAS {facts['blas']})")
        parser.exit()


def nearest(word, known):
    """Return "; did you mean ...?" with the known word that is nearest, or "" where none is near."""
    near = difflib.get_close_matches(word.partition("=")[0], known, n=1)
    return f"; did you mean {near[0]}?" if near else ""
