"""A map of words as one HTML page with zoom, search and nearest neighbours. The page loads no other file."""

import numpy as np

from tinytx.terminal import visible
from tinytx.vectors import neighbours, unit_rows
from tinytx.vectors.word_vectors import check_words
from tinytx.viz.page import write_html
from tinytx.viz.word_map import COLORS, RANK, STOPS, check_color, groups_of

GRID = 100_000  # steps across the map: more than the pixels of a screen at a zoom of 50


def word_page(words, y, vectors, path, *, title="Words", note="", color=None, color_name=RANK, n=10):
    """Write a map of words as one HTML page.

    The mouse wheel, dragging and keys zoom and move the map. For the word under the pointer, or a word that was
    searched for, the page shows the nearest neighbours among all words of the map. The file contains everything, and
    its content security policy forbids the browser to load anything else. The address ``page.html#word`` opens the page
    at a word.

    Parameters
    ----------
    words : list of str, length N, 2 or more
        The most frequent word first: labels are written in this order.
    y : array (N, 2)
        The map, from `tinytx.vectors.tsne_map` or `tinytx.vectors.pca`.
    vectors : array (N, D)
        Neighbours are the words whose vectors have the largest cosines.
    path : str or Path
        Written atomically.
    title, note : str
        Written above the map; the note may say how the map was made, and how reliable it is.
    color, color_name
        As for `tinytx.viz.word_map`.
    n : int
        The number of neighbours to show, at least 1. If it is more than N - 1, all N - 1 other words are shown.

    Raises
    ------
    TypeError, ValueError
        If y, ``vectors`` or ``color`` does not fit the words, or is not finite; or if ``n`` is out of its range.
    OSError
        If the file cannot be written.
    """
    y = check_words("word_page", words, y, width=2)
    vectors = check_words("word_page", words, vectors)
    color = check_color("word_page", np.arange(len(words)) if color is None else color, len(words))
    data = _positions(y) | _colors(color) | _near(vectors, n)
    data |= {"words": [visible(word) for word in words], "colorName": color_name}
    write_html(path, "word_page.html", title, data, note=note)


def _positions(y):
    """Return both coordinates as whole numbers, 0 to GRID along the map's longer side; y grows downwards."""
    y = np.asarray(y, np.float64)
    y = y / (np.abs(y).max(initial=0) or 1)
    y = (y - y.min(axis=0)) * [1, -1]
    side = np.abs(y).max(initial=0) or 1
    x, y = np.round(GRID * y / side).astype(int).T.tolist()
    return {"x": x, "y": [value + GRID for value in y]}


def _colors(color):
    """Return the groups' names and colours; or numbers, as shares of their scale (0 to 1), and its ends."""
    if isinstance(color, list):
        groups, ids = groups_of(color)
        return {"groups": groups, "color": ids.tolist(), "palette": COLORS}
    low, high = float(color.min(initial=np.inf)), float(color.max(initial=-np.inf))
    share = (color - low) / ((high - low) or 1)
    return {"groups": None, "color": np.round(share, 3).tolist(), "palette": STOPS, "ends": [low, high]}


def _near(vectors, n):
    """Return the indices of each word's nearest neighbours, and their cosines in thousandths."""
    unit = unit_rows(np.asarray(vectors, np.float64))
    ids = neighbours(unit, min(n, len(unit) - 1))
    cosines = [(unit[near] @ row) for near, row in zip(ids, unit, strict=True)]
    return {"near": ids.tolist(), "cosine": np.round(1000 * np.array(cosines)).astype(int).tolist()}
