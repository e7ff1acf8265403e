"""A lock on a folder, so that two processes do not write there at once."""

import contextlib
import errno
import os
from pathlib import Path

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None
    import msvcrt

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
    handle = os.open(folder, os.O_RDONLY) if fcntl else os.open(Path(folder) / ".lock", os.O_RDWR | os.O_CREAT)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB) if fcntl else msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
        except OSError as error:
            if error.errno in _TAKEN:
                raise ValueError(
                    f"another run is writing into {folder}: wait until it ends, or choose another folder"
                ) from error
        yield
    finally:
        os.close(handle)
