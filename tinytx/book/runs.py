"""Runs of the reader's own on the pages of their recipes: the curve, what they measured, and a page that `report_page` draws."""

import html
import math
import re
from pathlib import Path

import numpy as np

from tinytx.book.drawings import curve_picture
from tinytx.models import MODELS
from tinytx.recipes import RECIPES, load_recipe
from tinytx.recipes.run_facts import facts_of, quantity_of
from tinytx.recipes.run_folder import RunFolder
from tinytx.viz.loss_curve import WIDE
from tinytx.viz.report_page import RunShown, report_page

LOSSES = {"train_loss": "training", "val_loss": "validation"}


def runs_of(names):
    """Return {recipe: the folders of its runs}.

    Parameters
    ----------
    names : list of str
        Each is a folder whose name begins with its recipe's, as ``train`` calls it, such as runs/gpt-2, or a recipe, an equals sign
        and a folder.

    Returns
    -------
    dict of str to list of RunFolder

    Raises
    ------
    ValueError
        If a folder holds no run, names no recipe, or holds a model that its recipe does not train.
    """
    found = {}
    for name in names:
        recipe, equals, folder = name.partition("=")
        if not equals:
            recipe, folder = re.sub(r"-\d+$", "", Path(name).resolve().name), name
        if recipe not in RECIPES:
            raise ValueError(f"--runs {name}: {recipe} is no recipe: write RECIPE={folder}, with a name that the command recipes lists")
        run = RunFolder(folder)
        model = run.checkpoint.meta.get("model")  # of a file that anybody may have written
        if model is not None and MODELS.get(str(model), (None,))[0] is not load_recipe(recipe).model:
            raise ValueError(f"--runs {name}: the run's model is {str(model):.60}, and the recipe {recipe} trains another: write RECIPE={folder}")
        found.setdefault(recipe, []).append(run)
    return found


def run_path(recipe, n):
    """Return the path of the page of a recipe's run number n, from 0 on, in the book."""
    return f"runs/{recipe}-{n + 1}.html"


def write_run_pages(folder, runs):
    """Write a page for each run; return the paths."""
    paths = []
    for recipe, its_runs in runs.items():
        for n, run in enumerate(its_runs):
            path = Path(folder) / run_path(recipe, n)
            path.parent.mkdir(parents=True, exist_ok=True)
            shown = RunShown(str(run.folder), run.records, facts_of(run), run.settings, run.report())
            report_page([shown], path, title=f"{recipe}: {run.folder.resolve().name}", quantity=quantity_of(run))
            paths.append(path)
    return paths


def run_section(recipe, runs):
    """Return what the page of a recipe says of its runs."""
    expect, parts = load_recipe(recipe).expect, []
    for n, run in enumerate(runs):
        facts = [(name, value) for name, value in facts_of(run) if value is not None]
        if expect and expect.measure in run.measures:
            met = "met" if expect.is_met(run.measures) else "not met"
            facts.append(("the figure to expect", f"{expect}: {run.measures[expect.measure]:.4f}, {met}"))
        rows = "".join(f"<tr><th>{html.escape(name)}</th><td>{html.escape(str(value))}</td></tr>" for name, value in facts)
        link = f'<p><a href="../{run_path(recipe, n)}">The page of this run</a></p>'
        parts.append(f"<h3><code>{html.escape(str(run.folder))}</code></h3>{_curve(run)}{link}<table>{rows}</table>")
    return "".join(parts)


def _curve(run):
    """Return the losses of a run as a picture; nothing where there are none."""
    curves = []
    for key, kind in LOSSES.items():
        pairs = [(record["step"], record[key]) for record in run.records if record.get(key) is not None and math.isfinite(record[key])]
        if pairs:
            curves.append((kind, *np.array(pairs, float).T))
    if not curves:
        return ""
    values = np.concatenate([losses for _, _, losses in curves])
    last = ", ".join(f"{losses[-1]:.4g} in {kind}" for kind, _, losses in curves)
    wide = values.min() > 0 and values.max() > WIDE * values.min()
    left = f"{quantity_of(run)}, from {values.max():.3g} to {values.min():.3g}"
    picture = curve_picture(curves, f"Loss: {last} at the end", wide=wide, said=(left, last))
    keys = "".join(f'<span class="key {"weights" if kind == "training" else "looks"}">{kind}</span> ' for kind, _, _ in curves)
    return f'<figure class="run"><figcaption>{keys}</figcaption>{picture}</figure>'
