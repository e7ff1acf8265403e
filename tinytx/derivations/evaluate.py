r"""What equations mean: an environment of arrays, in which definitions are made and equalities are tried.

The first time that a plain name stands left in an equation, the equation defines it; every further side must equal the first one.
The lengths of an output, and of the gradient of a name, are known before its equation. So it may be defined in parts,
``y_{2i} = a_i, y_{2i+1} = b_i``: each is written once, and none may be used before all of it is.
``∂n_i/∂x_j`` is the derivative of n through all definitions between x and n, computed by a complex step in each entry of x. If n and x
have an axis that equations leave out, such as the rows of a batch, both are taken in the same row, and n of one row must not depend on x
of another. ``loss`` is the sum of all outputs, each times its own gradient, so that ∂loss/∂y_i is dy_i.
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from tinytx.derivations import named
from tinytx.derivations.named import Named, aligned, elementwise
from tinytx.derivations.tree import Call, Name, NotationError, UnknownName, walk
from tinytx.derivations.values import Values, explicit_axes

TOLERANCE = 1e-9


@dataclass(frozen=True)
class Definition:
    """``name`` is made of ``parts``: (indices, tree) of each; ``parameter`` is the argument's name if it is a function."""

    name: str
    parts: tuple
    parameter: str | None = None

    @cached_property
    def uses(self):
        """The names that it is made of."""
        trees = [tree for _, tree in self.parts]
        trees += [index for indices, _ in self.parts for index in indices or () if not isinstance(index, Name)]
        return frozenset(name for tree in trees for name in _names(tree)) - {self.parameter}


class Environment(Values):
    """Arrays by name, and how those that are defined follow from the others.

    Parameters
    ----------
    values : dict of str to Named
        The inputs, and the gradients of the outputs.
    outputs : dict of str to str
        The name of each output's gradient, such as {"y": "dy"}.
    ranges : dict of str to int
        Lengths of letters that may stand in computed indices only.
    """

    # -- statements

    def state(self, chain):
        """Execute an equation; return the relative error of each side after the first, 0 for a definition.

        Raises
        ------
        NotationError
            If the sides differ, or a name is not known.
        """
        first, *rest = chain.sides
        errors = []
        self._begin(chain.sides)
        if isinstance(first, Call) and self._is_new_function(first):
            (argument,) = first.arguments
            self.definitions[first.function] = Definition(first.function, ((None, rest[0]),), argument.base)
            errors.append(0.0)
            if len(rest) == 1:
                return errors
        if isinstance(first, Name) and first.base not in self.values:
            self._define(first, rest[0])
            errors.append(0.0)
        left = self.value(rest[0] if self.is_unfinished(first) else first)
        for side, text in zip(rest[len(errors) :], chain.texts[1 + len(errors) :], strict=True):
            errors.append(self._difference(left, self.value(side), side.token, f"{chain.texts[0]} = {text}"))
        return errors

    def _begin(self, sides):
        """Note the letters of an equation, and their lengths."""
        known = self._sizes(sides)
        first = sides[0]
        if isinstance(first, Name) and first.base not in self.values:
            for index, size in zip(first.indices or (), self._shape(first.base) or ()):
                if isinstance(index, Name) and self._is_index(index):
                    known.setdefault(index.base, self.ranges.get(index.base, size))
            self.letters = known.keys() | {index.base for index in first.indices or () if isinstance(index, Name)}
        else:
            self.letters = set(known)
        self.sizes = self.sizes | self.ranges | known

    def _shape(self, name):
        """Return the lengths of the indices of an output, or of a gradient, that is not defined yet; None of other names."""
        stored = self.values.get(self.outputs.get(name, name[1:] if name.startswith("d") else None))
        return None if stored is None else tuple(stored.size(axis) for axis in explicit_axes(stored))

    def _define(self, first, tree):
        """Define a name, or a part of it."""
        definition = Definition(first.base, (*self.unfinished.pop(first.base, ()), (first.indices, tree)))
        if not self._is_in_parts(definition):
            self.values[first.base] = self._defined(definition)
        else:
            value, written = self._assembled(definition)
            if written.max(initial=0) > 1:
                place = ", ".join(map(str, np.argwhere(written > 1)[0]))
                raise tree.token.error(f"{first.base} is written twice at ({place})")
            if not written.all():
                self.unfinished[first.base] = definition.parts
                return
            self.values[first.base] = value
        self.definitions[first.base] = definition

    def _is_in_parts(self, definition):
        """Whether indices are computed, or letters do not go to the end of a length that is known."""
        (indices, _), shape = definition.parts[0], self._shape(definition.name)
        if len(definition.parts) > 1:
            return True
        if shape is None or indices is None or len(shape) != len(indices):
            return False
        plain = all(isinstance(index, Name) and self._is_index(index) for index in indices)
        return not plain or any(self.sizes[index.base] < size for index, size in zip(indices, shape, strict=True))

    def _assembled(self, definition):
        """Return (a name defined in parts, how often each of its places is written)."""
        shape, parts = self._shape(definition.name), []
        for indices, tree in definition.parts:
            if len(indices or ()) != len(shape):
                raise tree.token.error(f"{definition.name} has {len(shape)} indices, not {len(indices or ())}")
            self._begin([Name(definition.name, indices, token=tree.token), tree])
            places = [self._place(index, size) for index, size in zip(indices, shape, strict=True)]
            value, letters = self.value(tree), {axis for place in places for axis in place.axes}
            for axis in value.axes:
                if (_is_letter(axis) or axis in named.BARE) and axis not in letters:
                    raise tree.token.error(f"index {axis} of the right side does not stand at {definition.name}")
            parts.append((self._spread(value, letters, tree.token), places))
        return named.assembled(parts, shape)

    def is_unfinished(self, node):
        """Return whether a tree is a name that is defined in part so far."""
        return isinstance(node, Name) and node.base in self.unfinished

    def finished(self):
        """Raise an error if a name is defined in part only."""
        for name, parts in self.unfinished.items():
            raise parts[-1][1].token.error(f"{name} is defined in part: the equations leave out some of its places")

    def _is_new_function(self, node):
        """Whether s(a) stands left for the first time, with a name in the parenthesis."""
        argument = node.arguments[0]
        known = node.function.rstrip("'") in self.definitions or node.function in named.ELEMENTWISE or node.function == "softmax"
        return not known and len(node.arguments) == 1 and isinstance(argument, Name) and argument.indices is None

    def _defined(self, definition):
        """Return the array that a definition makes: hidden axes, then its indices in their order."""
        (indices, tree), token = definition.parts[0], definition.parts[0][1].token
        value = self.value(tree)
        if indices is None:
            letters = [axis for axis in value.axes if _is_letter(axis)]
            if letters:
                raise token.error(f"{definition.name} has no index, and the right side has {', '.join(letters)}")
            hidden = [axis for axis in value.axes if axis not in value.bare]
            data = value.ordered([*hidden, *value.bare])
            return Named(data, (*hidden, *(str(i) for i in range(len(value.bare)))))
        letters = [self._letter(index) for index in indices]
        for axis in value.axes:
            if (_is_letter(axis) or axis in named.BARE) and axis not in letters:
                raise token.error(f"index {axis} of the right side does not stand at {definition.name}")
        value = self._spread(value, letters, token)
        hidden = [axis for axis in value.axes if axis not in letters]
        data = value.ordered([*hidden, *letters])
        return Named(data, (*hidden, *(str(i) for i in range(len(letters)))))

    def _spread(self, value, letters, token):
        """Return a value with all these letters among its axes: one that does not depend on a letter is repeated."""
        for letter in letters:
            if letter not in value.axes:
                if letter not in self.sizes:
                    raise token.error(f"index {letter} does not stand on the right side")
                value = Named(np.repeat(value.data[..., None], self.sizes[letter], -1), (*value.axes, letter))
        return value

    def _letter(self, index):
        if not isinstance(index, Name) or index.indices is not None or len(index.base) != 1:
            raise index.token.error("a name is defined for indices of one letter")
        return index.base

    def _difference(self, left, right, token, text):
        """Return the largest relative difference of two sides, or raise."""
        free = [axis for axis in right.axes if (_is_letter(axis) or axis in named.BARE) and axis not in left.axes]
        if free:
            raise token.error(f"{text}: index {free[0]} stands on the right side only")
        (a, b), axes = aligned(left, right)
        try:
            a, b = np.broadcast_arrays(a, b)
        except ValueError as error:
            raise token.error(f"{text}: {error}") from error
        with np.errstate(invalid="ignore"):
            distance = np.where(a == b, 0.0, np.abs(a - b))
        scale = max(1.0, *(float(np.abs(x[np.isfinite(x)]).max(initial=0.0)) for x in (a, b)))
        if not distance.max(initial=0.0) <= TOLERANCE * scale:
            worst = np.unravel_index(np.argmax(np.where(np.isnan(distance), np.inf, distance)), distance.shape)
            place = ", ".join(f"{axis} = {i}" for axis, i in zip(axes, worst, strict=True))
            raise token.error(f"{text} does not hold{' at ' + place if place else ''}: {a[worst]:.9g} and {b[worst]:.9g}")
        return float(distance.max(initial=0.0)) / scale

    def _applied(self, definition, argument):
        """Return a function of the text, of an argument."""
        inner = self._with({definition.parameter: argument}, ())
        return inner.value(definition.parts[0][1])

    # -- derivatives

    def _with(self, values, needed):
        """Return a copy in which some names have other values, and what ``needed`` names depends on follows them."""
        copy = Environment.__new__(Environment)
        copy.outputs, copy.definitions, copy.letters, copy.ranges = self.outputs, self.definitions, self.letters, self.ranges
        copy.values, copy.sizes, copy.allowed, copy.unfinished = self.values | values, self.sizes, [], {}
        needed, changed = set(needed), set(values)
        for definition in reversed(self.definitions.values()):
            if definition.name in needed:
                needed |= definition.uses
        for definition in self.definitions.values():
            if definition.name in needed - set(values) and definition.uses & changed:
                changed.add(definition.name)
                if definition.parameter is None:
                    copy.values[definition.name] = copy._remade(definition)
        copy.sizes, copy.letters = self.sizes, self.letters
        return copy

    def _remade(self, definition):
        """Return a name's array after what it depends on has changed."""
        before = self.values.pop(definition.name)
        try:
            indices, tree = definition.parts[0]
            self._begin([Name(definition.name, indices, token=tree.token), tree])
            return self._assembled(definition)[0] if self._is_in_parts(definition) else self._defined(definition)
        finally:
            self.values[definition.name] = before

    def _partial(self, node):
        by = node.by
        if by.base not in self.values:
            raise by.token.error(f"{by.base} is not known: neither an input of the table nor defined above", UnknownName)
        stored = self.values[by.base]
        explicit = explicit_axes(stored)
        if len(explicit) != len(by.indices or ()):
            raise by.token.error(f"{by.base} has {len(explicit)} indices, not {len(by.indices or ())}")
        is_loss = isinstance(node.body, Name) and node.body.base == "loss" and "loss" not in self.values
        moved = self._with({by.base: named.perturbed(stored)}, self.outputs if is_loss else _names(node.body))
        result = named.by_step(moved._loss() if is_loss else moved.value(node.body), stored)
        for axis in stored.axes:
            if axis not in explicit:
                result = self._same(result, axis, node)
        indices = {f"by {axis}": index for axis, index in zip(explicit, by.indices or (), strict=True)}
        return self._picked(result, indices)

    def _same(self, result, axis, node):
        """Return a derivative within each row; it raises if one row depends on another."""
        step = f"by {axis}"
        if axis not in result.axes:
            return result.renamed({step: axis})
        axes = [name for name in result.axes if name not in (axis, step)]
        data = result.ordered([*axes, axis, step])
        n = data.shape[-1]
        if np.abs(data * (1 - np.eye(n))).max(initial=0.0) > 0:
            raise node.token.error(f"the derivative goes from one of the {axis} to another: give them an index")
        return Named(np.einsum("...ii->...i", data), (*axes, axis))

    @np.errstate(all="ignore")
    def _loss(self):
        total = Named(np.asarray(0.0))
        for name, gradient in self.outputs.items():
            if name not in self.values:
                raise NotationError(f"the output {name} is defined nowhere")
            try:
                term = elementwise(np.multiply, self.values[name], self.values[gradient])
            except ValueError as error:
                raise NotationError(f"{name} and {gradient}, the gradient that it gets, have other lengths: {error}") from error
            for axis in term.axes:
                if axis != "step":
                    term = named.reduced("sum", term, axis)
            total = elementwise(np.add, total, term)
        return total

    def supposed(self, chain, tree):
        """Return what the left side of an equation would be, a name, if ``tree`` stood right of it."""
        first = chain.sides[0]
        parts = [(indices, tree if indices == first.indices else other) for indices, other in self.definitions[first.base].parts]
        copy = self._with({}, ())
        return copy._remade(Definition(first.base, tuple(parts)))

    def following(self, values, names):
        """Return {name: Named} of ``names``, if some values were these."""
        copy = self._with(values, names)
        return {name: copy.values[name] for name in names}

    def gradient(self, name):
        """Return the gradient of the loss with respect to a name, an array of its shape, by complex steps."""
        stored = self.values[name]
        result = named.by_step(self._with({name: named.perturbed(stored)}, self.outputs)._loss(), stored)
        return replace(result, axes=stored.axes)


def _is_letter(axis):
    return len(axis) == 1 and axis.isalpha()


def _names(tree):
    """Yield the names that a tree uses."""
    for node in walk(tree):
        if isinstance(node, Name):
            yield node.base
        elif isinstance(node, Call):
            yield node.function
            yield node.function.rstrip("'")
