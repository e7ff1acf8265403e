"""A lock on a folder, so that two processes do not write there at once, and others see whether one does."""

import contextlib
import errno
import os
import time
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None
    import msvcrt

PATIENCE = 0.1  # seconds after which a lock is asked for once more: `is_locked` of another process may hold it for a moment
_TAKEN = (errno.EWOULDBLOCK, errno.EACCES, errno.EAGAIN)


@contextlib.contextmanager
def locked(folder):
    """Lock a folder during a block. The system removes the lock when the process ends, even if it is killed.

    It stops only processes that ask for the lock; reading needs none. On a file system without locks it does nothing.

    Parameters
    ----------
    folder : str or Path
        Must exist. On POSIX the folder itself is locked, and no file is made; on Windows a file ``.lock`` in it.

    Raises
    ------
    ValueError
        If another process holds the lock.
    """
    handle = _open(folder)
    try:
        is_taken = _take(handle)
        if not is_taken:
            time.sleep(PATIENCE)
            is_taken = _take(handle)
        if not is_taken:
            raise ValueError(f"another run is writing into {folder}: wait until it ends, or choose another folder")
        yield
    finally:
        os.close(handle)


def is_locked(folder):
    """Return whether a process holds the lock of a folder; False where that cannot be said.

    Parameters
    ----------
    folder : str or Path
    """
    if not fcntl and not (Path(folder) / ".lock").exists():
        return False
    try:
        handle = _open(folder)
    except OSError:
        return False
    try:
        return not _take(handle, shared=True)
    finally:
        os.close(handle)


def _open(folder):
    return os.open(folder, os.O_RDONLY) if fcntl else os.open(Path(folder) / ".lock", os.O_RDWR | os.O_CREAT)


def _take(handle, shared=False):
    """Take the lock until the handle is closed; return False if another process has it."""
    try:
        if fcntl:
            fcntl.flock(handle, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        else:
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
    except OSError as error:
        return error.errno not in _TAKEN
    return True
