"""Attention as one HTML page that a reader explores: every weight of all layers and heads, queries and keys.

Weights are kept as bytes, the roots of their shares of the largest weight m of their row, so that small ones are told apart
too: a weight w is within sqrt(m w) / 255 of what is shown. Elements of queries and keys have 16 bits. Both are compressed,
and the page unpacks a layer when it is chosen: a text of 512 tokens with 12 layers of 12 heads opens in less than a second.
"""

import re

import numpy as np

from tinytx.terminal import visible
from tinytx.viz import style
from tinytx.viz.attention import attention_maps, texts_of, title_of, watched
from tinytx.viz.attention_parts import Part, checked_layer, checked_tokens, image_of, plain_part
from tinytx.viz.page import blob, elements, write_html

THUMB = 48  # numbers along each side of the small picture of a head, at most
MARKS = {" ": "␣", "\n": "↵", "\t": "⇥"}


def attention_page(
    path, tokens, weights, queries=None, keys=None, *, key_tokens=None, scale=None, additive=False, layers=None, heads=None,
    title="Attention", note="",
):  # fmt: skip
    """Write the attention weights of a model, of any kind, as one HTML page to explore.

    The page shows all layers and heads at a glance; of the chosen head every weight, and lines between tokens; and of a
    chosen pair the elements of query and key and the terms of their score. Mouse and keyboard choose. The file contains
    everything, and its content security policy forbids the browser to load anything else.

    Parameters
    ----------
    path : str or Path
        Written atomically.
    tokens : list of T str
        What looks: the text.
    weights : array (L, H, T, S), or (H, T, S) of one layer; or list or dict of L arrays (H, T, S) or (1, H, T, S)
        Of layers, heads, tokens that look, and tokens that are looked at. A dict has the names of layers. What
        `tinytx.viz.attention_maps` returns will do, and so will ``attentions`` of PyTorch's models on a processor. At least
        0; rows need not add up to 1.
    queries : as weights, but (..., H, T, K), optional
    keys : as weights, but (..., G, S, K), optional
        G divides H, where heads share keys.
    key_tokens : list of S str, optional
        What is looked at; ``tokens`` if not given.
    scale : float, or array (H, K), optional
        The score of a pair is the sum over elements of ``scale`` times query times key. 1 / sqrt(K) if not given.
    additive : bool
        Whether the score is the sum of ``scale`` times tanh(query + key) instead; then ``scale`` is 1 if not given.
    layers, heads : list of str, optional
        Names; "layer 1", "head 1" and so on if not given.
    title, note : str
        Written above.

    Raises
    ------
    TypeError
        If tokens are no list of str, or arrays are not of numbers.
    ValueError
        If shapes do not fit the tokens or each other; or a weight is negative or not finite.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> attention_page("page.html", ["a", "b"], np.array([[[1.0, 0.0], [0.3, 0.7]]]))  # doctest: +SKIP
    """
    part = plain_part(
        "attention_page", tokens, weights, queries, keys,
        key_tokens=key_tokens, scale=scale, additive=additive, layers=layers, heads=heads,
    )  # fmt: skip
    write_page(path, [part], title, note)


def model_attention_page(
    path, model, inputs, words, target_words=None, *, settings=None, next_word=None, heads=None, image=None, patch_size=None,
    title="Attention", note="",
):  # fmt: skip
    """Write the page of a model of this library, or one whose layers have the methods of its attentions.

    Layers of a kind are a part of the page: a GPT has one part, and a Transformer has three.

    Parameters
    ----------
    path : str or Path
    model : Layer
        As for `tinytx.viz.attention_maps`. Layers that also have a method ``queries_and_keys`` show these.
    inputs : tuple of arrays
        What the model reads, a batch of one row, without padding.
    words, target_words
        As for `tinytx.viz.attention_picture`. Where a layer looks at something that is not the words, such as sums of them, its
        places are numbered.
    settings : dict, optional
        The model's, such as ``segments``.
    next_word : str, optional
        What the last position is to say, if the words are what a decoder reads: each of them says the next one. Empty if the
        last one is not known.
    heads : list of str, optional
    image, patch_size : optional
        The image (H, W, C) that a model of images read, and the side of its patches; the last words are these patches.
    title, note : str

    Raises
    ------
    TypeError, ValueError
        If there is no attention, a word for each position is missing, or the weights are not finite.
    OSError
        If the file cannot be written.

    Examples
    --------
    >>> model_attention_page("page.html", model, (ids,), tokenizer.tokens(ids[0]))  # doctest: +SKIP
    """
    parts = model_parts(
        model, inputs, words, target_words, settings=settings, next_word=next_word, heads=heads, image=image, patch_size=patch_size
    )
    write_page(path, parts, title, note)


def model_parts(
    model, inputs, words, target_words=None, *, settings=None, next_word=None, heads=None, image=None, patch_size=None
):
    """Return the parts of a model's page, a list of `tinytx.viz.attention_parts.Part`; arguments as `model_attention_page` has them."""
    place, settings = "model_attention_page", settings or {}
    words = checked_tokens(place, "words", words)
    target_words = None if target_words is None else checked_tokens(place, "target_words", target_words)
    maps = attention_maps(model, *inputs, **settings)
    compared = watched(model, "queries_and_keys", *inputs, **settings)
    parts = {}
    for name, kind, read, seen in texts_of(place, maps, words, target_words):
        weights, vectors = _of_words(maps[name][0], compared.get(name), len(read), read is seen)
        s = weights.shape[2]
        seen = seen if s == len(seen) else [str(i) for i in range(s)]
        part = parts.setdefault((kind, s), Part(title_of(kind), read, seen, [], _said(read, words, target_words, next_word)))
        layer = checked_layer(place, name, weights, vectors, len(read), s, heads)
        part.layers.append(layer._replace(name=f"layer {len(part.layers) + 1}"))
    if image is not None:
        parts = {key: part._replace(image=image_of(place, image, patch_size, len(part.key_tokens))) for key, part in parts.items()}
    return list(parts.values())


def _of_words(weights, compared, n, to_itself):
    """Return weights (H, n, S) and what is compared, without positions after the n words, which fill up a row."""
    s = n if to_itself and weights.shape[1] == weights.shape[2] else weights.shape[2]
    if compared is not None:
        compared = compared._replace(queries=compared.queries[:, :, :n], keys=compared.keys[:, :, :s])
    return weights[:, :n, :s], compared


def _said(read, words, target_words, next_word):
    """Return what each position says, the next word; None where it says none."""
    decoder = words if target_words is None else target_words
    return [*read[1:], next_word] if next_word is not None and read is decoder else None


def write_page(path, parts, title, note):
    """Write the page of a list of `Part`."""
    blobs = []
    data = {"views": [_packed(part, blobs) for part in parts], "palette": style.SERIES, "start": _start(parts[0])}
    write_html(path, "attention_page.html", title, data, note=note, BLOBS=elements(blobs))


def shown(token):
    """Return a token as the page shows it: with marks for spaces at its ends and other invisible characters.

    >>> shown(" the"), shown("\\n"), shown("row 1")
    ('␣the', '↵', 'row 1')
    """
    return visible(re.sub(r"^ +| +$|[\n\t]", lambda match: "".join(MARKS[c] for c in match.group()), token))


def _start(part):
    """Return the pair that the page begins with: the last position, and what it looks at most in the first head.

    Where a class token stands before the patches of an image, it is this token that looks.
    """
    has_class_token = part.image is not None and len(part.tokens) > np.prod(part.image[1])
    query = 0 if has_class_token else len(part.tokens) - 1
    return {"query": query, "key": int(part.layers[0].weights[0, query].argmax())}


def _packed(part, blobs):
    """Return what the page's script is told of a part; its numbers are appended to ``blobs``."""
    layers, thumbs = [], []
    for layer in part.layers:
        largest = layer.weights.max(axis=2, keepdims=True).astype("<f4")
        shares = np.sqrt(layer.weights / np.where(largest > 0, largest, 1))
        darkest = [_darkest(head) for head in layer.weights]
        small = np.sqrt(np.minimum(1, _small(layer.weights) / np.array(darkest)[:, None, None]))
        thumbs.append(_bytes(small))
        layers.append({
            "name": visible(layer.name), "heads": [visible(head) for head in layer.heads], "darkest": darkest,
            "weights": blob(largest.tobytes() + _bytes(shares), blobs), "vectors": layer.compared and _vectors(layer.compared, blobs),
        })  # fmt: skip
    return {
        "name": part.name, "tokens": [shown(token) for token in part.tokens], "keys": [shown(token) for token in part.key_tokens],
        "writes": part.writes and [token and shown(token) for token in part.writes], "layers": layers,
        "thumb": small.shape[1:], "thumbs": blob(b"".join(thumbs), blobs), "image": part.image and _image(*part.image, blobs),
    }  # fmt: skip


def _bytes(shares):
    """Return numbers from 0 to 1 as bytes."""
    return np.round(255 * np.minimum(shares, 1)).astype(np.uint8).tobytes()


def _darkest(weights):
    """Return the weight of a head (T, S) that is drawn darkest: one in a hundred is larger, of those that are not near 0.

    The largest one will not do: the first row of causal attention has a single key, whose weight is 1.
    """
    seen = weights[weights > weights.max() / 1000]
    return float(np.quantile(seen, 0.99, method="higher")) if seen.size else 1.0


def _small(weights):
    """(H, T, S) -> (H, t, s), both at most THUMB: the largest of the weights that fall on each place."""
    for axis in (1, 2):
        n = weights.shape[axis]
        starts = np.arange(min(n, THUMB)) * n // min(n, THUMB)
        weights = np.maximum.reduceat(weights, starts, axis=axis)
    return weights


def _vectors(compared, blobs):
    """Return what is told of queries and keys: whole numbers of 16 bits, with a scale for each head."""
    packed, scales = [], []
    for vectors in (compared.queries[0], compared.keys[0]):
        scale = np.abs(vectors).max(axis=(1, 2)).astype(float) / 32767
        scale[scale == 0] = 1
        packed.append(np.round(vectors / scale[:, None, None]).astype("<i2").tobytes())
        scales.append(scale.tolist())
    return {
        "id": blob(b"".join(packed), blobs), "width": compared.queries.shape[3], "groups": compared.keys.shape[1],
        "qScales": scales[0], "kScales": scales[1], "factors": compared.factors.tolist(), "additive": bool(compared.additive),
        "besides": compared.besides,
    }  # fmt: skip


def _image(pixels, grid, blobs):
    """Return what is told of an image."""
    height, width, _ = pixels.shape
    opaque = np.concatenate([pixels, np.full((height, width, 1), 255, np.uint8)], axis=2)
    return {"id": blob(opaque.tobytes(), blobs), "height": height, "width": width, "rows": grid[0], "columns": grid[1]}
