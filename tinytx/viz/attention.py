"""Where a model looks: the attention weights of every layer and head, and pictures of them.

A row of a map is a query, a column a key: P[t, s] says how much of position s there is in what position t hears, and a
row adds up to 1. Where the keys are another text (cross-attention), the map is an alignment of the two.

What a weight does not say: how much the output depends on that word. After the first layer a position has already heard
others, and speaks for them too (Jain and Wallace 2019, arXiv:1902.10186).
"""

import math
import re
from typing import NamedTuple

import numpy as np

from tinytx.core import Tape
from tinytx.extras import require
from tinytx.files import atomic_write
from tinytx.layers import MultiHeadAttention
from tinytx.ops.attention import attention_weights

CELL, GAP, LINE = 0.15, 0.12, 0.25  # inches: a weight, the space between panels, a line of text
SMALLEST, LARGEST = 1.1, 8.0  # inches: the side of a panel
TALL, CHARACTER = 0.7, 0.6  # a letter's height as a share of its cell; its width as a share of its height
TITLE, SUBTITLE, LETTER = 12, 10, 0.0125  # points; inches: a bold letter's width for each point
LEAST_FONT = 4  # points: where letters would be smaller, every second or third word is left out
MOST_PIXELS = 12_000  # along a side of a picture
_SHADES, _TEXT, _FAINT = ("#ffffff", "#8fb8de", "#1f3f66"), "#333333", "#bbbbbb"


# ---------------------------------------------------------------------------------------- maps


class _Watcher(Tape):
    """A tape that keeps nothing but the weights of attention."""

    def __init__(self, model):
        super().__init__()
        self._paths = {id(layer): path for path, layer in model.named_layers()}
        self.maps = {}

    def push(self, layer, saved):
        if isinstance(layer, MultiHeadAttention):
            path, n = self._paths[id(layer)], 1
            while path in self.maps:  # a layer that is called several times
                n += 1
                path = f"{self._paths[id(layer)]}, call {n}"
            self.maps[path] = attention_weights(saved[0])


def attention_maps(model, *inputs):
    """Return the attention weights of a model's every layer and head, for one batch.

    The model runs forward once, without dropout. No layer keeps the weights: they are made again from queries and keys
    (`tinytx.ops.attention`).

    Parameters
    ----------
    model : Layer
        Called as ``model(*inputs, tape)``: any with a `tinytx.layers.MultiHeadAttention` in it.
    *inputs : arrays
        Ids (B, T) for a GPT; source ids (B, S) and the decoder's input (B, T) for a Transformer.

    Returns
    -------
    dict of str to array (B, H, T, S), the model's dtype
        By the layer's path, as `Layer.named_layers` gives it, in the order of the forward pass:
        ``decoder.blocks.0.cross_attention.f``. A layer that is called more than once has ``, call 2`` behind its path.
        Each row adds up to 1, or is 0 where a query may see nothing.

    Raises
    ------
    ValueError
        If no layer attends; or as the model.

    Examples
    --------
    >>> from tinytx.models import GPT, GPTConfig
    >>> model = GPT(GPTConfig(vocab_size=9, d_model=8, n_heads=2, n_layers=1), rng=np.random.default_rng(0))
    >>> {path: p.shape for path, p in attention_maps(model, np.array([[1, 2, 3]])).items()}
    {'blocks.0.attention.f': (1, 2, 3, 3)}
    """
    watcher = _Watcher(model)
    model(*inputs, watcher)
    if not watcher.maps:
        raise ValueError(f"attention_maps: {type(model).__name__} called no MultiHeadAttention: nothing to show")
    return watcher.maps


# ---------------------------------------------------------------------------------------- pictures


class _Group(NamedTuple):
    """The maps that stand together in a picture, and the words along them."""

    title: str
    layers: list  # of arrays (H, T, S)
    queries: list
    keys: list

    @property
    def width(self):
        """Of a panel, in inches."""
        return _side(len(self.keys))

    @property
    def panel_height(self):
        """Of a panel, in inches."""
        return _side(len(self.queries))

    @property
    def cell(self):
        """The room for a word, in inches."""
        return min(CELL, self.width / len(self.keys), self.panel_height / len(self.queries))

    @property
    def height(self):
        """Of the group with its title and words, in inches."""
        return 3 * LINE + len(self.layers) * (self.panel_height + GAP) + _text_width(self.keys, self.cell)


def attention_picture(path, maps, words, target_words=None, *, row=0, title=None):
    """Draw the weights of all layers and heads as one PNG: a line of panels for each layer, a panel for each head.

    Layers of the same kind stand together: for a Transformer encoder, decoder and cross-attention, for a GPT all.
    In a panel, rows are the positions that look, and columns those looked at. White is a weight of 0 and dark blue one
    of 1; shades go with the square root, so that small weights can be seen.

    Parameters
    ----------
    path : str or Path
        Written atomically.
    maps : dict of str to array (B, H, T, S)
        From `attention_maps`.
    words : list of str
        What the model read: a word for each position; of an encoder-decoder, the source's. Fewer words than positions
        leave out those behind, which are padding.
    target_words : list of str, optional
        What the decoder read, ``<start>`` first; needed where there is a decoder.
    row : int
        Which row of the batch.
    title : str, optional

    Raises
    ------
    ValueError
        If there are no maps, no such row, more words than positions, or no words for a decoder.
    MissingExtra
        If matplotlib is not installed.
    OSError
        If the file cannot be written.
    """
    groups = _groups(maps, words, target_words, row)
    figure_module = require("matplotlib.figure", "train", "drawing attention")
    left = max(_text_width(group.queries, group.cell) for group in groups) + LINE
    top = 2 * LINE if title else 0
    panels = max(len(group.layers[0]) * (group.width + GAP) for group in groups)
    titles = LETTER * max(TITLE * len(title or ""), *(SUBTITLE * len(group.title) for group in groups))
    canvas = _Canvas(figure_module, max(left + panels, titles) + 2 * GAP, top + sum(group.height for group in groups))
    if title:
        canvas.text(GAP, 1.3 * LINE, title, fontsize=TITLE, fontweight="bold")
    for group in groups:
        _draw_group(canvas, group, left, top)
        top += group.height
    canvas.save(path)


def alignment_picture(path, weights, source_words, target_words, title=None):
    """Draw one map large, as a PNG: which source words each target word comes from.

    White is a weight of 0, and dark blue the largest of all.

    Parameters
    ----------
    path : str or Path
        Written atomically.
    weights : array (T, S)
        Of one head, or the mean of several. The row of a word is that of the position that said it, whose input was the
        word before: row 0, fed ``<start>``, said the first.
    source_words : list of S str
    target_words : list of T str
        What was said.
    title : str, optional

    Raises
    ------
    ValueError
        If weights and words do not fit.
    MissingExtra
        If matplotlib is not installed.
    OSError
        If the file cannot be written.
    """
    weights = np.asarray(weights)
    if weights.shape != (len(target_words), len(source_words)) or not weights.size:
        raise ValueError(
            f"alignment_picture: weights have shape {weights.shape}, expected {(len(target_words), len(source_words))} "
            "from so many target and source words"
        )
    figure_module = require("matplotlib.figure", "train", "drawing an alignment")
    cell = min(1.7 * CELL, 3 * LARGEST / max(weights.shape))
    h, w = (cell * n for n in weights.shape)
    left, top = _text_width(target_words, cell) + GAP, _text_width(source_words, cell) + (1.8 * LINE if title else GAP)
    canvas = _Canvas(figure_module, max(left + w, LETTER * TITLE * len(title or "")) + 2 * GAP, top + h + 2 * GAP)
    if title:
        canvas.text(GAP, 1.3 * LINE, title, fontsize=TITLE, fontweight="bold")
    axis = canvas.axis(left, top + GAP, w, h)
    _draw_map(axis, weights, gamma=1.0, largest=weights.max())
    _label(axis, target_words, source_words, cell)
    axis.xaxis.tick_top()
    canvas.save(path)


def _groups(maps, words, target_words, row):
    """Return the maps of one row of the batch, sorted into groups, without padding."""
    if not maps:
        raise ValueError("attention_picture: no maps, expected what attention_maps returns")
    n_rows = len(next(iter(maps.values())))
    if not 0 <= row < n_rows:
        raise ValueError(f"attention_picture: row is {row}, expected 0..{n_rows - 1}")
    groups = {}
    for path, weights in maps.items():
        kind = re.sub(r"\.\d+(?=\.|$)|, call \d+$", "", path)
        queries = keys = words
        if kind.startswith("decoder") and any(other.startswith("encoder") for other in maps):
            if target_words is None:
                raise ValueError(f"attention_picture: {path} belongs to a decoder: give target_words, what it read")
            queries = target_words
            keys = words if "cross_attention" in kind else target_words
        t, s = weights.shape[2:]
        if not 0 < len(queries) <= t or not 0 < len(keys) <= s:
            raise ValueError(
                f"attention_picture: {path} has weights for {t} positions that look at {s}, "
                f"and there are {len(queries)} and {len(keys)} words: expected as many, or fewer before padding"
            )
        group = groups.setdefault(kind, _Group(_title(kind), [], list(queries), list(keys)))
        group.layers.append(weights[row, :, : len(queries), : len(keys)])
    return list(groups.values())


def _title(kind):
    """Return a group's title from the path of its layers."""
    if "cross_attention" in kind:
        return "Cross-attention: from the decoder (down) to the source (across)"
    part = kind.partition(".")[0]
    name = {"encoder": "Encoder", "decoder": "Decoder"}.get(part)
    return f"{name}: attention to itself" if name else "Attention (down: who looks; across: at whom)"


def _side(n_words):
    """Return the side of a panel in inches."""
    return min(max(n_words * CELL, SMALLEST), LARGEST)


def _font(cell):
    """Return the size of letters beside cells so high, in points."""
    return max(TALL * 72 * min(cell, 1.7 * CELL), LEAST_FONT)


def _text_width(words, cell):
    """Return the room that words need, in inches."""
    return max(len(_shown(word)) for word in words) * CHARACTER * _font(cell) / 72 + 0.1


def _shown(word):
    """Return a word as it stands on an axis: spaces are visible, and very long words cut."""
    word = re.sub(r"\s", "␣", word)
    return word if len(word) <= 16 else f"{word[:15]}…"


def _draw_group(canvas, group, left, top):
    """Draw a title, and a line of panels for each layer; words stand at the first panel and below the last."""
    w, h = group.width, group.panel_height
    canvas.text(GAP, top + 1.3 * LINE, group.title, fontsize=SUBTITLE, fontweight="bold")
    for i, layer in enumerate(group.layers):
        y = top + 2.3 * LINE + i * (h + GAP)
        canvas.text(GAP, y + h / 2, f"layer {i + 1}", fontsize=8, rotation=90, va="center")
        for head, weights in enumerate(layer):
            axis = canvas.axis(left + head * (w + GAP), y, w, h)
            _draw_map(axis, weights)
            last = i == len(group.layers) - 1
            _label(axis, [] if head else group.queries, group.keys if last else [], group.cell)
            if i == 0:
                axis.set_title(f"head {head + 1}", fontsize=8, color=_TEXT, pad=3)


class _Canvas:
    """A figure on which things are placed in inches from the top left corner."""

    def __init__(self, figure_module, width, height):
        self.width, self.height = width, height
        self.figure = figure_module.Figure(figsize=(width, height))  # no pyplot, hence no global state

    def axis(self, x, y, width, height):
        """Return axes whose top left corner is at (x, y)."""
        bottom = self.height - y - height
        return self.figure.add_axes((x / self.width, bottom / self.height, width / self.width, height / self.height))

    def text(self, x, y, text, **style):
        """Write a text whose base line begins at (x, y)."""
        self.figure.text(x / self.width, 1 - y / self.height, text, color=_TEXT, **style)

    def save(self, path):
        """Write the PNG, of fewer dots to the inch where it would be huge."""
        dpi = min(150, MOST_PIXELS / max(self.width, self.height))
        with atomic_write(path) as file:
            self.figure.savefig(file, format="png", dpi=dpi)


def _draw_map(axis, weights, gamma=0.5, largest=1.0):
    """Draw weights (T, S) as squares: white is 0, dark blue the largest, and between them shades of weight^gamma."""
    colors = require("matplotlib.colors", "train", "drawing attention")
    shades = colors.LinearSegmentedColormap.from_list("weights", _SHADES)
    axis.imshow(weights, cmap=shades, norm=colors.PowerNorm(gamma, 0, largest), aspect="auto", interpolation="nearest")
    for spine in axis.spines.values():
        spine.set(color=_FAINT, linewidth=0.6)


def _label(axis, queries, keys, cell):
    """Write words along both sides of a panel whose cells are so wide."""
    every = math.ceil(LEAST_FONT / (TALL * 72 * cell))
    turned = 0 if all(len(word) == 1 for word in keys) else 90  # characters stand upright
    for side, words, rotation in ((axis.yaxis, queries, 0), (axis.xaxis, keys, turned)):
        side.set_ticks(range(0, len(words), every), [_shown(word) for word in words[::every]])
        side.set_tick_params(length=0, pad=2, labelsize=_font(cell), labelcolor=_TEXT, labelrotation=rotation)
