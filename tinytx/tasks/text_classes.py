"""Text classes: say which of some classes a whole text belongs to; what a trained body is fine-tuned for."""

import numpy as np

from tinytx import ops
from tinytx.tasks.heads import TextHead
from tinytx.tasks.task import Task


class TextClasses(Task):
    """A body that reads whole texts, and a head that reads the vector at the first position.

    Parameters
    ----------
    body : Layer
        ``body(ids, tape, segments=segments)`` returns (B, T, D): `tinytx.models.Bert`, new or trained for another task.
    n_classes : int
    rng : numpy.random.Generator
        Draws the head.

    Examples
    --------
    >>> from tinytx.models import Bert, BertConfig
    >>> rng = np.random.default_rng(0)
    >>> model = TextClasses(Bert(BertConfig(20, d_model=16, n_heads=2, n_layers=1), rng=rng), n_classes=3, rng=rng)
    >>> model(np.full((2, 5), 7)).shape
    (2, 3)
    """

    unit = "text"

    def __init__(self, body, *, n_classes, rng):
        super().__init__(body)
        self.n_classes = n_classes
        self.head = TextHead(body.config.d_model, n_classes, **self._drawn_like_the_body(rng))
        self._draw_biases(rng, self.head)

    @property
    def settings(self):
        return {"n_classes": self.n_classes}

    def forward(self, ids, tape=None, *, segments=None):
        """Return the logits (B, n_classes) of texts (B, T)."""
        return self.head(self._vectors(ids, tape=tape, segments=segments), tape)

    def backward(self, dlogits, tape):
        """Add the gradients of all parameters; ids have none, so nothing is returned."""
        self.body.backward(self.head.backward(dlogits, tape), tape)

    def loss(self, ids, labels, segments=None, tape=None, *, count=None):
        """Return the mean cross-entropy of ``labels`` (B,), in nats per text; a label of -100 counts for nothing."""
        loss, saved = ops.cross_entropy(self(ids, tape, segments=segments), labels, count=count)
        if tape is not None:
            tape.push(self, saved)
        return loss

    def loss_backward(self, tape):
        """Add the gradients of `loss`."""
        self.backward(ops.cross_entropy_backward(1.0, tape.pop(self)), tape)

    @staticmethod
    def count(ids, labels, segments=None):
        """Return by how many texts `loss` divides."""
        return ops.count_targets(labels)

    def random_batch(self, rng, n, length):
        """Return n random rows of so many words, as `loss` takes them."""
        return rng.integers(1, self.vocab_size, (n, length)), rng.integers(0, self.n_classes, n)

    def measure(self, batches):
        """Return ``accuracy``, the share of texts whose likeliest class is their label.

        Parameters
        ----------
        batches : iterable of (ids, labels), or (ids, labels, segments)
        """
        right = []
        for ids, labels, *segments in batches:
            asked = np.asarray(labels) != self.ignored
            said = self(ids, segments=segments[0] if segments else None).argmax(axis=-1)
            right.extend((said == labels)[asked])
        return {"accuracy": float(np.mean(right))}
