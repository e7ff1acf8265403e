"""The pages of recipes: what each learns and reads, its model, where it looks, its learning rates, its figure and settings."""

import html

import numpy as np

from tinytx.book.batch_table import batch_table
from tinytx.book.blocks import boxes_of
from tinytx.book.diagram import diagram
from tinytx.book.drawings import curve_picture, seen_picture, smaller
from tinytx.book.example import example_of
from tinytx.book.pages import Page
from tinytx.book.prose import inline
from tinytx.book.runs import run_section
from tinytx.models import MODELS
from tinytx.recipes import RECIPES
from tinytx.wording import counted

POINTS = 120  # of a curve
MOST_SEEN = 6  # pictures of where attention looks


def recipe_pages(runs=None):
    """Yield a page for each recipe, with the runs {recipe: list of RunFolder} that there are."""
    for name in RECIPES:
        example = example_of(name)
        recipe = example.recipe
        boxes, maps = boxes_of(example.task, example.batch)
        pictures, marks = looks(maps)
        about = f"<p>{inline(' '.join(recipe.about.split()))}</p>" if recipe.about else ""
        sections = [
            f"{about}<table>{_facts(example)}</table><pre>python -m tinytx train {name}\npython -m tinytx reproduce {name}</pre>",
            f"<h2>Runs of yours</h2>{run_section(name, runs[name])}" if name in (runs or {}) else "",
            f"<h2>What it reads</h2>{_data(example)}{batch_table(example)}",
            f"<h2>Where it looks</h2>{pictures}" if pictures else "",
            f"<h2>Learning rate</h2>{_rates(example)}",
            f"<h2>Settings</h2>{_settings(recipe)}",
        ]
        aside = f"<aside><h2>The model</h2>{diagram(example, boxes, marks)}</aside>"
        body = f'<div class="both"><article>{"".join(sections)}</article>{aside}</div>'
        words = f"{recipe.system} {recipe.paper} {recipe.learns} {recipe.about} {recipe.model.__name__}"
        yield Page(f"recipes/{name}.html", name, RECIPES[name], body, words)


def _facts(example):
    """Return rows of a table: the model, the paper, the figure to expect."""
    recipe = example.recipe
    model = next((key for key, (kind, _) in MODELS.items() if kind is recipe.model), None)
    link = f'<a href="../models/{model}.html">{html.escape(recipe.system)}</a>' if model else html.escape(recipe.system)
    facts = {"model": link, "paper": html.escape(recipe.paper), "learns": html.escape(recipe.learns)}
    if recipe.expect:
        took = f"{recipe.expect}, after {recipe.expect.step:,} steps: {recipe.expect.took} on two processors"
        facts["to expect"] = html.escape(took)
    files = [f"{file.name}: {file.address} ({file.licence}, {file.size:,} bytes)" for file in recipe.data.values()]
    rows = [*facts.items(), *(("a file", html.escape(file)) for file in files)]
    return "".join(f"<tr><th>{html.escape(key)}</th><td>{value}</td></tr>" for key, value in rows)


def _data(example):
    """Return what a run says about its data, or why the page has no more than a few lines of it."""
    if example.is_stand_in:
        names = " and ".join(file.name for file in example.recipe.data.values())
        note = f"It learns from {names}, which this book does not contain: lines written for this page stand for it."
    elif example.is_cut:
        note = "A run generates its data; some of it is made for this page."
    else:
        note = " ".join(f"{line.rstrip('.')}." for line in example.prepared.lines)
    return f"<p>{html.escape(note)}</p>"


def looks(maps):
    """Return (pictures of which places a model's layers see, {path of a layer: the marks of its pictures})."""
    kinds, marks = {}, {}
    for path, sees in maps:
        kinds.setdefault((sees.shape, sees.tobytes()), (sees, []))[1].append(path)
    figures = []
    for n, (sees, paths) in enumerate(list(kinds.values())[:MOST_SEEN]):
        for path in dict.fromkeys(paths):
            marks[path] = f"{marks.get(path, '')} look{n}".strip()
        others = f" and {counted(len(paths) - 1, 'other')}" if len(paths) > 1 else ""
        size = f"{counted(sees.shape[0], 'query', 'queries')}, {counted(sees.shape[1], 'key')}: {sees.mean():.0%} of the pairs"
        _, step = smaller(sees)
        cells = f"; a cell stands for {step} x {step}, the darker the more of them" if step > 1 else ""
        figures.append(
            f'<figure class="looks" data-n="look{n}" tabindex="0">{seen_picture(sees)}'
            f"<figcaption><code>{html.escape(paths[0])}</code>{others}<br>{size}{cells}</figcaption></figure>"
        )
    if not figures:
        return "", marks
    more = f" {counted(len(kinds) - MOST_SEEN, 'other picture')} of this kind are left out." if len(kinds) > MOST_SEEN else ""
    note = "A row for each query, a column for each key of the row above: filled where some head may look, as it is before training."
    return f'<p class="note">{note}{more}</p><div class="row">{"".join(figures)}</div>', marks


def _rates(example):
    """Return the learning rate over the steps of a run."""
    steps = np.unique(np.linspace(0, example.settings.steps - 1, POINTS).round().astype(int))
    steps = np.union1d(steps, [min(example.settings.steps - 1, getattr(example.settings, "warmup", 0))])
    rates = np.array([example.rate(int(step)) for step in steps], float)
    words = f"Learning rate of {counted(example.settings.steps, 'step')}, {rates.max():.3g} at most"
    return curve_picture([("rate", steps + 1, rates)], words)


def _settings(recipe):
    fields = recipe.settings.__dataclass_fields__.values()
    rows = "".join(
        f"<tr><td><code>{html.escape(field.name)}</code></td><td>{html.escape(str(field.default))}</td>"
        f"<td>{inline(field.metadata.get('help', ''))}</td></tr>"
        for field in fields
    )
    return f"<details><summary>{counted(len(fields), 'setting')}, with defaults and meanings</summary><table>{rows}</table></details>"
