r"""The pieces of an equation: tokens, and the tree that the parser makes of them; errors that show a place in a text."""

import re
from dataclasses import dataclass, field
from functools import cached_property

_TOKEN = re.compile(
    r"(?P<number>\d+(?:\.\d+)?(?:e-?\d+)?)|(?P<name>[^\W\d_]+['~]*(?:_(?:\{[^}]*\}|[A-Za-z0-9]+))?)"
    r"|(?P<mark>!=|<=|>=|[-+*/^()\[\]|,.;:=<>∂])|(?P<other>\S)"
)


class NotationError(ValueError):
    """A text cannot be read, or what it says is not true. The message shows the place: line, column, and the line itself."""


class UnknownName(NotationError):
    """An equation uses a name that is neither an input nor defined."""


@dataclass(frozen=True)
class Token:
    """A piece of a line. ``gap`` is the number of spaces before it."""

    kind: str
    text: str
    line: int
    column: int
    gap: int
    source: str = field(repr=False, default="")

    def error(self, message, kind=NotationError):
        """Return an error that points at this token."""
        return kind(f"line {self.line}, column {self.column + 1}: {message}\n  {self.source}\n  {' ' * self.column}^")


def tokens(text, line=1, column=0, source=None):
    """Return the tokens of one line.

    >>> [token.text for token in tokens("y_i = 2n_i e^(-x)")]
    ['y_i', '=', '2', 'n_i', 'e', '^', '(', '-', 'x', ')']
    """
    found, end = [], 0
    for match in _TOKEN.finditer(text):
        gap = match.start() - end
        end = match.end()
        place = line, column + match.start(), gap, text if source is None else source
        found.append(Token(match.lastgroup, match.group(), *place))
    return found


# ---------------------------------------------------------------------------------------- the tree


@dataclass(frozen=True)
class Node:
    """A part of an equation; ``token`` is where it begins."""

    token: Token = field(repr=False, compare=False, kw_only=True)

    @cached_property
    def names(self):
        """All names in it, with indices or without."""
        return [node for node in walk(self) if isinstance(node, Name)]


@dataclass(frozen=True)
class Number(Node):
    value: float


@dataclass(frozen=True)
class Name(Node):
    """A name with its indices, trees themselves; ``indices`` is None for a name without."""

    base: str
    indices: tuple | None = None


@dataclass(frozen=True)
class Add(Node):
    """A sum of (sign, term)."""

    terms: tuple


@dataclass(frozen=True)
class Product(Node):
    """Factors behind each other: (operator, factor), the operator being one of "", "*", "." and "/"."""

    factors: tuple


@dataclass(frozen=True)
class Power(Node):
    base: Node
    exponent: Node


@dataclass(frozen=True)
class Transpose(Node):
    base: Node


@dataclass(frozen=True)
class Call(Node):
    function: str
    arguments: tuple


@dataclass(frozen=True)
class Join(Node):
    """``(a, b)``: vectors behind each other."""

    parts: tuple


@dataclass(frozen=True)
class Cut(Node):
    """The part with this number of a vector that is cut into ``count`` equal parts: what ``(a, b) = body`` makes a and b of."""

    body: Node
    number: int
    count: int


@dataclass(frozen=True)
class Reduce(Node):
    """``sum_i body``: ``kind`` is one of REDUCERS, ``index`` is None for ``mean(x)``, ``condition`` a Relation or None."""

    kind: str
    index: str | None
    condition: Node | None
    body: Node


@dataclass(frozen=True)
class Crossed(Node):
    """A Reduce taken along other axes, ``over``, or all if it is None; the index that it had is then called ``place``. No text says this."""

    kind: str
    index: str | None
    body: Node
    over: tuple | None
    place: str


@dataclass(frozen=True)
class Relation(Node):
    """``[i = j]``: also ``[a < b]`` and others; the sides and the relations between them."""

    sides: tuple
    relations: tuple


@dataclass(frozen=True)
class Partial(Node):
    """The derivative of ``body`` with respect to ``by``."""

    body: Node
    by: Name


@dataclass(frozen=True)
class Chain:
    """An equation: its sides, each with its text, and the number that stands behind it, or None."""

    sides: tuple
    texts: tuple
    number: int | None
    line: int

    @property
    def text(self):
        """The whole equation, on one line."""
        return " = ".join(self.texts)


def children(node):
    """Yield the nodes directly in a node."""
    for name in node.__dataclass_fields__:
        value = getattr(node, name)
        for item in value if isinstance(value, tuple) else (value,):
            for part in item if isinstance(item, tuple) else (item,):
                if isinstance(part, Node):
                    yield part


def walk(node):
    """Yield a node and all below it."""
    yield node
    for child in children(node):
        yield from walk(child)
