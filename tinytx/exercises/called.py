"""Calls a reader's functions: nothing may be written into what they are given, and errors say where, and with which shapes."""

import numpy as np

from tinytx.wording import counted


class CountError(ValueError):
    """A backward returned too many gradients, or too few."""


class Called:
    """A forward and a backward that get arrays which cannot be written to.

    Parameters
    ----------
    forward, backward : callable
    counts : list of int, optional
        How many gradients each call of backward has to return; without it, ``counts`` is a list of how many they were.
    """

    def __init__(self, forward, backward, counts=None):
        self.functions, self.counts, self.expected = (forward, backward), [], counts

    def forward(self, *arrays, **arguments):
        """Return (y, saved) of the forward."""
        y, saved = self.functions[0](*map(_frozen, arrays), **{key: _frozen(value) for key, value in arguments.items()})
        return y, _frozen(saved)

    def backward(self, dy, saved, **arguments):
        """Return the gradients of the backward."""
        gradients = self.functions[1](_frozen(dy), saved, **arguments)
        n = len(gradients) if isinstance(gradients, tuple) else 1
        if self.expected is None:
            self.counts.append(n)
        elif n != self.expected[0]:  # of an operation, each call returns as many
            name = self.functions[1].__name__
            what = f" {(self.functions[1].__doc__ or '').strip()}".rstrip()
            raise CountError(f"{name} returned {counted(n, 'gradient')}, expected {self.expected[0]} as a tuple.{what}")
        return gradients

    def described(self, error):
        """Return what an exception says, with the line of the reader's code that raised it, and the shapes there."""
        files = {getattr(getattr(function, "__code__", None), "co_filename", None) for function in self.functions}
        step, place, shapes = error.__traceback__, "", ""
        while step is not None:
            if step.tb_frame.f_code.co_filename in files:
                place = f"{step.tb_frame.f_code.co_filename.rsplit('/', 1)[-1]}, line {step.tb_lineno}: "
                arrays = {key: value.shape for key, value in step.tb_frame.f_locals.items() if isinstance(value, np.ndarray)}
                shapes = ", ".join(f"{key} {shape}" for key, shape in arrays.items())
            step = step.tb_next
        text = f"{place}{type(error).__name__}: {str(error).strip()}"
        if "read-only" in str(error):
            return f"{text}. dy and what was saved may be in use elsewhere: write dy = dy * a, which makes a new array, for dy *= a"
        return f"{text}. Shapes there: {shapes}" if shapes and isinstance(error, ValueError | IndexError) else text


def _frozen(value):
    """Return a value whose arrays cannot be written to."""
    if isinstance(value, np.ndarray):
        value = value.view()
        value.flags.writeable = False
    elif type(value) is tuple:
        value = tuple(map(_frozen, value))
    return value
