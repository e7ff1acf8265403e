"""Checks of paths that a command will write to, before any work is done; messages name their flags."""

from pathlib import Path


def check_folder(flag, path):
    """Raise ValueError unless a folder of that name is there or can be made."""
    if path == "":
        raise ValueError(f"{flag} is empty: name a folder, or leave it out")
    blocking = next((part for part in (Path(path), *Path(path).parents) if part.exists()), None)
    if blocking is not None and not blocking.is_dir():
        raise ValueError(f"{flag} is {path}, and {blocking} is a file: name a folder")


def check_file(flag, path, suffix):
    """Raise ValueError unless a file of that name and kind can be written.

    Parameters
    ----------
    flag : str
    path : str or None
        None if the flag was not given.
    suffix : str
        ``".png"`` or ``".html"``: the kind of file. A name without a suffix is accepted.
    """
    if path is None:
        return
    if path == "" or Path(path).is_dir() or not Path(path).parent.is_dir():
        raise ValueError(f"{flag} is {path!r}, expected a file in a folder that exists")
    if Path(path).suffix.lower() not in ("", suffix):
        kind = suffix.removeprefix(".").upper()
        raise ValueError(f"{flag} is {path!r}, and the file will be {kind}: name it {Path(path).stem}{suffix}")
