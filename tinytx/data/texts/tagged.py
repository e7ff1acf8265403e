"""Sentences whose words have tags, such as parts of speech: read from a file, or generated.

The generated ones need no download, and their tags are known by construction. Forty words, such as ``walk`` and ``walks``,
are nouns or verbs; ``her`` is a determiner or a pronoun, ``fast`` and ``early`` are adjectives or adverbs, ``to`` is a
preposition or a particle. What stands before such a word, or behind it, decides: a test shows that the grammar can read no sentence in two
ways. Tags have the names of Universal Dependencies (https://universaldependencies.org/u/pos).
"""

import numpy as np

from tinytx.arguments import check_whole
from tinytx.data.reading import DataError, read_utf8

BOTH = tuple("walk run play watch dance call help plan test ride drive visit move talk look cut kick jump drink smile".split())
NOUNS = (*BOTH, "garden", "river", "teacher", "window", "doctor", "song", "letter", "box")
VERBS = (*BOTH, "see", "bring", "find", "learn", "admire", "follow", "hear", "know")


def with_s(word):
    """Return the plural of a noun, or what he does: walks, watches.

    >>> with_s("watch"), with_s("see")
    ('watches', 'sees')
    """
    return f"{word}es" if word.endswith(("ch", "x")) else f"{word}s"


WORDS = {  # kind -> (tag, words)
    "noun": ("NOUN", NOUNS),
    "nouns": ("NOUN", tuple(map(with_s, NOUNS))),
    "verb": ("VERB", VERBS),
    "verbs": ("VERB", tuple(map(with_s, VERBS))),
    "want": ("VERB", ("want",)),
    "wants": ("VERB", ("wants",)),
    "modal": ("AUX", ("will", "can", "must")),
    "part": ("PART", ("to",)),
    "det": ("DET", ("the", "that", "her", "this")),
    "dets": ("DET", ("the", "her", "these", "many")),
    "adj": ("ADJ", ("old", "small", "fast", "quiet", "early")),
    "adv": ("ADV", ("fast", "early", "often", "quietly")),
    "he": ("PRON", ("he", "she", "it")),
    "they": ("PRON", ("they", "we", "you")),
    "him": ("PRON", ("him", "her", "them", "it")),
    "adp": ("ADP", ("to", "in", "near", "with", "by")),
    "and": ("CCONJ", ("and", "but")),
    "comma": ("PUNCT", (",",)),
    "stop": ("PUNCT", (".",)),
}
GRAMMAR = {  # phrase -> what it may be made of, each as likely
    "sentence": ("clause stop", "clause stop", "clause comma and clause stop", "place comma clause stop"),
    "clause": ("one does", "many do"),
    "one": ("he", "det noun", "det adj noun"),
    "many": ("they", "nouns", "adj nouns", "dets nouns", "dets adj nouns"),
    "does": ("verbs rest", "modal verb rest", "wants part verb rest"),
    "do": ("verb rest", "modal verb rest", "want part verb rest"),
    "rest": ("", "adv", "place", "object", "object adv", "object place"),
    "place": ("adp object",),
    "object": ("him", "det noun", "det adj noun", "nouns", "adj nouns", "dets nouns"),
}


def tagged_sentences(n=2000, seed=0):
    """Return n generated sentences, no two alike.

    Parameters
    ----------
    n : int
    seed : int, not negative
        The same seed gives the same sentences; a smaller n gives the first n of them.

    Returns
    -------
    list of lists of (word, tag)

    Examples
    --------
    >>> " ".join(f"{word}/{tag}" for word, tag in tagged_sentences(1)[0])
    'with/ADP plans/NOUN ,/PUNCT he/PRON dances/VERB songs/NOUN often/ADV ./PUNCT'
    """
    n, rng = check_whole("tagged_sentences", "n", n, least=0, most=1_000_000), np.random.default_rng(seed)
    found = {}
    while len(found) < n:
        found.setdefault(tuple(_drawn("sentence", rng)))
    return [list(sentence) for sentence in found]


def _drawn(phrase, rng):
    """Return a random phrase as a list of (word, tag)."""
    if phrase in WORDS:
        tag, words = WORDS[phrase]
        return [(words[rng.integers(len(words))], tag)]
    forms = GRAMMAR[phrase]
    return [pair for part in forms[rng.integers(len(forms))].split() for pair in _drawn(part, rng)]


def read_tagged(path):
    """Read sentences whose words have tags: a word on each line, its tag behind it, an empty line after each sentence.

    Columns are parted by a tab or by blanks. Of more than two, the first is the word and the last its tag, as in the files
    of CoNLL-2000 and CoNLL-2003; lines that begin with ``-DOCSTART-`` are left out.

    Parameters
    ----------
    path : str or Path
        A UTF-8 file.

    Returns
    -------
    list of lists of (word, tag)

    Raises
    ------
    DataError
        If the file cannot be read, a line has one column only, or there is no sentence.
    """
    sentences, sentence = [], []
    for number, line in enumerate([*read_utf8(path, "read_tagged").split("\n"), ""], 1):
        columns = line.split("\t") if "\t" in line else line.split()
        if not line.strip() or columns[0] == "-DOCSTART-":
            sentences += [sentence] if sentence else []
            sentence = []
        elif len(columns) < 2 or not (columns[0].strip() and columns[-1].strip()):
            raise DataError(f"read_tagged: line {number} of {path} is {line!r:.60}: write a word, a tab, and its tag")
        else:
            sentence.append((columns[0].strip(), columns[-1].strip()))
    if not sentences:
        raise DataError(f"read_tagged: {path} has no sentence: write a word, a tab, and its tag on each line")
    return sentences
