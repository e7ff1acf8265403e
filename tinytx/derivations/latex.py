r"""Equations as LaTeX, from the same trees that are executed.

>>> from tinytx.derivations.notation import parse
>>> latex(parse("∂v/∂x_j = 2 (x_j - mu)/D"))
'\\frac{\\partial v}{\\partial x_{j}} = \\frac{2 \\, \\left(x_{j} - \\mu\\right)}{D}'
"""

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
)

GREEK = {
    "alpha", "beta", "gamma", "delta", "epsilon", "eta", "theta", "lambda", "mu", "nu", "pi", "rho", "sigma", "tau", "phi", "psi", "omega"
} | {"Phi", "Delta", "Sigma", "Omega"}  # fmt: skip
RELATIONS = {"=": "=", "!=": r"\neq", "<": "<", ">": ">", "<=": r"\le", ">=": r"\ge"}
KNOWN = {"ln", "log", "tanh", "sinh", "cosh", "sin", "cos", "max", "min"}  # LaTeX has commands for them
OPERATORS = {"": r" \, ", "*": r" \odot ", ".": r" \cdot "}


def latex(node):
    """Return a Chain, or a tree, as LaTeX.

    Parameters
    ----------
    node : Chain or Node

    Returns
    -------
    str
    """
    match node:
        case Chain(sides=sides):
            return " = ".join(map(latex, sides))
        case Number(value=value):  # that of x_1 is a part of a token
            return node.token.text if node.token.kind == "number" else f"{value:g}"
        case Name(base=base, indices=indices):
            return _name(base) + (f"_{{{_indices(indices)}}}" if indices else "")
        case Add(terms=terms):
            text = "".join(f" {'+' if sign > 0 else '-'} {_inside_sum(term)}" for sign, term in terms)
            return text[3:] if text.startswith(" +") else "-" + text[3:]
        case Product(factors=factors):
            return _product(factors)
        case Power(base=base, exponent=exponent):
            if isinstance(base, Call) and base.function in KNOWN:
                return _call(base.function, base.arguments, f"^{{{latex(exponent)}}}")
            return f"{_atom(base)}^{{{latex(exponent)}}}"
        case Transpose(base=base):
            return rf"{_atom(base)}^{{\top}}"
        case Call(function=function, arguments=arguments):
            return _call(function, arguments)
        case Join(parts=parts):
            return rf"\left({', '.join(map(latex, parts))}\right)"
        case Reduce():
            return _reduce(node)
        case Relation(sides=sides, relations=relations):
            first, *rest = map(latex, sides)
            return "[" + first + "".join(f" {RELATIONS[r]} {side}" for r, side in zip(relations, rest, strict=True)) + "]"
        case Partial(body=Name() | Call() as body, by=by):
            return rf"\frac{{\partial {latex(body)}}}{{\partial {latex(by)}}}"
        case Partial(body=body, by=by):
            return rf"\frac{{\partial}}{{\partial {latex(by)}}} {_atom(body)}"


def _name(base):
    """Return a name: Greek letters as such, gradients with an upright d, words upright, primes behind."""
    plain = base.rstrip("'~")
    marks = base[len(plain) :].replace("~", r"\sim")
    if plain in GREEK:
        text = f"\\{plain}"
    elif plain == "eps":
        text = r"\varepsilon"
    elif len(plain) == 1:
        text = plain
    elif plain[0] == "d" and (len(plain) == 2 or plain[1:] in GREEK):
        text = rf"\mathrm{{d}}{_name(plain[1:])}"
    else:
        text = rf"\mathrm{{{plain.replace('_', ' ')}}}"
    return text + marks


def _indices(indices):
    texts = [latex(index) for index in indices]
    return (" " if all(isinstance(index, Name | Number) and len(text) == 1 for index, text in zip(indices, texts)) else ", ").join(texts)


def _parenthesised(node):
    return rf"\left({latex(node)}\right)"


def _inside_sum(node):
    return _parenthesised(node) if isinstance(node, Add) else latex(node)


def _atom(node):
    """Return a tree as one thing, to which an exponent can be put."""
    return latex(node) if isinstance(node, Name | Number | Relation | Join) else _parenthesised(node)


def _factor(node, last):
    """Return a tree as a factor; what reaches to the end of its product stands without parentheses only there."""
    reaches = isinstance(node, Reduce) or isinstance(node, Partial) and not isinstance(node.body, Name)
    return _parenthesised(node) if isinstance(node, Add) or reaches and not last else latex(node)


def _product(factors):
    text = ""
    for i, (operator, factor) in enumerate(factors):
        last = i == len(factors) - 1
        if operator == "/":
            text = rf"\frac{{{text}}}{{{latex(factor)}}}"
        else:
            text += (OPERATORS[operator] if i else "") + _factor(factor, last)
    return text


def _call(function, arguments, power=""):
    inner = ", ".join(map(latex, arguments))
    if function == "exp":
        return f"e^{{{inner}}}"
    if function == "sqrt":
        return rf"\sqrt{{{inner}}}"
    if function == "abs":
        return rf"\left|{inner}\right|"
    plain = function.rstrip("'")
    name = f"\\{plain}" if plain in KNOWN else _name(plain) if len(plain) == 1 or plain in GREEK else rf"\mathrm{{{plain}}}"
    return rf"{name}{function[len(plain) :]}{power}\left({inner}\right)"


def _reduce(node):
    kind = {"sum": r"\sum", "prod": r"\prod", "max": r"\max", "min": r"\min"}.get(node.kind, rf"\mathrm{{{node.kind}}}")
    if node.index is None:
        return rf"{kind}\left({latex(node.body)}\right)"
    below = node.index if len(node.index) == 1 else rf"\mathrm{{{node.index}}}"
    if node.condition is not None:
        below += r" \,:\, " + latex(node.condition)[1:-1] if isinstance(node.condition, Relation) else ""
    body = _parenthesised(node.body) if isinstance(node.body, Add) else latex(node.body)
    return rf"{kind}_{{{below}}} {body}"
