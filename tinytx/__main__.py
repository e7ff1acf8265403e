"""``python -m tinytx`` and the command ``tinytx``: handles Ctrl-C and closed streams, then imports the command line."""

import os
import signal
import sys


def main():
    """Run the command line; return its exit code.

    The import takes a second. Ctrl-C during it prints one line instead of a traceback. A standard stream that was
    closed when the program started is opened on the null device: otherwise the next file that is opened would get the
    stream's number, and messages would be written into it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest number that is free
    catches = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    if catches:
        signal.signal(signal.SIGINT, _leave)
    from tinytx.cli import main

    if catches:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    return main()


def _leave(number, frame):
    os.write(2, b"tinytx: interrupted\n")
    if "mpi4py" in sys.modules:  # as one of several ranks: MPI ends the others when a signal ends one, which may wait for this one
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)
    os._exit(130)


if __name__ == "__main__":
    sys.exit(main())
