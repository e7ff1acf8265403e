"""``python -m tinytx report DIR ...``: one run, or several to compare them, as a page for a browser."""

from contextlib import closing, suppress
from pathlib import Path
from time import sleep

from tinytx.cli.options import add_options, given
from tinytx.extras import MissingExtra
from tinytx.paths import check_file
from tinytx.pipelines.attention import READ, parts_of
from tinytx.pipelines.load import load_run
from tinytx.progress import progress, say
from tinytx.recipes.run_facts import facts_of, quantity_of, state_of
from tinytx.recipes.run_folder import RUNNING, STOPPED, RunFolder
from tinytx.settings import Flags, setting
from tinytx.viz.report_page import AttentionShown, RunShown, report_page
from tinytx.wording import command, counted

NAME = "report.html"
LARGEST = 2_000_000  # weights of a run: there would be nothing to see in more pictures, nor in larger ones


class ReportFlags(Flags):
    """What the page shows beside what the folders hold, and how often it is written."""

    command = "report"
    text: str | None = setting(None, "show where the trained models look in this text", empty=False, metavar="TEXT")
    follow: bool = setting(False, "write the page again and again until the runs end; in a browser it reloads itself")
    every: float = setting(3.0, "seconds from one page to the next, with --follow", above=0.0)


def add_arguments(parser):
    """Add the arguments of this command."""
    parser.description = """Write runs, finished or not, as one page for a browser: configuration, curves, layer by layer, what the
    trained models say, and what the runs took. The page loads no other file. With --follow it shows runs while they go on."""
    parser.epilog = "Example: python -m tinytx report runs/gpt runs/gpt-2 --out report.html"
    parser.add_argument("dirs", metavar="DIR", nargs="+", help="folder of a run")
    default = f"(default: {NAME} in DIR; of several {NAME}, here)"
    parser.add_argument("--out", metavar="FILE.html", help=f"the page {default}")
    add_options(parser, ReportFlags)


def run(arguments):
    """Write the page, once or until the runs end, and say where it is."""
    check_file("--out", arguments.out, ".html")
    flags = ReportFlags(**given(arguments, ReportFlags))
    page = _Page(list(dict.fromkeys(Path(name) for name in arguments.dirs)), arguments.out, flags.text)
    if flags.follow:
        with suppress(KeyboardInterrupt):
            _follow(page, flags.every)
    page.write()
    print(f"Wrote {page.out}")
    for each in page.runs if flags.follow else []:
        print(f"{each.folder}: {state_of(each)}")
    if flags.follow or page.is_going:
        print(f"Try next: {page.next_command()}")


class _Page:
    """The page of some runs."""

    def __init__(self, folders, out, text):
        self.runs, self.text = [RunFolder(folder) for folder in folders], text
        default = folders[0] / NAME if len(folders) == 1 else Path(NAME)
        self.out = default if out is None else Path(out)
        options = [("--text", text), ("--out", out)]
        flags = [word for option in options if option[1] is not None for word in option]
        self.follow = command("report", *folders, *flags, "--follow")
        self._looks = {}

    @property
    def is_going(self):
        """Whether one of the runs goes on."""
        return any(run.state == RUNNING for run in self.runs)

    def refresh(self):
        """Read what the runs have written since."""
        for each in self.runs:
            each.refresh()

    def write(self, every=None):
        """Write the page; with ``every`` it reloads itself."""
        shown = [
            RunShown(str(run.folder), run.records, facts_of(run), run.settings, run.report(), self._attention(run))
            for run in self.runs
        ]
        folders = [run.folder for run in self.runs]
        how = "Name a text, and the page shows where the models look in it: "
        why = f"{how}{command('report', *folders, '--text', 'TEXT')}" if self.text is None else "No model could be shown reading the text."
        title = folders[0].resolve().name if len(folders) == 1 else counted(len(folders), "run")
        report_page(shown, self.out, title=title, note=_note(self.runs), quantity=quantity_of(*self.runs),
                    why_no_attention=why, every=every, follow=self.follow if self.is_going else "")  # fmt: skip

    def _attention(self, run):
        """Return where a run's model looks in the text; it is asked once for each checkpoint."""
        if self.text is None:
            return []
        before, looks = self._looks.get(run, (None, []))
        if before != run.checkpoint:
            self._looks[run] = run.checkpoint, (looks := _attention(run.folder, self.text))
        return looks

    def next_command(self):
        """Return what is to be done next: to go on with the page, with a run that stopped, or to look at a text."""
        stopped = next((run.folder for run in self.runs if run.state == STOPPED), None)
        if self.is_going:
            return self.follow
        if stopped is not None:
            return command("train", "--resume", stopped)
        return command("report", *(run.folder for run in self.runs), "--text", "TEXT")


def _follow(page, every):
    """Write a page that reloads itself, again and again until no run goes on."""
    ends = "the run ends" if len(page.runs) == 1 else "all runs end"
    is_said = False
    with closing(progress(None, unit=f"writing {page.out}", stays=False)) as shown:
        while page.is_going:
            page.write(every)
            if not is_said:
                does = f"Writing {page.out} every {every:g} s until {ends}"
                shown.say(f"{does}: open it in a browser, it reloads itself. Ctrl-C stops.")
                is_said = True
            shown.update("; ".join(state_of(run) for run in page.runs))
            sleep(every)
            page.refresh()


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
    """Return what the page says below its title: whether the runs go on."""
    going = sum(run.state == RUNNING for run in runs)
    if len(runs) == 1:
        return "The run goes on." if going else f"The run has {state_of(runs[0])}."
    which = f"{going} of {len(runs)} runs {'goes' if going == 1 else 'go'} on"
    return f"{which}." if going else "All runs have ended."
