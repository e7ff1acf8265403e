"""Small pictures of a recipe's page: where attention looks, learning rates, curves of runs, arrays; as SVG in the page's own colours."""

import html

import numpy as np

MOST = 64  # cells along a side of a picture
SMALL = 1e-3  # of the largest value: what is smaller is written as 0
LEVELS = 5  # shades of a cell that stands for several
WIDTH, HEIGHT, LEFT, BOTTOM = 320, 110, 6, 16  # of a curve, in units of the page


def smaller(table, most=MOST):
    """Return (a table of means, of at most ``most`` cells along each side; how many of the old cells one stands for, along a side).

    >>> smaller(np.arange(5.0)[None], most=3)
    (array([[0.5, 2.5, 4. ]]), 2)
    """
    table = np.asarray(table, float)
    step = -(-max(table.shape) // most)
    if step > 1:
        for axis in (0, 1):
            starts = np.arange(0, table.shape[axis], step)
            n = np.diff(np.append(starts, table.shape[axis]))
            table = np.add.reduceat(table, starts, axis=axis) / (n[:, None] if axis == 0 else n)
    return table, step


def seen_picture(sees):
    """Return the picture of which keys each query may see: a row for each query, a column for each key.

    Parameters
    ----------
    sees : boolean array (T, S)
        Where a cell stands for several pairs, it is the darker the more of them see each other.
    """
    table, _ = smaller(sees)
    levels = np.ceil(LEVELS * table - 1e-9)
    paths = "".join(_level(levels == level, level / LEVELS) for level in range(1, LEVELS + 1))
    label = f"{sees.shape[0]} queries, {sees.shape[1]} keys, {sees.mean():.0%} of the pairs"
    return _svg(*table.shape[::-1], paths, label, "cells")


def _level(cells, opacity):
    """Return cells of one shade, those beside each other as one piece."""
    edges = np.diff(np.pad(cells.astype(np.int8), ((0, 0), (1, 1))), axis=1)
    runs = [(y, first, last) for y, row in enumerate(edges) for first, last in zip(np.flatnonzero(row == 1), np.flatnonzero(row == -1))]
    path = "".join(f"M{first} {y}h{last - first}v1h{first - last}z" for y, first, last in runs)
    return f'<path class="on-cell" opacity="{opacity:g}" d="{path}"/>' if path else ""


def table_picture(values):
    """Return the picture of an array (h, w) of numbers: the larger, the darker."""
    table, _ = smaller(values)
    least, largest = table.min(), table.max()
    shades = (table - least) / (largest - least or 1)
    cells = "".join(
        f'<rect x="{x}" y="{y}" width="1" height="1" opacity="{shade:.2f}"/>' for (y, x), shade in np.ndenumerate(shades) if shade > 0.005
    )
    return _svg(*table.shape[::-1], f'<g class="on-cell">{cells}</g>', f"numbers from {least:.3g} to {largest:.3g}", "cells")


def curve_picture(curves, label, *, wide=False, said=None):
    """Return curves over steps.

    Parameters
    ----------
    curves : list of (str, array of steps, array of values)
        With a class of style.
    label : str
        What a reader hears in place of the picture.
    wide : bool
        Whether the vertical axis is logarithmic.
    said : (str, str), optional
        Written above, at the left and at the right, and the picture ends at the smallest value; if not given, the largest value and
        the last one, and it ends at 0.
    """
    steps = np.concatenate([xs for _, xs, _ in curves])
    values = np.concatenate([ys for _, _, ys in curves])
    scale = np.log if wide else np.asarray
    low, high = (float(scale(end)) for end in (values.min() if wide or said else min(0.0, values.min()), values.max()))
    first, last = float(steps.min()), float(steps.max())

    def place(x, y):
        across = LEFT + (x - first) / (last - first or 1) * (WIDTH - 2 * LEFT)
        return f"{across:.1f},{BOTTOM + (high - float(scale(y))) / (high - low or 1) * (HEIGHT - 2 * BOTTOM):.1f}"

    lines = "".join(f'<polyline class="{kind}" points="{" ".join(map(place, xs, ys))}"/>' for kind, xs, ys in curves)
    floor = f'<path class="axis" d="M{LEFT} {HEIGHT - BOTTOM}H{WIDTH - LEFT}"/>'
    texts = _text(LEFT, HEIGHT - 3, f"step {first:,.0f}", "start") + _text(WIDTH - LEFT, HEIGHT - 3, f"step {last:,.0f}", "end")
    left, right = _extremes(steps, values) if said is None else said
    texts += _text(LEFT, 11, left, "start") + _text(WIDTH - LEFT, 11, right, "end")
    return _svg(WIDTH, HEIGHT, floor + lines + texts, label, "curve")


def _extremes(steps, values):
    """Return what is said of the largest value, and of the last one."""
    top, end = values.max(), values[-1]
    return f"at most {top:.3g}, in step {steps[values.argmax()]:,.0f}", f"{end if abs(end) > SMALL * top else 0:.3g} at the end"


def _text(x, y, text, anchor):
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}">{html.escape(text)}</text>'


def _svg(width, height, inside, label, kind):
    size = f' style="width: min(100%, {max(96, min(256, 8 * width))}px)"' if kind == "cells" else ""
    return f'<svg class="{kind}" viewBox="0 0 {width} {height}" role="img" aria-label="{html.escape(label)}"{size}>{inside}</svg>'
