"""A shard's forward and backward, made again by compiled code where a step is like the one before.

In a small model each operation takes 10 to 100 us, and its call by Python 10 us more, in which the shards in other threads wait for the interpreter's
lock, asleep. But from step to step the same kernels are called, with arrays of the same shapes. So the calls of a step are written down
(`tinytx.recording`), with the arrays that they read and write; further steps put their batch and the weights of the time into the same arrays, and
compiled code makes all calls, one after the other (`tinytx.calls.Repeated`). The machine code is the same and so are the bits.

A recording knows nothing of what Python does between the calls. So three things have to hold before one is used: all layers are of `KINDS`, whose
code decides nothing by the numbers that it sees; nothing is drawn (dropout); and the step after the recorded one, which is made in both ways, has the
same loss and gradients in both, in every bit. Everything else goes the ordinary way.
"""

import numpy as np

from tinytx import layers, models, tasks, workers
from tinytx.calls import Repeated
from tinytx.kernel import is_plain
from tinytx.members import are_the_same, is_altered
from tinytx.memory import give_back_freed_memory
from tinytx.recording import Bits, Recording, bits_of, found, recording
from tinytx.training.rooms import placed

KINDS = {
    tasks.NextToken,
    models.GPT,
    models.Llama,
    layers.Activation,
    layers.Block,
    layers.DotProduct,
    layers.Dropout,
    layers.Embedding,
    layers.FeedForward,
    layers.GatedFeedForward,
    layers.LayerNorm,
    layers.LearnedPositions,
    layers.Linear,
    layers.MultiHeadAttention,
    layers.Residual,
    layers.RMSNorm,
    layers.Rotary,
    layers.TiedLinear,
}
MOST = 1 << 29  # bytes of all arrays of a shard's recordings: larger steps have operations so long that calling them does not count
ORDINARY = 8  # steps before one is recorded, which takes as long as ten, and a second or two where its calls have to be compiled
SHAPES = 4  # recordings that are kept, of batches of different shapes


class Repeater:
    """Makes the loss and the gradients of one shard's batches.

    Parameters
    ----------
    model : Layer
        The shard's.
    parameters : iterable of ShardParameter
    original : Layer
        The model of which the shard's is a copy.

    Attributes
    ----------
    may : bool
        Whether the model is such that steps may be repeated.
    n_repeated : int
        Steps that compiled code has repeated.
    """

    def __init__(self, model, parameters, original):
        self._parameters, self._steps, self.n_repeated = list(parameters), {}, 0
        self._original = [(vars(layer), _attributes(layer)) for _, layer in original.named_layers()]
        self.may = not is_plain() and all(type(layer) in KINDS and not is_altered(layer) for _, layer in model.named_layers())

    def stands_for_its_original(self):
        """Return whether steps may be repeated, and the copy is still one: no attribute of the original's layers was changed."""
        return self.may and all(map(_stay, *zip(*self._original)))

    def loss(self, ordinary, batch, count, travels=False):
        """Return a batch's loss, and add the gradients.

        Parameters
        ----------
        ordinary : function (*batch) -> (loss, tape)
            Makes both.
        batch : tuple of arrays
        count : int
            By which the loss divides.
        travels : bool
            Whether gradients go to other machines, which takes time, so that each is handed on as soon as it is there, and not behind all calls.
        """
        step = self.step(batch, count)
        if step is None:
            return ordinary(*batch)[0]
        self.n_repeated += step.is_repeated
        return step.loss(ordinary, batch, MOST - sum(other.size for other in self._steps.values()), travels)

    def step(self, batch, count):
        """Return the `Step` that makes such batches' losses, or None if they are made the ordinary way."""
        if not self.may or not isinstance(count, int) or not all(map(_is_of_whole_numbers, batch)):
            return None
        key = count, workers.awake.are_asked(), *(array.shape for array in batch), *(parameter.frozen for parameter in self._parameters)
        step = self._steps.get(key) or self._steps.setdefault(key, Step(self._parameters))
        if len(self._steps) > SHAPES:
            del self._steps[next(iter(self._steps))]
        return step


class Step:
    """The steps of batches of one shape: `ORDINARY` ones first, then one that is recorded, then one that shows whether the recording is right.

    Attributes
    ----------
    repeated : Repeated, or None
    may, is_right : bool
        Whether there may be a recording, and whether there is one that has been compared.
    size : int
        Bytes of its arrays.
    """

    def __init__(self, parameters):
        self._parameters, self._n_ordinary, self.may = parameters, 0, True
        self._forget()

    def _forget(self):
        self._data, self._own, self.repeated, self._wakes, self.is_right, self.size = None, None, None, False, False, 0

    def loss(self, ordinary, batch, room, travels):
        """Return a batch's loss, and add the gradients; a recording may need ``room`` bytes, and ``travels`` is as for `Repeater.loss`."""
        if not self.may or self._n_ordinary < ORDINARY:
            self._n_ordinary += 1
            return ordinary(*batch)[0]
        if self.repeated is None or not self._has_its_weights():
            room += self.size
            self._forget()
            return self._recorded(ordinary, _whole_numbers(batch), room)
        return self._again(batch, travels) if self.is_right else self._compared(ordinary, batch)

    def _recorded(self, ordinary, own, room):
        """Return the loss of an ordinary step that is recorded; ``own`` are arrays for the batch that nobody else has."""
        with recording(Recording()) as made:
            loss, tape = ordinary(*own)
        step, size = placed(made, room)
        self.may = step is not None and not tape.sites
        try:
            self.repeated = Repeated(step) if self.may else None
        except LookupError:
            self.may = False
        if self.may:
            self._data, self._own, self.size = [parameter.data for parameter in self._parameters], own, size
            self._wakes = any(array is workers.awake.memory() for array in found(np.ndarray, [given for _, given in made.calls]))
        return loss

    def _again(self, batch, travels):
        (loss,) = self.results(batch, hands_on=travels)
        for function in () if travels else self.repeated.recording.after:
            function()
        return loss

    def results(self, batch, hands_on=False):
        """Make the calls again, and return what is read after them, the loss; gradients are handed on in between, or not at all."""
        for own, array in zip(self._own, batch, strict=True):
            own[...] = array
        workers.awake.words(self._wakes)
        return self.repeated.again(hands_on)

    @property
    def is_repeated(self):
        """Whether compiled code makes the next step."""
        return self.is_right and self._has_its_weights()

    def _has_its_weights(self):
        return all(parameter.data is data for parameter, data in zip(self._parameters, self._data, strict=True))

    def _compared(self, ordinary, batch):
        """Return the loss of an ordinary step, after the recorded one has been made again and compared with it."""
        with recording(Bits()) as made:
            loss, _ = ordinary(*_whole_numbers(batch))
        give_back_freed_memory()  # of ordinary steps, before that of the repeated ones is used
        step = self.repeated.recording
        self.is_right = self.results(batch) == [loss] and [bits_of(call) for call in step.results + step.after] == made.seen
        if not self.is_right:
            self.may = False
            self._forget()
        return loss


def _attributes(layer):
    """Return the attributes of a layer, and what is in those that are lists."""
    return {name: list(value) if type(value) is list else value for name, value in vars(layer).items()}


def _stay(now, then):
    """Return whether attributes are the same objects, and lists have the same ones."""
    pairs = ((now.get(name), each) for name, each in then.items())
    return now.keys() == then.keys() and all(a is b or type(a) is type(b) is list and are_the_same(a, b) for a, b in pairs)


def _is_of_whole_numbers(array):
    return isinstance(array, np.ndarray) and array.dtype.kind in "iu" and np.can_cast(array.dtype, np.int64)


def _whole_numbers(batch):
    """Return copies of a batch's arrays, which operations take as they are."""
    return tuple(array.astype(np.int64, order="C") for array in batch)
