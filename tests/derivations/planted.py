"""Planted mistakes: an operation's file with one token of one equation changed."""

import re

from tinytx.derivations import reader
from tinytx.derivations.notation import WORDS
from tinytx.derivations.tree import tokens

FLIPPED = {"+": "-", "-": "+", "*": "/", "/": "*"}


def mistakes(source, name):
    """Yield (what, where, changed source) for each sign, index, factor and power of each equation."""
    texts = source.split("\n")
    for line in reader.read(name, source, parsed=False).lines:
        if line.kind != "equation":
            continue
        found = tokens(re.sub(r"\(\d+\)$", "", line.text))
        is_continued = found and found[0].text in ("=", "+", "-")
        for token in found if is_continued else sum(filter(reader.has_equals, reader.pieces(found)), []):
            for what, new in changes(token):
                text = line.text[: token.column] + new + line.text[token.column + len(token.text) :]
                changed = [*texts[: line.line - 1], text, *texts[line.line :]]
                yield what, f"line {line.line}: {text.strip()}", "\n".join(changed)


def changes(token):
    """Yield (what, new text) of a token."""
    if token.text in FLIPPED:
        yield "sign", FLIPPED[token.text]
    if token.kind == "number":
        yield "number", str(float(token.text) + 1)
    base, _, index = token.text.partition("_")
    if token.kind == "name" and token.text not in WORDS and index.startswith("{"):
        yield from inside(token.text)
    if token.kind == "name" and token.text not in WORDS and base not in ("sum", "mean", "max", "min"):
        if len(index) == 1:
            yield "index", f"{base}_{chr(ord(index) + 1)}"
        if len(index) == 2:
            yield "index", f"{base}_{index[::-1]}"
        yield "factor", "1"


def inside(text):
    """Yield (what, new text) of a name for each change of its computed indices, or of a sum's condition."""
    start = text.index("{")
    for token in tokens(text[start:]):
        for what, new in changes(token):
            yield f"{what} in braces", text[: start + token.column] + new + text[start + token.column + len(token.text) :]
