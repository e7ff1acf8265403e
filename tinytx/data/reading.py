"""Reads text files: UTF-8, with one rule for the ends of lines, for all of this package."""

import codecs
import re
from pathlib import Path

_MARK = "\ufeff"  # the byte order mark as a character
_OTHER_ENCODINGS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",  # after UTF-32, whose mark begins with the same bytes
    codecs.BOM_UTF16_BE: "UTF-16",
}  # the first bytes of a file in each encoding


class DataError(ValueError):
    """A text cannot be used; the message says which one, why, and what to do."""


def read_text(path):
    """Return the text of a UTF-8 file.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    text : str
        Without byte order marks; every line ends with ``\\n``, whether the file has ``\\n``, ``\\r\\n`` or ``\\r``.

    Raises
    ------
    DataError
        If there is no such file, it is a folder or cannot be opened, is empty, has a NUL, or is not UTF-8 (with the
        offset and the line of the first byte that is not).
    """
    return read_utf8(path, "read_text")


def read_utf8(path, place):
    """Return the text of a UTF-8 file, as `read_text` does; all readers of this package use this function.

    Parameters
    ----------
    path : str or Path
    place : str
        The calling function, for the message.

    Raises
    ------
    DataError
        As `read_text`.
    """
    if Path(path).is_dir():
        raise DataError(f"{place}: {path} is a folder: name one text file in it")
    if Path(path).exists() and not Path(path).is_file():
        raise DataError(f"{place}: {path} is a device or a pipe: name a text file")
    try:
        content = Path(path).read_bytes()
    except FileNotFoundError as error:
        raise DataError(f"{place}: there is no file {path}: check its name and the working folder") from error
    except OSError as error:
        raise DataError(f"{place}: {path} cannot be read: {error.strerror}") from error
    text = unified(_decode(content, path, place))
    if not text:
        raise DataError(f"{place}: {path} is empty: name a file with some text")
    return text


def unified(text):
    r"""Return a text in which all lines end with ``\n`` and no line begins with a byte order mark.

    A file made of several files can have a mark in the middle.

    >>> unified("\ufeffa\r\nb\r\ufeffc")
    'a\nb\nc'
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return re.sub(f"^{_MARK}+", "", text, flags=re.MULTILINE) if _MARK in text else text


def read_lines(path, place):
    """Return the lines of a UTF-8 file; parameters and errors as `read_utf8`."""
    return lines_of(read_utf8(path, place))


def lines_of(text):
    """Return the lines of a `unified` text; the last line may lack its newline.

    >>> lines_of("a\\n\\nb\\n") == lines_of("a\\n\\nb") == ["a", "", "b"]
    True
    """
    return text.removesuffix("\n").split("\n")


def _decode(content, path, place):
    """Return bytes as text; if they are not UTF-8, raise DataError with a guess of the encoding."""
    encoding = next((name for mark, name in _OTHER_ENCODINGS.items() if content.startswith(mark)), None)
    nul = content.find(b"\0")
    if nul >= 0 and encoding is None:
        encoding = "UTF-16 or UTF-32 without a byte order mark, or not a text"
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        at, reason = error.start, f" ({error.reason})"
    else:
        if nul < 0:
            return text
        at, reason = nul, ", which does not occur in texts"
    line = len(re.findall(rb"\r\n?|\n", content[:at])) + 1
    raise DataError(
        f"{place}: {path} is not UTF-8: byte 0x{content[at]:02x} at offset {at} in line {line}{reason}; "
        f"find out its encoding ({encoding or 'perhaps latin-1'}?) and save it as UTF-8"
    )
