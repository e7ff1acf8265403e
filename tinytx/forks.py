"""Locks and forks: a process that is forked has one thread, and a lock that another thread holds at that moment stays taken in it for ever."""

import os


def free_in_forks(lock):
    """Return a lock for which a fork waits, so that it is free in the new process.

    Parameters
    ----------
    lock : object with ``acquire`` and ``release``
        A thread may acquire it again, as `threading.RLock`: it may hold it when it forks.
    """
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(before=lock.acquire, after_in_parent=lock.release, after_in_child=lock.release)
    return lock
