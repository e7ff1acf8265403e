"""Classes: predict the class of a whole input; the base class of the tasks for texts and for images."""

import numpy as np

from tinytx import ops, workers
from tinytx.tasks.heads import PooledHead
from tinytx.tasks.task import Task


class Classes(Task):
    """A body, and a head that classifies one vector, which is pooled from all vectors of the body.

    A subclass defines ``unit``, ``Settings`` and ``random_batch``; and ``forward``, if its body needs further inputs.

    Parameters
    ----------
    body : Layer
        ``body(inputs, tape)`` returns (B, T, D).
    rng : numpy.random.Generator
        Draws the head.
    **settings
        The fields of the class ``Settings``: ``n_classes``, ``dropout``, ``pooling``, ``classifier_bias``.
    """

    def __init__(self, body, *, rng, **settings):
        super().__init__(body)
        self.asked = self.Settings(**settings)
        self._make_head(rng)
        self._draw_biases(rng, self.head)
        if isinstance(self.head, PooledHead):
            self.head.begin_with(getattr(body, "pooler", None))

    def _make_head(self, rng):
        self.head = PooledHead.of(self.width, self.asked, **self._drawn_like_the_body(rng))

    @property
    def settings(self):
        return dict(vars(self.asked))

    def forward(self, inputs, tape=None):
        """Return the logits (B, n_classes)."""
        return self.head(self._vectors(inputs, tape=tape), tape)

    def backward(self, dlogits, tape):
        """Add the gradients of all parameters; return the gradient of the inputs, or None if they are ids."""
        return self.body.backward(self.head.backward(dlogits, tape), tape)

    def _logits(self, inputs, *others, tape=None):
        """Return the logits of a batch, given without its labels."""
        return self(inputs, tape)

    def loss(self, inputs, labels, *others, tape=None, count=None):
        """Return the mean cross-entropy of ``labels`` (B,), in nats; a label of -100 does not count."""
        listening = self._listening(tape)
        loss, saved = ops.cross_entropy(self._logits(inputs, *others, tape=listening), labels, count=count)
        if tape is not None:
            tape.push(self, saved)
        return loss + self._penalties(listening, labels, count)

    def loss_backward(self, tape):
        """Add the gradients of `loss`; return what `backward` returns."""
        return self.backward(ops.cross_entropy_backward(1.0, tape.pop(self)), tape)

    @staticmethod
    def count(inputs, labels, *others):
        """Return the number of labels that count, by which `loss` divides."""
        return ops.count_targets(labels)

    def measure(self, batches):
        """Return ``accuracy``, the share of labels for which the likeliest class is the label.

        Parameters
        ----------
        batches : iterable of tuples, as `loss` takes them
        """

        def right(batch):
            inputs, labels, *others = batch
            return (self._logits(inputs, *others).argmax(axis=-1) == labels)[np.asarray(labels) != self.ignored]

        return {"accuracy": float(np.mean(np.concatenate(workers.each(right, batches))))}
