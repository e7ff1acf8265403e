"""Rows of ids: sentences in BERT's frame, sentences joined to rows of one length or packed, rows padded to one array."""

import numpy as np

from tinytx.arguments import check_list, check_whole


def framed(first, second=None, *, cls_id, sep_id, max_len=None):
    """Return ``[CLS] A [SEP]``, or ``[CLS] A [SEP] B [SEP]``, and the segments.

    Parameters
    ----------
    first, second : integer arrays (n,)
    cls_id, sep_id : int
    max_len : int, optional
        The largest number of tokens in the row. Too long sentences lose tokens at their ends, one by one: each time the
        longer sentence loses one, or the second if both have the same length.

    Returns
    -------
    row, segments : int64 arrays (n,)

    Raises
    ------
    ValueError
        If ``max_len`` leaves no room for a token of each sentence.

    Examples
    --------
    >>> framed([5, 6, 7, 8], [9], cls_id=2, sep_id=3, max_len=6)
    (array([2, 5, 6, 3, 9, 3]), array([0, 0, 0, 0, 1, 1]))
    """
    sentences = [first] if second is None else [first, second]
    if max_len is not None:
        least = 2 * len(sentences) + 1
        if max_len < least:
            raise ValueError(
                f"framed: max_len is {max_len}, expected at least {least}: [CLS], and a token and [SEP] each"
            )
        sentences = _cut(sentences, max_len - len(sentences) - 1)
    parts = [[*([] if segment else [cls_id]), *sentence, sep_id] for segment, sentence in enumerate(sentences)]
    return np.concatenate(parts, dtype=np.int64), np.repeat(np.arange(len(parts)), [len(part) for part in parts])


def _cut(sentences, room):
    """Return one or two sentences, cut to at most ``room`` tokens in all, the longer one first."""
    if len(sentences) == 1:
        return [sentences[0][:room]]
    first, second = sentences
    n_first = max(room - len(second), (room + 1) // 2)  # what the second leaves free, or the larger half
    first = first[:n_first]
    return [first, second[: room - len(first)]]


def joined(sentences, max_len=20):
    """Return one row for each sentence: it and the sentences after it, until the row is full.

    So every word occurs in several rows, at several positions, and no row is padded (the BERT tutorial's rule 3).

    Parameters
    ----------
    sentences : list of integer arrays (n,), none empty
    max_len : int
        T, at least 1.

    Returns
    -------
    rows : list of int64 arrays (T,)
        Views of one array. Rows are shorter than ``max_len`` only if the whole corpus is.

    Raises
    ------
    ValueError
        If there are no sentences, one is empty, or max_len is below 1.

    Examples
    --------
    >>> joined([np.array([1, 2]), np.array([3]), np.array([4, 5, 6])], max_len=4)
    [array([1, 2, 3, 4]), array([3, 4, 5, 6]), array([4, 5, 6, 1])]
    """
    max_len = check_whole("joined", "max_len", max_len)
    check_list("joined", "sentences", sentences, of="integer arrays")
    lengths = np.array([len(sentence) for sentence in sentences], np.int64)
    if not len(lengths):
        raise ValueError("joined: there are no sentences")
    if not lengths.all():
        raise ValueError(f"joined: sentence {int(lengths.argmin())} has no words; leave it out")
    words = np.concatenate(sentences).astype(np.int64)
    t = min(max_len, len(words))
    around = np.concatenate([words, words[:t]])  # after the last sentence comes the first
    return [around[start : start + t] for start in (np.cumsum(lengths) - lengths).tolist()]


def full_sentences(documents, *, cls_id, sep_id, max_len):
    """Return rows that are packed with whole sentences, each sentence in one of them (RoBERTa, arXiv 1907.11692).

    A row ends before the sentence that has no room in it. Where a document ends inside a row, there is one more ``[SEP]``.

    Parameters
    ----------
    documents : list of lists of integer arrays (n,)
    cls_id, sep_id : int
    max_len : int
        The largest number of tokens in a row, at least 3. A longer sentence loses tokens at its end.

    Returns
    -------
    rows : list of int64 arrays (n,)

    Examples
    --------
    >>> full_sentences([[[5, 6], [7]], [[8, 9]]], cls_id=2, sep_id=3, max_len=8)
    [array([2, 5, 6, 7, 3, 8, 9, 3])]
    >>> full_sentences([[[5, 6], [7]], [[8, 9]]], cls_id=2, sep_id=3, max_len=7)
    [array([2, 5, 6, 7, 3]), array([2, 8, 9, 3])]
    """
    room, rows = check_whole("full_sentences", "max_len", max_len, 3) - 2, [[]]
    for document in documents:
        between = [sep_id] if rows[-1] else []
        for sentence in document:
            sentence = [*between, *sentence]
            if len(rows[-1]) + len(sentence) > room:
                rows.append([])
                sentence = sentence[len(between) :]
            rows[-1] += sentence[:room]
            between = []
    return [framed(row, cls_id=cls_id, sep_id=sep_id)[0] for row in rows if row]


def pad(rows, pad_id):
    """Return rows of different lengths as one array, padded at the end.

    Parameters
    ----------
    rows : list of B integer arrays (n,)
    pad_id : int

    Returns
    -------
    padded : int64 array (B, S), S the length of the longest row
    """
    padded = np.full((len(rows), max(map(len, rows), default=0)), pad_id, np.int64)
    for b, row in enumerate(rows):
        padded[b, : len(row)] = row
    return padded


def packed(sentences, max_len):
    """Return rows of whole sentences that follow each other, each with as many as fit into ``max_len`` tokens.

    Parameters
    ----------
    sentences : list of integer arrays (n,)
        Of a sentence that is longer only the beginning is taken.
    max_len : int

    Returns
    -------
    rows : list of lists of the sentences' arrays

    Raises
    ------
    ValueError
        If there are no sentences, or max_len is below 1.

    Examples
    --------
    >>> packed([[1, 2], [3], [4, 5, 6], [7]], max_len=4)
    [[[1, 2], [3]], [[4, 5, 6], [7]]]
    """
    max_len = check_whole("packed", "max_len", max_len)
    check_list("packed", "sentences", sentences, of="integer arrays")
    if not len(sentences):
        raise ValueError("packed: there are no sentences")
    rows, room = [], 0
    for sentence in (sentence[:max_len] for sentence in sentences):
        if len(sentence) > room or not rows:
            rows.append([])
            room = max_len
        rows[-1].append(sentence)
        room -= len(sentence)
    return rows
