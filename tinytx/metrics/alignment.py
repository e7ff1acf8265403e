"""Alignment error rate: how far found links between the words of two sentences are from those that people made.

A link is a pair (position in the source, position in the target), both counted from 0 and over words alone: no start, no
stop. References have links that are *sure* (S), and others that are *possible* (P); sure links are possible, too. With A
the found links, all counted over the whole corpus (Och and Ney 2003, section 6),

    AER = 1 - (|A and S| + |A and P|) / (|A| + |S|).                     (1)

It is 0 if all sure links are found and all found ones are possible.
"""

import re

_LINK = re.compile(r"(\d+)([-p?])(\d+)")


def alignment_error_rate(found, sure, possible=None):
    """Return (1) over a corpus.

    Parameters
    ----------
    found, sure : list of sets of (int, int)
        The links of each sentence.
    possible : list of sets of (int, int), optional
        The sure links need not be among them; none but these if not given.

    Returns
    -------
    float
        Between 0 and 1; 0 if there is no link at all.

    Raises
    ------
    ValueError
        If the lists are not of one length.

    Examples
    --------
    >>> round(alignment_error_rate([{(0, 0), (1, 2)}], sure=[{(0, 0), (1, 1)}]), 4)  # one of two links is right
    0.5
    >>> round(alignment_error_rate([{(0, 0), (1, 2)}], sure=[{(0, 0)}], possible=[{(1, 2)}]), 4)
    0.0
    """
    possible = [set()] * len(sure) if possible is None else possible
    if not len(found) == len(sure) == len(possible):
        sizes = f"{len(found)} sentences in found, {len(sure)} in sure, {len(possible)} in possible"
        raise ValueError(f"alignment_error_rate: {sizes}, expected as many in each")
    right = sum(len(a & s) + len(a & (s | p)) for a, s, p in zip(found, sure, possible))
    links = sum(map(len, found)) + sum(map(len, sure))
    return 1 - right / links if links else 0.0


def read_links(line, first=0):
    """Return the links of one line, as files of alignments write them: ``0-0 1-2``, or ``1-1 2p3`` with a possible one.

    Parameters
    ----------
    line : str
        Links apart by blanks, source before target; ``p`` or ``?`` in place of ``-`` makes a link possible only.
    first : {0, 1}
        What the file calls the first word. References often count from 1, and aligners from 0: a mistake of one makes
        nearly all links wrong.

    Returns
    -------
    sure, possible : sets of (int, int)
        Counted from 0. ``possible`` holds the sure ones, too.

    Raises
    ------
    ValueError
        If a link has another form, or a word comes before the first one.

    Examples
    --------
    >>> sure, possible = read_links("1-1 2p3", first=1)
    >>> sorted(sure), sorted(possible)
    ([(0, 0)], [(0, 0), (1, 2)])
    """
    sure, possible = set(), set()
    for text in line.split():
        parts = _LINK.fullmatch(text)
        if not parts:
            raise ValueError(f"read_links: {text!r:.40} is no link: write source-target, such as 0-2, or 0p2 if it is possible only")
        link = int(parts[1]) - first, int(parts[3]) - first
        if min(link) < 0:
            raise ValueError(f"read_links: {text} comes before the first word, which is called {first}: give first=0")
        possible.add(link)
        if parts[2] == "-":
            sure.add(link)
    return sure, possible
