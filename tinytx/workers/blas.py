"""BLAS held to one thread while threads of ours share the work out above it."""

import threading

from tinytx.extras import require


class OneThread:
    """The context in which BLAS uses the thread that calls it, and no other; any number of threads may be inside.

    The limit is the process's: the first to enter sets it, the last to leave takes it back.
    """

    def __init__(self):
        self._lock, self._inside = threading.Lock(), 0
        self._controller = self._limit = None

    def look(self):
        """Look again which BLAS libraries there are.

        Raises
        ------
        MissingExtra
            If threadpoolctl is missing.
        """
        threadpoolctl = require("threadpoolctl", "train", "work in several threads")
        with self._lock:
            if not self._inside:
                self._controller = threadpoolctl.ThreadpoolController()

    def __enter__(self):
        with self._lock:
            if not self._inside:
                self._let_any_thread()
                self._limit = self._controller.limit(limits=1, user_api="blas")
            self._inside += 1

    def __exit__(self, *error):
        with self._lock:
            self._inside -= 1
            if not self._inside:
                self._let_any_thread()
                self._limit.restore_original_limits()
                self._let_any_thread()

    def _let_any_thread(self):
        """Let threadpoolctl, from 3.8 on, listen to this thread, too: it heeds the first that ever set a limit."""
        for library in self._controller.lib_controllers:
            if hasattr(library, "clear_controlling_thread"):
                library.clear_controlling_thread(force=True)


one_thread = OneThread()
