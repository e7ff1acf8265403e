r"""Names that equations define: whole or in parts, by what stands above, or, in a recurrence, by what stands below.

The lengths of an output, and of the gradient of a name, are known before its equation. So it may be defined in parts,
``y_{2i} = a_i, y_{2i+1} = b_i``: each is written once, and none may be used before all of it is.
A recurrence defines a name by what ``before`` or ``after`` gives of it: its equations are executed until nothing changes, position
after position; a step in such a name goes on to the positions that follow.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tinytx.derivations import named
from tinytx.derivations.named import Named, elementwise
from tinytx.derivations.tree import Call, Name, NotationError, walk
from tinytx.derivations.values import Values, explicit_axes


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
        return frozenset(name for tree in trees for name in names_in(tree)) - {self.parameter}


class Definitions(Values):
    """Arrays by name, and how those that are defined follow from the others. `Environment` adds statements and derivatives."""

    def __init__(self, values, outputs, ranges=None):
        super().__init__(values, outputs, ranges)
        self.recurrent = set()  # names that depend on themselves, at another position
        self.in_order = True  # whether each definition uses only what stands above it

    def _begin(self, sides, is_new=False):
        """Note the letters of an equation, and their lengths; ``is_new``: as of one that defines a name."""
        first, *rest = sides
        is_new = is_new or isinstance(first, Name) and first.base not in self.values
        known = self._sizes([*(first.indices or ()), *rest] if is_new else sides)
        if is_new:
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
        if self.waiting and self.waiting <= self.values.keys():
            self._complete()

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
            self._begin([Name(definition.name, indices, token=tree.token), tree], True)
            places = [self._place(index, size) for index, size in zip(indices, shape, strict=True)]
            value, letters = self.value(tree), {axis for place in places for axis in place.axes}
            for axis in value.axes:
                if (is_letter(axis) or axis in named.BARE) and axis not in letters:
                    raise tree.token.error(f"index {axis} of the right side does not stand at {definition.name}")
            parts.append((self._spread(value, letters, tree.token), places))
        return named.assembled(parts, shape)

    def is_unfinished(self, node):
        """Return whether a tree is a name that is defined in part so far."""
        return isinstance(node, Name) and node.base in self.unfinished

    def finished(self):
        """Raise an error if a name is defined in part only, or used by a recurrence and not defined."""
        if self.waiting:
            names = ", ".join(sorted(self.waiting - self.values.keys()))
            raise NotationError(f"before(...) or after(...) uses {names}, which no equation defines")
        for name, parts in self.unfinished.items():
            raise parts[-1][1].token.error(f"{name} is defined in part: the equations leave out some of its places")

    def _defined(self, definition):
        """Return the array that a definition makes: hidden axes, then its indices in their order."""
        (indices, tree), token = definition.parts[0], definition.parts[0][1].token
        value = self.value(tree)
        if indices is None:
            letters = [axis for axis in value.axes if is_letter(axis)]
            if letters:
                raise token.error(f"{definition.name} has no index, and the right side has {', '.join(letters)}")
            hidden = [axis for axis in value.axes if axis not in value.bare]
            data = value.ordered([*hidden, *value.bare])
            return Named(data, (*hidden, *(str(i) for i in range(len(value.bare)))))
        letters = [self._letter(index) for index in indices]
        for axis in value.axes:
            if (is_letter(axis) or axis in named.BARE) and axis not in letters:
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

    def _remade(self, definition):
        """Return a name's array after what it depends on has changed."""
        indices, tree = definition.parts[0]
        self._begin([Name(definition.name, indices, token=tree.token), tree], True)
        return self._assembled(definition)[0] if self._is_in_parts(definition) else self._defined(definition)

    def _complete(self):
        """Go through a recurrence, whose names are all defined now."""
        self.waiting, self.in_order = set(), False
        self.recurrent = {name for name in self.definitions if name in self._used(self.definitions[name].uses)}
        self._settle([d for d in self.definitions.values() if d.parameter is None], {})
        if any(np.isnan(self.values[name].data).any() for name in self.recurrent):
            raise self._endless()

    def _used(self, names):
        """Return names, and all that they depend on."""
        used, before = set(names), -1
        while before < len(used):
            before = len(used)
            for definition in reversed(self.definitions.values()):
                if definition.name in used:
                    used |= definition.uses
        return used

    def _settle(self, definitions, steps):
        """Compute definitions in their order, with ``steps`` added to some; those of a recurrence until nothing changes."""
        sizes, letters = self.sizes, self.letters
        waiting = {definition.name for definition in definitions}
        for _ in range(2 * sizes.get(named.TIME, 1) + 2):
            for definition in definitions:
                if definition.name not in waiting:
                    continue
                waiting.discard(definition.name)
                self.sizes = sizes
                value = self._remade(definition)
                if definition.name in steps:
                    value = elementwise(np.add, value, steps[definition.name])
                if not (self.in_order or _is_equal(value, self.values[definition.name])):
                    waiting |= {other.name for other in definitions if definition.name in other.uses}
                self.values[definition.name] = value
            if not waiting:
                break
        else:
            raise self._endless()
        self.sizes, self.letters = sizes, letters

    def _endless(self):
        return NotationError(f"{', '.join(sorted(self.recurrent))}: the recurrence comes to no end")


def _is_equal(a, b):
    return a.axes == b.axes and np.array_equal(a.data, b.data, equal_nan=True)


def is_letter(axis):
    """Return whether an axis is an index that an equation writes."""
    return len(axis) == 1 and axis.isalpha()


def names_in(tree):
    """Yield the names that a tree uses."""
    for node in walk(tree):
        if isinstance(node, Name):
            yield node.base
        elif isinstance(node, Call):
            yield node.function
            yield node.function.rstrip("'")
