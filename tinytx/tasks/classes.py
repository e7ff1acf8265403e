"""Classes: say which of some classes a whole input belongs to; what classes of texts and of images share."""

import numpy as np

from tinytx import ops
from tinytx.tasks.heads import PooledHead
from tinytx.tasks.task import Task


class Classes(Task):
    """A body, and a head that reads one vector made of all of the body's.

    A subclass says what an input is: ``unit``, ``Settings``, ``random_batch``; and ``forward`` where its body needs more than
    the input.

    Parameters
    ----------
    body : Layer
        ``body(inputs, tape)`` returns (B, T, D).
    rng : numpy.random.Generator
        Draws the head.
    **settings
        Of the class ``Settings``: ``n_classes``, ``dropout``, ``pooling``, ``classifier_bias``.
    """

    def __init__(self, body, *, rng, **settings):
        super().__init__(body)
        self.asked = self.Settings(**settings)
        self._make_head(rng)
        self._draw_biases(rng, self.head)

    def _make_head(self, rng):
        self.head = PooledHead.of(self.config.d_model, self.asked, **self._drawn_like_the_body(rng))

    @property
    def settings(self):
        return dict(vars(self.asked))

    def forward(self, inputs, tape=None):
        """Return the logits (B, n_classes)."""
        return self.head(self._vectors(inputs, tape=tape), tape)

    def backward(self, dlogits, tape):
        """Add the gradients of all parameters; return that of the inputs, or None, since ids have none."""
        return self.body.backward(self.head.backward(dlogits, tape), tape)

    def _logits(self, inputs, *others, tape=None):
        """Return the logits of a batch without its labels."""
        return self(inputs, tape)

    def loss(self, inputs, labels, *others, tape=None, count=None):
        """Return the mean cross-entropy of ``labels`` (B,), in nats; a label of -100 counts for nothing."""
        listening = self._listening(tape)
        loss, saved = ops.cross_entropy(self._logits(inputs, *others, tape=listening), labels, count=count)
        if tape is not None:
            tape.push(self, saved)
        return loss + self._penalties(listening, labels, count)

    def loss_backward(self, tape):
        """Add the gradients of `loss`; return as `backward`."""
        return self.backward(ops.cross_entropy_backward(1.0, tape.pop(self)), tape)

    @staticmethod
    def count(inputs, labels, *others):
        """Return by how many labels `loss` divides."""
        return ops.count_targets(labels)

    def measure(self, batches):
        """Return ``accuracy``, the share of labels that are the likeliest class.

        Parameters
        ----------
        batches : iterable of tuples, as `loss` takes them
        """
        right = []
        for inputs, labels, *others in batches:
            asked = np.asarray(labels) != self.ignored
            right.extend((self._logits(inputs, *others).argmax(axis=-1) == labels)[asked])
        return {"accuracy": float(np.mean(right))}
