"""``python -m tinytx report DIR ...``: one run, or several to compare them, as a page for a browser."""

from pathlib import Path

from tinytx.cli.options import add_options, given
from tinytx.extras import MissingExtra
from tinytx.paths import check_file
from tinytx.pipelines.attention import READ, parts_of
from tinytx.pipelines.load import load_run
from tinytx.progress import say
from tinytx.recipes.run_facts import facts_of
from tinytx.recipes.run_folder import RunFolder
from tinytx.settings import Flags, setting
from tinytx.viz.report_page import AttentionShown, RunShown, report_page
from tinytx.wording import command, counted

NAME = "report.html"
LARGEST = 2_000_000  # weights of a run: there would be nothing to see in more pictures, nor in larger ones


class ReportFlags(Flags):
    """What the page shows beside what the folders hold."""

    command = "report"
    text: str | None = setting(None, "show where the trained models look in this text", empty=False, metavar="TEXT")


def add_arguments(parser):
    """Add the arguments of this command."""
    parser.description = """Write runs, finished or not, as one page for a browser: configuration, curves, layer by layer, what the
    trained models say, and what the runs took. The page loads no other file."""
    parser.epilog = "Example: python -m tinytx report runs/gpt runs/gpt-2 --out report.html"
    parser.add_argument("dirs", metavar="DIR", nargs="+", help="folder of a run")
    default = f"(default: {NAME} in DIR; of several {NAME}, here)"
    parser.add_argument("--out", metavar="FILE.html", help=f"the page {default}")
    add_options(parser, ReportFlags)


def run(arguments):
    """Write the page, and say where it is."""
    check_file("--out", arguments.out, ".html")
    text = ReportFlags(**given(arguments, ReportFlags)).text
    folders = list(dict.fromkeys(Path(name) for name in arguments.dirs))
    runs = [RunFolder(folder) for folder in folders]
    default = folders[0] / NAME if len(folders) == 1 else Path(NAME)
    out = default if arguments.out is None else Path(arguments.out)
    details = [run.checkpoint.details for run in runs]
    quantities = list(dict.fromkeys(f"{d['quantity']} per {d['unit']}" for d in details if d))
    looks = [[] if text is None else _attention(folder, text) for folder in folders]
    shown = [
        RunShown(str(run.folder), run.records, facts_of(run), run.settings, run.report(), attention)
        for run, attention in zip(runs, looks)
    ]
    how = "Name a text, and the page shows where the models look in it: "
    why = f"{how}{command('report', *folders, '--text', 'TEXT')}" if text is None else "No model could be shown reading the text."
    title = folders[0].resolve().name if len(runs) == 1 else counted(len(runs), "run")
    report_page(shown, out, title=title, note=_note(runs), quantity=", or ".join(quantities) or "nats per token",
                why_no_attention=why)  # fmt: skip
    print(f"Wrote {out}")


def _attention(folder, text):
    """Return where a run's model looks in a text; say why, and return [], where that cannot be shown."""
    try:
        parts = parts_of(load_run(folder, *READ), text)
    except (ValueError, TypeError, MissingExtra) as error:
        say(f"Note: no attention of {folder}: {error}")
        return []
    if sum(layer.weights.size for part in parts for layer in part.layers) > LARGEST:
        say(f"Note: no attention of {folder}: the text is long: {command('attention', folder, text)} makes a page of it")
        return []
    return [
        AttentionShown(part.name, part.tokens, part.key_tokens, {layer.name: layer.weights for layer in part.layers})
        for part in parts
    ]


def _note(runs):
    """Return what the page says below its title: that it is of a moment, where a run goes on."""
    going = sum(run.state == "running" for run in runs)
    if not going:
        return ""
    which = "The run goes on" if len(runs) == 1 else f"{counted(going, 'run')} of {len(runs)} {'goes' if going == 1 else 'go'} on"
    return f"{which}: write the page again to see more of it."
