r"""All rows, in the order in which to read the operations: those of ``rows/first.py``, then the other files by their names."""

from importlib import import_module
from pkgutil import iter_modules

from tinytx.derivations import rows

NAMES = sorted((module.name for module in iter_modules(rows.__path__)), key=lambda name: (name != "first", name))
TABLE = {}
for name in NAMES:
    TABLE |= import_module(f"tinytx.derivations.rows.{name}").TABLE
