"""What is told of one example's way through a model: its calls of layers, and its steps, forward and backward."""

from dataclasses import dataclass, field
from typing import NamedTuple

from tinytx.core import Layer
from tinytx.viz.tensor_seen import TensorSeen

FORWARD, AGAIN, BACKWARD = "forward", "again", "backward"


class KeptArray(NamedTuple):
    """An array on the tape.

    Attributes
    ----------
    name : str
    shape : tuple of int
    dtype : str
    n_bytes : int
        0 if it is counted elsewhere: with ``of``.
    of : int, str or None
        The call that keeps the same array and counts it, by its number, or the path of the parameter that it is.
    """

    name: str
    shape: tuple
    dtype: str
    n_bytes: int
    of: int | str | None


class Kept(NamedTuple):
    """An entry of the tape: the operation that saved it, or "" for a layer's own, and its arrays."""

    op: str
    arrays: list


class ParameterSeen(NamedTuple):
    """A parameter of a layer, and of no layer inside it that is called.

    Attributes
    ----------
    path : str
        In the model.
    data, grad : TensorSeen
        Its values, and its gradient after the whole backward: the sum over all that use it.
    """

    path: str
    data: TensorSeen
    grad: TensorSeen


@dataclass
class Call:
    """A call of a layer.

    Attributes
    ----------
    number : int
        Position in `Trace.calls`, in the order in which calls began.
    layer, parent : Layer, Call or None
    path, kind : str
        The layer's path in the model, "" for the model itself, and its class.
    n : int
        The n-th call of this layer, from 1.
    depth : int
        How many calls it is inside of.
    inputs, outputs, doutputs, dinputs : list of TensorSeen
        Gradients are empty if its backward did not run; of an input without a gradient, such as ids, there is None.
    kept : list of Kept
        What it saved for its backward.
    dropped : bool
        Whether this was forgotten before the forward ended: the layer runs a second time in backward, as in a `Checkpoint`.
    again : int
        How often it ran a second time.
    parameters : list of ParameterSeen
    """

    number: int
    layer: Layer
    parent: "Call | None"
    path: str
    n: int
    inputs: list
    outputs: list = field(default_factory=list)
    doutputs: list = field(default_factory=list)
    dinputs: list = field(default_factory=list)
    kept: list = field(default_factory=list)
    parameters: list = field(default_factory=list)
    children: list = field(default_factory=list)
    dropped: bool = False
    again: int = 0

    @property
    def kind(self):
        return type(self.layer).__name__

    @property
    def depth(self):
        return 0 if self.parent is None else self.parent.depth + 1


class Step(NamedTuple):
    """A moment: a forward ends (``kind`` is "forward", or "again" inside a backward), or a backward begins ("backward").

    Attributes
    ----------
    kind : str
    call : int
        The number of the call.
    n_bytes : int
        Bytes that all tapes hold.
    """

    kind: str
    call: int
    n_bytes: int


class Trace(NamedTuple):
    """What `traced` returns.

    Attributes
    ----------
    calls : list of Call
    steps : list of Step
    loss : float, or None if the model has none
    peak : int
        The most bytes that the tapes held together.
    """

    calls: list
    steps: list
    loss: float | None
    peak: int
