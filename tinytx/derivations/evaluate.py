r"""What equations mean: an environment of arrays, in which definitions are made and equalities are tried.

The first time that a plain name stands left in an equation, the equation defines it; every further side must equal the first one.
``∂n_i/∂x_j`` is the derivative of n through all definitions between x and n, computed by a complex step in each entry of x. If n and x
have an axis that equations leave out, such as the rows of a batch, both are taken in the same row, and n of one row must not depend on x
of another. ``loss`` is the sum of all outputs, each times its own gradient, so that ∂loss/∂y_i is dy_i.
"""

from dataclasses import replace

import numpy as np

from tinytx.derivations import named
from tinytx.derivations.definitions import Definition, Definitions, is_letter, names_in
from tinytx.derivations.named import Named, aligned, elementwise
from tinytx.derivations.tree import Call, Cut, Join, Name, NotationError, UnknownName
from tinytx.derivations.values import explicit_axes

TOLERANCE = 1e-9


class Environment(Definitions):
    """Arrays by name, statements about them, and derivatives.

    Parameters
    ----------
    values : dict of str to Named
        The inputs, and the gradients of the outputs.
    outputs : dict of str to str
        The name of each output's gradient, such as {"y": "dy"}.
    ranges : dict of str to int
        Lengths of letters that may stand in computed indices only.
    """

    def __init__(self, values, outputs, ranges=None):
        super().__init__(values, outputs, ranges)
        self.untried = []  # equations within a recurrence that is not complete, and the first side of each to be compared

    # -- statements

    def state(self, chain):
        """Execute an equation; return the relative error of each side after the first, 0 for a definition.

        Within a recurrence sides are compared when it is complete.

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
        if isinstance(first, Join) and all(isinstance(part, Name) and part.base not in self.values for part in first.parts):
            for number, part in enumerate(first.parts):
                self._define(part, Cut(rest[0], number, len(first.parts), token=part.token))
            errors.append(0.0)
        self.untried.append((chain, 1 + len(errors)))
        if not self.waiting:
            untried, self.untried = self.untried, []
            errors += [error for chain, start in untried for error in self._tried(chain, start)]
        return errors

    def _tried(self, chain, start):
        """Compare the sides of a chain from ``start`` on with the first one; return their errors."""
        self._begin(chain.sides)
        left = self.value(chain.sides[1] if self.is_unfinished(chain.sides[0]) else chain.sides[0])
        return [
            self._difference(left, self.value(side), side.token, f"{chain.texts[0]} = {text}")
            for side, text in zip(chain.sides[start:], chain.texts[start:], strict=True)
        ]

    def _is_new_function(self, node):
        """Whether s(a) stands left for the first time, with a name in the parenthesis."""
        argument = node.arguments[0]
        known = node.function.rstrip("'") in self.definitions or node.function in named.ELEMENTWISE or node.function == "softmax"
        return not known and len(node.arguments) == 1 and isinstance(argument, Name) and argument.indices is None

    def _difference(self, left, right, token, text):
        """Return the largest relative difference of two sides, or raise."""
        free = [axis for axis in right.axes if (is_letter(axis) or axis in named.BARE) and axis not in left.axes]
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
        inner = self._copy()
        inner.values[definition.parameter] = argument
        return inner.value(definition.parts[0][1])

    # -- derivatives

    def _copy(self):
        copy = Environment.__new__(Environment)
        vars(copy).update(vars(self))
        copy.values, copy.allowed, copy.unfinished = dict(self.values), [], {}
        return copy

    def kept(self):
        """Return a copy that equations executed later do not change."""
        copy = self._copy()
        copy.definitions, copy.unfinished = dict(self.definitions), dict(self.unfinished)
        copy.untried, copy.waiting = list(self.untried), set(self.waiting)
        return copy

    def behind_loss(self):
        """Return the definitions that the outputs follow from."""
        used = self._used(self.outputs)
        return [definition for definition in self.definitions.values() if definition.name in used]

    def _with(self, values, needed, changed=()):
        """Return a copy in which some names have other values, and what ``needed`` names depends on follows them.

        ``changed`` are names whose definitions have changed.
        """
        copy = self._copy()
        copy.values |= values
        needed, changed = self._used(needed), set(values) | set(changed)
        fixed, before = values.keys() - self.recurrent, -1
        while before < len(changed):
            before = len(changed)
            for definition in self.definitions.values():
                if definition.name in needed - fixed and definition.uses & changed:
                    changed.add(definition.name)
        steps = {name: elementwise(np.subtract, values[name], self.values[name]) for name in values.keys() - fixed}
        copy._settle([d for d in self.definitions.values() if d.name in changed - fixed and d.parameter is None], steps)
        return copy

    def _partial(self, node):
        by = node.by
        if by.base not in self.values:
            raise by.token.error(f"{by.base} is not known: neither an input of the table nor defined above", UnknownName)
        stored = self.values[by.base]
        explicit = explicit_axes(stored)
        if len(explicit) != len(by.indices or ()):
            raise by.token.error(f"{by.base} has {len(explicit)} indices, not {len(by.indices or ())}")
        is_loss = isinstance(node.body, Name) and node.body.base == "loss" and "loss" not in self.values
        moved = self._with({by.base: named.perturbed(stored)}, self.outputs if is_loss else names_in(node.body))
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

    def supposed(self, chain, tree, names):
        """Return {name: Named} of ``names``, if ``tree`` stood right of an equation that defines a name, or a part of it."""
        first, copy = chain.sides[0], self._copy()
        parts = tuple((indices, tree if indices == first.indices else other) for indices, other in self.definitions[first.base].parts)
        copy.definitions = self.definitions | {first.base: Definition(first.base, parts)}
        moved = copy._with({}, names, {first.base})
        return {name: moved.values[name] for name in names}

    def gradient(self, name):
        """Return the gradient of the loss with respect to a name, an array of its shape, by complex steps."""
        stored = self.values[name]
        result = named.by_step(self._with({name: named.perturbed(stored)}, self.outputs)._loss(), stored)
        return replace(result, axes=stored.axes)
