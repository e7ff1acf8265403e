"""A text cut into documents, and these into sentences: what next-sentence pairs are made of.

Two layouts are read:

``"lines"``
    One sentence on each line, blank lines between documents: the form in which BERT's own data were written.
    A file without blank lines is one document.
``"prose"``
    Paragraphs between blank lines, wrapped anywhere. Each is a document. A sentence ends at ``. ? !``, or the ``। ؟ ۔``
    of other scripts, with closing quotes and brackets, before white space and a capital. A paragraph's last piece may
    end with a colon as well; what ends with nothing is a heading or a listing, and left out, as is what has fewer than
    three words ("Note:"), and a paragraph that begins with ``>>>``, ``+-`` or ``|``. "Guido v. Rossum" is cut in two:
    no rule so short is always right.

In both, a line or sentence without a letter or digit is left out, so that every sentence has a token. White space
inside a sentence becomes one space.
"""

import re

from tinytx.data.reading import DataError

_MARK = re.compile(r"\A(?:[*•-]|\d+\.)\s+")  # of an item in a list
_LISTING = re.compile(r"\s*(?:>>>|\+-|\|)")  # or table
_END = re.compile(r"""[.?!।॥؟۔]["'”’»)\]*]*(?=\s+["'“‘«(\[*]*([^\W\d_]))""")
_ENDED = re.compile(r"""[.?!:…।॥؟۔]["'”’»)\]*]*$""")


def documents(text, layout="lines"):
    """Return the documents of a text, each a list of its sentences.

    Parameters
    ----------
    text : str
    layout : str
        ``"lines"`` or ``"prose"``, by this page's rules.

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
    found = [cut(block) for block in re.split(r"\n\s*\n", text)]
    found = [document for document in found if document]
    if not found:
        hint = (
            "; it may have one sentence on each line: try layout='lines'" if layout == "prose" and text.strip() else ""
        )
        raise DataError(f"documents: there is no sentence in a text of {len(text):,} characters{hint}")
    return found


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
    pieces, start = [], 0
    ends = (end for end in _END.finditer(paragraph) if not end[1].islower())  # a script may have no capitals
    for end in ends:
        pieces.append(paragraph[start : end.end()].strip())
        start = end.end()
    pieces.append(paragraph[start:].strip())
    return _with_words(piece for piece in pieces if _ENDED.search(piece) and piece.count(" ") >= 2)


def _with_words(pieces):
    return [piece for piece in pieces if any(map(str.isalnum, piece))]
