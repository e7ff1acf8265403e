"""Texts for a trained model, whose vocabulary is what it is."""

import re
import unicodedata

import numpy as np

from tinytx.arguments import check_text
from tinytx.data import JsonTokenizer, framed
from tinytx.data.tokenizers.tokenizer import ROLES
from tinytx.wording import counted

TITLE = 80  # characters of a text in the title of its page
FRAMES = {name for role, names in ROLES.items() if role != "mask" for name in names}


def entry_for(place, table, trained, **texts):
    """Return the entry of a table, {class: entry}, for a trained model, after a look at the texts that it is given.

    Raises
    ------
    TypeError, ValueError
        If a text is none, or empty; None stands for one that is not given. If the table has no class of the model.
    """
    for name, value in texts.items():
        if value is not None:
            check_text(place, name, value, empty=False)
    for kind, entry in table.items():
        if isinstance(trained, kind):
            return entry
    kinds = ", ".join(kind.__name__ for kind in table)
    raise TypeError(f"{place}: trained is a {type(trained).__name__}, expected one of {kinds}")


def title_of(text):
    """Return the beginning of a text, as the title of its page."""
    return text if len(text) <= TITLE else f"{text[:TITLE]}…"


def known_form(tokenizer, text):
    """Return a text in that form of Unicode of which a tokenizer knows most; all forms look alike to a reader.

    é is one character or two, by keyboard, program and system: NFC or NFD (Unicode Standard Annex 15).
    """
    forms = [text, *(unicodedata.normalize(form, text) for form in ("NFC", "NFD"))]
    return min(forms, key=lambda form: len(tokenizer.unknown(form)))  # of equals the first: as it was given


def encode_known(tokenizer, text, place):
    """Return the ids of a text.

    Parameters
    ----------
    tokenizer : Tokenizer
    text : str
    place : str
        What the message calls the text.

    Raises
    ------
    ValueError
        If it holds what the vocabulary does not, and the tokenizer has no ``<unk>`` for it.
    """
    unknown = [] if tokenizer.unk_id is not None else list(dict.fromkeys(tokenizer.unknown(text)))
    if unknown:
        known = "".join(name for i, name in enumerate(tokenizer.names) if i not in tokenizer.special_ids)
        shown = ", ".join(map(repr, unknown[:5])) + (", ..." if len(unknown) > 5 else "")
        raise ValueError(f"{place} has {shown}, which the model was not trained on; it knows {known!r:.200}")
    return tokenizer.encode(text)


def encode_marked(tokenizer, text, place):
    """Return the ids of a text in which marks may stand by name: ``<mask>``, or the sentinel ``<extra_id_0>``.

    Marks are the tokenizer's special tokens but those that every text has: padding, start, stop, unknown, BERT's frame.
    Parameters and errors as for `encode_known`.
    """
    pieces = _marks_of(tokenizer).split(text)  # text, mark, text, ...
    parts = [encode_known(tokenizer, piece, place) for piece in pieces]
    parts[1::2] = ([tokenizer.special_id(mark)] for mark in pieces[1::2])
    return np.concatenate(parts).astype(np.int64)


def _marks_of(tokenizer):
    """Return the pattern of the names of a tokenizer's marks."""
    names = [re.escape(name) for name in tokenizer.special if name not in FRAMES]
    return re.compile(f"({'|'.join(names)})" if names else "((?!))")


def encode_framed(tokenizer, text, pair=None, *, allow=()):
    """Return (ids, segments) of a text, or of two, in the frame that a model reads them in.

    A `JsonTokenizer` has the frame of its file. Others have ``[CLS] text [SEP] second text [SEP]`` if they have these two
    tokens; if not, a text is read without a frame.

    Parameters
    ----------
    tokenizer : Tokenizer
    text : str
    pair : str, optional
    allow : sequence of str
        Special tokens that a text may write by name, where the tokenizer is a `JsonTokenizer`.

    Raises
    ------
    ValueError
        If there are two texts, and the tokenizer cannot frame them.
    """
    if isinstance(tokenizer, JsonTokenizer):
        encoding = tokenizer.frame(text, pair, allow=allow)
        return encoding.ids, encoding.types
    parts = [tokenizer.encode(part) for part in (text, pair) if part is not None]
    if None not in (tokenizer.cls_id, tokenizer.sep_id):
        return framed(*parts, cls_id=tokenizer.cls_id, sep_id=tokenizer.sep_id)
    if pair is not None:
        raise ValueError(f"a pair of texts needs [CLS] and [SEP], and the tokenizer's special tokens are {tokenizer.special}")
    return parts[0], 0 * parts[0]


def check_length(ids, most, place, text):
    """Raise ValueError if ids are more than a model reads."""
    if len(ids) > most:
        facts = f"{place} has {counted(len(ids), 'token')}, and the model reads at most {most}"
        raise ValueError(f"{facts}: cut it, {text!r:.60}")


def unknown_note(tokenizer, text):
    """Return a list of at most one line: which pieces of a text are unknown, and as what they are read."""
    unknown = list(dict.fromkeys(tokenizer.unknown(_marks_of(tokenizer).sub(" ", text))))
    if not unknown:
        return []
    shown = ", ".join(map(repr, unknown[:5])) + (f" and {len(unknown) - 5} more" if len(unknown) > 5 else "")
    hint = "" if tokenizer.unknown(text.lower()) else "; in lower case, all of it is known"
    read_as = tokenizer.names[tokenizer.unk_id]
    return [f"Note: not in the vocabulary, read as {read_as}: {shown} in {text!r:.60}{hint}"]
