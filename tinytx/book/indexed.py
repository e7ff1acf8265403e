"""Equations of vectors and matrices with the indices that they leave out: Q K^T as sum_k Q_tk K_sk."""

from dataclasses import replace

from tinytx.derivations.named import BARE
from tinytx.derivations.tree import Add, Call, Cut, Join, Name, Partial, Power, Product, Reduce, Relation, Transpose
from tinytx.derivations.values import explicit_axes


class Fixed(Exception):
    """The numbers of a derivation cannot follow from changed inputs in the page; the message says why."""


class Indexed:
    """Writes the indices of one equation.

    Parameters
    ----------
    values : dict of str to Named
        All arrays.
    letters : dict of str to int
        The equation's indices and how far they go. Those of sums between matrices are added.
    """

    def __init__(self, values, letters):
        self.values, self.letters = values, letters

    def is_letter(self, node):
        """Return whether a name is an index of the equation."""
        stored = self.values.get(node.base)
        known = stored is None or stored.data.dtype.kind != "i" and explicit_axes(stored)
        return node.indices is None and node.base in self.letters and bool(known)

    def lengths(self, node):
        """Return the lengths of a tree's axes without indices: () of a number, (n,) of a vector, (m, n) of a matrix."""
        match node:
            case Name(indices=None) if node.base in self.values and not self.is_letter(node):
                stored = self.values[node.base]
                return tuple(stored.size(axis) for axis in explicit_axes(stored))
            case Name() | Reduce(index=None):
                return ()
            case Transpose(base=base):
                return self.lengths(base)[::-1]
            case Product(factors=factors):
                result = ()
                for operator, factor in factors:
                    right = self.lengths(factor)
                    result = () if operator == "." else _after_product(result, right) if operator == "" else max(result, right, key=len)
                return result
            case Call(function="max" | "min", arguments=(argument,)):
                return self.lengths(argument)[:-1]
            case Add(terms=terms):
                parts = [term for _, term in terms]
            case Power(base=base, exponent=exponent):
                parts = [base, exponent]
            case Relation(sides=sides):
                parts = sides
            case Call(arguments=arguments):
                parts = arguments
            case Partial(body=body) | Reduce(body=body):
                parts = [body]
            case _:
                parts = []
        return max((self.lengths(part) for part in parts), key=len, default=())

    def written(self, node, at):
        """Return a tree with all indices: ``at`` has those of its axes "-2" and "-1", as Names."""
        match node:
            case Name():
                lengths = self.lengths(node)
                if len(lengths) > 2:
                    raise Fixed(f"{node.base} has more than two indices, and they are left out")
                return replace(node, indices=tuple(at[axis] for axis in BARE[2 - len(lengths) :])) if lengths else node
            case Transpose(base=base):
                return self.written(base, {"-2": at["-1"], "-1": at["-2"]})
            case Product(factors=factors):
                return self._product(factors, at, node.token)
            case Reduce(kind=kind, index=None, body=body):
                return self._reduced(kind, body, self.lengths(body), node.token)
            case Call(function="max" | "min", arguments=(body,)):
                return self._reduced(node.function, body, self.lengths(body)[-1:], node.token, at)
            case Call(function="softmax", arguments=(body,)):
                return self._softmax(body, at, node.token)
            case Add(terms=terms):
                return replace(node, terms=tuple((sign, self.written(term, at)) for sign, term in terms))
            case Power(base=base, exponent=exponent):
                return replace(node, base=self.written(base, at), exponent=self.written(exponent, at))
            case Relation(sides=sides):
                return replace(node, sides=tuple(self.written(side, at) for side in sides))
            case Call(arguments=arguments):
                return replace(node, arguments=tuple(self.written(argument, at) for argument in arguments))
            case Partial(body=body) | Reduce(body=body):
                return replace(node, body=self.written(body, at))
            case Join() | Cut():
                raise Fixed("vectors are put behind each other, or cut")
        return node

    def _product(self, factors, at, token):
        """Return a product; where a matrix meets a matrix or a vector, the sum over the index between them."""
        *before, (operator, last) = factors
        if not before:
            return self.written(last, at)
        first = before[0][1] if len(before) == 1 else Product(tuple(before), token=token)
        left, right = self.lengths(first), self.lengths(last)
        if operator == ".":
            return self._reduced("sum", Product((("", first), ("*", last)), token=token), max(left, right, key=len), token)
        if operator == "" and left and right and len(left) + len(right) > 2:
            inner = self._letter(right[0], token)
            row, column = at.get("-2" if len(right) == 2 else "-1"), at.get("-1")
            a = self.written(first, {"-2": row, "-1": inner})
            b = self.written(last, {"-2": inner, "-1": column} if len(right) == 2 else {"-1": inner})
            return Reduce("sum", inner.base, None, Product((("", a), ("", b)), token=token), token=token)
        first = self.written(first, at)
        flat = first.factors if isinstance(first, Product) else (("", first),)
        return Product((*flat, (operator, self.written(last, at))), token=token)

    def _reduced(self, kind, body, lengths, token, at=None):
        """Return a sum, mean or maximum over the last axes, those of ``lengths``."""
        axes = BARE[2 - len(lengths) :]
        letters = {axis: self._letter(length, token) for axis, length in zip(axes, lengths, strict=True)}
        outer = {} if at is None else {"-2": at.get("-1")}
        result = self.written(body, outer | letters)
        for letter in letters.values():
            result = Reduce(kind, letter.base, None, result, token=token)
        return result

    def _softmax(self, body, at, token):
        """Return e^(x - max(x)) over its sum along the last axis."""
        lengths = self.lengths(body)[-1:]
        inner = self._letter(lengths[0], token)

        def power(last):
            highest = self._letter(lengths[0], token)
            largest = Reduce("max", highest.base, None, self.written(body, at | {"-1": highest}), token=token)
            difference = Add(((1, self.written(body, at | {"-1": last})), (-1, largest)), token=token)
            return Call("exp", (difference,), token=token)

        return Product((("", power(at["-1"])), ("/", Reduce("sum", inner.base, None, power(inner), token=token))), token=token)

    def _letter(self, length, token):
        """Return an index of its own."""
        name = f"#{len(self.letters)}"
        self.letters[name] = length
        return Name(name, token=token)


def _after_product(left, right):
    """Return the lengths of a product's axes without indices."""
    if left and right and len(left) + len(right) > 2:
        return left[:-1] + right[1:]
    return max(left, right, key=len)
