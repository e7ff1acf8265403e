"""What an entry of the zoo is: a fault, its healthy original, and the check that must tell one from the other."""

from dataclasses import dataclass, field, replace

import numpy as np

from tinytx.core import Tape


def draw(*shape, seed=0):
    """Return normal numbers, the same ones for the same shape and seed."""
    return np.random.default_rng([7, seed, *shape]).normal(size=shape)


def rng():
    """Return the generator of a specimen's weights, a new one for each specimen."""
    return np.random.default_rng(11)


@dataclass(frozen=True, eq=False)
class Specimen:
    """A layer, or a pair of functions, and what to call it with.

    Attributes
    ----------
    target : Layer, or function with ``y, saved = target(*inputs)``
    inputs : tuple
    backward : function (dy, saved), for a pair
    options : dict
        Keyword arguments of a layer's forward.
    tape : function () -> Tape
    """

    target: object
    inputs: tuple
    backward: object = None
    options: dict = field(default_factory=dict)
    tape: object = Tape

    def but(self, **changes):
        """Return a copy with some attributes changed."""
        return replace(self, **changes)


@dataclass(frozen=True, eq=False)
class Fault:
    """One fault that shipped, or that a check was seen to miss.

    Attributes
    ----------
    name : str
        The fault in a few words.
    found_in : str
        The project, or "a mutant" where it was planted.
    hidden_by : str
        What kept it from being noticed there.
    sound, broken : Specimen
        The healthy original and the fault, given the same inputs.
    caught_by : str
        The check in ``checks.CHECKS`` that sound passes and broken does not.
    fails : tuple of str
        For gradcheck: the tensors that FAIL, no more and no less; the first is the one looked at closely.
    places : set of tuple of int
        Where the fault is local: how the index of the worst entry may begin.
    says : str
        A part of the hint, or of what else the check must say.
    settings : dict
        More arguments for the check.
    unseen : Specimen
        The fault under the condition that hid it.
    unseen_by : str
        The check in ``checks.CHECKS`` that lets it pass there.
    unseen_in : tuple of str
        The tensors that the naive check looks at; without it, all.
    tolerance : float
        The naive check's absolute one.
    """

    name: str
    found_in: str
    hidden_by: str
    sound: Specimen
    broken: Specimen
    caught_by: str = "gradcheck"
    fails: tuple = ()
    places: frozenset = frozenset()
    says: str = ""
    settings: dict = field(default_factory=dict)
    unseen: Specimen = None
    unseen_by: str = "naive"
    unseen_in: tuple = ()
    tolerance: float = 1e-5

    def same_when_unseen(self):
        """Return whether no condition hid it, but what the naive check tolerates or does not look at."""
        return self.unseen.target is self.broken.target and self.unseen.inputs is self.broken.inputs


MUTANT = "a mutant"
RIGHT = "its gradients, which are right"


def fault(name, sound, change, *, unseen=None, **rest):
    """Return the `Fault` of an original that is changed; ``unseen`` is what changes further where it is hidden."""
    broken = sound.but(**change)
    return Fault(name, sound=sound, broken=broken, unseen=None if unseen is None else broken.but(**unseen), **rest)
