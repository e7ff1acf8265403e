r"""Derivations that run: the equations in the docstrings of `tinytx.ops`, read, executed and shown.

``notation``     what an equation may look like
``tree``         the pieces that it is made of
``reader``       finds the equations in a docstring
``named``        arrays whose axes have names
``values``       what the parts of an equation are worth
``definitions``  names that equations define, recurrences too
``evaluate``     what an equation means
``scene``        what the names of a derivation are in the code
``rows``         the rows of the table of all derivations, ``table``
``check``        executes a derivation, and compares its end with the code
``show``         a derivation with the numbers of a small example
"""

from tinytx.derivations.check import check
from tinytx.derivations.reader import read
from tinytx.derivations.table import TABLE
from tinytx.derivations.tree import NotationError

__all__ = ["TABLE", "NotationError", "check", "read"]
