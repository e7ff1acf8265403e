"""Pairs of sentences for the second task of BERT and of ALBERT: do the two sentences belong together?

A row is ``[CLS] A [SEP] B [SEP]``; its segments are 0 up to the first ``[SEP]``, and 1 after it. A classifier predicts
the label from the vector at ``[CLS]``:

- next sentence (Devlin et al. 2018, arXiv 1810.04805): 0 if B is the sentence after A, 1 if it is a random one,
  each with probability one half;
- sentence order (Lan et al. 2019, arXiv 1909.11942): 0 if B is the sentence after A, 1 if the two were swapped. Here
  the topic, from which the first task can be guessed, does not help.

Every sentence except the last of its document begins one pair: as A, or as B of a swapped pair. Documents are lists of
encoded sentences: ``[[tokenizer.encode(sentence) for sentence in document] for document in documents(text)]``.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from tinytx.data.batches.rows import framed

_NEXT, _ORDER = 3, 4  # streams of random numbers from one seed; masks use 1 and 2


class SentencePairs(NamedTuple):
    """Rows, segments and labels: ``MaskedBatches(*pairs, ...)`` masks them.

    Attributes
    ----------
    rows : list of int64 arrays (n,)
    segments : list of int64 arrays (n,)
    labels : int64 array (rows,)
    """

    rows: list
    segments: list
    labels: np.ndarray


def next_sentence_pairs(documents, *, seed, cls_id, sep_id, max_len):
    """Return pairs of a sentence with the next one (label 0), or with a random one of another document (label 1).

    If there is only one document, the random sentence is any of it except the sentence and the next one. If the next
    sentence's text occurs twice, its copy may be drawn.

    Parameters
    ----------
    documents : list of lists of integer arrays (n,), no sentence empty
    seed : int, not negative
        Determines the labels and the random sentences.
    cls_id, sep_id : int
    max_len : int
        The largest number of tokens in a row, as for `framed`.

    Returns
    -------
    SentencePairs

    Raises
    ------
    ValueError
        If no document has two sentences, there is no other sentence to draw, one is empty, or ``max_len`` is below 5.
    """
    sentences, starts = _flat("next_sentence_pairs", documents)
    rng = np.random.default_rng([seed, _NEXT])
    pairs, labels = [], []
    for start, stop in pairwise(starts.tolist()):
        for i in range(start, stop - 1):
            near, far = (i, i + 2) if len(starts) == 2 else (start, stop)  # sentences near..far - 1 are not drawn
            if len(sentences) == far - near:
                raise ValueError(
                    f"next_sentence_pairs: none of {len(sentences)} sentences is left to draw at random; "
                    "take a longer text"
                )
            is_random = rng.random() < 0.5
            j = int(rng.integers(len(sentences) - (far - near)))
            other = j if j < near else j + far - near
            pairs.append((sentences[i], sentences[other if is_random else i + 1]))
            labels.append(int(is_random))
    return _assembled(pairs, labels, cls_id, sep_id, max_len)


def sentence_order_pairs(documents, *, seed, cls_id, sep_id, max_len):
    """Return pairs of a sentence with the next one, in order (label 0) or swapped (label 1).

    Parameters and result as `next_sentence_pairs`.

    Raises
    ------
    ValueError
        If no document has two sentences, one is empty, or ``max_len`` is below 5.
    """
    sentences, starts = _flat("sentence_order_pairs", documents)
    lasts = set((starts[1:] - 1).tolist())
    firsts = [i for i in range(len(sentences)) if i not in lasts]
    labels = np.random.default_rng([seed, _ORDER]).integers(2, size=len(firsts))
    pairs = [(sentences[i + swap], sentences[i + 1 - swap]) for i, swap in zip(firsts, labels.tolist(), strict=True)]
    return _assembled(pairs, labels, cls_id, sep_id, max_len)


def _flat(place, documents):
    """Return all sentences in one list, and the positions at which documents start and the last one ends."""
    for d, document in enumerate(documents):
        for s, sentence in enumerate(document):
            if not len(sentence):
                raise ValueError(f"{place}: sentence {s} of document {d} has no token; leave it out")
    documents = [document for document in documents if len(document)]
    lengths = [len(document) for document in documents]
    if max(lengths, default=0) < 2:
        raise ValueError(
            f"{place}: none of {len(lengths)} documents has two sentences, so there is no pair; take a text with "
            "several sentences between blank lines"
        )
    return [sentence for document in documents for sentence in document], np.cumsum([0, *lengths])


def _assembled(pairs, labels, cls_id, sep_id, max_len):
    rows = [framed(first, second, cls_id=cls_id, sep_id=sep_id, max_len=max_len) for first, second in pairs]
    return SentencePairs([row for row, _ in rows], [segments for _, segments in rows], np.array(labels, np.int64))
