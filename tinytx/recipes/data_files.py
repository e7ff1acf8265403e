"""Files that recipes learn from and that are not part of tinytx: where they are, and how one is fetched and checked."""

import contextlib
import hashlib
import tarfile
from pathlib import Path
from typing import NamedTuple

from tinytx.files import atomic_write
from tinytx.progress import progress
from tinytx.wording import command

FOLDER = "data"  # in the current folder, if no other is named
CHUNK = 64_000  # bytes that are read at a time
TIMEOUT = 60  # seconds without a byte


class DataFile(NamedTuple):
    """A file that a recipe learns from.

    Attributes
    ----------
    name : str
        Of the file.
    address : str
        Of the file itself; if ``by_hand``, of a page for people, with what to take there.
    licence : str
    size : int
        In bytes; if ``longer``, of the part that is checked.
    checksum : str
        SHA-256 of the first ``size`` bytes, in hexadecimal digits.
    member : str, optional
        The name of the file inside the .tgz at the address.
    longer : bool
        Whether more bytes may follow those that are checked.
    by_hand : bool
        Whether a person must fetch it: its site offers no such file, or one of another form.
    """

    name: str
    address: str
    licence: str
    size: int
    checksum: str
    member: str | None = None
    longer: bool = False
    by_hand: bool = False

    def differs(self, path):
        """Return how the file at a path differs from this one: a phrase, or "" if it is the same."""
        n = Path(path).stat().st_size
        if n < self.size or n > self.size and not self.longer:
            return f"it has {n:,} bytes, expected {'at least ' if self.longer else ''}{self.size:,}"
        with open(path, "rb") as file:
            found = hashlib.sha256(file.read(self.size)).hexdigest()
        return "" if found == self.checksum else f"its SHA-256 is {found}, expected {self.checksum}"


def located(name, file, folder=FOLDER):
    """Return the path, a str, of a recipe's file.

    Parameters
    ----------
    name : str
        Of the recipe.
    file : DataFile
    folder : str or Path

    Raises
    ------
    ValueError
        If it is not there, or not the same file.
    """
    path = Path(folder) / file.name
    if not path.is_file():
        way = f"get it from {file.address}, and save it there"
        if not file.by_hand:
            way = f"fetch it with {command('data', name, *_where(folder))}, or save it there yourself"
        raise ValueError(f"{name}: there is no {path} (licence: {file.licence}): {way}")
    if how := file.differs(path):
        raise ValueError(f"{name}: {path} is another file than the recipe's: {how}; move it away, and get the recipe's")
    return str(path)


def fetch(name, file, folder=FOLDER):
    """Download a recipe's file, check it, and return its path; nothing is left behind if it fails.

    Parameters
    ----------
    name : str
        Of the recipe.
    file : DataFile
    folder : str or Path
        Is made if it is not there.

    Raises
    ------
    ValueError
        If the address cannot be read, or what it sends is not the file.
    OSError
        If the file cannot be written.
    """
    import http.client  # needed only where something is fetched
    import urllib.error
    import urllib.request

    folder, reason = Path(folder), None
    made = not folder.exists()
    try:
        with urllib.request.urlopen(file.address, timeout=TIMEOUT) as response:
            folder.mkdir(parents=True, exist_ok=True)
            with atomic_write(folder / file.name) as out:
                _copy(file, response, out)
        return folder / file.name
    except urllib.error.HTTPError as error:
        reason = f"the server answers {error.code} {error.reason}"
    except urllib.error.URLError as error:
        reason = f"it cannot be reached: {error.reason}"
    except (TimeoutError, ConnectionError, http.client.HTTPException, tarfile.TarError, EOFError) as error:
        reason = f"the download broke off: {error or type(error).__name__}"
    except _WrongFile as error:
        reason = f"it is another file: {error}"
    finally:
        if made and folder.is_dir():
            with contextlib.suppress(OSError):  # it is not empty
                folder.rmdir()
    remedy = f"try again, or get the file by other means and save it as {folder / file.name}"
    raise ValueError(f"data {name}: {file.address}: {reason}; nothing was written; {remedy}")


class _WrongFile(Exception):
    """What was sent is not the file."""


def _copy(file, response, out):
    """Write the file that a response holds; raise _WrongFile if it is another one."""
    bar = progress(None if file.longer else file.size // 1000, unit="fetching" if file.longer else "kB")
    with contextlib.closing(bar), _opened(file, response) as source:
        while chunk := source.read(CHUNK):
            out.write(chunk)
            bar.update(n=len(chunk) // 1000)
    out.flush()
    if how := file.differs(out.name):
        raise _WrongFile(how)


@contextlib.contextmanager
def _opened(file, source):
    """Yield what the file's bytes are read from: the source itself, or a member of the archive that it holds."""
    if file.member is None:
        yield source
        return
    with tarfile.open(fileobj=source, mode="r|gz") as archive:
        for member in archive:
            if member.name == file.member and member.isfile():
                yield archive.extractfile(member)
                return
    raise _WrongFile(f"the archive holds no {file.member}")


def _where(folder):
    return [] if str(folder) == FOLDER else ["--out", folder]
