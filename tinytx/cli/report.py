"""``python -m tinytx report DIR ...``: one run, or several to compare them, as a page for a browser."""

from pathlib import Path

from tinytx.paths import check_file
from tinytx.recipes.run_facts import facts_of
from tinytx.recipes.run_folder import RunFolder
from tinytx.viz.report_page import RunShown, report_page
from tinytx.wording import counted

NAME = "report.html"


def add_arguments(parser):
    """Add the arguments of this command."""
    parser.description = """Write runs, finished or not, as one page for a browser: configuration, curves, layer by layer, what the
    trained models say, and what the runs took. The page loads no other file."""
    parser.epilog = "Example: python -m tinytx report runs/gpt runs/gpt-2 --out report.html"
    parser.add_argument("dirs", metavar="DIR", nargs="+", help="folder of a run")
    default = f"(default: {NAME} in DIR; of several {NAME}, here)"
    parser.add_argument("--out", metavar="FILE.html", help=f"the page {default}")


def run(arguments):
    """Write the page, and say where it is."""
    check_file("--out", arguments.out, ".html")
    folders = list(dict.fromkeys(Path(name) for name in arguments.dirs))
    runs = [RunFolder(folder) for folder in folders]
    default = folders[0] / NAME if len(folders) == 1 else Path(NAME)
    out = default if arguments.out is None else Path(arguments.out)
    details = [run.checkpoint.details for run in runs]
    quantities = list(dict.fromkeys(f"{d['quantity']} per {d['unit']}" for d in details if d))
    shown = [RunShown(str(run.folder), run.records, facts_of(run), run.settings, run.report()) for run in runs]
    title = folders[0].resolve().name if len(runs) == 1 else counted(len(runs), "run")
    report_page(shown, out, title=title, note=_note(runs), quantity=", or ".join(quantities) or "nats per token")
    print(f"Wrote {out}")


def _note(runs):
    """Return what the page says below its title: that it is of a moment, where a run goes on."""
    going = sum(run.state == "running" for run in runs)
    if not going:
        return ""
    which = "The run goes on" if len(runs) == 1 else f"{counted(going, 'run')} of {len(runs)} {'goes' if going == 1 else 'go'} on"
    return f"{which}: write the page again to see more of it."
