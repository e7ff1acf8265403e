"""The heads of a memory over time: where each is, and what brought it there."""

import numpy as np

from tinytx.arguments import check_list, check_whole
from tinytx.viz import style
from tinytx.viz.attention_pictures import CELL, GAP, LINE, Canvas, _draw_map, _label, _text_width, _wrapped

CURVE, LARGEST = 1.1, 3.2  # inches: width of the panels of a head's numbers, largest side of a map


def memory_picture(path, steering, steps, heads, title=None, *, row=0):
    """Draw, for each head and from the top down, the steps; from left to right, what makes its weights.

    First where the head would be by content alone; the gate, which says how much of that counts, beside the weights of the step
    before; the shares of moving by -1, 0 and 1 rows; the sharpness that draws the weights together; and the weights that came out.

    Parameters
    ----------
    path : str or Path
        Written atomically.
    steering : Steering
        What `tinytx.layers.ExternalMemory.steering` returns.
    steps : list of T str
        What each step reads.
    heads : list of H str
    title : str, optional
    row : int
        The row of the batch to draw.

    Raises
    ------
    ValueError
        If names do not fit the heads or the steps, or the batch has no such row.
    MissingExtra
        If matplotlib is not installed.
    OSError
        If the file cannot be written.

    Warns
    -----
    PictureWarning
        If no font has a character of a text.
    """
    check_list("memory_picture", "steps", steps)
    check_list("memory_picture", "heads", heads)
    n_heads, t, n = steering.w.shape[1:]
    if (len(heads), len(steps)) != (n_heads, t):
        raise ValueError(f"memory_picture: {n_heads} heads and {t} steps have {len(heads)} and {len(steps)} names: give as many")
    if not 0 <= check_whole("memory_picture", "row", row, least=0) < len(steering.w):
        raise ValueError(f"memory_picture: row is {row}, expected 0..{len(steering.w) - 1}")
    w, h = (min(LARGEST, max(0.8, CELL * size)) for size in (n, t))
    cell, left = min(CELL, h / t, w / n), _text_width(steps, min(CELL, h / t)) + 2 * LINE
    widths = [w, CURVE, 0.4 * CURVE, CURVE, w]
    edges = left + np.concatenate([[0], np.cumsum(np.array(widths) + 1.5 * GAP)])
    lines = _wrapped(title, edges[-1])
    top = LINE * len(lines) + GAP
    height = h + 4 * LINE
    canvas = Canvas("drawing a memory", edges[-1] + 2 * GAP, top + n_heads * height + 3 * LINE)
    texts = style.plain(*lines, *map(style.drawable, [*steps, *heads]))
    canvas.title(lines, texts)
    names, rows = ["by content", "gate g", "shift", "sharpness γ", "weights"], [str(i) for i in range(n)]
    moves = moves_of(steering)
    for head, name in enumerate(heads):
        y = top + head * height
        canvas.text(GAP, y + 0.8 * LINE, style.drawable(name), fontsize=style.LABEL, fontweight="bold", **texts)
        axes = [canvas.axis(x, y + 2 * LINE, width, h) for x, width in zip(edges, widths)]
        for axis, caption in zip(axes, names):
            axis.set_title(caption, fontsize=style.SMALL, color=style.TEXT, pad=3)
        _draw_map(axes[0], steering.content[row, head])
        panel = _draw_map(axes[4], steering.w[row, head])
        _draw_map(axes[2], steering.moves[row, head])
        _label(axes[0], steps, rows, cell, texts)
        _label(axes[4], [], rows, cell, texts)
        _label(axes[2], [], [], cell, texts)
        axes[2].set_xticks(range(len(moves)), moves, fontsize=style.SMALL - 1.5, color=style.TEXT)
        _bars(axes[1], steering.gate[row, head], 0, 1)
        _bars(axes[3], steering.sharpness[row, head], 1, max(2.0, float(steering.sharpness[row].max())))
    canvas.scale(panel, left, top + n_heads * height + GAP, [0, 0.1, 0.3, 0.6, 1])
    canvas.save(path)


def moves_of(steering):
    """Return what the columns of a head's shares of moving stand for.

    >>> from tinytx.ops.addressing import Steering
    >>> moves_of(Steering(*[None] * 3, np.ones((1, 2, 4, 3)), None, None))
    ['-1', '0', '+1']
    """
    far = steering.moves.shape[3] // 2
    return [f"{move:+d}" if move else "0" for move in range(-far, far + 1)]


def _bars(axis, values, low, high):
    """Draw a bar for each step, from ``low`` to its value."""
    axis.barh(range(len(values)), values - low, left=low, height=0.8, color=style.OURS)
    axis.set(xlim=(low, high), ylim=(len(values) - 0.5, -0.5))
    axis.set_xticks([low, high], [f"{low:g}", f"{high:.2g}"], fontsize=style.SMALL - 1.5, color=style.TEXT)
    axis.set_yticks([])
    axis.tick_params(color=style.FAINT, length=2, pad=1)
    for spine in axis.spines.values():
        spine.set(color=style.FAINT, linewidth=0.6)
