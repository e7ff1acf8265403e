"""What a page of attention shows: parts, each with layers that look from the same tokens to the same tokens; checked."""

from typing import NamedTuple

import numpy as np

from tinytx.arguments import check_list, check_number, check_texts, check_whole
from tinytx.layers.attention.compared import Compared
from tinytx.wording import counted


class LayerShown(NamedTuple):
    """A layer of a part.

    Attributes
    ----------
    name : str
    weights : array (H, T, S)
    heads : list of H str
    compared : Compared, or None
        Queries (1, H, T, K) and keys (1, G, S, K).
    """

    name: str
    weights: np.ndarray
    heads: list
    compared: Compared | None


class Part(NamedTuple):
    """Layers that look from the same tokens to the same tokens.

    Attributes
    ----------
    name : str
    tokens : list of T str
    key_tokens : list of S str
    layers : list of LayerShown
    writes : list of T str, or None
        What each position that looks is to say; empty where it is not known.
    image : (array (height, width, 3) of uint8, (rows, columns)), or None
        The last rows x columns of ``key_tokens`` are its patches.
    """

    name: str
    tokens: list
    key_tokens: list
    layers: list
    writes: list | None = None
    image: tuple | None = None


def plain_part(place, tokens, weights, queries, keys, *, key_tokens, scale, additive, layers, heads):
    """Return the `Part` of plain arrays, checked; for the parameters and errors see `tinytx.viz.attention_page`."""
    tokens = checked_tokens(place, "tokens", tokens)
    key_tokens = tokens if key_tokens is None else checked_tokens(place, "key_tokens", key_tokens)
    names, weights = by_layer(place, "weights", weights)
    names = names if layers is None else checked_names(place, "layers", layers, len(weights), "layer")
    compared = [None] * len(weights)
    if (queries is None) != (keys is None):
        raise ValueError(f"{place}: {'keys' if queries is None else 'queries'} without {'queries' if queries is None else 'keys'}: give both")
    if queries is not None:
        pairs = [by_layer(place, name, arrays)[1] for name, arrays in (("queries", queries), ("keys", keys))]
        for name, arrays in zip(("queries", "keys"), pairs, strict=True):
            if len(arrays) != len(weights):
                raise ValueError(f"{place}: {name} of {counted(len(arrays), 'layer')} and weights of {len(weights)}: give as many")
        compared = [Compared(q[None], k[None], scale, additive) for q, k in zip(*pairs, strict=True)]
    shown = [
        checked_layer(place, name, array, vectors, len(tokens), len(key_tokens), heads)
        for name, array, vectors in zip(names, weights, compared, strict=True)
    ]
    return Part("Attention", tokens, key_tokens, shown)


def checked_tokens(place, name, tokens):
    """Return tokens as a list; raise TypeError or ValueError if they are no list of str, or none."""
    tokens = list(check_texts(place, name, tokens))
    if not tokens:
        raise ValueError(f"{place}: {name} is empty, expected at least one token")
    return tokens


def checked_names(place, name, names, n, of):
    """Return names as a list; raise ValueError unless there are n."""
    names = list(check_texts(place, name, names))
    if len(names) != n:
        raise ValueError(f"{place}: {name} are {counted(len(names), 'name')}, and there are {counted(n, of)}: give one for each")
    return names


def by_layer(place, name, arrays):
    """Return (names of layers, arrays (H, T, X)) of what a caller gave.

    Parameters
    ----------
    place, name : str
        For messages.
    arrays : array (H, T, X) or (L, H, T, X); or list or dict of arrays (H, T, X) or (1, H, T, X)

    Raises
    ------
    TypeError, ValueError
        If there is none, or one has other axes, or is not of numbers.
    """
    if isinstance(arrays, dict):
        names, several = [str(key) for key in arrays], list(arrays.values())
    else:
        check_list(place, name, arrays, "arrays")
        if not isinstance(arrays, list | tuple):
            arrays = np.asarray(arrays)
            if arrays.ndim not in (3, 4):
                raise ValueError(f"{place}: {name} have shape {arrays.shape}, expected (heads, T, S), or (layers, heads, T, S)")
            arrays = arrays[None] if arrays.ndim == 3 else arrays
        several = list(arrays)
        names = [f"layer {i}" for i in range(1, len(several) + 1)]
    if not several:
        raise ValueError(f"{place}: {name} are empty, expected those of at least one layer")
    return names, [_one_layer(place, f"{name} of {of}", array) for of, array in zip(names, several, strict=True)]


def _one_layer(place, name, array):
    try:
        array = np.asarray(array)
    except ValueError as error:
        raise ValueError(f"{place}: {name} are no array: rows of different lengths? {error}") from None
    if array.dtype.kind not in "fiu":
        raise TypeError(f"{place}: {name} have dtype {array.dtype}, expected numbers")
    if array.ndim == 4 and len(array) > 1:
        raise ValueError(f"{place}: {name} have shape {array.shape}, a batch of {len(array)}: give one row, array[0]")
    array = array[0] if array.ndim == 4 else array
    if array.ndim != 3 or not array.size:
        raise ValueError(f"{place}: {name} have shape {array.shape}, expected (heads, T, S), none of them 0")
    return array


def checked_layer(place, name, weights, compared, t, s, heads=None):
    """Return the `LayerShown` of weights (H, T, S) and what is compared.

    Raises
    ------
    ValueError
        If a shape does not fit t and s, the numbers of tokens; or a weight is negative or not finite.
    """
    n = len(weights)
    if weights.shape[1:] != (t, s):
        raise ValueError(
            f"{place}: weights of {name} have shape {weights.shape}, expected {(n, t, s)} from {counted(t, 'token')} "
            f"that look at {s}; what is looked at is key_tokens, if it is another text"
        )
    _check_finite(place, f"weights of {name}", weights)
    if weights.min() < 0:
        at = np.unravel_index(weights.argmin(), weights.shape)
        facts = f"{place}: weights of {name} are {weights.min():.3g} at {tuple(map(int, at))}"
        raise ValueError(f"{facts}, expected at least 0: give what softmax or sigmoid makes of the scores")
    names = [f"head {i}" for i in range(1, n + 1)] if heads is None else checked_names(place, "heads", heads, n, "head")
    return LayerShown(name, weights, names, None if compared is None else _fitting(place, name, compared, n, t, s))


def _fitting(place, name, compared, n, t, s):
    """Return what is compared, its factors an array (H or 1, K or 1); raise ValueError unless it fits the weights (n, t, s)."""
    q, k = compared.queries[0], compared.keys[0]
    for vectors, array, expected in (("queries", q, (n, t, q.shape[2])), ("keys", k, (len(k), s, q.shape[2]))):
        if array.shape != expected or n % len(k):
            raise ValueError(
                f"{place}: {vectors} of {name} have shape {array.shape}, expected {(n, t, 'K')} for queries and {('G', s, 'K')} "
                f"for keys, from weights of shape {(n, t, s)}; G divides {n}, the number of heads"
            )
        _check_finite(place, f"{vectors} of {name}", array)
    scale = compared.factors
    if scale is None:
        scale = 1.0 if compared.additive else q.shape[2] ** -0.5
    factors = np.asarray(scale, float) if isinstance(scale, np.ndarray) else np.array(check_number(place, "scale", scale))
    if factors.shape not in ((), (n, q.shape[2])) or not np.isfinite(factors).all():
        facts = f"{place}: scale of {name} has shape {factors.shape}"
        raise ValueError(f"{facts}, expected a finite number, or {(n, q.shape[2])}: a factor for each element of each head")
    return compared._replace(factors=np.atleast_2d(factors))


def _check_finite(place, name, array):
    if not np.isfinite(array).all():
        at = tuple(map(int, np.argwhere(~np.isfinite(array))[0]))
        raise ValueError(f"{place}: {name} have {array[at]} at {at}, expected finite numbers: was the training diverging, or a row without keys?")


def image_of(place, image, patch_size, n):
    """Return (pixels (height, width, 3) of uint8, (rows, columns) of patches) of an image that a model read.

    Parameters
    ----------
    place : str
    image : array (height, width, channels)
        Its smallest value is drawn black and its largest white; three channels are colours, of others the mean is drawn.
    patch_size : int
    n : int
        Positions that are looked at.

    Raises
    ------
    TypeError, ValueError
        If the image has other axes, or sides that ``patch_size`` does not divide, or more patches than n.
    """
    image, size = np.asarray(image, float), check_whole(place, "patch_size", patch_size)
    if image.ndim != 3 or image.shape[0] % size or image.shape[1] % size or not image.size:
        raise ValueError(f"{place}: image has shape {image.shape}, expected (H, W, C), H and W divisible by patch_size {size}")
    _check_finite(place, "the image's pixels", image)
    rows, columns = image.shape[0] // size, image.shape[1] // size
    if rows * columns > n:
        raise ValueError(f"{place}: the image has {rows} x {columns} patches, and the model looks at {counted(n, 'position')}")
    shades = 255 * (image - image.min()) / (np.ptp(image) or 1.0)
    shades = shades if image.shape[2] == 3 else np.repeat(shades.mean(axis=2, keepdims=True), 3, axis=2)
    return np.round(shades).astype(np.uint8), (rows, columns)
