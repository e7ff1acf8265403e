"""The book: derivations beside the code, models, and recipes, as a small site that needs no network.

``pages``  the contents of the pages of operations, as HTML; ``model_pages`` and ``recipe_pages`` those of the others
``live``   an example's equations for the browser, which computes them from numbers that a reader changes
``prose``  docstrings as HTML
``site``   writes the files
"""

from tinytx.book.site import write

__all__ = ["write"]
