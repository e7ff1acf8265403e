"""Nearby words: which words stand where these stand? The task of word2vec, by negative sampling or by a tree of words."""

import numpy as np

from tinytx import ops
from tinytx.core import Parameter
from tinytx.tasks.task import Task


class NearbyWords(Task):
    """A body that makes one vector of some words, and a second table, whose rows go with this vector or do not.

    A batch is (contexts, rows, labels), see `tinytx.ops.logistic_rows`; `tinytx.training.WordExamples` makes them of a text.

    Parameters
    ----------
    body : Layer
        ``body(contexts, tape)`` returns (N, D): `tinytx.models.Word2Vec`.
    tree : bool
        Whether the second table's rows are the V - 1 inner nodes of a tree whose leaves are words (hierarchical softmax),
        and not the V words (negative sampling).
    rng : numpy.random.Generator, optional
        Is not used: the second table begins with 0, as in word2vec.c.

    Attributes
    ----------
    output : Parameter (V, D), or (V - 1, D)
        The second table.

    Examples
    --------
    >>> from tinytx.models import Word2Vec, Word2VecConfig
    >>> model = NearbyWords(Word2Vec(Word2VecConfig(vocab_size=50), rng=np.random.default_rng(0)))
    >>> round(model.loss(np.array([[3]]), np.array([[7, 20]]), np.array([[1, 0]])), 4)  # 2 ln 2: nothing is known yet
    1.3863
    """

    unit = "example"

    def __init__(self, body, *, tree=False, rng=None):
        super().__init__(body)
        self.tree = bool(tree)
        n_rows = max(1, self.vocab_size - self.tree)
        self.output = Parameter(np.zeros((n_rows, self.config.d_model), body.parameters()[0].data.dtype))

    @property
    def settings(self):
        """The task's arguments: {"tree": whether the second table has the inner nodes of a tree}."""
        return {"tree": self.tree}

    def forward(self, contexts, tape=None):
        """Return the body's vectors (N, D)."""
        return self.body(contexts, tape)

    def backward(self, dh, tape):
        """Add the gradients of the body; words have none, so nothing is returned."""
        self.body.backward(dh, tape)

    def loss(self, contexts, rows, labels, tape=None, *, count=None):
        """Return the mean loss of the examples, in nats: `tinytx.ops.logistic_rows`.

        Parameters
        ----------
        contexts : integers (N, C)
            Words of the body's; -1 stands for no word.
        rows : integers (N, K)
            Rows of the second table; -1 stands for no row.
        labels : integers (N, K)
            1 where the row goes with the context, and 0 where it does not.
        tape : Tape, optional
        count : int, optional
            `count` of the whole batch, if this is a part of it.

        Raises
        ------
        TypeError, ValueError
            If a word, a row or a label is out of range, or shapes do not fit.
        """
        h = self._vectors(contexts, tape=tape)
        loss, saved = ops.logistic_rows(h, self.output.data, rows, labels, count=count)
        if tape is not None:
            tape.push(self, saved)
        return loss

    def loss_backward(self, tape):
        """Add the gradients of `loss`."""
        dh, doutput = ops.logistic_rows_backward(1.0, tape.pop(self))
        self.output.add_grad(doutput, fresh=True)
        self.body.backward(dh, tape)

    @staticmethod
    def count(contexts, rows, labels):
        """Return the number of examples, by which `loss` divides."""
        return len(contexts)

    def measure(self, batches):
        """Return ``loss``, the mean over the examples of batches (contexts, rows, labels)."""
        return {"loss": self.mean_loss(batches)}

    def random_batch(self, rng, n, length):
        """Return a random batch for `loss`: n examples of ``length`` words, each asked of 6 rows, of which the first goes with it."""
        contexts, rows = rng.integers(0, self.vocab_size, (n, length)), rng.integers(0, len(self.output.data), (n, 6))
        return contexts, rows, np.tile([1, 0, 0, 0, 0, 0], (n, 1))
