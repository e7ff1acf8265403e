"""Text files, read by one rule: UTF-8, and what a line is. All three rooms of this package may read one."""

import codecs
import re
from pathlib import Path

_MARK = "\ufeff"  # the byte order mark, decoded
_OTHER_ENCODINGS = {
    codecs.BOM_UTF32_LE: "UTF-32",
    codecs.BOM_UTF32_BE: "UTF-32",
    codecs.BOM_UTF16_LE: "UTF-16",  # after UTF-32, whose mark begins alike
    codecs.BOM_UTF16_BE: "UTF-16",
}  # first bytes that give it away


class DataError(ValueError):
    """A text cannot be used; the message says which, why, and what would help."""


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
    """Return the text of a UTF-8 file, as `read_text` does: all readers of this package agree on what a line is.

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
    text = unified(_decode(content, path, place))
    if not text:
        raise DataError(f"{place}: {path} is empty: there is nothing to learn from")
    return text


def unified(text):
    r"""Return a text whose lines all end with ``\n``, without byte order marks where lines begin.

    Files that were joined have a mark in the middle, too.

    >>> unified("\ufeffa\r\nb\r\ufeffc")
    'a\nb\nc'
    """
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    return re.sub(f"^{_MARK}+", "", text, flags=re.MULTILINE) if _MARK in text else text


def lines_of(text):
    """Return the lines of a text that is `unified`; the last one may lack its newline.

    >>> lines_of("a\\n\\nb\\n") == lines_of("a\\n\\nb") == ["a", "", "b"]
    True
    """
    return text.removesuffix("\n").split("\n")


def _decode(content, path, place):
    """Return bytes as text, or say what they may be where they are not UTF-8."""
    encoding = next((name for mark, name in _OTHER_ENCODINGS.items() if content.startswith(mark)), None)
    nul = content.find(b"\0")
    if nul >= 0 and encoding is None:
        encoding = "UTF-16 or UTF-32 without a byte order mark, or no text"
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        at, reason = error.start, f" ({error.reason})"
    else:
        if nul < 0:
            return text
        at, reason = nul, ", which no text has"
    line = len(re.findall(rb"\r\n?|\n", content[:at])) + 1
    raise DataError(
        f"{place}: {path} is not UTF-8: byte 0x{content[at]:02x} at offset {at} in line {line}{reason}; "
        f"find out its encoding ({encoding or 'perhaps latin-1'}?) and save it as UTF-8"
    )
