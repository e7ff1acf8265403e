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
    """Hold a folder for the length of a block. The system gives it back however the process ends, a kill included.

    Only who asks for the lock is kept out: reading needs none. Where the file system has no locks, nobody is kept out.

    Parameters
    ----------
    folder : str or Path
        It exists. On POSIX the lock is on the folder itself and leaves no trace; on Windows on a file ``.lock`` in it.

    Raises
    ------
    ValueError
        If somebody else holds it.
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
