"""Writes the book: an index with a search, and a page for each operation, model and recipe."""

import html
from functools import cache, partial
from importlib import resources
from pathlib import Path

from tinytx.book.model_pages import END, lineage, model_pages
from tinytx.book.pages import introduction_page, operation_pages
from tinytx.book.prose import inline
from tinytx.book.recipe_pages import recipe_pages
from tinytx.book.runs import runs_of, write_run_pages
from tinytx.derivations import TABLE
from tinytx.derivations.show import FIRST, operations
from tinytx.files import atomic_write
from tinytx.models import MODELS
from tinytx.progress import tracked
from tinytx.recipes import RECIPES
from tinytx.viz.page import page_of


def write(folder, runs=()):
    """Write the book to a folder, which is made; return the paths of its pages, the index first.

    Parameters
    ----------
    folder : str or Path
    runs : sequence of str
        Folders of runs, which are shown on the pages of their recipes: `tinytx.book.runs.runs_of`.

    Raises
    ------
    MissingExtra
        If latex2mathml is not installed.
    ValueError
        If a folder holds no run of a recipe.
    OSError
        If a file cannot be written.
    """
    folder, runs = Path(folder), runs_of(runs)
    makers = {"Operations": (operation_pages, operations()), "Models": (model_pages, MODELS), "Recipes": (partial(recipe_pages, runs), RECIPES)}
    parts = {part: list(tracked(make(), f"{part.lower()}: page", len(names))) for part, (make, names) in makers.items()}
    written = [_write(folder / "index.html", "tinytx: the book", _index(parts), {part: _entries(pages) for part, pages in parts.items()})]
    first = introduction_page()
    pages = [page for part in parts.values() for page in part]
    written.append(_write(folder / first.path, first.title, f"<h1>{first.title}</h1>{_turn(None, pages[0], '')}{first.body}", {}))
    for before, page, after in zip([first, *pages], pages, [*pages[1:], None]):
        lead = page.lead or inline(page.subject)
        head = f"<h1>{html.escape(page.title)}</h1><p>{lead}</p>{_turn(before, after, '../')}"
        written.append(_write(folder / page.path, page.title, head + page.body, {}))
    return written + write_run_pages(folder, runs)


def _turn(before, after, up):
    """Return the links to the pages before and after, where the folder of the book is ``up``."""
    links = [("prev", before, f"&larr; {before.title if before else ''}"), ("next", after, f"{after.title if after else ''} &rarr;")]
    links = [f'<a rel="{rel}" href="{up}{page.path}">{said}</a>' for rel, page, said in links if page]
    return f'<nav class="turn"><a href="{up}index.html">contents</a>{"".join(links)}</nav>'


def _index(parts):
    """Return the contents: what to read first, and lists with a search."""
    way = [next(page for page in parts["Models"] if page.path == f"models/{name}.html") for name in lineage(END)]
    links = _arrows(way)
    notes = {
        "Operations": '<p>New to gradients? <a href="introduction.html">How to read these pages</a> comes before all others.</p>'
        f"<p>Read the first {FIRST} before the others; each has an exercise (<code>python -m tinytx exercise linear</code>).</p>",
        "Models": f"<p>First {links}. Each page begins with what differs from the model's nearest relative, which comes before it.</p>",
        "Recipes": "<p>What trains a model, on which data, with which settings, and what comes out.</p>",
    }
    lists = []
    for part, pages in parts.items():
        items = "".join(
            f'<li data-page="{i}"><a href="{page.path}">{html.escape(page.title)}</a> <span>{inline(page.subject)}</span></li>'
            for i, page in enumerate(pages)
        )
        lists.append(f'<section id="{part}"><h2>{part}</h2>{notes.get(part, "")}<ol>{items}</ol></section>')
    search = '<label>Search <input type="search" id="search" autocomplete="off" spellcheck="false" placeholder="softmax, mean, Vaswani"></label>'
    head = "<h1>tinytx: the book</h1><p>Every backward, derived beside the code that computes it; the tests execute the equations "
    head += f"of {len(TABLE)} of {len(parts['Operations'])} operations, which have numbers of an example.</p>"
    recipe = next(page for page in parts["Recipes"] if page.path == f"recipes/{END}.html")
    head += f"<p>Start here: from linear to T5, {_arrows([introduction_page(), *parts['Operations'][:FIRST], *way, recipe])}.</p>"
    return f'{head}<p>{search} <output id="found" role="status"></output></p>{"".join(lists)}'


def _arrows(pages):
    """Return links to pages that are to be read one after the other."""
    return " &rarr; ".join(f'<a href="{page.path}">{html.escape(page.title)}</a>' for page in pages)


def _entries(pages):
    return [f"{page.title} {page.subject} {page.words}".lower() for page in pages]


@cache
def _template():
    return resources.files("tinytx.book").joinpath("page.html").read_text(encoding="utf-8")


def _write(path, title, body, entries):
    text = page_of(_template(), title, entries, BODY=body)
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as file:
        file.write(text.encode("utf-8"))
    return path
