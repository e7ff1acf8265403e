"""A map of words as one HTML page: to zoom in, to search, to see who is near whom. It loads nothing from anywhere."""

import html
import json
from importlib import resources

import numpy as np

from tinytx.files import atomic_write
from tinytx.terminal import visible
from tinytx.vectors import neighbours, unit_rows
from tinytx.vectors.word_vectors import check_words
from tinytx.viz.word_map import COLORS, RANK, STOPS, check_color, groups_of

GRID = 100_000  # steps from one side of the map to the other: more than a screen has pixels, at a zoom of 50


def word_page(words, y, vectors, path, *, title="Words", note="", color=None, color_name=RANK, n=10):
    """Write a map of words as one HTML page.

    Wheel, drag and keys move it; a word under the pointer, or found by the search, shows its nearest neighbours among
    the words of the map. Everything is in the file, and the page forbids itself to load more. ``page.html#word`` opens
    it at a word.

    Parameters
    ----------
    words : list of str, length N, 2 or more
        The most frequent first: they get their labels first.
    y : array (N, 2)
        The map, from `tinytx.vectors.tsne_map` or `tinytx.vectors.pca`.
    vectors : array (N, D)
        What neighbours are found by: their cosines.
    path : str or Path
        Written atomically.
    title, note : str
        What stands above the map; ``note`` is the place for how it was made, and how far it can be trusted.
    color, color_name
        As for `tinytx.viz.word_map`.
    n : int
        How many neighbours are shown, at most N - 1.

    Raises
    ------
    ValueError
        If y, ``vectors`` or ``color`` does not fit the words, or is not finite.
    OSError
        If the file cannot be written.
    """
    y = check_words("word_page", words, y, width=2)
    vectors = check_words("word_page", words, vectors)
    color = check_color("word_page", np.arange(len(words)) if color is None else color, len(words))
    data = _positions(y) | _colors(color) | _near(vectors, n)
    data |= {"words": [visible(word) for word in words], "colorName": color_name}
    template = resources.files("tinytx.viz").joinpath("word_page.html").read_text(encoding="utf-8")
    page = fill(template, {"TITLE": html.escape(title), "NOTE": html.escape(note), "DATA": as_script(data)})
    with atomic_write(path) as file:
        file.write(page.encode("utf-8", "backslashreplace"))


def as_script(data):
    r"""Return data as JSON that may stand inside a ``<script>``: nothing in it can end the element, or begin one.

    >>> as_script(["</script>"])
    '["\\u003c/script\\u003e"]'
    """
    text = json.dumps(data, separators=(",", ":"), allow_nan=False)
    return text.replace("<", r"\u003c").replace(">", r"\u003e").replace("&", r"\u0026")


def fill(template, parts):
    """Return the template with each ``{{NAME}}`` replaced, once; what is put in is not looked at again.

    >>> fill("{{A}} {{B}}", {"A": "{{B}}", "B": "b"})
    '{{B}} b'
    """
    before, *pieces = template.split("{{")
    filled = [before]
    for piece in pieces:
        name, _, after = piece.partition("}}")
        filled += parts[name], after
    return "".join(filled)


def _positions(y):
    """Return both coordinates as whole numbers of a grid with the map's longer side for its side, y downwards."""
    y = np.asarray(y, np.float64)
    y = y / (np.abs(y).max(initial=0) or 1)
    y = (y - y.min(axis=0)) * [1, -1]
    side = np.abs(y).max(initial=0) or 1
    x, y = np.round(GRID * y / side).astype(int).T.tolist()
    return {"x": x, "y": [value + GRID for value in y]}


def _colors(color):
    """Return names and palette, or numbers and the ends of their scale."""
    if isinstance(color, list):
        groups, ids = groups_of(color)
        return {"groups": groups, "color": ids.tolist(), "palette": COLORS}
    low, high = float(color.min(initial=np.inf)), float(color.max(initial=-np.inf))
    share = (color - low) / ((high - low) or 1)
    return {"groups": None, "color": np.round(share, 3).tolist(), "palette": STOPS, "ends": [low, high]}


def _near(vectors, n):
    """Return each word's nearest others and their cosines, in thousandths."""
    unit = unit_rows(np.asarray(vectors, np.float64))
    ids = neighbours(unit, min(n, len(unit) - 1))
    cosines = [(unit[near] @ row) for near, row in zip(ids, unit, strict=True)]
    return {"near": ids.tolist(), "cosine": np.round(1000 * np.array(cosines)).astype(int).tolist()}
