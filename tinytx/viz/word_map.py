"""A map of words as a picture, with matplotlib; `tinytx.viz.word_page` makes it a page to search and zoom in."""

import warnings

import numpy as np

from tinytx.extras import require
from tinytx.files import atomic_write
from tinytx.terminal import visible
from tinytx.viz.word_vectors import check_words

COLORS = ["#4269d0", "#b58900", "#d1495b", "#2a9d8f", "#3f8f3f", "#c2569b", "#7a5bb5", "#8c6d4f", "#6b7785", "#e07b39"]
STOPS = [
    "#5b3a9b",
    "#3b6fb6",
    "#1f968b",
    "#6aa84f",
    "#d9a400",
]  # from the first to the last, readable on dark and light
_TEXT = "#333333"
_PURPOSE = "drawing the map of words"
_PLACES = [(1, 0, "left", "center"), (-1, 0, "right", "center"), (0, 1, "center", "bottom"), (0, -1, "center", "top")]


def word_map(words, y, path, *, title=None, color=None, color_name="rank", labels=600, size=12.0):
    """Draw where words stand on a map, and write the picture as a PNG.

    Every word is a dot. Labels are written beside their dots, for one word after the other, as long as they find room.

    Parameters
    ----------
    words : list of str, length N
        The most frequent first: they get their labels first.
    y : array (N, 2)
        The map, from `tinytx.viz.tsne_map` or `tinytx.viz.pca`.
    path : str or Path
        Written atomically.
    title : str, optional
    color : N numbers or N names, optional
        What the dots' colours show: numbers make a scale from the least to the largest, strings (clusters, parts of
        speech) a legend. The default is the rank, 0 for the first word.
    color_name : str
        What ``color`` is, for the legend.
    labels : int
        How many words may get a label.
    size : float
        The width and height of the picture, in inches of 150 pixels.

    Returns
    -------
    labelled : list of str
        The words whose labels found room.

    Raises
    ------
    ValueError
        If y or ``color`` does not fit the words, or is not finite.
    MissingExtra
        If matplotlib is not installed.
    OSError
        If the file cannot be written.
    """
    y = check_words("word_map", words, y, width=2)
    color = check_color("word_map", np.arange(len(words)) if color is None else color, len(words))
    figure = require("matplotlib.figure", "train", _PURPOSE).Figure((size, size), dpi=150, layout="constrained")
    canvas = require("matplotlib.backends.backend_agg", "train", _PURPOSE).FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    colors = _draw_dots(axes, y, color, color_name)
    axes.set_aspect("equal", adjustable="datalim")
    axes.margins(0.02)
    axes.set_axis_off()
    if title is not None:
        axes.set_title(title, loc="left", fontweight="bold", color=_TEXT, parse_math=False)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing")  # the box that stands for it says so
        canvas.draw()  # the layout is settled now, so a label's place in the picture is known
        figure.set_layout_engine("none")
        labelled = _draw_labels(axes, canvas.get_renderer(), [visible(word) for word in words[:labels]], y, colors)
        with atomic_write(path) as file:
            figure.savefig(file, format="png")
    return [words[i] for i in labelled]


def check_color(place, color, n):
    """Return N numbers as a float array, or N names as a list of str."""
    color = np.asarray(color)
    if color.shape != (n,):
        raise ValueError(f"{place}: color has shape {color.shape}, expected one value for each of {n} words")
    if color.dtype.kind not in "biuf":
        return [visible(str(value)) for value in color]
    if not np.isfinite(color).all():
        raise ValueError(f"{place}: color {int(np.argmin(np.isfinite(color)))} is not finite")
    return color.astype(np.float64)


def groups_of(names):
    """Return (the different names, most frequent first; the place of each name among them), N integers."""
    different, ids, counts = np.unique(names, return_inverse=True, return_counts=True)
    order = np.argsort(-counts, kind="stable")
    places = np.empty(len(order), int)
    places[order] = np.arange(len(order))
    return [str(name) for name in different[order]], places[ids]


def _draw_dots(axes, y, color, color_name):
    """Draw the dots and what explains their colours, and return each dot's."""
    if isinstance(color, list):
        names, ids = groups_of(color)
        colors = np.array(COLORS)[ids % len(COLORS)]
        for k, name in enumerate(names[: len(COLORS)]):
            axes.scatter([], [], s=30, color=COLORS[k], label=name)
        legend = axes.legend(title=color_name, frameon=False, loc="best", labelcolor=_TEXT)
        for text in legend.get_texts():
            text.set_parse_math(False)
        axes.scatter(*y.T, s=5, color=colors, linewidths=0, alpha=0.7)
        return colors
    scale = require("matplotlib.colors", "train", _PURPOSE).LinearSegmentedColormap.from_list("words", STOPS)
    dots = axes.scatter(*y.T, s=5, c=color, cmap=scale, linewidths=0, alpha=0.7)
    bar = axes.figure.colorbar(dots, ax=axes, location="bottom", shrink=0.3, aspect=30, pad=0, label=color_name)
    bar.outline.set_visible(False)
    return scale(dots.norm(color))


def _draw_labels(axes, renderer, texts, y, colors):
    """Write labels one after the other, each where it covers none before, and return whose found room."""
    to_rgb = require("matplotlib.colors", "train", _PURPOSE).to_rgba_array
    border = axes.get_window_extent(renderer)
    boxes, drawn = np.empty((0, 4)), []
    dark = 0.7 * to_rgb(colors)[:, :3]
    for i, text in enumerate(texts):
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
                parse_math=False,
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
