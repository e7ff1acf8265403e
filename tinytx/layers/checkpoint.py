"""A layer that keeps its inputs only, and computes the rest a second time in backward."""

from tinytx.core import Layer


class Checkpoint(Layer):
    """A layer with less to keep: backward runs forward again (Chen et al. 2016, arXiv:1604.06174).

    The tape holds the layer's inputs in place of all that its parts save. The price is one more forward. Outputs and
    gradients are the same to the bit, under dropout too: the second forward draws the same masks.

    Parameters
    ----------
    layer : Layer
        Such as a `Block`, of which a model has several: one block's arrays exist at a time.
    """

    def __init__(self, layer):
        self.layer = layer

    def forward(self, *inputs, tape=None, **settings):
        """As the layer's own; ``settings`` go to it."""
        if tape is not None and settings.get("state") is not None:
            raise ValueError("Checkpoint: forward runs twice, and a state would hold its positions twice: give no state")
        if tape is None:
            return self.layer(*inputs, **settings)
        fork = tape.fork(tape.sites)
        y = self.layer(*inputs, fork, **settings)  # what it saves goes with the fork
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
