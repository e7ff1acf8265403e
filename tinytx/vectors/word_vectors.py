"""Word vectors: files for TensorFlow's embedding projector, and the words nearest to a word."""

import difflib
from pathlib import Path

import numpy as np

from tinytx.arguments import check_list, check_whole
from tinytx.files import atomic_write
from tinytx.terminal import visible
from tinytx.vectors.neighbours import smallest, unit_rows


def write_projector(folder, words, vectors, *, decimals=None):
    r"""Write ``values.tsv`` and ``names.tsv``, which the button "Load" of https://projector.tensorflow.org reads.

    Line i of each file belongs to word i. The projector cannot quote a tab or a newline, and it skips blank lines, so
    that all later words would get wrong vectors. So names are written as `visible` returns them.

    Parameters
    ----------
    folder : str or Path
        Created if it is missing. Each file is written atomically.
    words : list of str, length V
    vectors : array (V, D)
        For the first 3,000 words only, give ``words[:3000]`` and ``vectors[:3000]``.
    decimals : int, optional
        The number of digits after the decimal point. 2 is enough for entries near 1, but not for entries near 0.02. The
        default writes as many digits as the vectors' dtype distinguishes.

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
    """Return the vectors as an array; raise unless it is finite and (number of words, D); D is ``width``, if given."""
    check_list(place, "words", words)
    vectors = np.asarray(vectors)
    if vectors.dtype.kind not in "biuf":
        raise TypeError(f"{place}: the array has dtype {vectors.dtype}, expected numbers")
    if vectors.ndim != 2 or len(vectors) != len(words) or width not in (None, vectors.shape[1]):
        expected = f"({len(words)}, {'D' if width is None else width})"
        raise ValueError(f"{place}: the array for {len(words)} words has shape {vectors.shape}, expected {expected}")
    finite = np.isfinite(vectors).all(axis=1)
    if not finite.all():
        i = int(np.argmin(finite))
        raise ValueError(f"{place}: row {i}, that of {words[i]!r}, has a NaN or an infinity: the training diverged")
    return vectors


def nearest(vectors, words, word, n=10):
    """Return the words whose vectors have the largest cosines with a word's.

    Parameters
    ----------
    vectors : array (V, D)
    words : list of str, length V
    word : str
        One of them.
    n : int
        The largest number of words to return.

    Returns
    -------
    list of (str, float)
        Words and their cosines, the largest first. A vector of zeros has cosine 0 with every other.

    Raises
    ------
    ValueError
        If ``word`` is not among the words (the message suggests similar spellings), or there is not a vector for each.
    """
    vectors = check_words("nearest", words, vectors)
    i = _index(words, word)
    n = min(check_whole("nearest", "n", n, least=0), len(words) - 1)
    unit = unit_rows(vectors.astype(np.float64, copy=False))
    distances = np.square(unit - unit[i]).sum(axis=1)  # 2 - 2 cos, more exact than cos where cos is near 1
    distances[~unit.any(axis=1)] = 2.0  # a vector of zeros, whose cosine is 0
    distances[i] = np.inf
    ids = smallest(distances[None], n)[0] if n else []
    return [(words[j], float(unit[j] @ unit[i])) for j in ids]


def purity(vectors, words, group, n=5):
    """Return how many of the n words nearest to each word of a group are of the group, too: a share, from 0 to 1.

    Parameters
    ----------
    vectors : array (V, D)
    words : list of str, length V
    group : list of str
        Words that a reader would put together, such as the months. Those that are not among ``words`` do not count.
    n : int

    Returns
    -------
    float, or None
        None if not more than n words of the group are known: their neighbours could not be of it.

    Raises
    ------
    ValueError
        As `nearest`.

    Examples
    --------
    >>> purity(np.array([[1.0, 0.0], [1.0, 0.1], [1.0, 0.3], [0.0, 1.0]]), ["red", "blue", "two", "three"], ["red", "blue"], n=1)
    1.0
    """
    known = [word for word in group if word in words]
    if len(known) <= n:
        return None
    return float(np.mean([near in known for word in known for near, _ in nearest(vectors, words, word, n)]))


def _index(words, word):
    """Return the position of a word; raise ValueError with similar spellings."""
    words = list(words)
    if word in words:
        return words.index(word)
    lower = {}
    for other in words:
        lower.setdefault(other.lower(), other)
    close = [lower[other] for other in difflib.get_close_matches(word.lower(), lower, n=5, cutoff=0.7)]
    hint = f"spelled like it: {', '.join(map(repr, close))}" if close else "no word is spelled like it"
    raise ValueError(f"nearest: {word!r} is not among the {len(words)} words; {hint}")
