"""Text classes: say which of some classes a whole text belongs to; what a trained body is fine-tuned for.

A text may be a pair, ``[CLS] a [SEP] b [SEP]``: ``segments`` then says which part a word belongs to, and the classes what
the two have to do with each other.
"""

from tinytx.tasks.classes import Classes
from tinytx.tasks.heads import ClassSettings


class TextClasses(Classes):
    """A body that reads whole texts, and a head that reads one vector made of all of the body's.

    Parameters
    ----------
    body : Layer
        ``body(ids, tape)`` returns (B, T, D): any of `tinytx.models` with one input, new or trained for another task; one
        that takes ``segments`` besides, as `tinytx.models.Bert` does, reads pairs.
    rng : numpy.random.Generator
        Draws the head.
    **settings
        `tinytx.tasks.heads.ClassSettings`: ``n_classes``, ``pooling``, ``classifier_bias``, ``dropout``, ``pad_id``.

    Examples
    --------
    >>> import numpy as np
    >>> from tinytx.models import Bert, BertConfig
    >>> rng = np.random.default_rng(0)
    >>> model = TextClasses(Bert(BertConfig(20, d_model=16, n_heads=2, n_layers=1), rng=rng), n_classes=3, rng=rng)
    >>> model(np.full((2, 5), 7)).shape
    (2, 3)
    """

    unit = "text"
    Settings = ClassSettings

    def forward(self, ids, tape=None, *, segments=None):
        """Return the logits (B, n_classes) of texts (B, T)."""
        hidden = self._vectors(ids, tape=tape, segments=segments)
        return self.head(hidden, tape, mask=self._words_mask(ids, self.asked.pad_id))

    def _logits(self, ids, segments=None, tape=None):
        return self(ids, tape, segments=segments)

    def loss(self, ids, labels, segments=None, tape=None, *, count=None):
        """Return the mean cross-entropy of ``labels`` (B,), in nats per text; a label of -100 counts for nothing."""
        return super().loss(ids, labels, segments, tape=tape, count=count)

    def random_batch(self, rng, n, length):
        """Return n random rows of so many words, as `loss` takes them."""
        return rng.integers(1, self.vocab_size, (n, length)), rng.integers(0, self.asked.n_classes, n)
