"""Cuts a text into documents, and documents into sentences, for next-sentence pairs.

There are two layouts:

``"lines"``
    One sentence on each line, blank lines between documents: the format of BERT's data. A file without blank lines is
    one document.
``"prose"``
    Paragraphs between blank lines; line breaks inside them do not matter. Each paragraph is a document. A sentence ends
    at ``. ? !``, or ``। ؟ ۔`` of other scripts, with closing quotes and brackets, before white space and a capital. A
    paragraph's last sentence may also end with a colon. Left out are text without such an end (headings, listings),
    sentences of fewer than three words ("Note:"), and paragraphs that begin with ``>>>``, ``+-`` or ``|``. A rule as
    short as this makes mistakes: it cuts "Guido v. Rossum" in two.

In both, lines and sentences without a letter or digit are left out, so that every sentence has a token. White space
inside a sentence becomes one space.
"""

import re

from tinytx.data.reading import DataError

_MARK = re.compile(r"\A(?:[*•-]|\d+\.)\s+")  # the mark of an item in a list
_LISTING = re.compile(r"\s*(?:>>>|\+-|\|)")  # the beginning of a listing or table
_END = re.compile(r"""[.?!।॥؟۔]["'”’»)\]*]*(?=\s+["'“‘«(\[*]*([^\W\d_]))""")
_ENDED = re.compile(r"""[.?!:…।॥؟۔]["'”’»)\]*]*$""")


def documents(text, layout="lines"):
    """Return the documents of a text, each a list of its sentences.

    Parameters
    ----------
    text : str
    layout : str
        ``"lines"`` or ``"prose"``, by the rules at the top of this file.

    Returns
    -------
    documents : list of list of str, none empty

    Raises
    ------
    DataError
        If there is no sentence.
    ValueError
        If there is no such layout.

    Examples
    --------
    >>> documents("One.\\nTwo: 2!\\n\\nThree.")
    [['One.', 'Two: 2!'], ['Three.']]
    >>> documents("A heading\\n\\nIt is wrapped\\n  here. It ends (there!) And\\nso on:", "prose")
    [['It is wrapped here.', 'It ends (there!)', 'And so on:']]
    """
    if not isinstance(text, str):
        raise TypeError(f"documents: text is a {type(text).__name__}, expected a str")
    if layout not in ("lines", "prose"):
        raise ValueError(f"documents: layout is {layout!r}, expected 'lines' or 'prose'")
    cut = _sentences_of if layout == "prose" else _lines_of
    cut_blocks = [cut(block) for block in re.split(r"\n\s*\n", text)]
    result = [document for document in cut_blocks if document]
    if not result:
        hint = (
            "; it may have one sentence on each line: try layout='lines'" if layout == "prose" and text.strip() else ""
        )
        raise DataError(f"documents: there is no sentence in a text of {len(text):,} characters{hint}")
    return result


def sentences(text, layout="lines"):
    """Return the sentences of all documents in one list of str; parameters and errors as `documents`."""
    return [sentence for document in documents(text, layout) for sentence in document]


def _lines_of(block):
    return _with_words(" ".join(line.split()) for line in block.split("\n"))


def _sentences_of(block):
    """Return the sentences of a paragraph, without the mark of an item."""
    if _LISTING.match(block):
        return []
    paragraph = " ".join(_MARK.sub("", block.strip()).split())
    parts, start = [], 0
    ends = (end for end in _END.finditer(paragraph) if not end[1].islower())  # a script may have no capitals
    for end in ends:
        parts.append(paragraph[start : end.end()].strip())
        start = end.end()
    parts.append(paragraph[start:].strip())
    return _with_words(part for part in parts if _ENDED.search(part) and part.count(" ") >= 2)


def _with_words(sentences):
    return [sentence for sentence in sentences if any(map(str.isalnum, sentence))]
