"""Texts from the command line: words that were given, and the lines of standard input where ``-`` stands."""

import sys
import unicodedata

from tinytx.data.reading import lines_of, unified


def given_texts(words, noun, tokenizer):
    """Return [(place, text)] of what was given, and of standard input's lines where ``-`` stands.

    Parameters
    ----------
    words : list of str
    noun : str
        What one of them is called in messages: "sentence", "text".
    tokenizer : Tokenizer
        That will read them: each text is returned in its `known_form`.

    Raises
    ------
    ValueError
        If one is empty, or standard input holds nothing, is no text or is asked for twice. An empty line of it stays,
        as "".
    """
    if words.count("-") > 1:
        raise ValueError("- stands for standard input, which can be read once")
    if "-" in words and sys.stdin is None:
        raise ValueError(f"standard input is closed: give each {noun} itself in place of -")
    found = []
    for number, word in enumerate(words, start=1):
        if word == "-":
            try:
                lines = [line.strip() for line in lines_of(unified(sys.stdin.read()))]
            except UnicodeDecodeError as error:
                encoding = error.encoding.upper()
                raise ValueError(f"standard input is not {encoding}: {error}; save it as UTF-8") from error
            if not any(lines):
                raise ValueError(f"standard input holds no {noun}")
            found += [(f"line {n} of standard input", line) for n, line in enumerate(lines, start=1)]
        elif not word.strip():
            raise ValueError(f"{noun} {number} is empty: give at least one word")
        else:
            found.append((f"{noun} {number}", word.strip()))
    return [(place, known_form(tokenizer, text)) for place, text in found]


def known_form(tokenizer, text):
    """Return a text in that form of Unicode of which a tokenizer knows most; all forms look alike to a reader.

    é is one character or two, by keyboard, program and system: NFC or NFD (Unicode Standard Annex 15).
    """
    forms = [text, *(unicodedata.normalize(form, text) for form in ("NFC", "NFD"))]
    return min(forms, key=lambda form: len(tokenizer.unknown(form)))  # of equals the first: as it was given


def encode_known(tokenizer, text, place):
    """Return the ids of a text for a trained model, whose vocabulary is what it is.

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
