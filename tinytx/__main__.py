"""``python -m tinytx``, and the command ``tinytx``: what may happen before the command line is imported."""

import os
import signal
import sys


def main():
    """Run the command line; return its exit code.

    It takes a second to import, in which Ctrl-C would end in a traceback out of somebody's import: it ends the process
    with a word instead. Streams that were closed when the program began are opened as ones that lead nowhere:
    otherwise the next file would get their number, and what is written there.
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
    os._exit(130)


if __name__ == "__main__":
    sys.exit(main())
