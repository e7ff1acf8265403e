r"""What the parts of an equation are worth: names, sums, products and functions, as arrays with named axes."""

import numpy as np

from tinytx.derivations import named
from tinytx.derivations.named import Named, aligned, elementwise
from tinytx.derivations.tree import Name, NotationError, Relation, UnknownName

CONSTANTS = {"pi": np.pi}
EXCLUDED = {"sum": 0.0, "max": -np.inf, "min": np.inf}  # what a condition leaves in the place of what it excludes
ALONG_TIME = {"before", "after", "first", "last"}


class Values:
    """Arrays by name, and the values of trees. `Definitions` adds how they follow from each other."""

    def __init__(self, values, outputs, ranges=None):
        self.values = {name: Named(np.asarray(value), ()) for name, value in CONSTANTS.items()} | values
        self.outputs, self.ranges = outputs, ranges or {}
        self.definitions, self.unfinished = {}, {}  # names defined in part stand in the second
        self.letters = set()  # the indices of the equation at hand
        self.allowed = []  # conditions under which the part at hand counts
        self.waiting = set()  # names that before(...) and after(...) use, and that are not defined yet
        self.sizes = {axis: value.size(axis) for value in values.values() for axis in value.axes if len(axis) > 1}

    def _sizes(self, sides):
        """Return {letter: size} of all letters that stand as an index of a known name."""
        sizes = {}
        for node in (name for side in sides for name in side.names):
            if node.indices is not None and node.base in self.values:
                explicit = explicit_axes(self.values[node.base])
                if len(explicit) != len(node.indices):
                    raise node.token.error(f"{node.base} has {len(explicit)} indices, not {len(node.indices)}")
                for axis, index in zip(explicit, node.indices, strict=True):
                    if isinstance(index, Name) and self._is_index(index):
                        size = self.values[node.base].size(axis)
                        if sizes.setdefault(index.base, size) != size:
                            message = f"index {index.base} goes to {sizes[index.base]} elsewhere, and {node.base} has {size} here"
                            raise node.token.error(message)
        return sizes

    def _is_index(self, node):
        """Whether a name in an index's place is an index, and not an array of integers."""
        if node.indices is not None or len(node.base) != 1:
            return False
        return node.base not in self.values or self.values[node.base].data.dtype.kind != "i"

    # -- values

    def value(self, node):
        """Return the Named that a tree is worth."""
        try:
            with np.errstate(all="ignore"):
                return getattr(self, f"_{type(node).__name__.lower()}")(node)
        except NotationError:
            raise
        except ValueError as error:  # of shapes that do not fit
            raise node.token.error(str(error)) from error

    def _number(self, node):
        return Named(np.asarray(node.value))

    def _name(self, node):
        if node.indices is None:
            if node.base in self.values and not self._stands_for_index(node):
                return _bare(self.values[node.base])
            if node.base in self.sizes and len(node.base) == 1:
                return Named(np.arange(self.sizes[node.base]), (node.base,))
        if node.base not in self.values:
            why = "defined in part so far" if node.base in self.unfinished else "not known: neither an input of the table nor defined above"
            raise node.token.error(f"{node.token.text} is {why}", UnknownName)
        stored = self.values[node.base]
        explicit = explicit_axes(stored)
        if len(explicit) != len(node.indices):
            raise node.token.error(f"{node.base} has {len(explicit)} indices, not {len(node.indices)}")
        return self._picked(stored, dict(zip(explicit, node.indices, strict=True)))

    def _stands_for_index(self, node):
        """Whether a single letter that is both a name and an index of this equation means the index."""
        value = self.values[node.base]
        return node.base in self.letters and value.data.dtype.kind != "i" and bool(explicit_axes(value))

    def _picked(self, stored, indices):
        """Return the entries of an array at indices, which are letters or arrays of integers."""
        letters = {axis: index.base for axis, index in indices.items() if isinstance(index, Name) and self._is_index(index)}
        renamed = stored.renamed(letters)
        if len(letters) == len(indices) and len(set(renamed.axes)) == len(renamed.axes) and not stored.bare:
            return renamed  # each index is another letter
        places = []
        for axis in stored.axes:
            index = indices.get(axis)
            if index is None:
                places.append(Named(np.arange(stored.size(axis)), (axis,)))
            elif axis in letters:
                places.append(Named(np.arange(stored.size(axis)), (letters[axis],)))
            else:
                places.append(self._place(index, stored.size(axis)))
        if not places:
            return stored
        arrays, axes = aligned(*places)
        return Named(stored.data[tuple(arrays)], axes)

    def _place(self, index, size):
        """Return the whole numbers that an index in the place of a letter is worth; where conditions exclude them, 0."""
        place = self.value(index)
        outside = elementwise(lambda p: (p.real < 0) | (p.real >= size), place)
        for allowed in self.allowed:
            outside = elementwise(lambda out, holds: out & (holds > 0), outside, allowed)
        if outside.data.any():
            numbers = elementwise(lambda out, p: np.where(out, p.real, np.nan), outside, place).data
            numbers = numbers[np.isfinite(numbers)]
            raise index.token.error(f"an index from {numbers.min():.6g} to {numbers.max():.6g} of {size}")
        return elementwise(lambda p: np.where((p.real < 0) | (p.real >= size), 0, p.real).astype(int), place)

    def _under(self, condition, trees):
        """Return the values of trees that count only where a condition, a Named of 0 and 1, holds."""
        self.allowed.append(condition)
        try:
            return [self.value(tree) for tree in trees]
        finally:
            self.allowed.pop()

    def _add(self, node):
        total = None
        for sign, term in node.terms:
            value = self.value(term)
            value = value if sign > 0 else elementwise(np.negative, value)
            total = value if total is None else elementwise(np.add, total, value)
        return total

    def _product(self, node):
        (_, first), *rest = node.factors
        result, others = self.value(first), [factor for _, factor in rest]
        values = self._under(result, others) if isinstance(first, Relation) else [self.value(factor) for factor in others]
        for (operator, _), value in zip(rest, values, strict=True):
            if operator == "/":
                result = elementwise(np.divide, result, value)
            elif operator == "*":
                result = elementwise(np.multiply, result, value)
            else:
                result = (named.dot if operator == "." else named.product)(result, value)
        return result

    def _power(self, node):
        return named.power(self.value(node.base), self.value(node.exponent))

    def _transpose(self, node):
        value = self.value(node.base)
        if len(value.bare) != 2:
            raise node.token.error("^T stands behind a matrix without indices")
        return value.renamed({"-2": "-1", "-1": "-2"})

    def _relation(self, node):
        sides = [self.value(side) for side in node.sides]
        result = Named(np.asarray(True))
        for left, relation, right in zip(sides, node.relations, sides[1:], strict=False):
            holds = elementwise(lambda a, b: named.RELATIONS[relation](a.real, b.real), left, right)  # noqa: B023
            result = elementwise(np.logical_and, result, holds)
        return Named(result.data.astype(float), result.axes)

    def _reduce(self, node):
        if node.condition is None:
            body = self.value(node.body)
        elif node.kind not in EXCLUDED:
            raise node.token.error("a condition stands at sum, max and min only")
        else:
            condition, nothing = self.value(node.condition), EXCLUDED[node.kind]
            (body,) = self._under(condition, [node.body])
            body = elementwise(lambda a, holds: np.where(holds > 0, a, nothing), body, condition)
        axes = body.bare if node.index is None else (node.index,)
        if not axes or axes[0] not in body.axes:
            raise node.token.error(f"{node.kind} over {node.index or 'a vector'}: what follows does not depend on it")
        for axis in axes:
            body = named.reduced(node.kind, body, axis)
        return body

    def _crossed(self, node):
        body, index = self.value(node.body), node.index or "-1"
        over = body.axes if node.over is None else node.over
        if index not in body.axes or not set(over) <= set(body.axes) or node.place != index and node.place in set(body.axes) - set(over):
            raise node.token.error(f"no {node.kind} over {', '.join(over)} can stand here")
        for axis in over:
            body = named.reduced(node.kind, body, axis)
        return body.renamed({index: node.place})

    def _join(self, node):
        parts = [self.value(part) for part in node.parts]
        for part, value in zip(node.parts, parts, strict=True):
            if len(value.bare) != 1:
                raise part.token.error("(a, b) puts vectors without indices behind each other, and this is none")
        return named.joined(parts)

    def _cut(self, node):
        value = self.value(node.body)
        if len(value.bare) != 1 or value.size("-1") % node.count:
            raise node.token.error(f"{node.count} equal parts: right of = stands no vector that can be cut so")
        size = value.size("-1") // node.count
        at = value.axes.index("-1")
        return Named(np.take(value.data, np.arange(node.number * size, (node.number + 1) * size), axis=at), value.axes)

    def _along_time(self, node):
        """Return what before, after, first or last is worth; a name that is not defined yet is not a number."""
        argument, *edge = node.arguments
        if len(edge) != (node.function in ("before", "after")):
            raise node.token.error("expected before(h, h_0), after(h, h_T), first(h) or last(h)")
        edge = [self.value(part) for part in edge]
        if edge and isinstance(argument, Name) and argument.indices is None and argument.base not in self.values:
            if named.TIME not in self.sizes:
                raise node.token.error(f"no input has an axis {named.TIME}")
            self.waiting.add(argument.base)
            value = Named(np.full(self.sizes[named.TIME], np.nan), (named.TIME,))
        else:
            value = self.value(argument)
        if named.TIME not in value.axes or any(named.TIME in part.axes for part in edge):
            raise node.token.error(f"the first of the parentheses has an axis {named.TIME}, and what stands at an end has none")
        if edge:
            return named.shifted(value, edge[0], node.function == "after")
        return named.at_end(value, node.function == "last")

    def _call(self, node):
        if node.function in ALONG_TIME:
            return self._along_time(node)
        arguments = [self.value(argument) for argument in node.arguments]
        if node.function in self.definitions:
            return self._applied(self.definitions[node.function], arguments[0])
        plain = node.function[:-1] if node.function.endswith("'") else ""
        if len(arguments) == 1 and (plain in self.definitions or plain in named.ELEMENTWISE):
            x = Named(arguments[0].data + 1j * named.STEP, arguments[0].axes)
            function = self.definitions.get(plain)
            result = elementwise(named.ELEMENTWISE[plain], x) if function is None else self._applied(function, x)
            return Named(result.data.imag / named.STEP, result.axes)
        if node.function in ("max", "min") and len(arguments) == 1:
            return named.reduced(node.function, arguments[0], "-1")
        if node.function == "softmax":
            return named.softmax(arguments[0])
        if node.function not in named.ELEMENTWISE:
            raise node.token.error(f"{node.function}( reads as a function, which is not known: a product needs a space")
        return elementwise(named.ELEMENTWISE[node.function], *arguments)


def explicit_axes(value):
    """Return the axes of a stored array that equations write as indices: those named "0", "1", ..."""
    return tuple(axis for axis in value.axes if axis.isdigit())


def _bare(value):
    """Return a stored array as the vector or matrix that it is without indices."""
    explicit = explicit_axes(value)
    if len(explicit) > 2:
        return value
    return value.renamed(dict(zip(explicit, named.BARE[2 - len(explicit) :], strict=True)))
