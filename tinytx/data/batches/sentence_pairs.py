"""Pairs of sentences, and the question whether they belong together: BERT's second task, and ALBERT's.

A row is ``[CLS] A [SEP] B [SEP]``; its segments are 0 up to the first ``[SEP]``, and 1 after it. The label is what a
classifier is to read off ``[CLS]``:

- next sentence (Devlin et al. 2018, arXiv 1810.04805): 0 if B is the sentence after A, 1 if it comes from elsewhere,
  each with probability one half;
- sentence order (Lan et al. 2019, arXiv 1909.11942): 0 if B is the sentence after A, 1 if the two were swapped. Here
  the topic, which gives the first task away, tells nothing.

Every sentence but the last of a document is the A, or in a swapped pair the B, of one pair. Documents are lists of
encoded sentences: ``[[tokenizer.encode(sentence) for sentence in document] for document in documents(text)]``.
"""

from itertools import pairwise
from typing import NamedTuple

import numpy as np

from tinytx.data.batches.rows import framed

_NEXT, _ORDER = 3, 4  # two streams of random numbers from one seed, neither of them a mask's


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
    """Return pairs of a sentence with the next one (label 0), or with one from another document (label 1).

    Where there is one document only, the other sentence is any of it but these two. A text that occurs twice may be
    drawn for one that it equals.

    Parameters
    ----------
    documents : list of lists of integer arrays (n,), no sentence empty
    seed : int, not negative
        Which pairs get which label, and the random sentences.
    cls_id, sep_id : int
    max_len : int
        The most tokens in a row, as for `framed`.

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
            near, far = (i, i + 2) if len(starts) == 2 else (start, stop)  # nothing between is from elsewhere
            if len(sentences) == far - near:
                raise ValueError(
                    f"next_sentence_pairs: {len(sentences)} sentences, and none of them is from elsewhere; "
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
    """Return all sentences in one list, and where documents start in it, the end included."""
    for d, document in enumerate(documents):
        for s, sentence in enumerate(document):
            if not len(sentence):
                raise ValueError(f"{place}: sentence {s} of document {d} has no token; leave it out")
    documents = [document for document in documents if len(document)]
    lengths = [len(document) for document in documents]
    if max(lengths, default=0) < 2:
        raise ValueError(
            f"{place}: none of {len(lengths)} documents has two sentences, so there is no pair; take a text of several "
            "sentences, with blank lines between documents only"
        )
    return [sentence for document in documents for sentence in document], np.cumsum([0, *lengths])


def _assembled(pairs, labels, cls_id, sep_id, max_len):
    rows = [framed(first, second, cls_id=cls_id, sep_id=sep_id, max_len=max_len) for first, second in pairs]
    return SentencePairs([row for row, _ in rows], [segments for _, segments in rows], np.array(labels, np.int64))
