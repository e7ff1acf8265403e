"""Exact match: the share of texts that equal their references in every character."""

from tinytx.arguments import check_texts


def exact_match(hypotheses, references):
    """Return the share of hypotheses that equal their references.

    Parameters
    ----------
    hypotheses, references : list of n str
        Compared as they are. If spaces or case do not matter, remove them first.

    Returns
    -------
    share : float in 0..1

    Raises
    ------
    TypeError
        If a text is not a str, or one str is given in place of a list.
    ValueError
        If there are none, or not as many hypotheses as references.

    Examples
    --------
    >>> exact_match(["1994-09-27", "1994-09-28"], ["1994-09-27", "1994-09-27"])
    0.5
    """
    hypotheses = list(check_texts("exact_match", "hypotheses", hypotheses))
    references = list(check_texts("exact_match", "references", references))
    if not references or len(hypotheses) != len(references):
        raise ValueError(
            f"exact_match: {len(hypotheses)} hypotheses and {len(references)} references, expected as many, at least 1"
        )
    return sum(h == r for h, r in zip(hypotheses, references, strict=True)) / len(references)
