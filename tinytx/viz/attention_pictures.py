"""Pictures of attention: all layers and heads of a model, or one large map as an alignment of two texts.

In both, rows are queries and columns are keys. Each row is labelled with a word. In causal attention and in
cross-attention this is the next word, which the position predicts; elsewhere it is the position's own word. So a
decoder's rows are the words that it writes. The columns of its self-attention are the words that it has read, beginning
with ``<start>``; those of its cross-attention are the words of the source.
"""

import math
import re
import textwrap
from typing import NamedTuple

import numpy as np

from tinytx.arguments import check_list, check_whole
from tinytx.extras import require
from tinytx.terminal import visible
from tinytx.viz import style
from tinytx.viz.attention import texts_of, title_of

CELL, GAP, LINE = 0.15, 0.12, 0.25  # inches: a weight, the space between panels, a line of text
SMALLEST, LARGEST = 1.1, 8.0  # inches: the side of a panel
TALL, CHARACTER = 0.7, 0.6  # a letter's height as a share of its cell; its width as a share of its height
LETTER = 0.0125  # inches: a bold letter's width for each point
NARROW = 3.0  # inches: a title is wrapped to the picture's width, but not to less than this
LEAST_FONT = 4  # points: if letters would be smaller, only every second or third word is written
LONGEST = 16  # columns of text: longer words on an axis are cut
MOST_PIXELS = 12_000  # along the longer side of a picture
NEXT = "…"


class _Group(NamedTuple):
    """Maps of one kind, drawn together, and the words along them."""

    title: str
    axes: str  # explains rows and columns
    layers: list  # of arrays (H, T, S)
    queries: list
    keys: list
    heads: list

    @property
    def width(self):
        """The width of a panel, in inches."""
        return _side(len(self.keys))

    @property
    def panel_height(self):
        """The height of a panel, in inches."""
        return _side(len(self.queries))

    @property
    def cell(self):
        """The space for one word, in inches."""
        return min(CELL, self.width / len(self.keys), self.panel_height / len(self.queries))

    @property
    def height(self):
        """The height of the group with its title and words, in inches."""
        return 3.3 * LINE + len(self.layers) * (self.panel_height + GAP) + _word_height(self.keys, self.cell)


def attention_picture(path, maps, words, target_words=None, *, next_word=NEXT, row=0, title=None, heads=None, axes=None):
    """Draw the weights of all layers and heads as one PNG: a row of panels for each layer, a panel for each head.

    Layers of the same kind are drawn as one group: a GPT has one group, and a Transformer has three (encoder, decoder,
    cross-attention). A weight of 0 is white and a weight of 1 is dark blue. The shade follows the square root of the
    weight, so that small weights are visible.

    Parameters
    ----------
    path : str or Path
        Written atomically.
    maps : dict of str to array (B, H, T, S)
        From `tinytx.viz.attention_maps`.
    words : list of str
        The words that the model read, one for each position; for an encoder-decoder, the words of the source. Positions
        after the last word are padding and are not drawn.
    target_words : list of str, optional
        The words that the decoder read, beginning with ``<start>``; required for an encoder-decoder. If they are given, a
        layer that is neither in an encoder nor in a decoder looks from them to ``words``: a pointer, or the heads of a
        memory, whose rows are the words.
    next_word : str
        The word that the last position predicts, such as ``<stop>``, if it is known.
    row : int
        The row of the batch to draw.
    title : str, optional
    heads : list of str, optional
        What stands above the panels of each head; ``head 1`` and so on, if not given.
    axes : (str, str), optional
        What rows and columns are; if not given, the words that look or are written, and what is looked at.

    Raises
    ------
    TypeError
        If one str is given in place of a list of words, or ``row`` is not a whole number.
    ValueError
        If there are no maps, no words, or more words than positions; if the batch has no such row, ``target_words`` is
        missing for a decoder, or a weight is not finite.
    MissingExtra
        If matplotlib is not installed.
    OSError
        If the file cannot be written.

    Warns
    -----
    PictureWarning
        If no font has a character of the words or the title.
    """
    groups = _groups(maps, words, target_words, next_word, row, heads, axes)
    left = max(_text_width(group.queries, group.cell) for group in groups) + LINE
    panels = left + max(len(group.layers[0]) * (group.width + GAP) for group in groups)
    width = max(panels, *(LETTER * max(style.LABEL * len(g.title), style.SMALL * len(g.axes)) for g in groups))
    lines = _wrapped(title, width)
    top = LINE * len(lines) + (GAP if lines else 0)
    canvas = Canvas("drawing attention", width + 2 * GAP, top + sum(group.height for group in groups) + 3 * LINE)
    texts = style.plain(*lines, *(_shown(word) for group in groups for word in [*group.queries, *group.keys]))
    canvas.title(lines, texts)
    for group in groups:
        panels = _draw_group(canvas, group, left, top, texts)
        top += group.height
    canvas.scale(panels, left, top + GAP, [0, 0.1, 0.3, 0.6, 1])
    canvas.save(path)


def alignment_picture(path, weights, source_words, target_words, title=None, *, axes=("looks at", "writes")):
    """Draw one large map as a PNG: for each target word, the source words that it attends to.

    White is a weight of 0, and dark blue the largest weight.

    Parameters
    ----------
    path : str or Path
        Written atomically.
    weights : array (T, S)
        Of one head, or the mean of several. The row of a word is the position that predicted it, and the input there
        was the word before: at row 0 the decoder read ``<start>`` and predicted the first word.
    source_words : list of S str
    target_words : list of T str
        The words that the model wrote.
    title : str, optional
    axes : (str, str)
        What stands along the columns, and along the rows.

    Raises
    ------
    ValueError
        If weights and words do not fit, or a weight is not finite.

    Notes
    -----
    Other errors and warnings are those of `attention_picture`.
    """
    weights = np.asarray(weights)
    check_list("alignment_picture", "source_words", source_words)
    check_list("alignment_picture", "target_words", target_words)
    if weights.shape != (len(target_words), len(source_words)) or not weights.size:
        raise ValueError(
            f"alignment_picture: weights have shape {weights.shape}, expected {(len(target_words), len(source_words))} "
            "from the numbers of target and source words"
        )
    _check_weights("alignment_picture", "weights", weights)
    cell = min(1.7 * CELL, 3 * LARGEST / max(weights.shape))
    h, w = (cell * n for n in weights.shape)
    left = _text_width(target_words, cell) + LINE + GAP
    lines = _wrapped(title, left + w)
    top = LINE * len(lines) + LINE + GAP + _word_height(source_words, cell) + GAP
    canvas = Canvas("drawing an alignment", left + max(w, 1.5) + 2 * GAP, top + h + 3 * LINE)
    texts = style.plain(*lines, *map(_shown, [*source_words, *target_words]))
    canvas.title(lines, texts)
    axis = canvas.axis(left, top, w, h)
    panel = _draw_map(axis, weights, gamma=1.0, largest=float(weights.max()) or 1.0)
    _label(axis, target_words, source_words, cell, texts)
    axis.xaxis.tick_top()
    axis.xaxis.set_label_position("top")
    axis.set_xlabel(axes[0], fontsize=style.LABEL, color=style.TEXT)
    axis.set_ylabel(axes[1], fontsize=style.LABEL, color=style.TEXT)
    canvas.scale(panel, left, top + h + GAP, np.linspace(0, panel.norm.vmax, 3))
    canvas.save(path)


def _groups(maps, words, target_words, next_word, row, heads, axes):
    """Return the maps of one row of the batch, sorted into groups, without padding."""
    if not maps:
        raise ValueError("attention_picture: no maps, expected what attention_maps returns")
    check_list("attention_picture", "words", words)
    check_list("attention_picture", "target_words", target_words)
    n_rows = len(next(iter(maps.values())))
    if not 0 <= check_whole("attention_picture", "row", row, least=0) < n_rows:
        raise ValueError(f"attention_picture: row is {row}, expected 0..{n_rows - 1}")
    groups = {}
    for path, kind, read, keys in texts_of("attention_picture", maps, words, target_words):
        weights = maps[path]
        t, s = weights.shape[2:]
        if not 0 < len(read) <= t or not 0 < len(keys) <= s:
            raise ValueError(
                f"attention_picture: {path} has weights for {t} positions that look at {s}, "
                f"and there are {len(read)} and {len(keys)} words: expected as many, or fewer before padding"
            )
        shown = weights[row, :, : len(read), : len(keys)]
        _check_weights("attention_picture", path, shown)
        writes = keys is not read or not np.triu(shown, 1).any()  # no weight on later positions: predicts a word
        queries = [*read[1:], next_word] if writes else list(read)
        names = [f"head {i}" for i in range(1, len(shown) + 1)] if heads is None else list(heads)
        if len(names) != len(shown):
            raise ValueError(f"attention_picture: {path} has {len(shown)} heads, and heads are {len(names)} names: give as many")
        heading, explained = _titles(kind, writes)
        explained = explained if axes is None else f"down: {axes[0]}; across: {axes[1]}"
        group = groups.setdefault(kind, _Group(heading, explained, [], queries, list(keys), names))
        group.layers.append(shown)
    return list(groups.values())


def _check_weights(place, name, weights):
    """Raise ValueError if a weight is not finite."""
    if not np.isfinite(weights).all():
        raise ValueError(f"{place}: {name} has a NaN or an infinity: the training diverged")


def _titles(kind, writes):
    """Return a group's title, from the path of its layers, and the explanation of rows and columns."""
    return title_of(kind), f"down: the word that {'is written' if writes else 'looks'}; across: what is looked at"


def _side(n_words):
    """Return the side of a panel in inches."""
    return min(max(n_words * CELL, SMALLEST), LARGEST)


def _font(cell):
    """Return the font size beside cells of this height, in points."""
    return max(TALL * 72 * min(cell, 1.7 * CELL), LEAST_FONT)


def _text_width(words, cell):
    """Return the width that words need, in inches."""
    return max(style.columns(_shown(word)) for word in words) * CHARACTER * _font(cell) / 72 + 0.1


def _is_upright(words):
    """Return whether words below or above a panel are written upright: each has one column. Others are rotated."""
    return all(style.columns(_shown(word)) <= 1 for word in words)


def _word_height(words, cell):
    """Return the height that words below or above a panel need, in inches."""
    return 1.4 * _font(cell) / 72 + 0.05 if _is_upright(words) else _text_width(words, cell)


def _shown(word):
    """Return a word as an axis shows it: with visible spaces, and cut if it is very long."""
    word = visible(re.sub(r"\s", "␣", word))
    return word if style.columns(word) <= LONGEST else f"{word[: LONGEST - 1]}…"


def _wrapped(title, width):
    """Return the lines of a title over a picture of this width."""
    columns = int(max(width, NARROW) / (LETTER * style.TITLE / 1.15))
    return [part for line in style.drawable(title or "").split("\n") for part in textwrap.wrap(line, columns)]


def _draw_group(canvas, group, left, top, texts):
    """Draw a title and a row of panels for each layer; words stand beside each row and below the last one."""
    w, h = group.width, group.panel_height
    canvas.text(GAP, top + 1.1 * LINE, group.title, fontsize=style.LABEL, fontweight="bold")
    canvas.text(GAP, top + 1.8 * LINE, group.axes, fontsize=style.SMALL)
    for i, layer in enumerate(group.layers):
        y = top + 2.8 * LINE + i * (h + GAP)
        canvas.text(GAP, y + h / 2, f"layer {i + 1}", fontsize=style.SMALL, rotation=90, va="center")
        for head, weights in enumerate(layer):
            axis = canvas.axis(left + head * (w + GAP), y, w, h)
            panel = _draw_map(axis, weights)
            last = i == len(group.layers) - 1
            _label(axis, [] if head else group.queries, group.keys if last else [], group.cell, texts)
            if i == 0:
                axis.set_title(group.heads[head], fontsize=style.SMALL, color=style.TEXT, pad=3)
    return panel


class Canvas:
    """A figure whose parts are placed in inches from its top left corner."""

    def __init__(self, purpose, width, height):
        self.width, self.height = width, height
        self.figure = style.new_figure(purpose, width, height)

    def axis(self, x, y, width, height):
        """Return axes whose top left corner is at (x, y)."""
        bottom = self.height - y - height
        return self.figure.add_axes((x / self.width, bottom / self.height, width / self.width, height / self.height))

    def text(self, x, y, text, **options):
        """Write a text whose base line begins at (x, y)."""
        self.figure.text(x / self.width, 1 - y / self.height, text, color=style.TEXT, **options)

    def title(self, lines, texts):
        """Write the lines of a title at the top."""
        for i, line in enumerate(lines):
            self.text(GAP, (i + 0.9) * LINE, line, fontsize=style.TITLE, fontweight="bold", **texts)

    def scale(self, panel, x, y, ticks):
        """Draw a bar that explains the shades of a panel; its top left corner is at (x, y)."""
        axis = self.axis(x, y, 1.5, 0.1)
        self.figure.colorbar(panel, cax=axis, orientation="horizontal", ticks=ticks).outline.set_color(style.FAINT)
        axis.set_xticks(ticks, [f"{tick:.2g}" for tick in ticks], fontsize=style.SMALL - 1.5, color=style.TEXT)
        axis.tick_params(color=style.FAINT, length=2, pad=1)
        axis.set_xlabel("attention weight", fontsize=style.SMALL, color=style.TEXT, labelpad=1)

    def save(self, path):
        """Write the PNG without margins, with fewer dots per inch if it would be very large."""
        dpi = min(style.DPI, MOST_PIXELS / max(self.width, self.height))
        style.save(self.figure, path, dpi, bbox_inches="tight", pad_inches=GAP)


def _draw_map(axis, weights, gamma=0.5, largest=1.0):
    """Draw weights (T, S) as cells: 0 is white, ``largest`` is dark blue, and the shade follows weight^gamma."""
    colors = require("matplotlib.colors", "train", "drawing attention")
    shades = colors.LinearSegmentedColormap.from_list("weights", style.WEIGHTS)
    for spine in axis.spines.values():
        spine.set(color=style.FAINT, linewidth=0.6)
    norm = colors.PowerNorm(gamma, 0, largest)
    return axis.imshow(weights, cmap=shades, norm=norm, aspect="auto", interpolation="nearest")


def _label(axis, queries, keys, cell, texts):
    """Write the queries' words at the left of a panel and the keys' words below it, each in ``cell`` inches."""
    every = math.ceil(LEAST_FONT / (TALL * 72 * cell))
    for side, words, rotation in ((axis.yaxis, queries, 0), (axis.xaxis, keys, 0 if _is_upright(keys) else 90)):
        side.set_ticks(range(0, len(words), every), [_shown(word) for word in words[::every]], **texts)
        side.set_tick_params(length=0, pad=2, labelsize=_font(cell), labelcolor=style.TEXT, labelrotation=rotation)
