"""The hints of an exercise: the derivation in the operation's file, cut behind each block of equations."""

from tinytx.derivations import TABLE, read
from tinytx.exercises.sheet import function

END = "The solution is {function}_backward in tinytx/ops/plain.py and the files it imports; the fast one is in tinytx/ops/{name}.py."


def hints(name):
    """Return the parts of a derivation, each with the prose before it; the last says where the solution is.

    Parameters
    ----------
    name : str
        One of `tinytx.exercises.operations`.

    Returns
    -------
    list of str
    """
    lines = read(name, whole=TABLE[name].whole).lines
    texts = [line.text for line in lines]
    start = texts.index("Derivation") + 2
    parts, part = [], []
    for line, after in zip(lines[start:], lines[start + 1 :]):
        if line.text == "With numbers" or line.kind == "example":
            break
        part.append(line.text)
        if line.kind == "equation" and after.kind == "":
            parts.append(part)
            part = []
    return [*("\n".join(part).strip("\n") for part in parts), "\n".join([*part, END.format(function=function(name), name=name)]).strip("\n")]
