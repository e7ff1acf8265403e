"""Analogies: a is to b as c is to which word? (Mikolov, Yih and Zweig 2013)"""

from typing import NamedTuple

import numpy as np

from tinytx.vectors.neighbours import unit_rows
from tinytx.vectors.word_vectors import check_words

AT_ONCE = 1 << 22  # cosines in memory at a time: 16 MB of float32


class Analogies(NamedTuple):
    """How many questions were answered.

    Attributes
    ----------
    right, asked, left_out : int
        Questions that were answered right; whose words all have a vector; of which a word has none.
    """

    right: int
    asked: int
    left_out: int


def read_questions(text):
    """Return the questions of a text in the form of questions-words.txt: a line has four words.

    Lines that begin with a colon name a section, and are left out as empty ones are.

    >>> read_questions(": capitals\\nAthens Greece Oslo Norway\\n")
    [('Athens', 'Greece', 'Oslo', 'Norway')]

    Raises
    ------
    ValueError
        If another line has not four words, or there is no question; the message names the line.
    """
    questions = []
    for number, line in enumerate(text.split("\n"), start=1):
        words = line.split()
        if not words or words[0].startswith(":"):
            continue
        if len(words) != 4:
            raise ValueError(f"read_questions: line {number} has {len(words)} words, expected 4: {line!r:.60}")
        questions.append(tuple(words))
    if not questions:
        raise ValueError("read_questions: there is no question: expected lines of four words")
    return questions


def analogies(vectors, words, questions):
    """Ask each question (a, b, c, d): is d the word whose vector has the largest cosine with b - a + c?

    Vectors have length 1 before the sum, and a, b and c cannot be the answer. By chance one in V - 3 is right.

    Parameters
    ----------
    vectors : array (V, D)
    words : list of str, length V
    questions : sequence of (str, str, str, str)
        As `read_questions` returns them, in the case that the words have.

    Returns
    -------
    Analogies

    Raises
    ------
    TypeError, ValueError
        If there is not a finite vector for each word.

    Examples
    --------
    >>> analogies(np.array([[1.0, 0], [1, 1], [-1, 0.1], [-1, 1]]), ["man", "king", "woman", "queen"], [("man", "king", "woman", "queen")])
    Analogies(right=1, asked=1, left_out=0)
    """
    unit = unit_rows(check_words("analogies", words, vectors))
    place = {word: i for i, word in enumerate(words)}
    known = [[place[word] for word in question] for question in questions if all(word in place for word in question)]
    ids, right = np.array(known, np.int64).reshape(-1, 4), 0
    step = max(1, AT_ONCE // len(words))
    for start in range(0, len(ids), step):
        a, b, c, d = ids[start : start + step].T
        cosines = (unit[b] - unit[a] + unit[c]) @ unit.T  # (n, V), but for the sum's length
        for asked in (a, b, c):
            cosines[np.arange(len(a)), asked] = -np.inf
        right += int((cosines.argmax(axis=1) == d).sum())
    return Analogies(right, len(ids), len(questions) - len(ids))
