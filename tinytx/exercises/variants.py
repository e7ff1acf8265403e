"""What a backward gives if one thing in its equations is forgotten: a term, a sign, a factor, a mean taken for a sum."""

import dataclasses

from tinytx.derivations.tree import (
    Add,
    Call,
    Crossed,
    Join,
    Name,
    Node,
    Number,
    Partial,
    Power,
    Product,
    Reduce,
    Relation,
    Transpose,
)

SIDES = {"sum": "mean", "mean": "sum"}


def variants(result, chains, names):
    """Yield (words, {name: array}) for each mistake in each equation of a gradient.

    Parameters
    ----------
    result : Result
        Of the derivation without a mistake.
    chains : list of Chain
        Its equations.
    names : set of str
        The gradients that a backward returns, such as {"dx", "dw"}.
    """
    environment = result.environment
    for chain in chains:
        first = chain.sides[0]
        if not isinstance(first, Name) or not first.base.startswith("d") or first.base[1:] not in environment.values:
            continue
        for side, text in zip(chain.sides[1:], chain.texts[1:], strict=True):
            for words, tree in [*mistakes(side), *_alone(first, side), *_crossed(first, side, environment.sizes)]:
                try:
                    arrays = environment.supposed(chain, tree, names)
                except (ValueError, ArithmeticError):
                    continue  # what is left is no equation
                number = f"({chain.number})" if chain.number else f"the equation in line {chain.line}"
                yield f"{number} {words}, in {chain.texts[0]} = {text}", arrays


def _alone(first, side):
    """Yield (words, tree) for a sum of which one entry of the diagonal is taken for all: y_j of x_j instead of every y_i."""
    if isinstance(side, Reduce) and side.kind == "sum" and side.index and side.condition is None:
        for index in first.indices or ():
            if isinstance(index, Name) and index.base != side.index:
                alone = Relation((Name(side.index, token=side.token), index), ("=",), token=side.token)
                yield f"with {side.index} = {index.base} alone in the sum", dataclasses.replace(side, condition=alone)


def _crossed(first, side, axes):
    """Yield (words, tree) for each sum or mean taken along another axis of its array, for all entries, and for all of them at once."""
    letters = [index.base for index in first.indices or () if isinstance(index, Name)]
    longer = [axis for axis in axes if len(axis) > 1]
    for place in letters or ["-1"]:
        others = [(axis, (axis,)) for axis in [*longer, *letters] if axis != place]
        for words, over in [*others, ("all axes", None)]:

            def crossed(node):
                return Crossed(node.kind, node.index, node.body, over, place, token=node.token)  # noqa: B023

            def changed(node):
                if _is_sum(node):
                    yield f"with {written(node)} taken over {words}", crossed(node)  # noqa: B023

            trees = [*_everywhere(side, changed)]
            yield from trees
            if len(trees) > 1:
                yield f"with all sums and means taken over {words}", _mapped(side, lambda node: crossed(node) if _is_sum(node) else node)  # noqa: B023


def _is_sum(node):
    return isinstance(node, Reduce) and node.kind in SIDES and node.condition is None


def mistakes(node):
    """Yield (words, tree) for each tree that differs from this one in one place."""
    yield from _everywhere(node, _changes)


def _changes(node):
    """Yield the same for what stands at the top of a tree."""
    if isinstance(node, Add):
        for i, (sign, term) in enumerate(node.terms):
            rest = node.terms[:i] + node.terms[i + 1 :]
            if rest:
                yield f"without the term {written(term)}", dataclasses.replace(node, terms=rest)
            turned = (*node.terms[:i], (-sign, term), *node.terms[i + 1 :])
            yield f"with the other sign of {written(term)}", dataclasses.replace(node, terms=turned)
    if isinstance(node, Product) and len(node.factors) > 1:
        for i in range(len(node.factors)):
            rest = node.factors[:i] + node.factors[i + 1 :]
            if rest[0][0] != "/":
                operator, factor = node.factors[i]
                what = "the division by" if operator == "/" else "the factor"
                yield f"without {what} {written(factor)}", dataclasses.replace(node, factors=(("", rest[0][1]), *rest[1:]))
    if isinstance(node, Power):
        yield f"with {written(node.base)} for {written(node)}", node.base
    if isinstance(node, Reduce) and node.kind in SIDES:
        yield f"with a {SIDES[node.kind]} for a {node.kind}", dataclasses.replace(node, kind=SIDES[node.kind])


def _everywhere(node, changes):
    """Yield (words, tree) of ``changes(part)`` for a tree and every part of it."""
    yield from changes(node)
    for field, i, pair, child in _children(node):
        for words, tree in _everywhere(child, changes):
            yield words, _with(node, field, i, pair, tree)


def _mapped(node, change):
    """Return a tree in which ``change`` has been applied to every part, the inner ones first."""
    for field, i, pair, child in _children(node):
        node = _with(node, field, i, pair, _mapped(child, change))
    return change(node)


def _children(node):
    """Yield (field's name, place in it or None, whether a sign or an operator stands before it, child)."""
    for field in dataclasses.fields(node):
        value = getattr(node, field.name)
        if isinstance(value, Node):
            yield field.name, None, False, value
        elif isinstance(value, tuple):
            for i, item in enumerate(value):
                pair = isinstance(item, tuple)
                child = item[1] if pair else item
                if isinstance(child, Node):
                    yield field.name, i, pair, child


def _with(node, field, i, pair, tree):
    """Return a node in which ``tree`` stands in the place of a child."""
    if i is not None:
        value = getattr(node, field)
        tree = (*value[:i], (value[i][0], tree) if pair else tree, *value[i + 1 :])
    return dataclasses.replace(node, **{field: tree})


def written(node):
    """Return a tree as the docstrings write it."""
    match node:
        case Number(value=value):
            return node.token.text if node.token.kind == "number" else f"{value:g}"
        case Name():
            return node.token.text
        case Add(terms=terms):
            text = "".join(f" {'+' if sign > 0 else '-'} {written(term)}" for sign, term in terms)
            return f"({text[3:] if text.startswith(' +') else '-' + text[3:]})"
        case Product(factors=factors):
            (_, first), *rest = factors
            signs = {"": " ", "*": " * ", ".": " . ", "/": "/"}
            return written(first) + "".join(signs[operator] + written(factor) for operator, factor in rest)
        case Power(base=base, exponent=exponent):
            return f"({written(base)})^{written(exponent)}" if isinstance(base, Reduce | Product) else f"{written(base)}^{written(exponent)}"
        case Transpose(base=base):
            return f"{written(base)}^T"
        case Call(function=function, arguments=arguments):
            return f"{function}({', '.join(map(written, arguments))})"
        case Join(parts=parts):
            return f"({', '.join(map(written, parts))})"
        case Reduce(kind=kind, index=index, body=body):
            return f"{kind}({written(body)})" if index is None else f"{kind}_{index} {written(body)}"
        case Relation(sides=sides, relations=relations):
            (first, *rest) = map(written, sides)
            return f"[{first}" + "".join(f" {a} {b}" for a, b in zip(relations, rest)) + "]"
        case Partial(body=body, by=by):
            return f"∂{written(body)}/∂{written(by)}"
