"""Attention of a model of images: the weights of each layer and head, drawn over the image."""

import math

import numpy as np

from tinytx.arguments import check_whole
from tinytx.extras import require
from tinytx.viz import style
from tinytx.viz.attention_pictures import GAP, LINE, Canvas

PANEL = 1.0  # inches: the side of an image
FADED = 0.5  # the shade of grey (0 black, 1 white) that replaces black in the image below the weights


def image_attention_picture(path, image, maps, patch_size, *, query=0, row=0, title=None):
    """Draw the attention of one position over an image, as one PNG: a row of panels for each layer, one for each head.

    A patch with weight 0 shows the faded image. A patch with the largest weight of all panels is dark blue. Shade and
    opacity follow the square root of the weight, so that small weights are visible.

    Parameters
    ----------
    path : str or Path
        Written atomically.
    image : array (H, W, C)
        The image as the model read it. Its smallest value is drawn black and its largest white. Three channels are
        drawn as colours; of any other number of channels, the mean is drawn.
    maps : dict of str to array (B, n, T, S)
        From `tinytx.viz.attention_maps`, for n heads. The last positions of S are the patches; those before, such as a
        class token, are not drawn.
    patch_size : int
        Pixels along each side of a patch.
    query : int, or None
        The position whose attention is drawn: 0 is the class token. None draws the mean over all positions, for a model
        without a class token.
    row : int
        The row of the batch.
    title : str, optional

    Raises
    ------
    TypeError
        If ``patch_size``, ``query`` or ``row`` is not a whole number.
    ValueError
        If the image has other axes, or sides that ``patch_size`` does not divide; if there are no maps, no such row or
        query, or fewer positions than patches; or if a weight is not finite.
    MissingExtra
        If matplotlib is not installed.
    OSError
        If the file cannot be written.

    Warns
    -----
    PictureWarning
        If no font has a character of the title.
    """
    place = "image_attention_picture"
    image, layers = np.asarray(image, float), _looks(place, maps, query, row)
    size = check_whole(place, "patch_size", patch_size)
    if image.ndim != 3 or image.shape[0] % size or image.shape[1] % size or not image.size:
        raise ValueError(f"{place}: image has shape {image.shape}, expected (H, W, C), H and W divisible by patch_size {size}")
    grid = image.shape[0] // size, image.shape[1] // size
    if min(weights.shape[-1] for weights in layers) < math.prod(grid):
        n = min(weights.shape[-1] for weights in layers)
        raise ValueError(f"{place}: maps look at {n} positions, expected at least {math.prod(grid)}, the patches of the image")
    layers = [weights[:, -math.prod(grid) :].reshape(-1, *grid) for weights in layers]
    largest = max(float(weights.max()) for weights in layers) or 1.0
    height = PANEL * image.shape[0] / image.shape[1]
    left, top = LINE + GAP, (2 if title else 1) * LINE + GAP
    n_heads = max(len(weights) for weights in layers)
    canvas = Canvas("drawing attention", left + (n_heads + 1) * (PANEL + GAP), top + len(layers) * (height + GAP) + 3 * LINE)
    if title:
        canvas.title([style.drawable(title)], style.plain(title))
    axis = canvas.axis(left, top, PANEL, height)
    _draw(axis, image)
    axis.set_title("image", fontsize=style.SMALL, color=style.TEXT, pad=3)
    for i, weights in enumerate(layers):
        y = top + i * (height + GAP)
        canvas.text(GAP, y + height / 2, f"layer {i + 1}", fontsize=style.SMALL, rotation=90, va="center")
        for head, panel in enumerate(weights):
            axis = canvas.axis(left + (head + 1) * (PANEL + GAP), y, PANEL, height)
            _draw(axis, image, FADED)
            shades = _cover(axis, panel, largest, image.shape)
            if i == 0:
                axis.set_title(f"head {head + 1}", fontsize=style.SMALL, color=style.TEXT, pad=3)
    canvas.scale(shades, left, top + len(layers) * (height + GAP), [largest * part for part in (0, 0.1, 0.4, 1)])
    canvas.save(path)


def _looks(place, maps, query, row):
    """Return for each layer the weights (n, S) of one query, or the mean over all queries."""
    if not maps:
        raise ValueError(f"{place}: no maps, expected what attention_maps returns")
    layers = []
    for path, weights in maps.items():
        n_rows, _, t, _ = weights.shape
        if not 0 <= check_whole(place, "row", row, least=0) < n_rows:
            raise ValueError(f"{place}: row is {row}, expected 0..{n_rows - 1}")
        if query is not None and not 0 <= check_whole(place, "query", query, least=0) < t:
            raise ValueError(f"{place}: query is {query}, expected 0..{t - 1}, or None for the mean of all")
        layers.append(weights[row].mean(axis=1) if query is None else weights[row, :, query])
        if not np.isfinite(layers[-1]).all():
            raise ValueError(f"{place}: {path} has a NaN or an infinity: the training diverged")
    return layers


def _draw(axis, image, black=0.0):
    """Draw an image in grey, or in colours if it has 3 channels; its smallest value gets the shade ``black``."""
    low, span = image.min(), np.ptp(image) or 1.0
    shown = black + (1 - black) * (image - low) / span
    shown = shown if image.shape[2] == 3 else shown.mean(axis=2)
    axis.imshow(shown, cmap="gray", vmin=0, vmax=1, interpolation="nearest", aspect="auto")
    axis.set_axis_off()


def _cover(axis, weights, largest, shape):
    """Draw the weights of patches (rows, columns) over an image of this shape; return what matplotlib drew."""
    colors = require("matplotlib.colors", "train", "drawing attention")
    shades = colors.LinearSegmentedColormap.from_list("weights", style.WEIGHTS[1:])
    extent, norm = (-0.5, shape[1] - 0.5, shape[0] - 0.5, -0.5), colors.PowerNorm(0.5, 0, largest)
    alpha = np.sqrt(weights / largest)
    return axis.imshow(weights, cmap=shades, norm=norm, alpha=alpha, extent=extent, interpolation="nearest", aspect="auto")
