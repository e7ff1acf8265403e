"""Text classes: predict the class of a whole text, a common task for fine-tuning.

A text may be a pair, ``[CLS] a [SEP] b [SEP]``. Then ``segments`` holds the part that each word belongs to, and a class
is a relation between the two parts.
"""

from tinytx.tasks.classes import Classes
from tinytx.tasks.heads import ClassSettings


class TextClasses(Classes):
    """A body that reads whole texts, and a head that classifies one vector, pooled from all vectors of the body.

    Parameters
    ----------
    body : Layer
        ``body(ids, tape)`` returns (B, T, D): any body of `tinytx.models` whose only input is ids, new or trained for
        another task. A body that also takes ``segments``, such as `tinytx.models.Bert`, can read pairs.
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
        """Return the mean cross-entropy of ``labels`` (B,), in nats per text; a label of -100 does not count."""
        return super().loss(ids, labels, segments, tape=tape, count=count)

    def random_batch(self, rng, n, length):
        """Return a random batch for `loss`: n rows of ``length`` words."""
        return rng.integers(1, self.vocab_size, (n, length)), rng.integers(0, self.asked.n_classes, n)
