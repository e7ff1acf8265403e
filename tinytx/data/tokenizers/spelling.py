"""Words by their letters: a row of small numbers for each word, for models that make a word's vector of its characters."""

import numpy as np

from tinytx.arguments import check_texts, check_whole

BEGIN, END = 257, 258  # what stands in front of a word's bytes, and behind them
N_CHARACTERS = 259  # 0 is padding, 1 to 256 are the bytes 0 to 255


def spelled(words, width):
    """Return words as rows of numbers, for `tinytx.layers.CharacterWords`.

    As in ELMo, the letters are the bytes of UTF-8: any word can be spelled, and there is no alphabet to keep. Marks in
    front and behind let a filter know that it is at the beginning, or the end, of a word.

    Parameters
    ----------
    words : sequence of str
    width : int
        Numbers of a row, C, at least 3: of a long word the first C - 2 bytes count.

    Returns
    -------
    integers (len(words), C)

    Raises
    ------
    TypeError, ValueError
        If a word is not a str, ``words`` is one str, or ``width`` is too small.

    Examples
    --------
    >>> spelled(["at", "attic"], 6).tolist()
    [[257, 98, 117, 258, 0, 0], [257, 98, 117, 117, 106, 258]]
    """
    width = check_whole("spelled", "width", width, least=3)
    words = list(check_texts("spelled", "words", words))
    rows = np.zeros((len(words), width), np.int64)
    for row, word in zip(rows, words):
        letters = [BEGIN, *(byte + 1 for byte in word.encode("utf-8", "surrogatepass")[: width - 2]), END]
        row[: len(letters)] = letters
    return rows
