"""Writes the book: an index with a search, and a page for each operation, model and recipe."""

import html
from functools import cache
from importlib import resources
from pathlib import Path

from tinytx.book.pages import introduction_page, model_pages, operation_pages, recipe_pages
from tinytx.book.prose import inline
from tinytx.derivations import TABLE
from tinytx.derivations.show import FIRST, operations
from tinytx.files import atomic_write
from tinytx.models import MODELS
from tinytx.progress import tracked
from tinytx.recipes import RECIPES
from tinytx.viz.page import page_of


def write(folder):
    """Write the book to a folder, which is made; return the paths of its pages, the index first.

    Parameters
    ----------
    folder : str or Path

    Raises
    ------
    MissingExtra
        If latex2mathml is not installed.
    OSError
        If a file cannot be written.
    """
    folder = Path(folder)
    makers = {"Operations": (operation_pages, operations()), "Models": (model_pages, MODELS), "Recipes": (recipe_pages, RECIPES)}
    parts = {part: list(tracked(make(), f"{part.lower()}: page", len(names))) for part, (make, names) in makers.items()}
    written = [_write(folder / "index.html", "tinytx: the book", _index(parts), {part: _entries(pages) for part, pages in parts.items()})]
    first, start = introduction_page(), parts["Operations"][0]
    turn = f'<nav class="turn"><a href="index.html">contents</a><a rel="next" href="{start.path}">{start.title} &rarr;</a></nav>'
    written.append(_write(folder / first.path, first.title, f"<h1>{first.title}</h1>{turn}{first.body}", {}))
    for pages in parts.values():
        for before, page, after in zip([None, *pages], pages, [*pages[1:], None]):
            head = f"<h1>{html.escape(page.title)}</h1><p>{inline(page.subject)}</p>" + _turn(before, after)
            written.append(_write(folder / page.path, page.title, head + page.body, {}))
    return written


def _turn(before, after):
    """Return the links to the neighbouring pages."""
    links = [f'<a rel="{rel}" href="../{page.path}">{arrow}</a>' for rel, page, arrow in (
        ("prev", before, f"&larr; {before.title if before else ''}"), ("next", after, f"{after.title if after else ''} &rarr;")
    ) if page]  # fmt: skip
    return f'<nav class="turn"><a href="../index.html">contents</a>{"".join(links)}</nav>'


def _index(parts):
    """Return the contents: what to read first, and lists with a search."""
    lists = []
    for part, pages in parts.items():
        items = "".join(
            f'<li data-page="{i}"><a href="{page.path}">{html.escape(page.title)}</a> <span>{inline(page.subject)}</span></li>'
            for i, page in enumerate(pages)
        )
        note = '<p>New to gradients? <a href="introduction.html">How to read these pages</a> comes before all others.</p>'
        note += f"<p>Start here: the first {FIRST} in this order, each with its exercise (<code>python -m tinytx exercise linear</code>).</p>"
        lists.append(f'<section id="{part}"><h2>{part}</h2>{note if part == "Operations" else ""}<ol>{items}</ol></section>')
    search = '<label>Search <input type="search" id="search" autocomplete="off" spellcheck="false" placeholder="softmax, mean, Vaswani"></label>'
    head = "<h1>tinytx: the book</h1><p>Every backward, derived beside the code that computes it; the tests execute the equations "
    head += f"of {len(TABLE)} of {len(parts['Operations'])} operations, which have numbers of an example.</p>"
    return f'{head}<p>{search} <output id="found" role="status"></output></p>{"".join(lists)}'


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
