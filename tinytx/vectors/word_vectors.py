"""Word vectors for others to read: files for TensorFlow's embedding projector, and the words nearest to a word."""

import difflib
from pathlib import Path

import numpy as np

from tinytx.arguments import check_list, check_whole
from tinytx.files import atomic_write
from tinytx.terminal import visible
from tinytx.vectors.neighbours import smallest, unit_rows


def write_projector(folder, words, vectors, *, decimals=None):
    r"""Write ``values.tsv`` and ``names.tsv``, which https://projector.tensorflow.org loads by its button "Load".

    Line i of each belongs to word i. The projector has no way to quote a tab or a newline, and skips blank lines, which
    would give every later word its neighbour's vector: names are written as `visible` shows them.

    Parameters
    ----------
    folder : str or Path
        Made if it is missing. Each file is written atomically.
    words : list of str, length V
    vectors : array (V, D)
        For the first 3,000 words only, hand in ``words[:3000]`` and ``vectors[:3000]``.
    decimals : int, optional
        How many digits after the point. 2 is enough for vectors whose entries are near 1, and shows nothing of those
        near 0.02. The default writes as many as tell two numbers of the vectors' dtype apart.

    Returns
    -------
    values, names : Path
        The files.

    Raises
    ------
    ValueError
        If there are not as many words as vectors, or a vector is not finite.
    OSError
        If a file cannot be written.
    """
    vectors = check_words("write_projector", words, vectors)
    if decimals is not None:
        check_whole("write_projector", "decimals", decimals, least=0)
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    number = str if decimals is None else f"{{:.{decimals}f}}".format
    with atomic_write(folder / "values.tsv") as file:
        for row in vectors:
            file.write(("\t".join(map(number, row)) + "\n").encode())
    with atomic_write(folder / "names.tsv") as file:
        file.write("".join(visible(word) + "\n" for word in words).encode())
    return folder / "values.tsv", folder / "names.tsv"


def check_words(place, words, vectors, width=None):
    """Return the vectors as an array, if it is a finite one with a row for each word; ``width`` is its D, if given."""
    check_list(place, "words", words)
    vectors = np.asarray(vectors)
    if vectors.dtype.kind not in "biuf":
        raise TypeError(f"{place}: an array of dtype {vectors.dtype}, expected numbers")
    if vectors.ndim != 2 or len(vectors) != len(words) or width not in (None, vectors.shape[1]):
        expected = f"({len(words)}, {'D' if width is None else width})"
        raise ValueError(f"{place}: an array of shape {vectors.shape} for {len(words)} words, expected {expected}")
    finite = np.isfinite(vectors).all(axis=1)
    if not finite.all():
        i = int(np.argmin(finite))
        raise ValueError(f"{place}: row {i}, that of {words[i]!r}, has a NaN or an infinity: the training diverged")
    return vectors


def nearest(vectors, words, word, n=10):
    """Return the words whose vectors point most nearly where a word's does.

    Parameters
    ----------
    vectors : array (V, D)
    words : list of str, length V
    word : str
        One of them.
    n : int
        How many, at most; there are V - 1.

    Returns
    -------
    found : list of (str, float)
        Words and their cosines, the largest first. A vector of zeros has cosine 0 with every other.

    Raises
    ------
    ValueError
        If ``word`` is none of the words (the message has those spelled like it), or there is no vector for each.
    """
    vectors = check_words("nearest", words, vectors)
    i = _index(words, word)
    n = min(check_whole("nearest", "n", n, least=0), len(words) - 1)
    unit = unit_rows(vectors.astype(np.float64, copy=False))
    distances = np.square(unit - unit[i]).sum(axis=1)  # 2 - 2 cos, with the digits that cosines near 1 have lost
    distances[~unit.any(axis=1)] = 2.0  # of no direction, so the cosine is 0
    distances[i] = np.inf
    ids = smallest(distances[None], n)[0] if n else []
    return [(words[j], float(unit[j] @ unit[i])) for j in ids]


def _index(words, word):
    """Return the place of a word."""
    words = list(words)
    if word in words:
        return words.index(word)
    lower = {}
    for other in words:
        lower.setdefault(other.lower(), other)
    close = [lower[other] for other in difflib.get_close_matches(word.lower(), lower, n=5, cutoff=0.7)]
    hint = f"spelled like it: {', '.join(map(repr, close))}" if close else "and none of them is spelled like it"
    raise ValueError(f"nearest: {word!r} is none of the {len(words)} words; {hint}")
