"""What mpirun's variables say of this process, before anything else is imported: errors in arguments, which all ranks have, are said once."""

import contextlib
import io
import os
import sys
import time

NUMBERS = ("PMI_RANK", "PMIX_RANK", "OMPI_COMM_WORLD_RANK")  # MPICH's, and Open MPI's
PATIENCE = 2.0  # seconds in which the first rank reports an error that all have, and ends them


@contextlib.contextmanager
def after_the_first():
    """Return a context for reading the arguments: ranks other than the first say an error later, when that has ended them or has none."""
    numbers = [int(os.environ[name]) for name in NUMBERS if os.environ.get(name, "").isdigit()]
    said, silent = io.StringIO(), contextlib.ExitStack()
    try:
        with silent:
            if any(numbers):
                silent.enter_context(contextlib.redirect_stdout(io.StringIO()))
                silent.enter_context(contextlib.redirect_stderr(said))
            yield
    except (Exception, SystemExit) as error:
        if numbers and getattr(error, "code", 2):
            join()
            if any(numbers):
                time.sleep(PATIENCE)
        sys.stderr.write(said.getvalue())
        raise


def join():
    """Make this process known to MPI, if it was started with mpi4py: the others do not notice the end of one that MPI does not know."""
    if "mpi4py" in sys.modules:
        from mpi4py import MPI  # noqa: F401
