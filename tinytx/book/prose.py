"""Docstrings as HTML: paragraphs, code in backticks, indented lines, titles, numbers of equations, formulas between words."""

import html
import re

from tinytx.derivations.latex import latex
from tinytx.derivations.notation import parse
from tinytx.derivations.tree import NotationError
from tinytx.extras import require

_CODE = re.compile(r"``(.+?)``|`([^`]+)`")
_NAME = r"∂?(?:[A-Za-z]{1,4}'?(?:_(?:\{[^{}]*\}|[A-Za-z0-9]{1,3}(?![A-Za-z0-9_])))|loss(?![\w'])|d?[A-Za-zαβμσε](?:'(?!s\b))?(?![\w'])"
_NAME += r"|(?:d?W[a-z]|alpha|beta|gamma|mu|eps|phi|sigma|pi|ln|exp|tanh|cosh|sinh|sqrt|sum_\w+)(?![\w'-]))"
_TOKEN = rf"(?:{_NAME}|\[\w+ = \w+\]|\d+(?:\.\d+)?(?![\w.])|\d+(?=[A-Za-z](?!\w))|(?!\(\d{{1,2}}\))[()|]|\^-?|/|(?<=[ (])[-+=](?= )|(?<![\w)\]'])-(?=\w)|∂)"
_RUN = re.compile(rf"(?<![\w'∂/.^-]){_TOKEN}(?: ?{_TOKEN})*")
_PIECE = re.compile(_TOKEN)
_STRONG = re.compile(r"∂|_|\^")  # a formula has one of these: "x = 1" may be a word's neighbour
_ARTICLE = re.compile(r"[aAI] |.* [aAI]$")
_ITEM = re.compile(r"(?:\* |\d+\. )")
_STRESSED = re.compile(r"(?<![\w*])\*(\w[\w -]*)\*(?![\w*])")
_NUMBER = re.compile(r"\((\d{1,2})\)")


def inline(text, linked=(), formulas=False):
    """Return a line as HTML; numbers of equations that are ``linked`` light up with their equation.

    With ``formulas`` what has indices, such as x_i, is written as mathematics where it can be read.
    """
    parts, end = [], 0
    plain = _formulas if formulas else _numbered
    for match in _CODE.finditer(text):
        parts += [plain(text[end : match.start()], linked), f"<code>{html.escape(match.group(1) or match.group(2))}</code>"]
        end = match.end()
    return "".join([*parts, plain(text[end:], linked)])


def formula(text):
    """Return LaTeX as MathML."""
    return require("latex2mathml.converter", "book", "writing formulas").convert(text)


def _formulas(text, linked):
    parts, end = [], 0
    for run in _RUN.finditer(text):
        for start, stop, mathematics in _read(run.group()):
            start, stop = run.start() + start, run.start() + stop
            parts += [_numbered(text[end:start], linked), f'<span class="said">{mathematics}</span>']
            end = stop
    return "".join([*parts, _numbered(text[end:], linked)])


def _read(run):
    """Yield (start, end, MathML) of formulas in a run of what may be parts of one: the longest that can be read, then those around it."""
    pieces = [piece.span() for piece in _PIECE.finditer(run)]
    spans = [(first[0], last[1]) for i, first in enumerate(pieces) for last in pieces[i:]]
    for start, stop in sorted(spans, key=lambda span: span[0] - span[1]):
        part = run[start:stop]
        if not _STRONG.search(part) or _ARTICLE.match(part) or run[:start].endswith(("∂", "^", "/")) or run[stop:].lstrip().startswith(("^", "/")):
            continue
        whole = "=" in re.sub(r"\[.*?\]", "", part)
        try:
            sides = parse(part if whole else f"{part} = 0").sides
        except NotationError:
            continue  # no formula, but a name with an underscore, or a half
        yield from _read(run[:start])
        yield start, stop, formula(" = ".join(map(latex, sides if whole else sides[:1])))
        yield from ((stop + first, stop + last, mathematics) for first, last, mathematics in _read(run[stop:]))
        return


def _numbered(text, linked):
    escaped = _STRESSED.sub(r"<em>\1</em>", html.escape(text))
    return _NUMBER.sub(lambda m: number(int(m.group(1))) if int(m.group(1)) in linked else m.group(), escaped)


def number(n):
    """Return an equation's number as a button: it lights up what has the same number."""
    return f'<button class="number" data-n="{n}" aria-label="equation {n}">({n})</button>'


def paragraphs(text):
    """Return a docstring as HTML: blocks between empty lines; lists; what else is indented, or has a table's rule, stays as it stands."""
    blocks = []
    for block in re.split(r"\n\s*\n", text.strip("\n")):
        lines = block.split("\n")
        if len(lines) > 1 and re.fullmatch(r"[-=]{3,}", lines[1]):
            blocks.append(f"<h2>{inline(lines[0])}</h2>")
            lines = lines[2:]
        if not lines:
            continue
        if _ITEM.match(lines[0]) and all(_ITEM.match(line) or line.startswith("  ") for line in lines):
            blocks.append(_list(lines))
            continue
        kept = any(line.startswith((" ", ">>>", "===", "---", "|")) or re.search(r"\S {2,}\S", line) for line in lines)
        blocks.append(f"<pre>{html.escape(chr(10).join(lines))}</pre>" if kept else f"<p>{inline(' '.join(lines))}</p>")
    return "\n".join(blocks)


def _list(lines):
    """Return lines of which some begin an item, such as "* a" or "1. a", as a list."""
    items = []
    for line in lines:
        items += [""] if _ITEM.match(line) else []
        items[-1] += " " + _ITEM.sub("", line).strip()
    kind = "ul" if lines[0].startswith("*") else "ol"
    return f"<{kind}>{''.join(f'<li>{inline(item.strip())}</li>' for item in items)}</{kind}>"
