r"""The notation of the derivations: text to tokens, tokens to a tree.

An equation is a chain of sides, ``a = b = c``. A side is made of

- numbers, and names with indices: ``x``, ``x_ij``, ``x_{t+1, d}``, ``dP'_ts``, ``mu``;
- sums and products: ``a + b``, ``a - b``, ``a b``, ``a * b`` (element by element), ``a . b`` (scalar product), ``a / b``, ``a^2``,
  ``W^T``. ``a / b c`` is refused, because it can be read in two ways. ``sum_i`` stands before all that follows it in its
  product: ``sum_i a_i b_i - c`` is (sum_i a_i b_i) - c. So do ``mean_i`` and ``max_i``; ``sum_{n : ids_n = v}`` has a condition, as
  ``max_{n : m_n = 1}`` may have;
- functions: ``ln x_i``, ``exp(-x)``, ``e^(x_i)``, ``|x|``, ``max(x, 0)``, and those that the text defines, as ``s(a) = 1 / (1 + e^(-a))``;
  ``s'(a)`` and ``tanh'(a)`` are their slopes; a name directly before a parenthesis is such a function, so a product needs a space:
  ``r (x - mu)``;
- ``(a, b)``, vectors behind each other; left of =, as in ``(a, b) = x W``, it cuts a vector into equal parts;
- ``[i = j]``, which is 1 where the relation holds and 0 elsewhere; first in a product, it may exclude indices that an array does not
  have: ``[t > 0] x_{t-1}``;
- derivatives: ``∂y_i/∂x_j``, or ``∂/∂x_j`` before a product;
- in recurrences, which are about each position of an axis "time": ``before(h, h_0)`` is the h of the position before, and h_0 at the
  first one; ``after(h, h_T)`` is that of the next, and h_T at the last one; ``first(h)`` and ``last(h)`` are those of the ends. h may
  be defined further down, by what this gives.

What the parts mean is said in ``evaluate.py``.
"""

import re

from tinytx.derivations.tree import (
    Add,
    Call,
    Chain,
    Join,
    Name,
    Number,
    Partial,
    Power,
    Product,
    Reduce,
    Relation,
    Transpose,
    tokens,
)

FUNCTIONS = {"ln", "log", "exp", "sqrt", "tanh", "sinh", "cosh", "sin", "cos", "erf", "floor", "ceil", "round", "mod", "max", "min", "softmax"}
REDUCERS = {"sum", "mean", "max", "min", "prod"}
RELATIONS = {"=", "!=", "<", ">", "<=", ">="}
WORDS = {"because", "or", "and", "with", "where", "so", "for", "since", "if", "when", "but", "as", "in", "by", "which", "is"}


class Parser:
    """Reads tokens from left to right.

    Parameters
    ----------
    found : list of Token
    whole : set of str
        Names that contain an underscore which is no index, such as ``z_i`` for a part of z.
    """

    def __init__(self, found, whole=frozenset()):
        self.tokens, self.at, self.whole, self._bars = found, 0, whole, 0

    # -- tokens

    def peek(self, ahead=0):
        """Return the text of the next token, "" at the end."""
        place = self.at + ahead
        return self.tokens[place].text if place < len(self.tokens) else ""

    def take(self, expected=None):
        """Return the next token and go on."""
        if self.at >= len(self.tokens):
            raise self.tokens[-1].error(f"the text ends behind this, expected {expected or 'more'}")
        token = self.tokens[self.at]
        if expected is not None and token.text != expected:
            raise token.error(f"{token.text!r}, expected {expected!r}")
        self.at += 1
        return token

    # -- rules

    def chain(self, number=None):
        """Read sides with = between them."""
        first = self.tokens[self.at]
        sides, texts = [], []
        while True:
            start = self.at
            sides.append(self.expression())
            texts.append(joined(self.tokens[start : self.at]))
            if self.peek() != "=":
                break
            self.take()
        if len(sides) < 2:
            place = self.tokens[min(self.at, len(self.tokens) - 1)]
            raise place.error(f"{place.text!r}, expected = or an operator")
        return Chain(tuple(sides), tuple(texts), number, first.line)

    def expression(self):
        """A sum."""
        first = self.tokens[self.at] if self.at < len(self.tokens) else self.take()
        terms = []
        while True:
            sign = 1
            if self.peek() in ("+", "-"):
                sign = 1 if self.take().text == "+" else -1
            terms.append((sign, self.term()))
            if self.peek() not in ("+", "-"):
                break
        return terms[0][1] if len(terms) == 1 and terms[0][0] == 1 else Add(tuple(terms), token=first)

    def term(self):
        """A product."""
        first = self.take()
        self.at -= 1
        factors, is_divided = [("", self.factor())], False
        while True:
            if self.peek() in ("*", "/") or self._is_dot():
                operator = self.take().text
                factors.append((operator, self.factor()))
                is_divided = operator == "/"
            elif self.begins_factor():
                if is_divided:
                    raise self.take().error("a / b c can be read in two ways: write (a / b) c, or a / (b c)")
                factors.append(("", self.factor()))
            else:
                break
        return factors[0][1] if len(factors) == 1 else Product(tuple(factors), token=first)

    def _is_dot(self):
        """Whether a scalar product follows: a dot between spaces."""
        after = self.tokens[self.at + 1] if self.at + 1 < len(self.tokens) else None
        return self.peek() == "." and self.tokens[self.at].gap > 0 and after is not None and after.gap > 0

    def begins_factor(self):
        """Whether the next token can be the first of a factor."""
        if self.at >= len(self.tokens):
            return False
        token = self.tokens[self.at]
        if token.text == "|":
            return not self._bars
        return token.kind == "number" or token.text in ("(", "[", "∂") or token.kind == "name" and token.text not in WORDS

    def factor(self):
        """A base, and its exponent if there is one."""
        first = self.tokens[self.at] if self.at < len(self.tokens) else self.take()
        base = self.base()
        if self.peek() != "^" or isinstance(base, Reduce) and first.text != "(":
            return base
        self.take()
        if self.peek() == "T" and self.tokens[self.at].gap == 0:
            self.take()
            return Transpose(base, token=first)
        return Power(base, self._exponent(), token=first)

    def _exponent(self):
        first = self.take()
        if first.text == "-":
            return Add(((-1, self.base()),), token=first)
        self.at -= 1
        return self.base()

    def base(self):
        """A factor without its exponent."""
        token = self.take()
        if token.kind == "number":
            return Number(float(token.text), token=token)
        if token.text in ("(", "|"):
            outside, self._bars = self._bars, self._bars + 1 if token.text == "|" else 0
            parts = [self.expression()]
            while token.text == "(" and self.peek() == ",":
                self.take()
                parts.append(self.expression())
            self.take(")" if token.text == "(" else "|")
            self._bars = outside
            if len(parts) > 1:
                return Join(tuple(parts), token=token)
            return parts[0] if token.text == "(" else Call("abs", (parts[0],), token=token)
        if token.text == "[":
            relation = self.relation(token)
            self.take("]")
            return relation
        if token.text == "∂":
            return self._partial(token)
        if token.kind == "name" and token.text not in WORDS:
            return self._named(token)
        raise token.error(f"{token.text!r} is no number, name or parenthesis")

    def relation(self, token):
        """Sides with relations between them, such as i = j."""
        sides, relations = [self.expression()], []
        while self.peek() in RELATIONS:
            relations.append(self.take().text)
            sides.append(self.expression())
        if not relations:
            raise token.error("expected a relation such as [i = j]")
        return Relation(tuple(sides), tuple(relations), token=token)

    def _partial(self, token):
        if self.peek() == "/":  # ∂/∂x_j before what is differentiated
            self.take()
            self.take("∂")
            by = self._name(self.take())
            return Partial(self.term(), by, token=token)
        body = self.factor()
        self.take("/")
        self.take("∂")
        return Partial(body, self._name(self.take()), token=token)

    def _named(self, token):
        base, _, index = token.text.partition("_")
        follows = self.at < len(self.tokens) and self.peek() == "(" and self.tokens[self.at].gap == 0
        if base in REDUCERS and token.text not in self.whole and not (base in FUNCTIONS and follows and self._has_comma()):
            return self._reduce(token, base, index)
        if base in FUNCTIONS and not index and self.peek() == "^":  # cosh^2 x
            self.take()
            exponent = self._exponent()
            return Power(Call(base, (self.factor(),), token=token), exponent, token=token)
        if base in FUNCTIONS and not index:
            arguments = self._arguments() if follows else (self.factor(),)
            return Call(base, arguments, token=token)
        if base == "e" and not index and self.peek() == "^" and self.tokens[self.at].gap == 0:
            self.take()
            return Call("exp", (self._exponent(),), token=token)
        if follows:
            return Call(token.text, self._arguments(), token=token)
        return self._name(token)

    def _has_comma(self):
        """Whether the parenthesis that follows holds several arguments."""
        depth = 0
        for token in self.tokens[self.at :]:
            depth += (token.text in "([") - (token.text in ")]")
            if depth == 0:
                return False
            if depth == 1 and token.text == ",":
                return True
        return False

    def _arguments(self):
        self.take("(")
        arguments = [self.expression()]
        while self.peek() == ",":
            self.take()
            arguments.append(self.expression())
        self.take(")")
        return tuple(arguments)

    def _reduce(self, token, kind, index):
        condition = None
        if index.startswith("{"):
            index, _, text = index[1:-1].partition(":")
            index = index.strip()
            start = token.column + token.text.index(":") + 1 if text else 0
            if text:
                inner = Parser(tokens(text, token.line, start, token.source), self.whole)
                condition = inner.relation(token)
        return Reduce(kind, index or None, condition, self.term(), token=token)

    def _name(self, token):
        if token.kind != "name":
            raise token.error(f"{token.text!r}, expected a name")
        base, underscore, index = token.text.partition("_")
        if token.text in self.whole or not underscore:
            return Name(token.text, token=token)
        place = token.line, token.column + len(base) + 1
        if index.startswith("{"):
            parts, column = re.split(r",(?![^(]*\))", index[1:-1]), place[1] + 1  # at commas outside parentheses
            indices = []
            for part in parts:
                inner = Parser(tokens(part, token.line, column, token.source), self.whole)
                indices.append(inner.expression())
                if inner.peek():
                    raise inner.take().error("indices in braces stand between commas")
                column += len(part) + 1
            return Name(base, tuple(indices), token=token)
        one = [
            Number(float(letter), token=token) if letter.isdigit() else Name(letter, token=token) for letter in index
        ]
        return Name(base, tuple(one), token=token)


def joined(found):
    """Return the text of tokens, with the spaces between them."""
    return "".join((" " if i and token.gap else "") + token.text for i, token in enumerate(found))


def parse(text, whole=frozenset()):
    """Return the Chain of one equation.

    >>> parse("y_i = w_i n_i + b_i").texts
    ('y_i', 'w_i n_i + b_i')
    """
    parser = Parser(tokens(text), whole)
    chain = parser.chain()
    if parser.peek():
        raise parser.take().error("expected the end of the equation")
    return chain
