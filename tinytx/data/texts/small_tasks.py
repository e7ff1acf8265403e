"""Small tasks from text to text, told apart by the word before the colon, as T5's are (Raffel et al. 2019, 1910.10683).

=========  ===========================================  ==========================
task       source                                       target
=========  ===========================================  ==========================
date       date: september 27, 1994                     1994-09-27
reverse    reverse: stone                               enots
sort       sort: stone                                  enost
next       next: 4799                                   4800
french     french: the black cat sees a small cow       le chat noir voit une petite vache
=========  ===========================================  ==========================

One model learns all of them, and only the prefix says which one is asked for: "reverse: stone" and "sort: stone" have
different answers. Each answer is exact, so the share of right ones can be counted. The corpus is generated: it needs no
download. French has two difficulties of a real translation: articles and adjectives have the gender of their noun, and
most adjectives follow it.
"""

import string

import numpy as np

from tinytx.arguments import check_choice, check_whole
from tinytx.data.texts.dates import date_pairs

LENGTHS = (3, 6)  # letters of a word to reverse or to sort, at least and at most
MOST_DIGITS = 6  # of a number
BLOCK = 1000  # questions that are drawn together
NOUNS = {  # English: (French, whether it is feminine); none begins with a vowel, before which articles change
    "cat": ("chat", False), "dog": ("chien", False), "horse": ("cheval", False), "fish": ("poisson", False),
    "cow": ("vache", True), "hen": ("poule", True), "mouse": ("souris", True), "goat": ("chèvre", True),
}  # fmt: skip
ADJECTIVES = {  # English: (masculine, feminine, whether it stands before the noun)
    "black": ("noir", "noire", False), "white": ("blanc", "blanche", False), "green": ("vert", "verte", False),
    "small": ("petit", "petite", True), "big": ("grand", "grande", True), "pretty": ("joli", "jolie", True),
}  # fmt: skip
VERBS = {"sees": "voit", "likes": "aime", "hears": "entend", "follows": "suit", "finds": "trouve", "looks for": "cherche"}
ARTICLES = {"the": ("le", "la"), "a": ("un", "une")}


def in_french(sentence):
    """Return the translation of a sentence of the words above: two nouns with their articles, and a verb between them.

    Raises
    ------
    ValueError
        If the sentence has another form.

    Examples
    --------
    >>> in_french("the black cat looks for a small cow")
    'le chat noir cherche une petite vache'
    """
    for verb, translated in VERBS.items():
        subject, found, other = sentence.partition(f" {verb} ")
        if found:
            return f"{_noun_in_french(subject)} {translated} {_noun_in_french(other)}"
    raise ValueError(f"in_french: {sentence!r:.60} has no verb of {', '.join(VERBS)}")


def _noun_in_french(phrase):
    """Return the translation of "the cat" or "a black cat"."""
    words = phrase.split(" ")
    article, adjectives, noun = words[0], words[1:-1], words[-1]
    if not (article in ARTICLES and noun in NOUNS and len(adjectives) < 2 and set(adjectives) <= ADJECTIVES.keys()):
        raise ValueError(f"in_french: {phrase!r:.60} is no article, at most one adjective and a noun of the tables")
    translated, feminine = NOUNS[noun]
    said = [ARTICLES[article][feminine], translated]
    for *forms, stands_before in (ADJECTIVES[adjective] for adjective in adjectives):
        said.insert(1 if stands_before else 2, forms[feminine])
    return " ".join(said)


def _picked(options, u):
    """Return one of the options, by a number u of [0, 1)."""
    return options[int(u * len(options))]


def _letters(u):
    n = _picked(range(LENGTHS[0], LENGTHS[1] + 1), u[0])
    return "".join(_picked(string.ascii_lowercase, each) for each in u[1 : n + 1])


def _number(u):
    """A number of any length, with any number of nines at its end: those that have to be carried over."""
    n = _picked(range(1, MOST_DIGITS + 1), u[0])
    n_nines = _picked(range(n + 1), u[1])
    first = _picked("123456789", u[2]) + "".join(_picked(string.digits, each) for each in u[3:])
    return first[: n - n_nines] + "9" * n_nines


def _sentence(u):
    def phrase(u):
        return " ".join(filter(None, map(_picked, (list(ARTICLES), ["", *ADJECTIVES], list(NOUNS)), u)))

    return f"{phrase(u[:3])} {_picked(list(VERBS), u[3])} {phrase(u[4:7])}"


ASKED = {  # task: (what makes a question of 9 numbers of [0, 1), what answers it)
    "reverse": (_letters, lambda word: word[::-1]),
    "sort": (_letters, lambda word: "".join(sorted(word))),
    "next": (_number, lambda number: str(int(number) + 1)),
    "french": (_sentence, in_french),
}
SMALL_TASKS = ("date", *ASKED)


def small_tasks(n=20_000, tasks=SMALL_TASKS, seed=0):
    """Return n distinct pairs of each task, the tasks in turn.

    Parameters
    ----------
    n : int, at most 50,000
    tasks : sequence of str
        Some of ``SMALL_TASKS``.
    seed : int, not negative
        The same seed gives the same pairs; a smaller n gives the first n of each task.

    Returns
    -------
    pairs : list of (source, target)
        Each source begins with the task's name, a colon and a space.

    Raises
    ------
    ValueError
        If n is out of range, or there is no such task.

    Examples
    --------
    >>> small_tasks(1, ["date", "sort"])
    [('date: oct 12, 2049', '2049-10-12'), ('sort: kpd', 'dkp')]
    """
    n = check_whole("small_tasks", "n", n, least=0, most=50_000)
    for task in tasks:
        check_choice("small_tasks", "task", task, SMALL_TASKS)
    drawn = [[(f"{task}: {source}", target) for source, target in _pairs_of(task, n, seed)] for task in tasks]
    return [pair for turn in zip(*drawn) for pair in turn]


def _pairs_of(task, n, seed):
    """Return n distinct pairs of one task, without the prefix."""
    if task == "date":
        return date_pairs(n, seed)
    question, answer = ASKED[task]
    rng, targets = np.random.default_rng([seed, SMALL_TASKS.index(task)]), {}
    while len(targets) < n:
        for u in rng.random((BLOCK, 9)).tolist():
            source = question(u)
            targets[source] = answer(source)
    return list(targets.items())[:n]
