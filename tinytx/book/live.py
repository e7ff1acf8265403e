"""The equations of an example for the browser: trees as JSON, so that numbers follow from inputs that a reader changes."""

from dataclasses import replace

import numpy as np

from tinytx.derivations.check import drawn, run
from tinytx.derivations.named import ELEMENTWISE
from tinytx.derivations.show import DIGITS
from tinytx.derivations.tree import Add, Call, Name, NotationError, Number, Partial, Power, Product, Reduce, Relation
from tinytx.derivations.values import explicit_axes


class Fixed(Exception):
    """The numbers of a derivation cannot follow from changed inputs in the page; the message says why."""


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
            value = np.asarray(entry["data"]) * 1.2 + 0.1 * np.arange(1, 1 + len(entry["data"]))
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
        self.values, self.letters = self.environment.values, {}
        plain = drawn(replace(scene, draw=None), np.random.default_rng(0), scene.example, DIGITS)
        self.bound = {name for name, value in result.inputs.items() if not np.array_equal(plain[name], value)}  # by a condition of the scene

    def compiled(self):
        inputs = {name: self._input(name) for name in self.result.inputs}
        if not all(np.isfinite(value.data).all() for value in self.values.values()):
            raise Fixed("some are infinite, for what is masked")
        if not any(entry["free"] for entry in inputs.values()):
            raise Fixed("its inputs are whole numbers")
        for name, value in self.values.items():
            if name not in inputs and name not in self.environment.definitions:
                inputs[name] = {"axes": list(value.axes), "shape": list(value.data.shape), "data": value.data.ravel().tolist(), "free": False}
        definitions, functions, shown, seen = {}, {}, {}, set()
        for line in self.page.lines:
            for chain in (chain for chain in line.chains if chain.number not in self.scene.without):
                self.letters = self.environment._sizes(chain.sides)
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
                        definitions[name] = {"axes": self._axes(name, indices), "tree": self._tree(tree)}
                entries = self.result.shown.get(line.line, ())
                for label, value, axes in entries:
                    if label == chain.texts[0] and label not in seen:
                        seen.add(label)
                        entry = {"label": label, "axes": list(axes), "shape": list(value.shape), "tree": self._shown(first, axes)}
                        shown.setdefault(line.line, []).append(entry)
        return {"inputs": inputs, "definitions": definitions, "functions": functions, "shown": shown}

    parameter = None

    def _input(self, name):
        stored = self.values[name]
        free = stored.data.dtype.kind == "f" and bool(np.isfinite(stored.data).all()) and name not in self.bound
        free = free and name not in self.scene.counts and not (self.bound and name in self.scene.given)
        return {"axes": list(stored.axes), "shape": list(stored.data.shape), "data": stored.data.ravel().tolist(), "free": free}

    def _axes(self, name, indices):
        """Return the letters, and axes that equations leave out, in the order of the name's array."""
        if not all(isinstance(index, Name) for index in indices or ()):
            raise Fixed("indices are computed")
        letters = dict(zip(map(str, range(len(indices or ()))), indices or ()))
        return [letters[axis].base if axis in letters else axis for axis in self.values[name].axes]

    def _shown(self, first, axes):
        """Return the tree of a left side; a matrix without indices is read entry by entry."""
        if isinstance(first, Name) and first.indices is None and first.base in self.values and explicit_axes(self.values[first.base]):
            return {"t": "name", "name": first.base, "at": [{"t": "letter", "name": axis} for axis in axes if axis in ("-2", "-1")]}
        return self._tree(first)

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
                if any(operator == "." for operator, _ in factors):
                    raise Fixed("scalar products of vectors without indices")
                return {"t": "product", "factors": [["/" if operator == "/" else "*", self._tree(factor)] for operator, factor in factors]}
            case Power(base=base, exponent=exponent):
                return {"t": "power", "base": self._tree(base), "exponent": self._tree(exponent)}
            case Reduce(kind=kind, index=index, body=body, condition=condition) if index is not None:
                size = self.letters.get(index, self.environment.sizes.get(index))
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
        stored = self.values.get(base)
        if indices is None:
            is_letter = base in self.letters and (stored is None or (stored.data.dtype.kind != "i" and explicit_axes(stored)))
            if is_letter:
                return {"t": "letter", "name": base}
            if stored is None:
                raise Fixed(f"{base} has no value of its own")
            if explicit_axes(stored):
                raise Fixed("products of matrices without indices")
        if stored is None:
            raise Fixed(f"{base} has no value of its own")
        return {"t": "name", "name": base, "at": [self._tree(index) for index in indices or ()]}
