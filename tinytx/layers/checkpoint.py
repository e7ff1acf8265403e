"""Gradient checkpointing: a layer that saves only its inputs and computes the rest a second time in backward."""

from tinytx.core import Layer


class Checkpoint(Layer):
    """A layer whose backward runs its forward again, to save memory (Chen et al. 2016, arXiv:1604.06174).

    The tape holds only the layer's inputs, and not the arrays that its parts save. The cost is one more forward.
    Outputs and gradients are the same to the bit. This holds under dropout too, because the second forward draws the
    same masks.

    Parameters
    ----------
    layer : Layer
        For example each `Block` of a model: then the saved arrays of only one block exist at a time.
    """

    def __init__(self, layer):
        self.layer = layer

    def forward(self, *inputs, tape=None, **settings):
        """Return the layer's output; inputs and ``settings`` are passed to it.

        Raises
        ------
        ValueError
            If there are a tape and a state.
        """
        if tape is not None and settings.get("state") is not None:
            raise ValueError("Checkpoint: forward runs twice, and a state would hold its positions twice: give no state")
        if tape is None:
            return self.layer(*inputs, **settings)
        fork = tape.fork(tape.sites)
        y = self.layer(*inputs, fork, **settings)  # the fork is dropped, with all that it saved
        tape.push(self, (inputs, settings, tape.sites))
        tape.sites = fork.sites
        return y

    def backward(self, dy, tape):
        inputs, settings, sites = tape.pop(self)
        fork = tape.fork(sites)
        self.layer(*inputs, fork, **settings)
        dx = self.layer.backward(dy, fork)
        fork.check_empty()
        return dx
