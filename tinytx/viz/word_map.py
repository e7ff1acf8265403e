"""A map of words as a picture, with matplotlib; `tinytx.viz.word_page` makes a page with search and zoom from it."""

import math

import numpy as np

from tinytx.arguments import check_number, check_whole
from tinytx.extras import require
from tinytx.terminal import visible
from tinytx.vectors.word_vectors import check_words
from tinytx.viz import style

COLORS = list(style.SERIES)  # of groups; if there are more groups than colours, colours repeat
RANK = "rank by frequency (0: the most frequent word)"
STOPS = list(style.SCALE)
_PURPOSE = "drawing the map of words"
_PLACES = [(1, 0, "left", "center"), (-1, 0, "right", "center"), (0, 1, "center", "bottom"), (0, -1, "center", "top")]


def word_map(words, y, path, *, title=None, color=None, color_name=RANK, labels=600, size=12.0):
    """Draw words as dots on a map, and write the picture as a PNG.

    Each word in turn gets a label beside its dot, if there is space for it.

    Parameters
    ----------
    words : list of str, length N
        The most frequent word first: labels are written in this order.
    y : array (N, 2)
        The map, from `tinytx.vectors.tsne_map` or `tinytx.vectors.pca`.
    path : str or Path
        Written atomically.
    title : str, optional
    color : N numbers or N names, optional
        What the dots' colours show: numbers, with a colour bar from the smallest to the largest; or names of groups
        (clusters, parts of speech), with a legend. The default is the rank, 0 for the first word.
    color_name : str
        The meaning of ``color``, written at the colour bar or the legend.
    labels : int
        The largest number of labels.
    size : float
        The width and height of the picture, in inches of 150 pixels.

    Returns
    -------
    labelled : list of str
        The words that got a label.

    Raises
    ------
    TypeError, ValueError
        If y or ``color`` does not fit the words, or is not finite; or a number is out of its range.
    MissingExtra
        If matplotlib is not installed.
    OSError
        If the file cannot be written.

    Warns
    -----
    PictureWarning
        If no font has a character of the title, ``color_name``, a group or one of the first ``labels`` words.
    """
    y = check_words("word_map", words, y, width=2)
    color = check_color("word_map", np.arange(len(words)) if color is None else color, len(words))
    labels = check_whole("word_map", "labels", labels, least=0)
    check_number("word_map", "size", size, "inches, more than 0", lambda size: 0 < size < math.inf)
    title, color_name = title and style.drawable(title), style.drawable(color_name)
    shown = [visible(word) for word in words[:labels]]
    figure = style.new_figure(_PURPOSE, size, size, dpi=style.DPI, layout="constrained")
    texts = style.plain(title, color_name, *shown, *(color if isinstance(color, list) else ()))
    canvas = require("matplotlib.backends.backend_agg", "train", _PURPOSE).FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    colors = _draw_dots(axes, y, color, color_name, texts)
    axes.set_aspect("equal", adjustable="datalim")
    axes.margins(0.02)
    axes.set_axis_off()
    if title:
        style.write_title(axes, title, **texts)
    with style.quiet():
        canvas.draw()  # this fixes the layout, so the positions of labels are known
        figure.set_layout_engine("none")
        labelled = _draw_labels(axes, canvas.get_renderer(), shown, y, colors, texts)
    style.save(figure, path)
    return [words[i] for i in labelled]


def check_color(place, color, n):
    """Return the n values of ``color``: numbers as a float64 array, names as a list of str.

    Raises
    ------
    ValueError
        If there are not n values, or a number is not finite.
    """
    color = np.asarray(color)
    if color.shape != (n,):
        raise ValueError(f"{place}: color has shape {color.shape}, expected one value for each of {n} words")
    if color.dtype.kind not in "biuf":
        return [visible(str(value)) for value in color]
    if not np.isfinite(color).all():
        raise ValueError(f"{place}: color {int(np.argmin(np.isfinite(color)))} is not finite")
    return color.astype(np.float64)


def groups_of(names):
    """Return (the distinct names, most frequent first; for each of the N names, its index among the distinct ones)."""
    different, ids, counts = np.unique(names, return_inverse=True, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    places = np.empty(len(order), int)
    places[order] = np.arange(len(order))
    return [str(name) for name in different[order]], places[ids]


def _draw_dots(axes, y, color, color_name, texts):
    """Draw the dots and the legend of their colours; return the colour of each dot."""
    if isinstance(color, list):
        names, ids = groups_of(color)
        colors = np.array(COLORS)[ids % len(COLORS)]
        entries = [(name, axes.scatter([], [], s=30, color=hue)) for name, hue in zip(names, COLORS)]
        style.write_legend(axes, entries, options=texts, title=color_name, loc="best")
        axes.scatter(*y.T, s=5, color=colors, linewidths=0, alpha=0.7)
        return colors
    scale = require("matplotlib.colors", "train", _PURPOSE).LinearSegmentedColormap.from_list("words", STOPS)
    dots = axes.scatter(*y.T, s=5, c=color, cmap=scale, linewidths=0, alpha=0.7)
    bar = axes.figure.colorbar(dots, ax=axes, location="bottom", shrink=0.3, aspect=30, pad=0)
    bar.set_label(color_name, color=style.TEXT, **texts)
    bar.outline.set_visible(False)
    return scale(dots.norm(color))


def _draw_labels(axes, renderer, shown, y, colors, texts):
    """Write each label that has a place where it covers no earlier label; return the indices of the written labels."""
    to_rgb = require("matplotlib.colors", "train", _PURPOSE).to_rgba_array
    border = axes.get_window_extent(renderer)
    boxes, drawn = np.empty((0, 4)), []
    dark = 0.7 * to_rgb(colors)[:, :3]
    for i, text in enumerate(shown):
        for right, up, horizontal, vertical in _PLACES:
            label = axes.annotate(
                text,
                y[i],
                xytext=(3 * right, 3 * up),
                textcoords="offset points",
                fontsize=7.5,
                color=dark[i],
                horizontalalignment=horizontal,
                verticalalignment=vertical,
                **texts,
            )
            box = np.array(label.get_window_extent(renderer).padded(1).extents)
            inside = (box[:2] >= border.min).all() and (box[2:] <= border.max).all()
            apart = (boxes[:, :2] > box[2:]).any(axis=1) | (boxes[:, 2:] < box[:2]).any(axis=1)
            if inside and apart.all():
                boxes = np.vstack([boxes, box])
                drawn.append(i)
                break
            label.remove()
    return drawn
