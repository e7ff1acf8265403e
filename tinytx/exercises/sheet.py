"""Writes an exercise: a Python file with an operation's forward in plain NumPy, and a backward that is left to write."""

import ast
import builtins
import inspect
import re
import sys
import textwrap

from tinytx.derivations import TABLE
from tinytx.exercises.wider import CALLS
from tinytx.ops import plain

TEXT = '''"""Exercise: the backward of {function}.

The forward is given, in plain NumPy. Write {function}_backward: it gets {gradient},
and what the forward saved (its second result); it returns the gradients of the inputs, as its docstring says. A gradient has the
shape of what it is the gradient of. What is passed in may not be written to. A forward may save more than the derivation says is
kept: what is there need not be computed again. Then, at any time:

    python -m tinytx exercise {name} --check {file}
    python -m tinytx exercise {name} --hint 1

There are {hints} hints; each shows the derivation a step further. The last shows all of it.
{ways}"""

{code}'''


GRADIENTS = {
    "dloss": "dloss, how fast the end result grows with this\noperation's loss: 1 if the loss itself is the end result, but it may be any number",
    "dy": "dy, the gradient of the loss with respect to\nthe output, which the operations after this one have computed",
}


def operations():
    """Return the names of the operations that have an exercise: those with a derivation that runs, in its order.

    Returns
    -------
    list of str
    """
    return [name for name in TABLE if hasattr(plain, f"{function(name)}_backward")]


def function(name):
    """Return the forward that an operation's exercise is about: ``address`` for addressing, mostly the operation's name."""
    return TABLE[name].function or name if name in TABLE else name


def sheet(name, file, hints):
    """Return the text of an exercise.

    Parameters
    ----------
    name : str
        One of `operations`.
    file : str
        The file that it will stand in, for the command in its text.
    hints : int
        How many there are.

    Returns
    -------
    str
    """
    forward, backward = getattr(plain, function(name)), getattr(plain, f"{function(name)}_backward")
    sources, imports = {}, {"import numpy as np"}
    _collect(forward, sources, imports)
    code = [*sources.values(), _blank(backward)]
    groups = [[], [], []]  # of Python's own library, of others, and ours
    for line in sorted(imports, key=lambda line: (line.startswith("from"), line)):
        groups[2 if "tinytx" in line else line.split()[1].split(".")[0] not in sys.stdlib_module_names].append(line)
    head = "\n\n".join("\n".join(group) for group in groups if group)
    gradient = next(iter(inspect.signature(backward).parameters))
    parts = {"gradient": GRADIENTS.get(gradient, GRADIENTS["dy"].replace("dy", gradient, 1)), "ways": _ways(name)}
    return TEXT.format(name=name, function=function(name), file=file, hints=hints, **parts, code=head + "\n\n\n" + "\n\n\n".join(code) + "\n")


def _ways(name):
    """Return a sentence that says in which ways an operation is called, if they are several."""
    titles = [scene.title for scene in TABLE[name].scenes if scene.function == TABLE[name].function and scene.title] if name in TABLE else []
    titles = titles if len(titles) > 1 else ["as in the derivation"]
    titles += [call.title for call in CALLS.get(name, ())]
    return f"It is graded in this order: {'; '.join(titles)}. So the first may be right before the others are written.\n" * (len(titles) > 1)


def _collect(function, sources, imports):
    """Add the source of a function, after that of the functions that it calls; and the imports that they need."""
    module = sys.modules[function.__module__]
    source = re.sub(r"  # noqa.*", "", inspect.getsource(function).rstrip())
    used = {node.id for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Name)}
    for name in sorted(used - {function.__name__, *function.__code__.co_varnames} - set(dir(builtins))):
        value = getattr(module, name, None)
        if inspect.isfunction(value) and value.__module__.startswith(plain.__name__):
            _collect(value, sources, imports)
        elif value is not None:
            imports.add(_import(name, value, module.__name__))
    sources[function.__name__] = source


def _import(name, value, module):
    """Return the line that imports a name of a module from where it was made."""
    if inspect.ismodule(value):
        return f"import {value.__name__}" + ("" if value.__name__ == name else f" as {name}")
    if inspect.isfunction(value) or inspect.isclass(value):
        return f"from {value.__module__} import {value.__name__}" + ("" if value.__name__ == name else f" as {name}")
    made = type(value).__module__
    return f"from {made if hasattr(sys.modules[made], name) else module} import {name}"


def _blank(function):
    """Return the source of a backward up to the lines that take apart what was saved, and a gradient that is a pair; the rest is left to write."""
    source = textwrap.dedent(inspect.getsource(function))
    definition = ast.parse(source).body[0]
    kept = definition.body[0].end_lineno  # the docstring
    for statement, after in zip(definition.body[1:], definition.body[2:], strict=False):
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Name) and statement.value.id == "saved":
            is_pair = isinstance(after, ast.Assign) and isinstance(after.targets[0], ast.Tuple) and isinstance(after.value, ast.IfExp)
            kept = (after if is_pair else statement).end_lineno
            break
    lines = source.replace(", *, frozen=False", "").splitlines()[:kept]  # what an exercise does not ask for
    return "\n".join([*lines, f'    raise NotImplementedError("{function.__name__} is yours to write")'])
