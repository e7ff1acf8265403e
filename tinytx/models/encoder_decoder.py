"""What all encoder-decoders share, be they transformers or recurrent nets: how the two sides are called together."""

from tinytx.core import Layer
from tinytx.layers import padding_mask


class EncoderDecoder(Layer):
    """A body with an ``encoder``, a ``decoder`` and a ``config``; its class has ``encode`` and ``decode``."""

    def source_mask(self, source):
        """Return the mask (B, 1, 1, S) that is True where ``source`` (B, S) is not padding."""
        return padding_mask(source, self.config.pad_id)

    def forward(self, source, target, tape=None):
        """Return the decoder's vectors (B, T, D) for source ids (B, S) and target ids (B, T)."""
        memory = self.encode(source, tape)
        return self.decode(target, memory, self.source_mask(source), tape)

    def backward(self, dx, tape):
        """Add the gradients of all parameters; ids have none, so nothing is returned."""
        _, dmemory = self.decoder.backward(dx, tape)
        self.encoder.backward(dmemory, tape)
