"""The equations of an example for the browser: trees as JSON, so that numbers follow from inputs that a reader changes."""

from dataclasses import replace

import numpy as np

from tinytx.book.indexed import Fixed, Indexed
from tinytx.derivations.check import drawn, run
from tinytx.derivations.named import BARE, ELEMENTWISE
from tinytx.derivations.show import DIGITS
from tinytx.derivations.tree import Add, Call, Name, NotationError, Number, Partial, Power, Product, Reduce, Relation
from tinytx.derivations.values import explicit_axes


def live(row, page, result):
    """Return what the page computes the numbers of an example from, a dict for JSON.

    Parameters
    ----------
    row : Row
    page : Page
    result : Result
        Of the first scene.

    Returns
    -------
    dict
        ``inputs``: arrays by name; ``definitions``: how other names follow; ``functions``; ``shown``: what stands at each line.

    Raises
    ------
    Fixed
        If an equation defines a name by what the page cannot compute.
    """
    try:
        equations = _Compiler(row.scenes[0], page, result).compiled()
    except NotationError as error:
        raise Fixed("indices are computed") from error
    _try(row.scenes[0], page, equations)
    return equations


def _try(scene, page, equations):
    """Execute the derivation on other numbers: an input that has to fit to others can not be changed alone."""
    changed = {}
    for name, entry in equations["inputs"].items():
        if entry["free"]:
            value = np.asarray(entry["data"], dtype=float) * 1.2 + 0.1 * np.arange(1, 1 + len(entry["data"]))
            changed[name] = value

    def draw(values, rng):
        if scene.draw is not None:
            scene.draw(values, rng)
        for name, value in changed.items():
            values[name] = value.reshape(np.shape(values[name]))[()]

    try:
        run(page.name, page, replace(scene, draw=draw), np.random.default_rng(0), sizes=scene.example, digits=DIGITS)
    except ValueError as error:
        raise Fixed("they have to fit to each other") from error


class _Compiler:
    def __init__(self, scene, page, result):
        self.scene, self.page, self.result, self.environment = scene, page, result, result.environment
        self.values, self.indexed, self.parameter = self.environment.values, None, None
        self.plain = drawn(replace(scene, draw=None), np.random.default_rng(0), scene.example, DIGITS)
        self.bound = {name for name, value in result.inputs.items() if self._is_bound(name, value)}

    def _is_bound(self, name, value):
        """Whether a condition of the scene has changed an array, by more than the infinite numbers of what is masked."""
        return bool((np.not_equal(self.plain[name], value) & ~np.isinf(value)).any())

    def compiled(self):
        inputs = {name: self._input(name) for name in self.result.inputs}
        if not any(entry["free"] for entry in inputs.values()):
            raise Fixed("its inputs are whole numbers")
        for name, value in self.values.items():
            if name not in inputs and name not in self.environment.definitions:
                inputs[name] = {"axes": list(value.axes), "shape": list(value.data.shape), "data": value.data.ravel().tolist(), "free": False}
        definitions, functions, shown, seen = {}, {}, {}, set()
        for line in self.page.lines:
            for chain in (chain for chain in line.chains if chain.number not in self.scene.without):
                self.indexed = Indexed(self.values, self.environment._sizes(chain.sides))
                first = chain.sides[0]
                name = first.function if isinstance(first, Call) else getattr(first, "base", None)
                definition = self.environment.definitions.get(name)
                if definition and name not in definitions and name not in functions:
                    if len(definition.parts) > 1:
                        raise Fixed("a name is defined in parts")
                    ((indices, tree),) = definition.parts
                    if definition.parameter is not None:
                        self.parameter = definition.parameter
                        functions[name] = {"parameter": definition.parameter, "tree": self._tree(tree)}
                        self.parameter = None
                    else:
                        definitions[name] = self._definition(name, indices, tree)
                entries = self.result.shown.get(line.line, ())
                for label, value, axes in entries:
                    if label == chain.texts[0] and label not in seen:
                        seen.add(label)
                        tree = self._written(first, BARE)
                        entry = {"label": label, "axes": list(axes), "shape": list(value.shape), "tree": tree}
                        shown.setdefault(line.line, []).append(entry)
        return {"inputs": inputs, "definitions": definitions, "functions": functions, "shown": shown}

    def _input(self, name):
        """Return an input; its infinite numbers are strings, because JSON does not know them."""
        stored = self.values[name]
        free = stored.data.dtype.kind == "f" and name not in self.bound and name not in self.scene.counts
        free = free and not (self.bound and name in self.scene.given)
        data = [value if np.isfinite(value) else str(value).replace("inf", "Infinity") for value in stored.data.ravel().tolist()]
        return {"axes": list(stored.axes), "shape": list(stored.data.shape), "data": data, "free": free}

    def _definition(self, name, indices, tree):
        """Return how a name follows: the letters, and axes that equations leave out, in the order of its array, and the tree."""
        if not all(isinstance(index, Name) for index in indices or ()):
            raise Fixed("indices are computed")
        axes = self.values[name].axes
        if indices is None:
            return {"axes": list(axes), "tree": self._written(tree, explicit_axes(self.values[name]))}
        letters = {str(n): index.base for n, index in enumerate(indices)}
        return {"axes": [letters.get(axis, axis) for axis in axes], "tree": self._written(tree, ())}

    def _written(self, tree, axes):
        """Return a tree as JSON; its axes without indices are called ``axes``."""
        if len(axes) > 2:
            raise Fixed("more than two indices are left out")
        self.indexed.letters |= {axis: 0 for axis in axes}
        at = {bare: Name(axis, token=tree.token) for bare, axis in zip(BARE[2 - len(axes) :], axes, strict=True)}
        return self._tree(self.indexed.written(tree, at))

    def _tree(self, node):
        """Return a tree as JSON."""
        match node:
            case Number(value=value):
                return {"t": "number", "value": value}
            case Name():
                return self._name(node)
            case Add(terms=terms):
                return {"t": "add", "terms": [[sign, self._tree(term)] for sign, term in terms]}
            case Product(factors=factors):
                return {"t": "product", "factors": [["/" if operator == "/" else "*", self._tree(factor)] for operator, factor in factors]}
            case Power(base=base, exponent=exponent):
                return {"t": "power", "base": self._tree(base), "exponent": self._tree(exponent)}
            case Reduce(kind=kind, index=index, body=body, condition=condition) if index is not None:
                size = self.indexed.letters.get(index, self.environment.sizes.get(index))
                guard = None if condition is None else self._tree(condition)
                return {"t": "reduce", "kind": kind, "index": index, "size": size, "body": self._tree(body), "condition": guard}
            case Relation(sides=sides, relations=relations):
                return {"t": "relation", "sides": [self._tree(side) for side in sides], "relations": list(relations)}
            case Partial(body=body, by=by):
                return {"t": "partial", "body": self._tree(body), "by": self._tree(by)}
            case Call(function=function, arguments=arguments):
                known = function in ELEMENTWISE or function.rstrip("'") in self.environment.definitions
                if not known or function.endswith("''") or (function in ("max", "min") and len(arguments) == 1):
                    raise Fixed(f"{function} of a vector")
                return {"t": "call", "function": function, "arguments": [self._tree(argument) for argument in arguments]}
        raise Fixed("products of matrices without indices")

    def _name(self, node):
        base, indices = node.base, node.indices
        if base == self.parameter and indices is None:
            return {"t": "parameter"}
        if self.indexed.is_letter(node):
            return {"t": "letter", "name": base}
        stored = self.values.get(base)
        if stored is None:
            raise Fixed(f"{base} has no value of its own")
        if len(indices or ()) != len(explicit_axes(stored)):
            raise Fixed("a function of the page uses vectors without indices")
        return {"t": "name", "name": base, "at": [self._tree(index) for index in indices or ()]}
