"""``python -m tinytx plot DIR ...``: the losses of one run, or of several in one picture."""

from pathlib import Path

from tinytx.files import load_arrays
from tinytx.paths import check_file
from tinytx.recipes.run import PICTURE, curve_details
from tinytx.tasks import TASKS, Task
from tinytx.training.checkpoint import NAME
from tinytx.training.loop import METRICS, read_metrics
from tinytx.viz import loss_curve

COMPARISON = "losses.png"  # of several


def add_arguments(parser):
    """Add the arguments of this command."""
    parser.description = "Draw the losses of one run, finished or not, or of several in one picture."
    parser.epilog = "Example: python -m tinytx plot runs/gpt runs/gpt-2 --out losses.png"
    parser.add_argument("dirs", metavar="DIR", nargs="+", help=f"folder of a run, which holds {METRICS}")
    default = f"(default: {PICTURE} in DIR; of several {COMPARISON}, here)"
    parser.add_argument("--out", metavar="FILE.png", help=f"the picture {default}")


def run(arguments):
    """Draw the picture, and say where it is."""
    folders = list(dict.fromkeys(Path(name) for name in arguments.dirs))
    records = {str(folder): _records(folder) for folder in folders}
    default = folders[0] / PICTURE if len(folders) == 1 else Path(COMPARISON)
    out = default if arguments.out is None else Path(arguments.out)
    check_file("--out", arguments.out, ".png")
    details = [_details(folder) for folder in folders]
    same = {key: value for key, value in details[0].items() if all(other.get(key) == value for other in details)}
    if len(folders) == 1:
        loss_curve(records[str(folders[0])], out, title=folders[0].resolve().name, **same)
    else:
        loss_curve(records, out, title=f"{len(folders)} runs", **same)
    print(f"Wrote {out}")


def _records(folder):
    if not (folder / METRICS).exists():
        raise ValueError(f"there is no {METRICS} in {folder}: name the folder of a run that has taken some steps")
    return read_metrics(folder / METRICS)


def _details(folder):
    """Return the `curve_details` of a run's folder; nothing where its checkpoint is missing or cannot be read."""
    try:
        meta = load_arrays(folder / NAME)[1]
        return curve_details(TASKS.get(meta.get("task"), Task), meta["settings"], meta)
    except (ValueError, KeyError, TypeError, AttributeError, ImportError):
        return {}
