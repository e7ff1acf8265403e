"""Texts from the command line: the arguments; an argument ``-`` stands for the lines of standard input."""

import sys

from tinytx.data.reading import lines_of, unified
from tinytx.pipelines.texts import known_form


def given_texts(words, noun, tokenizer):
    """Return [(place, text)] of the arguments; an argument ``-`` stands for the lines of standard input.

    Parameters
    ----------
    words : list of str
    noun : str
        The name of one text in messages: "sentence", "text".
    tokenizer : Tokenizer
        The tokenizer that will read them: each text is returned in its `tinytx.pipelines.texts.known_form`.

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
