"""A corpus that needs no download: the language reference inside every Python."""

from tinytx.data.reading import DataError


def builtin_corpus():
    """Return about 465,000 characters of English: the texts behind Python's ``help("topics")``.

    They are part of the standard library (``pydoc_data.topics``), so the first run needs no download. Topics are sorted
    by name. The texts, and so the losses, differ a little between versions of Python.

    Raises
    ------
    DataError
        If this Python was packaged without them.
    """
    try:
        from pydoc_data.topics import topics
    except ImportError as error:
        message = "builtin_corpus: this Python has no pydoc_data.topics: train on a text file of your own"
        raise DataError(message) from error
    return "\n\n".join(topics[name].strip("\n") for name in sorted(topics)) + "\n"
