"""Curves in a terminal: each character is a Braille cell of 2 x 4 dots."""

import math

_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))  # bits of a cell's dots, row by row
_EMPTY = 0x2800  # the cell without dots


def braille_plot(curves, width, height, *, log=False):
    r"""Return curves as rows of characters.

    Parameters
    ----------
    curves : list of (xs, ys)
        Numbers, by ascending x; what is not finite is left out, and what is not above 0 where the axis is logarithmic.
    width, height : int
        Characters across and down, at least 1.
    log : bool
        Whether the vertical axis is logarithmic.

    Returns
    -------
    rows : list of list of (str, int or None)
        The character at each place, and the last curve there; None where there is none.
    bounds : (x0, x1, y0, y1), or None
        The smallest and the largest numbers; None if there are none.

    Examples
    --------
    >>> rows, bounds = braille_plot([([0, 1, 2], [0.0, 2.0, 1.0])], 4, 1)
    >>> print("".join(character for character, _ in rows[0]), bounds)
    ⡠⠔⠉⠒ (0, 2, 0.0, 2.0)
    """
    drawn = [[(x, y) for x, y in zip(xs, ys) if _can_be_drawn(x, y, log)] for xs, ys in curves]
    points = [point for curve in drawn for point in curve]
    cells = [[[0, None] for _ in range(width)] for _ in range(height)]
    if not points:
        return [[(chr(_EMPTY), None)] * width for _ in range(height)], None
    (x0, x1), (y0, y1) = ((min(values), max(values)) for values in zip(*points))
    scale = math.log if log else float
    low, high = scale(y0), scale(y1)
    across, down = 2 * width - 1, 4 * height - 1

    def place(x, y):
        right = (x - x0) / (x1 - x0) * across if x1 > x0 else across / 2
        up = (scale(y) - low) / (high - low) * down if high > low else down / 2
        return round(right), down - round(up)

    for number, curve in enumerate(drawn):
        places = [place(*point) for point in curve]
        for start, end in zip(places, places[1:] or places):
            for column, row in _line(*start, *end):
                cell = cells[row // 4][column // 2]
                cell[0] |= _DOTS[row % 4][column % 2]
                cell[1] = number
    return [[(chr(_EMPTY + bits), number) for bits, number in row] for row in cells], (x0, x1, y0, y1)


def _can_be_drawn(x, y, log):
    return None not in (x, y) and math.isfinite(x) and math.isfinite(y) and (y > 0 or not log)


def _line(x0, y0, x1, y1):
    """Return the places of a straight line, both ends included."""
    n = max(abs(x1 - x0), abs(y1 - y0), 1)
    return [(round(x0 + (x1 - x0) * i / n), round(y0 + (y1 - y0) * i / n)) for i in range(n + 1)]
