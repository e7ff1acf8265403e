r"""What the names of each derivation are in the code: one row for each operation, in the order in which to read them.

The rows stand in the files of ``rows/``, each with a TABLE of some operations: those to begin with, then one file for each kind.
A `Scene` is one way to call an operation. ``names`` gives for each input of the equations the argument that it is, and its axes: those
of one letter, which equations write as indices, and longer ones such as "rows", which equations leave out. A new operation
has its docstring in the notation (``notation.py``), and a row in a file of ``rows/``.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module


@dataclass(frozen=True)
class Scene:
    """One way to call an operation, and what the names of its derivation are there.

    Parameters
    ----------
    names : dict of str to str
        For each input of the equations: the argument's name, and the axes, as in ``{"x": "x rows i"}``.
    outputs : dict of str to str
        For each output its axes, in the order of the code's array: ``{"y": "rows i"}``. Its gradient is "dy".
    sizes : dict of str to int
        The length of each axis in the suite; lengths differ, so that no two axes can be taken for each other.
    example : dict of str to int
        The same for the numbers that ``python -m tinytx derive`` shows.
    gradients : str
        The inputs whose gradients the backward returns, in its order, such as "x w b".
    counts : dict of str to str
        Names of lengths: ``{"D": "i"}`` says that D is the length of axis i.
    ranges : dict of str to str
        The axis whose length a letter has where no array tells it, as the p of x_{P i + p}: ``{"p": "p"}``.
    given : dict of str to number
        Values of scalars, which are not drawn at random: ``{"eps": 0.1}``.
    draw : callable, optional
        ``draw(values, rng)`` may change the random arrays, a dict by the equations' names.
    run : callable, optional
        ``run(values, forward, backward)`` calls both, and returns the results as a dict by the equations' names. The default calls
        them with the arguments that ``names`` gives.
    without : set of int
        Numbers of equations that do not hold in this scene.
    title : str
        What is special, if there are several scenes.
    function : str
        The forward's name, if it is not that of the file. The backward's name ends in ``_backward``.
    """

    names: dict
    outputs: dict
    sizes: dict
    example: dict
    gradients: str = ""
    counts: dict = field(default_factory=dict)
    ranges: dict = field(default_factory=dict)
    given: dict = field(default_factory=dict)
    draw: Callable | None = None
    run: Callable | None = None
    without: frozenset = frozenset()
    title: str = ""
    function: str = ""

    def axes(self, name):
        """Return the axes of an input or output."""
        return tuple(self.outputs[name].split() if name in self.outputs else self.names[name].split()[1:])

    def all_axes(self, name):
        """Return the axes of an input, an output, an output's gradient, or of a scalar, which has none."""
        known = self.names.keys() | self.outputs.keys()
        return self.axes(name) if name in known else self.axes(name[1:]) if name[1:] in self.outputs else ()

    def argument(self, name):
        """Return what an input is called in the code."""
        return self.names[name].split()[0]


@dataclass(frozen=True)
class Row:
    """A derivation: its scenes, and what its notation needs.

    Parameters
    ----------
    scenes : list of Scene
    whole : set of str
        Names with an underscore that is no index.
    twins : dict of int to callable
        For equations that the notation cannot say: ``twin()`` executes them, and raises an error if they do not hold.
    no_gradient : str
        Why the operation has no backward, if it has none: its forward alone is derived.
    """

    scenes: list
    whole: frozenset = frozenset()
    twins: dict = field(default_factory=dict)
    no_gradient: str = ""

    @property
    def function(self):
        """The forward of the first scene, if its name is not the file's, else ""."""
        return self.scenes[0].function


def functions(name, function=""):
    """Return (forward, backward) of an operation: those of its file's name, or those called ``function``."""
    module, function = import_module(f"tinytx.ops.{name}"), function or name
    return getattr(module, function), getattr(module, f"{function}_backward", None)
