"""A picture of one unit of a net: its values at the end of texts of two classes, and along some texts."""

import numpy as np

from tinytx.viz import style

COLUMNS = 96  # of a line of text
BINS = 40


def unit_picture(values, labels, texts, path, *, names=("label 0", "label 1"), threshold=None, title=None):
    """Draw a histogram of a unit's values for each of two classes, and below it texts coloured by the unit; write a PNG.

    Parameters
    ----------
    values : array (N,)
        The unit's, after each of N texts.
    labels : integers (N,)
        0 or 1.
    texts : list of lists of (str, float)
        Pieces of texts, such as words, each with the unit's value after it. The colour bar explains their colours.
    path : str or Path
        Written atomically.
    names : (str, str)
        Of the two classes.
    threshold : float, optional
        Is marked in the histogram.
    title : str, optional

    Raises
    ------
    ValueError
        If values and labels do not fit, there is no value, or one is not finite.
    MissingExtra
        If matplotlib is not installed.
    OSError
        If the file cannot be written.

    Warns
    -----
    PictureWarning
        If no font has a character of a text.
    """
    values, labels = np.asarray(values, float), np.asarray(labels)
    if values.ndim != 1 or not len(values) or labels.shape != values.shape or not np.isfinite(values).all():
        facts = f"values have shape {values.shape} and labels {labels.shape}"
        raise ValueError(f"unit_picture: {facts}, expected finite numbers (N,), at least one, and a label for each")
    lines = [line for text in texts for line in [*_lines([(style.drawable(piece), value) for piece, value in text]), []]]
    lines, height = lines[:-1], 0.22 * len(lines)
    figure = style.new_figure("drawing a unit", 8, 3 + height, layout="constrained")
    top, below = figure.subplots(2, height_ratios=[3, max(0.1, height)]) if lines else (figure.subplots(), None)
    edges = np.linspace(values.min(), max(values.max(), values.min() + 1e-6), BINS + 1)
    colors = _colormap()
    parts = [top.hist(values[labels == n], edges, color=style.SERIES[3 * n], alpha=0.7)[2] for n in (0, 1)]
    entries = [(style.drawable(name), part) for name, part in zip(names, parts, strict=True)]
    if threshold is not None:
        entries.append(("threshold", top.axvline(threshold, color=style.REFERENCE, linewidth=1)))
    texts_of_user = [title and style.drawable(title), *(name for name, _ in entries), *(piece for line in lines for piece, _ in line)]
    options = style.plain(*texts_of_user)
    style.write_legend(top, entries, options=options)
    top.set(xlabel="the unit's value after a text", ylabel="texts")
    style.tidy(top)
    if title:
        style.write_title(top, texts_of_user[0], **options)
    if lines:
        _write(figure, below, lines, colors, values, options)
    style.save(figure, path)


def _colormap():
    """Return matplotlib's colour map of `style.SCALE`."""
    colors = style.require("matplotlib.colors", "train", "drawing a unit")
    return colors.LinearSegmentedColormap.from_list("unit", style.SCALE)


def _lines(pieces):
    """Return the pieces of a text in lines of at most COLUMNS, each with its value; a blank is between two pieces."""
    lines, width = [[]], 0
    for piece, value in pieces:
        width += style.columns(piece) + 1
        if width > COLUMNS and lines[-1]:
            lines.append([])
            width = style.columns(piece) + 1
        lines[-1].append((piece, value))
    return lines if pieces else []


def _write(figure, axes, lines, colors, values, options):
    """Write lines of coloured pieces, a fixed width for each column; and the bar that explains the colours."""
    scale = style.require("matplotlib.cm", "train", "drawing a unit").ScalarMappable(cmap=colors)
    scale.set_clim(values.min(), values.max())
    axes.set(xlim=(0, COLUMNS), ylim=(len(lines), 0))
    axes.axis("off")
    families = ["DejaVu Sans Mono", *options.get("fontfamily", [])]
    for row, line in enumerate(lines):
        column = 0
        for piece, value in line:
            color = scale.to_rgba(value)
            axes.text(column, row, piece, color=color, fontsize=style.SMALL + 1, va="top", **options | {"fontfamily": families})
            column += style.columns(piece) + 1
    bar = figure.colorbar(scale, ax=axes, orientation="horizontal", shrink=0.4, aspect=40, label="the unit's value after a word")
    bar.outline.set_visible(False)
