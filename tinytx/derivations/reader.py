r"""Reads the derivation in the docstring of an operation's file: paragraphs of prose, and equations between them.

An indented line is an equation, or several with commas between them, and its number stands at its end, in parentheses; a line without
a number that ends in a comma belongs to the number of the next. Words may
follow an equation, behind a comma or two spaces: ``because``, ``or`` and their like before another equation, or a remark of
plain words. A line that begins with = or an operator continues the equation above it. In prose, what begins with a derivative and an
equals sign, as ∂y_i/∂w_i = n_i does, is an equation as well.
"""

import ast
import io
import re
import tokenize
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import tinytx.ops as ops
from tinytx.derivations.notation import WORDS, Parser
from tinytx.derivations.tree import NotationError, tokens

FOLDER = Path(ops.__file__).parent
_NUMBER = re.compile(r"^(.*\S)?\s{2,}\((\d+)\)\s*$")
_CITED = re.compile(r"\((\d{1,2})\)(?! of ``| there)")
_OPERATORS = ("=", "+", "-", "*", "/", "(", "^", "∂")


@dataclass(frozen=True)
class Line:
    """A line of the docstring. ``kind`` is "equation", "prose", "title", "example" or "" (empty); ``chains`` end in it."""

    text: str
    line: int
    kind: str
    number: int | None
    chains: tuple = ()


@dataclass(frozen=True)
class Page:
    """What a file's docstring derives.

    Parameters
    ----------
    name : str
        The operation.
    lines : tuple of Line
        From the first line of the docstring to its end.
    cited : dict of int to list of (int, str)
        For each number, the lines of code, or of functions' docstrings, that name it: line number and text.
    """

    name: str
    lines: tuple
    cited: dict

    @property
    def chains(self):
        """All equations in their order."""
        return [chain for line in self.lines for chain in line.chains]

    @property
    def numbers(self):
        """The numbers that stand at ends of lines, in their order."""
        return [line.number for line in self.lines if line.number is not None]


def source_of(name):
    """Return the text of an operation's file."""
    path = FOLDER / f"{name}.py"
    if not path.is_file():
        raise ValueError(f"there is no operation {name!r}: expected a file of tinytx/ops, such as layer_norm")
    return path.read_text(encoding="utf-8")


def read(name, source=None, whole=frozenset(), *, parsed=True):
    """Return the Page of an operation.

    Parameters
    ----------
    name : str
        A file of tinytx/ops, without its ending.
    source : str, optional
        The file's text, if it is not to be read.
    whole : set of str
        Names with an underscore that is no index.
    parsed : bool
        Whether the equations are read, too. False for a page that is not written in the notation.

    Raises
    ------
    NotationError
        If something that looks like an equation cannot be read: the message shows line and column.
    """
    source = source_of(name) if source is None else source
    docstring = ast.parse(source[: source.index('"""', source.index('"""') + 3) + 3]).body[0].value
    texts = docstring.value.split("\n")
    kinds = _kinds(texts)
    lines = []
    for offset, (text, kind) in enumerate(zip(texts, kinds, strict=True)):
        place = docstring.lineno + offset
        match = _NUMBER.match(text) if kind in ("equation", "prose") else None
        lines.append(Line(text, place, kind, int(match.group(2)) if match else None))
    if parsed:
        for start, stop in _runs(lines):
            for chain, last in _chains(tuple(lines[start:stop]), frozenset(whole)):
                at = last - docstring.lineno
                lines[at] = Line(**vars(lines[at]) | {"chains": (*lines[at].chains, chain)})
    return Page(name, tuple(lines), _cited("\n".join(source.split("\n")[docstring.end_lineno :]), docstring.end_lineno))


def _kinds(texts):
    """Return the kind of each line: equations and prose are looked for between "Derivation" and "With numbers"."""
    kinds, inside = [], False
    for i, text in enumerate(texts):
        following = texts[i + 1] if i + 1 < len(texts) else ""
        if re.fullmatch(r"-{4,}", text):
            kinds.append("title")
        elif text and re.fullmatch(r"-{4,}", following) and len(following) == len(text):
            inside = text != "With numbers" and (inside or text == "Derivation")
            kinds.append("title")
        elif not text.strip():
            kinds.append("")
        elif not inside or text.startswith(">>>"):
            kinds.append("example")
        else:
            kinds.append("equation" if text.startswith("    ") else "prose")
    return kinds


def _runs(lines):
    """Yield (start, stop) of neighbouring lines of one kind, equations or prose."""
    start = 0
    for stop in range(1, len(lines) + 1):
        if stop == len(lines) or lines[stop].kind != lines[start].kind:
            if lines[start].kind in ("equation", "prose"):
                yield start, stop
            start = stop


@lru_cache
def _chains(block, whole):
    """Return [(chain, line), ...] of neighbouring lines of one kind. Of a page that is read once more with a line changed, the others stay."""
    return list((_display if block[0].kind == "equation" else _prose)(block, whole))


def _display(block, whole):
    """Yield (chain, line) of a block of indented lines."""
    found = []
    for line in block:
        match = _NUMBER.match(line.text)
        new = tokens((match.group(1) or "") if match else line.text, line.line, source=line.text)
        continues = found and new and (new[0].text in ("=", "+", "-", "*", "/") or found[-1].text in _OPERATORS)
        if found and not continues:
            yield from _equations(found, block, whole)
            found = []
        found += new
    if found:
        yield from _equations(found, block, whole)


def _equations(found, block, whole):
    """Yield (chain, line) of one logical line."""
    is_remark = False
    numbers = _numbers(block)
    for piece in pieces(found):
        if not has_equals(piece):
            is_remark = is_remark or re.fullmatch(r"[A-Za-z]{3,}", piece[0].text) is not None
            if not is_remark:
                raise piece[0].error(f"{piece[0].text!r} begins neither an equation nor a remark in words")
            continue
        parser = Parser(piece, whole)
        chain = parser.chain()
        if parser.peek():
            token = parser.take()
            raise token.error(f"{token.text!r}, expected the end of the equation, a comma, or two spaces and words")
        spanned = [numbers[n] for n in range(piece[0].line, piece[-1].line + 1) if numbers.get(n) is not None]
        yield type(chain)(chain.sides, chain.texts, spanned[-1] if spanned else None, chain.line), piece[-1].line


def _numbers(block):
    """Return {line: number}; a line that ends in a comma belongs to the number of the next."""
    numbers, following = {}, None
    for line in reversed(block):
        belongs = line.number is None and line.text.rstrip().endswith(",")
        following = numbers[line.line] = following if belongs else line.number
    return numbers


def pieces(found):
    """Yield the parts of a logical line between commas, wide gaps and words such as because, outside parentheses."""
    piece, depth = [], 0
    for i, token in enumerate(found):
        depth += (token.text in "([") - (token.text in ")]")
        before, after = (found[i - 1] if i else None), (found[i + 1] if i + 1 < len(found) else None)
        dot = token.text == "." and not (token.gap and after is not None and after.gap)
        separator = depth == 0 and (token.text in ",;:" or dot or token.text in WORDS)
        is_same_line = before is not None and before.line == token.line
        wide = (
            depth == 0 and is_same_line and token.gap >= 2 and token.text not in _OPERATORS[:5]
            and before.text not in _OPERATORS
        )  # fmt: skip
        if (separator or wide) and piece:
            yield piece
            piece = []
        if not separator:
            piece.append(token)
    if piece:
        yield piece


def has_equals(piece):
    """Return whether an = stands outside parentheses: the piece is an equation then."""
    depth = 0
    for token in piece:
        depth += (token.text in "([") - (token.text in ")]")
        if token.text == "=" and depth == 0:
            return True
    return False


def _prose(block, whole):
    """Yield (chain, line) of the derivatives that prose states."""
    found = [token for line in block for token in tokens(line.text, line.line)]
    at = 0
    while at < len(found):
        if found[at].text != "∂":
            at += 1
            continue
        parser = Parser(found[at:], whole)
        try:
            parser.factor()
            is_equation = parser.peek() == "="
        except NotationError:
            is_equation = False
        if is_equation:
            parser.at = 0
            chain = parser.chain()
            if parser.peek() not in ("", ",", ".", ":", ";", ")", *WORDS):
                raise parser.take().error("expected a comma or a full stop behind the equation")
            yield chain, found[at + parser.at - 1].line
        at += max(1, parser.at)


@lru_cache
def _cited(code, end):
    """Return {number: [(line, text), ...]} of comments and docstrings in the code behind line ``end``, where the docstring ends."""
    cited, texts = {}, code.split("\n")
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        is_text = token.type == tokenize.COMMENT or token.type == tokenize.STRING and token.string.lstrip("rf").startswith('"""')
        if is_text:
            for offset, text in enumerate(token.string.split("\n")):
                place = token.start[0] + offset
                for number in _CITED.findall(text):
                    entry = end + place, texts[place - 1].strip()
                    if entry not in cited.setdefault(int(number), []):
                        cited[int(number)].append(entry)
    return cited
