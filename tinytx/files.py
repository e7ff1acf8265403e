"""Writes files so that a killed process leaves none damaged, and reads files that may be damaged or hostile.

``atomic_write``    writes the new file completely, or leaves the old one unchanged
``save_arrays``     writes named arrays and a JSON object as one ``.npz``; ``load_arrays`` checks all that it reads
``append_json``     adds one JSON object on a line, for metrics; ``read_json_lines`` skips a last line cut off by a kill
``read_json``       reads a file that is one JSON object; ``as_file_error`` makes one kind of error of all that damage causes
"""

import contextlib
import json
import math
import os
import re
import secrets
import stat
import struct
import zipfile
from pathlib import Path

import numpy as np

META = "meta.json"  # the member that holds the JSON object, as uint8
_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{8}\.tmp")
_HEADER_READERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


class FileError(ValueError):
    """A file cannot be used: it is missing, damaged, hostile, or of another kind than expected."""


def check_regular(path):
    """Raise FileError if a path is a pipe, a device or a folder; a missing file is no error here.

    Opening a pipe waits until another process writes into it, and reading some devices never ends.
    """
    with contextlib.suppress(FileNotFoundError):
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode):
            kind = "folder" if stat.S_ISDIR(mode) else "pipe or a device"
            raise FileError(f"{path} is a {kind}, expected a file: check the path, or move it out of the way")


@contextlib.contextmanager
def atomic_write(path):
    """Open a binary file for writing, which replaces ``path`` only when all of it is on the disk.

    A reader of ``path`` sees the old file or the new one, never a part of it: the bytes go to ``.name.XXXXXXXX.tmp`` in
    the same folder (a rename is atomic only inside one file system) and are synced before the rename, because a
    journal may otherwise keep the rename and lose the bytes. A killed process leaves the temporary file: see ``sweep``.

    Parameters
    ----------
    path : str or Path
        The file to write. A symbolic link is followed, not replaced.

    Yields
    ------
    file : binary file, open for writing

    Raises
    ------
    OSError
        If the disk is full, the folder is missing, ... Then, and after any error in the block, the temporary file is
        removed and the old file is unchanged.
    """
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{target.name}.{secrets.token_hex(4)}.tmp")
    try:
        with open(temporary, "xb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, target)
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.filename in (None, str(temporary)):
            reason = f"{error.strerror or error}: not written; an older file of that name is unchanged"
            if not target.parent.is_dir():
                reason = f"there is no folder {target.parent}: make it first"
            raise OSError(error.errno, reason, str(path)) from error  # name the user's file, not the temporary one
        raise
    _sync_folder(target.parent)


def _sync_folder(folder):
    """Write the rename itself to the disk, if the system can (Windows cannot open folders)."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def sweep(folder):
    """Remove the temporary files that killed processes left in a folder, and return their paths.

    Call it at the start of a run only: a file that another process is writing at this moment looks the same.
    """
    orphans = [path for path in sorted(Path(folder).iterdir()) if _TEMPORARY.fullmatch(path.name)]
    for path in orphans:
        path.unlink(missing_ok=True)
    return orphans


def save_arrays(path, arrays, meta):
    """Write named arrays and a JSON object as one uncompressed ``.npz``, atomically.

    ``numpy.load`` reads it too. The same content gives the same bytes (the file has no dates), so that hashes of files
    can compare two runs. It is not compressed, because trained weights hardly shrink.

    Parameters
    ----------
    path : str or Path
    arrays : dict of str to array, of booleans or numbers, any shape
        A name may contain dots (``blocks.3.norm.weight``), but no slash.
    meta : dict
        Of JSON's types only: dicts with keys of str, lists, str, int, float, bool, None; so `load_arrays` returns
        exactly what was written. A tuple, which JSON would make a list, is refused, and so are NaN and infinity.

    Raises
    ------
    ValueError, TypeError
        If a name, a dtype or ``meta`` cannot be stored; nothing is written.
    OSError
        As ``atomic_write``; the old file is unchanged.
    """
    _check_plain(meta, "meta")
    text = json.dumps(meta)
    members = {META: np.frombuffer(text.encode(), np.uint8)}
    for name, array in arrays.items():
        array = np.asarray(array)
        if not name or name == META or re.search(r"[/\\\0]", name):
            raise ValueError(f"save_arrays: {name!r} cannot name an array: no slashes, not empty, and not {META!r}")
        if array.dtype.kind not in "biufc":
            raise ValueError(f"save_arrays: {name} has dtype {array.dtype}, expected booleans or numbers")
        members[name] = array
    with atomic_write(path) as file, zipfile.ZipFile(file, "w") as archive:
        for name, array in members.items():
            info = zipfile.ZipInfo(f"{name}.npy")  # dated 1980, not now
            with archive.open(info, "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)


def load_arrays(path, *, shapes=False):
    """Read what ``save_arrays`` wrote, and nothing else.

    The file may come from an untrusted source. Nothing is unpickled, and the lengths that the file states are compared
    with its size before an array is allocated: all arrays together are never longer than the file.

    Parameters
    ----------
    path : str or Path
    shapes : bool
        Whether arrays stay unread, and their shapes are returned in their place.

    Returns
    -------
    arrays : dict of str to array
    meta : dict

    Raises
    ------
    FileError
        For any fault: no such file, not a zip, truncated, a changed byte, compressed, overlapping or repeated members,
        a header that does not fit its array, objects, invalid JSON. It names the file and the member.
    """
    remedy = "restore the file from a copy, or write it again with save_arrays"
    check_regular(path)
    with as_file_error(f"load_arrays: {path}", remedy), open(path, "rb") as file, zipfile.ZipFile(file) as archive:
        arrays = {}
        for info in _checked_members(archive, file):
            with as_file_error(f"load_arrays: {path}: member {info.filename!r}", remedy):
                name = info.filename.removesuffix(".npy")
                arrays[name] = _read_member(archive, info, only_shape=shapes and name != META)
        if META not in arrays:
            raise ValueError(f"there is no member {META!r}, so save_arrays did not write the file")
        with as_file_error(f"load_arrays: {path}: member {META!r}", remedy):
            meta = json.loads(arrays.pop(META).tobytes())
            if not isinstance(meta, dict):
                raise ValueError(f"a JSON {type(meta).__name__}, expected an object")
    return arrays, meta


def _check_plain(value, path, depth=100):
    """Raise TypeError or ValueError unless JSON returns the value unchanged, in the same types."""
    kind = type(value)
    if kind is float and not math.isfinite(value):
        raise ValueError(f"save_arrays: {path} is {value}, which JSON cannot store: leave it out, or use None")
    if kind not in (dict, list, str, int, float, bool, type(None)):
        remedy = "convert it to a dict, list, str, int, float, bool or None"
        raise TypeError(f"save_arrays: {path} is a {kind.__name__}, which would not be read back as one: {remedy}")
    if depth == 0:
        raise ValueError(f"save_arrays: {path[:200]} ... is nested too deeply, or contains itself")
    if kind is dict:
        for key, item in value.items():
            if type(key) is not str:
                raise TypeError(
                    f"save_arrays: {path} has the key {key!r}, a {type(key).__name__}, which would be read back as a str: "
                    "convert the keys with str"
                )
            _check_plain(item, f"{path}.{key}", depth - 1)
    elif kind is list:
        for number, item in enumerate(value):
            _check_plain(item, f"{path}[{number}]", depth - 1)


@contextlib.contextmanager
def as_file_error(place, remedy):
    """Return a context that turns any exception (damaged bytes may raise anything) into a FileError with the place."""
    try:
        yield
    except FileError:
        raise
    except Exception as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise FileError(f"{place}: {reason}; {remedy}") from error


def _checked_members(archive, file):
    """Return the archive's members, after a check that names differ and that members fill the file without gaps.

    A gap shows that one changed byte in the directory hides a member.
    """
    members = sorted(archive.infolist(), key=lambda info: info.header_offset)
    names, end = set(), 0
    for info in members:
        if info.filename in names:
            raise ValueError(f"two members are named {info.filename!r}")
        names.add(info.filename)
        if info.compress_type != zipfile.ZIP_STORED or info.compress_size != info.file_size:
            raise ValueError(f"member {info.filename!r} is compressed; only stored members are read")
        if info.header_offset != end:
            raise ValueError(f"member {info.filename!r} begins at byte {info.header_offset}, expected {end}")
        file.seek(end + 26)  # a member's own header: 30 bytes, the last 4 of them the lengths of what comes before it
        end += 30 + sum(struct.unpack("<2H", file.read(4))) + info.file_size
    if end != archive.start_dir:
        raise ValueError(f"its members end at byte {end}, expected {archive.start_dir}, where their directory begins")
    return members


def _read_member(archive, info, only_shape):
    """Return one array, or its shape, after a check that its header fits its length. Reading to the end also checks its CRC."""
    if not info.filename.endswith(".npy"):
        raise ValueError("not an array: its name does not end in .npy")
    with archive.open(info) as member:
        version = np.lib.format.read_magic(member)
        if version not in _HEADER_READERS:
            raise ValueError(f"npy version {version}, expected one of {sorted(_HEADER_READERS)}")
        shape, _, dtype = _HEADER_READERS[version](member)
        claimed = member.tell() + math.prod(shape) * dtype.itemsize
    if dtype.kind not in "biufc":
        raise ValueError(f"dtype {dtype}, expected booleans or numbers")
    if min(shape, default=0) < 0 or claimed != info.file_size:
        raise ValueError(f"shape {shape} and dtype {dtype} make {claimed} bytes, and it has {info.file_size}")
    if only_shape:
        return shape
    with archive.open(info) as member:
        return np.lib.format.read_array(member, allow_pickle=False)


def append_json(path, record):
    """Add one record to a file of JSON lines, and flush it.

    Parameters
    ----------
    path : str or Path
        Created if it is missing. An incomplete last line, which a killed process left, is removed first.
    record : dict
        NumPy scalars and arrays become numbers and lists; NaN and infinity, which JSON cannot store, become null.
    """
    line = json.dumps(plain(record), allow_nan=False)
    check_regular(path)
    with open(path, "a+b") as file:
        _mend_last_line(file)
        file.write(line.encode() + b"\n")


def plain(value):
    """Return a value in JSON's types: NumPy's numbers and arrays, tuples, NaN and infinity have others there.

    >>> plain({"a": (1.5, float("nan")), "b": np.arange(3)})
    {'a': [1.5, None], 'b': [0, 1, 2]}
    """
    if isinstance(value, (np.generic, np.ndarray)):
        value = value.tolist()
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_json(path):
    """Return the JSON object that a file is.

    Raises
    ------
    FileError
        If the file is missing or damaged, or holds something else.
    """
    check_regular(path)
    with as_file_error(f"read_json: {path}", "correct the file, or restore it from a copy"):
        return _record(Path(path).read_bytes())


def _mend_last_line(file):
    """Complete a last line that lacks only its newline, and remove one that is incomplete."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(size - 1, 0))
    if file.read(1) in (b"", b"\n"):
        return
    file.seek(0)
    last = file.read().rpartition(b"\n")[2]
    try:
        _record(last)
        file.write(b"\n")
    except ValueError:
        file.truncate(size - len(last))


def _record(line):
    """Return the JSON object that bytes are. A line that was cut off is never an object: its last brace is missing."""
    record = json.loads(line)
    if not isinstance(record, dict):
        raise ValueError(f"a JSON {type(record).__name__}, expected an object")
    return record


def read_json_lines(path):
    """Return the records of a file of JSON lines, without an incomplete last line.

    Raises
    ------
    FileError
        If the file cannot be read, or a line that ends in a newline is not a JSON object.
    """
    check_regular(path)
    with as_file_error(f"read_json_lines: {path}", "check the path"):
        *lines, last = Path(path).read_bytes().split(b"\n")
    records = []
    for number, line in enumerate(lines, start=1):
        with as_file_error(f"read_json_lines: {path}: line {number}", "correct the line, or remove it"):
            records.append(_record(line))
    with contextlib.suppress(ValueError):  # incomplete, or empty because the file ends in a newline
        records.append(_record(last))
    return records
