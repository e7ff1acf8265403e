"""Where text comes from: a file, or the language reference that every Python carries."""

import codecs
from pathlib import Path

_OTHER_ENCODINGS = {codecs.BOM_UTF16_LE: "UTF-16", codecs.BOM_UTF16_BE: "UTF-16"}  # first bytes that give it away


class DataError(ValueError):
    """A text cannot be used; the message says which, why, and what would help."""


def builtin_corpus():
    """Return about 465,000 characters of English: the texts behind Python's ``help("topics")``.

    They are part of the standard library (``pydoc_data.topics``), so that the first run needs no download. Topics are
    in the order of their names. The texts change a little with the version of Python, and a loss with them.

    Raises
    ------
    DataError
        If this Python was packaged without them.
    """
    try:
        from pydoc_data.topics import topics
    except ImportError as error:
        message = "builtin_corpus: this Python comes without pydoc_data.topics: train on a text file of your own"
        raise DataError(message) from error
    return "\n\n".join(topics[name].strip("\n") for name in sorted(topics)) + "\n"


def read_text(path):
    r"""Return the text of a UTF-8 file, without a byte order mark, and with ``\n`` at the end of every line.

    Parameters
    ----------
    path : str or Path

    Raises
    ------
    DataError
        If there is no such file, it is a folder or cannot be opened, is empty, or is not UTF-8 (with the offset and
        the line of the first byte that is not).
    """
    return read_utf8(path, "read_text").replace("\r\n", "\n").replace("\r", "\n")


def read_utf8(path, place):
    """Return the text of a UTF-8 file without a byte order mark, its line ends as they are.

    Parameters
    ----------
    path : str or Path
    place : str
        Who reads, for the message.

    Raises
    ------
    DataError
        As `read_text`.
    """
    if Path(path).is_dir():
        raise DataError(f"{place}: {path} is a folder: name one text file in it")
    if Path(path).exists() and not Path(path).is_file():
        raise DataError(f"{place}: {path} is a device or a pipe, which may have no end: name a text file")
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError as error:
        raise DataError(f"{place}: there is no file {path}: check its name and the working folder") from error
    except OSError as error:
        raise DataError(f"{place}: {path} cannot be read: {error.strerror}") from error
    text = _decode(content, path, place).removeprefix("\ufeff")
    if not text:
        raise DataError(f"{place}: {path} is empty: there is nothing to learn from")
    return text


def _decode(content, path, place):
    """Return bytes as text, or say where they stop being UTF-8 and what they may be instead."""
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        encoding = _OTHER_ENCODINGS.get(content[:2], "perhaps latin-1")
        line = content.count(b"\n", 0, error.start) + 1
        message = (
            f"{place}: {path} is not UTF-8: byte 0x{content[error.start]:02x} at offset {error.start} in line {line} "
            f"({error.reason}); find out its encoding ({encoding}?) and save it as UTF-8"
        )
        raise DataError(message) from error
