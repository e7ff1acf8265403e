"""One example followed through a model, as one HTML page: values forward, gradients backward, and what is kept between them."""

import numpy as np

from tinytx.arguments import check_list
from tinytx.viz.attention_page import shown
from tinytx.viz.attention_parts import checked_tokens
from tinytx.viz.calls import AGAIN, BACKWARD, FORWARD
from tinytx.viz.page import blob, elements, write_html
from tinytx.viz.tensor_seen import COLUMNS, ROWS, smaller
from tinytx.viz.trace import traced

CELLS = 700_000  # of all pictures together: 6 MB before they are compressed
DIGITS = 6  # significant ones of each number


def gradient_page(model, *batch, path, tokens=(), dy=None, settings=None, seed=None, title="Gradients", note=""):
    """Follow one example through a model, forward then backward, and write the way as one HTML page to step through.

    The page lists the calls of layers by path, with the logarithms of the norms of what each returns and of its gradient. For
    the chosen call it shows shapes, norms and extremes of inputs, outputs and their gradients, and pictures of the output and its
    gradient; the norms of its parameters and of their gradients; and what the tape keeps for it. A curve shows how many bytes
    are kept while the forward goes on, and how backward frees them. Buttons and arrow keys step through it. The model and its
    gradients do not change.

    A picture has at most 24 x 48 cells, each of which shows the entry with the largest absolute value of those that fall into it;
    pictures of a model with very many calls have fewer. So the file has a few megabytes at most, whatever the model's width.

    Parameters
    ----------
    model : Layer
        A task of `tinytx.tasks`, or anything with ``loss`` and ``loss_backward``; or any layer, of your own as well.
    *batch : arrays
        The arguments of its loss, or of its forward.
    path : str or Path
        Of the file, written atomically.
    tokens : list of str, or list of such lists
        What stands at the positions of a text that the model reads; several lists for several texts. Entries of arrays
        (B, T, ...) are named by them where one text alone has T tokens.
    dy : array, or tuple of arrays, optional
        Of a layer without a loss: the gradient of what it returns. If not given, standard normal numbers.
    settings : dict, optional
        Keyword arguments of its loss or forward.
    seed : int, optional
        Of dropout; without it there is none.
    title, note : str
        Written above.

    Raises
    ------
    TypeError, ValueError
        If tokens are no lists of str, or the model refuses the batch.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> from tinytx.layers import LayerNorm
    >>> gradient_page(LayerNorm(4), np.zeros((1, 3, 4), np.float32), path="page.html")  # doctest: +SKIP
    """
    check_list("gradient_page", "tokens", tokens)
    texts = tokens if all(isinstance(text, list | tuple) for text in tokens) else [tokens]
    texts = [checked_tokens("gradient_page", "tokens", text) for text in texts]
    trace = traced(model, *batch, dy=dy, settings=settings, seed=seed)
    blobs, shapes = [], _cells_of(trace)
    data = {
        "calls": [_call(call, trace, shapes, blobs) for call in trace.calls],
        "steps": [[(FORWARD, AGAIN, BACKWARD).index(step.kind), step.call, step.n_bytes] for step in trace.steps],
        "loss": _number(trace.loss), "peak": trace.peak, "texts": [[shown(token) for token in text] for text in texts],
        "drawn": dy is None, "cells": shapes,
    }  # fmt: skip
    write_html(path, "gradient_page.html", title, data, note=note, BLOBS=elements(blobs))


def _cells_of(trace):
    """Return (rows, columns) that each picture may have, so that all have `CELLS` cells at most."""
    n = sum(tensor.picture is not None for call in trace.calls for tensor in _drawn(call))
    share = min(1.0, (CELLS / (max(1, n) * ROWS * COLUMNS)) ** 0.5)
    return max(1, int(ROWS * share)), max(1, int(COLUMNS * share))


def _drawn(call):
    """Return the arrays of a call that have a picture: what it returns, and its gradients."""
    return [tensor for tensor in (*call.outputs, *call.doutputs) if tensor is not None]


def _call(call, trace, shapes, blobs):
    """Return what the page's script is told of a call."""
    packed, pictures = [], {}
    for side, tensors in (("y", call.outputs), ("dy", call.doutputs)):
        pictures[side] = [_picture(tensor, shapes, packed) for tensor in tensors]
    return {
        "path": shown(call.path) if call.path else "", "kind": call.kind, "n": call.n, "depth": call.depth, "dropped": call.dropped,
        "again": call.again, "parent": None if call.parent is None else call.parent.number,
        "inputs": _tensors(call.inputs), "dinputs": _tensors(call.dinputs), "y": _tensors(call.outputs), "dy": _tensors(call.doutputs),
        "pictures": pictures, "blob": blob(b"".join(packed), blobs),
        "kept": [[entry.op, [[*array[:4], _owner(array.of, trace)] for array in entry.arrays]] for entry in call.kept],
        "parameters": [[shown(p.path), *(_tensor(tensor) for tensor in (p.data, p.grad))] for p in call.parameters],
    }  # fmt: skip


def _owner(of, trace):
    """Return where an array is counted that does not count for its call: a call's path, or that of a parameter."""
    return trace.calls[of].path or trace.calls[of].kind if isinstance(of, int) else of


def _tensors(tensors):
    return [tensor and _tensor(tensor) for tensor in tensors]


def _tensor(tensor):
    """Return the numbers of an array: name, shape, dtype, norm, rms, least, largest, NaN, infinite, silent."""
    name, shape, dtype, *numbers, _ = tensor
    return [name, list(shape), dtype, *map(_number, numbers)]


def _number(value):
    """Return a number that JSON can hold, rounded; a text for one that is not finite."""
    if value is None or isinstance(value, int):
        return value
    return float(f"{value:.{DIGITS}g}") if np.isfinite(value) else str(value)


def _picture(tensor, shapes, packed):
    """Return [rows, columns, scale] of a picture; its numbers are appended to ``packed``.

    They are float32 shares of ``scale``, a power of two, so that float64 gradients near 1e-300 are not lost.
    """
    if tensor is None or tensor.picture is None:
        return None
    values, places = smaller(tensor.picture, *shapes)
    size = np.abs(values[np.isfinite(values)]).max(initial=0)
    scale = 2.0 ** np.floor(np.log2(size)) if size else 1.0
    with np.errstate(over="ignore"):
        packed.append((values / scale).astype("<f4").tobytes())
    packed.append(places.astype("<u4").tobytes())
    return [*values.shape, float(scale)]
