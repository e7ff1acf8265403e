"""One command in several processes, ``mpirun -n 4 python -m mpi4py -m tinytx train``: the first prints, the others are silent."""

import contextlib
import os
import time

from tinytx.cli.started import PATIENCE
from tinytx.progress import say
from tinytx.workers.ranks import of_this_start, use


@contextlib.contextmanager
def together(command):
    """Return a context in which the ranks of this start train together; it gives them. At its end they wait for each other.

    Parameters
    ----------
    command : str
        The command and its name, for messages.

    Raises
    ------
    ValueError
        If mpirun started several processes without mpi4py.
    """
    world = of_this_start(f"-m tinytx {command}")
    with use(world):
        if world.is_first:
            yield world
            world.wait()
            return
        try:
            with open(os.devnull, "w") as nowhere, contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
                yield world
                world.wait()
        except Exception as error:
            time.sleep(PATIENCE)
            say(f"Rank {world.rank} of {world.size} failed: {type(error).__name__}")
            raise
