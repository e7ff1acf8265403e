"""Calls a reader's functions: nothing may be written into what they are given, and errors say where, and with which shapes."""

import numpy as np

from tinytx.wording import counted


class CountError(ValueError):
    """A backward returned too many gradients, or too few."""


class ShapeError(ValueError):
    """A gradient has another shape than its input: (its number, its shape, the right one)."""


class Called:
    """A forward and a backward that get arrays which cannot be written to.

    Parameters
    ----------
    forward, backward : callable
    expected : list of tuple, optional
        The shapes of the gradients that each call of backward has to return, again from the first after the last. Without it,
        ``shapes`` is the list of those that were returned.
    """

    def __init__(self, forward, backward, expected=None):
        self.functions, self.shapes, self.expected = (forward, backward), [], expected

    def forward(self, *arrays, **arguments):
        """Return (y, saved) of the forward."""
        y, saved = self.functions[0](*map(_frozen, arrays), **{key: _frozen(value) for key, value in arguments.items()})
        return y, _frozen(saved)

    def backward(self, dy, saved, **arguments):
        """Return the gradients of the backward."""
        gradients = self.functions[1](_frozen(dy), saved, **arguments)
        as_tuple = gradients if isinstance(gradients, tuple) else (gradients,)
        self.shapes.append([None if gradient is None else np.shape(gradient) for gradient in as_tuple])
        if self.expected is not None:
            self._compare(self.shapes[-1], self.expected[(len(self.shapes) - 1) % len(self.expected)])
        return gradients

    def _compare(self, ours, right):
        if len(ours) != len(right):
            name = self.functions[1].__name__
            what = f" {(self.functions[1].__doc__ or '').strip()}".rstrip()
            raise CountError(f"{name} returned {counted(len(ours), 'gradient')}, expected {len(right)} as a tuple.{what}")
        for i, (given, wanted) in enumerate(zip(ours, right, strict=True)):
            if given != wanted:
                raise ShapeError(i, given, wanted)

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
