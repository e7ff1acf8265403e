"""The book: derivations beside the code, models, and recipes, as a small site that needs no network.

``pages``         pages of operations, as HTML
``live``          an example's equations for the browser, which computes them from numbers that a reader changes
``model_pages``   pages of models, and the order in which to read them
``recipe_pages``  pages of recipes; ``example`` what they are drawn from, ``blocks`` and ``diagram`` the model, ``batch_table`` what it
                  reads, ``drawings`` curves and small pictures, ``runs`` runs of the reader's own
``prose``         docstrings as HTML
``site``          writes the files
"""

from tinytx.book.site import write

__all__ = ["write"]
