"""Turns pairs of texts into pairs of ids, and leaves out those that are too long for the model."""

from typing import NamedTuple

import numpy as np

from tinytx.arguments import check_pairs
from tinytx.wording import counted


class EncodedPairs(NamedTuple):
    """Pairs as token ids.

    Attributes
    ----------
    sources : list of int64 array (S,)
    targets : list of int64 array (T + 1,)
        Each begins with the start token and ends with the stop token.
    skipped : list of int
        Positions in the given pairs, from 0, of those left out.
    report : str
        One line for the user: the number of pairs, how many were left out and why.
    """

    sources: list
    targets: list
    skipped: list
    report: str


def encode_pairs(pairs, source_tokenizer, target_tokenizer, *, max_len=None):
    """Turn pairs of texts into pairs of ids, and leave out those too long for the model.

    Parameters
    ----------
    pairs : list of (source, target)
    source_tokenizer, target_tokenizer : tokenizer
        The same one twice where the vocabulary is shared. The target's has ``<start>`` and ``<stop>``.
    max_len : int, optional
        The model's number of positions. A pair is left out if its source has more tokens (S > max_len), or its target
        with the start token (T > max_len).

    Returns
    -------
    EncodedPairs

    Raises
    ------
    ValueError
        If the target's tokenizer lacks a start or a stop token, a source has no token, a text has an unknown token
        and the tokenizer no ``<unk>``, or every pair is left out.
    """
    start, stop = target_tokenizer.special_id("<start>"), target_tokenizer.special_id("<stop>")
    sources, targets, skipped = [], [], []
    longest, pairs = 0, check_pairs("encode_pairs", pairs)
    for position, (source, target) in enumerate(pairs):
        source = source_tokenizer.encode(source)
        target = np.concatenate([[start], target_tokenizer.encode(target), [stop]])
        if not len(source):
            raise ValueError(f"encode_pairs: pair {position} has no token in its source; remove the pair")
        length = max(len(source), len(target) - 1)
        longest = max(longest, length)
        if max_len is not None and length > max_len:
            skipped.append(position)
        else:
            sources.append(source)
            targets.append(target)
    if not sources:
        reason = f"all are longer than max_len {max_len}: the longest has {longest}"
        reason = reason if skipped else "there are no pairs"
        raise ValueError(f"encode_pairs: {reason}")
    report = f"{len(sources):,} of {counted(len(pairs), 'pair')}, the longest of {counted(longest, 'token')}"
    if skipped:
        report += f"; left out as longer than {counted(max_len, 'token')}: {len(skipped):,}"
    return EncodedPairs(sources, targets, skipped, report)
