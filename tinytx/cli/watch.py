"""``python -m tinytx watch DIR ...``: runs on the screen of a terminal, while they go on."""

import sys
import time

from tinytx.cli.options import add_options, given
from tinytx.cli.screen import follow, rich, screen
from tinytx.progress import silent
from tinytx.recipes.run_facts import state_of
from tinytx.recipes.run_folder import RUNNING, RunFolder
from tinytx.settings import Flags, setting
from tinytx.terminal import harmless

PLAIN = (100, 30)  # characters and lines where there is no terminal


class WatchFlags(Flags):
    """How runs are watched."""

    command = "watch"
    every: float = setting(2.0, "seconds from one look to the next", above=0.0)


def add_arguments(parser):
    """Add the arguments of this command."""
    parser.description = """Show runs in the terminal while they go on: losses, rate, gradient, speed, the time left, and which layers a
    step moves most. It ends with the runs; Ctrl-C leaves it. Where there is no terminal it prints once."""
    parser.epilog = "Example: python -m tinytx watch runs/gpt runs/gpt-2"
    parser.add_argument("dirs", metavar="DIR", nargs="+", help="folder of a run")
    add_options(parser, WatchFlags)


def run(arguments):
    """Show the runs until all have ended, or until Ctrl-C."""
    flags = WatchFlags(**given(arguments, WatchFlags))
    console = rich("console")
    runs = [RunFolder(folder) for folder in dict.fromkeys(arguments.dirs)]
    out = getattr(sys.stdout, "unfiltered", sys.stdout)  # what it writes moves the cursor; `screen` makes names harmless
    terminal = console.Console(file=out)
    if out.isatty() and not terminal.is_dumb_terminal and (out.encoding or "").lower().replace("-", "") == "utf8":
        with silent():
            try:
                _show_until_they_end(runs, terminal, flags.every)
            except KeyboardInterrupt:
                return
    else:
        terminal = console.Console(file=sys.stdout, width=PLAIN[0], force_terminal=False, no_color=True)
    terminal.print(screen(runs, terminal.width, PLAIN[1]))
    for each in runs:
        print(f"{harmless(str(each.folder))}: {state_of(each)}")
    if any(each.state == RUNNING for each in runs):
        print(f"In a browser: {follow(runs)}")


def _show_until_they_end(runs, terminal, every):
    live = rich("live").Live(console=terminal, screen=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)
    with live:
        while True:
            for each in runs:
                each.refresh()
            live.update(screen(runs, terminal.width, terminal.height), refresh=True)
            if not any(each.state == RUNNING for each in runs):
                return
            time.sleep(every)
