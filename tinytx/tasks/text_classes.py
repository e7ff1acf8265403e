"""Text classes: say which of some classes a whole text belongs to; what a trained body is fine-tuned for.

A text may be a pair, ``[CLS] a [SEP] b [SEP]``: ``segments`` then says which part a word belongs to, and the classes what
the two have to do with each other.
"""

import numpy as np

from tinytx import ops
from tinytx.tasks.heads import ClassSettings, TextHead
from tinytx.tasks.task import Task


class TextClasses(Task):
    """A body that reads whole texts, and a head that reads one vector made of all of the body's.

    Parameters
    ----------
    body : Layer
        ``body(ids, tape)`` returns (B, T, D): any of `tinytx.models` with one input, new or trained for another task; one
        that takes ``segments`` besides, as `tinytx.models.Bert` does, reads pairs.
    rng : numpy.random.Generator
        Draws the head.
    **settings
        `tinytx.tasks.heads.ClassSettings`: ``n_classes``, ``pooling``, ``dropout``, ``pad_id``.

    Examples
    --------
    >>> from tinytx.models import Bert, BertConfig
    >>> rng = np.random.default_rng(0)
    >>> model = TextClasses(Bert(BertConfig(20, d_model=16, n_heads=2, n_layers=1), rng=rng), n_classes=3, rng=rng)
    >>> model(np.full((2, 5), 7)).shape
    (2, 3)
    """

    unit = "text"
    Settings = ClassSettings

    def __init__(self, body, *, rng, **settings):
        super().__init__(body)
        self.asked = self.Settings(**settings)
        self._make_head(rng)
        self._draw_biases(rng, self.head)

    def _make_head(self, rng):
        asked, options = self.asked, self._drawn_like_the_body(rng)
        options |= {"pooling": asked.pooling, "dropout": asked.dropout}
        self.head = TextHead(self.config.d_model, asked.n_classes, **options)

    @property
    def settings(self):
        return dict(vars(self.asked))

    def forward(self, ids, tape=None, *, segments=None):
        """Return the logits (B, n_classes) of texts (B, T)."""
        hidden = self._vectors(ids, tape=tape, segments=segments)
        return self.head(hidden, tape, mask=self._words_mask(ids, self.asked.pad_id))

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
        """Return by how many labels `loss` divides."""
        return ops.count_targets(labels)

    def random_batch(self, rng, n, length):
        """Return n random rows of so many words, as `loss` takes them."""
        return rng.integers(1, self.vocab_size, (n, length)), rng.integers(0, self.asked.n_classes, n)

    def measure(self, batches):
        """Return ``accuracy``, the share of labels that are the likeliest class.

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
