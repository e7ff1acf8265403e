"""GloVe's training (Pennington, Socher and Manning 2014): AdaGrad, pair after pair, as in the authors' program.

A step of `tinytx.training.Trainer` makes the gradient of all tables; here a step reads and writes the rows of its two words:
see `tinytx.ops.glove_loss`, whose derivation it shares.
"""

import math

import numpy as np

from tinytx.arguments import check_number, check_whole
from tinytx.ops.glove_loss import descend, weights

CHUNK = 100_000  # pairs between two calls of ``update``


class PairExamples:
    """The examples that GloVe learns from: pairs of words, each epoch in another random order.

    Parameters
    ----------
    pairs : tinytx.data.WordPairs
    chunk : int
        Pairs in a part.
    seed : int

    Examples
    --------
    >>> from tinytx.data import cooccurrences
    >>> examples = PairExamples(cooccurrences(np.array([0, 1, 2, -1, 0]), 3, window=2), chunk=4)
    >>> len(examples), [len(words) for words, contexts, counts in map(examples.batch, range(4))]
    (2, [4, 2, 4, 2])
    """

    def __init__(self, pairs, *, chunk=CHUNK, seed=0):
        self.pairs, self.chunk, self.seed = pairs, check_whole("PairExamples", "chunk", chunk), seed
        self._last = -1, None  # an epoch and its order
        if not len(pairs.counts):
            raise ValueError("PairExamples: there are no pairs: give a text in which two words stand near each other")

    def __len__(self):
        """The number of parts of an epoch."""
        return -(-len(self.pairs.counts) // self.chunk)

    def order(self, epoch):
        """Return the order of an epoch, a permutation of the pairs' numbers; it depends on seed and epoch."""
        if self._last[0] != epoch:
            self._last = epoch, np.random.default_rng([self.seed, epoch]).permutation(len(self.pairs.counts))
        return self._last[1]

    def batch(self, step):
        """Return (words, contexts, counts) of the part after ``step`` others, epoch after epoch; they depend on seed and step."""
        epoch, part = divmod(step, len(self))
        chosen = self.order(epoch)[part * self.chunk : (part + 1) * self.chunk]
        return tuple(array[chosen] for array in self.pairs)


def descend_pairs(task, pairs, *, epochs=25, rate=0.05, seed=0, update=None):
    """Train GloVe in place by AdaGrad, pair after pair, each epoch in another random order.

    The authors' program of 2014 does the same; a later one moves biases as if the rate were 1.

    Parameters
    ----------
    task : Cooccurrences
    pairs : tinytx.data.WordPairs
    epochs : int
    rate : float
        AdaGrad's; the sums of squares begin with 1.
    seed : int
        Of the orders.
    update : function (str), optional
        Is called after each 100,000 pairs, with the epoch and its mean loss so far.

    Returns
    -------
    losses : list of float
        Of each epoch: the mean over its pairs, of each before its step.

    Raises
    ------
    TypeError, ValueError
        If the pairs are none that `Cooccurrences.loss` takes, or a setting is out of range.
    """
    place, tables = "descend_pairs", [table.data for table in task.tables]
    epochs = check_whole(place, "epochs", epochs)
    rate = check_number(place, "rate", rate, "a finite number of at least 0", lambda x: 0 <= x < math.inf)
    words, contexts = (np.asarray(ids) for ids in pairs[:2])
    counts = np.asarray(pairs[2], tables[0].dtype)
    task.loss(words, contexts, counts)  # refuses pairs that do not fit
    squares, logarithms = [np.ones_like(table) for table in tables], np.log(counts)
    f, losses, rate = weights(counts, task.x_max, task.alpha), [], tables[0].dtype.type(rate)
    examples = PairExamples(pairs, seed=seed)
    for epoch in range(epochs):
        order, total = examples.order(epoch), np.zeros(1)
        for start in range(0, len(order), CHUNK):
            part = order[start : start + CHUNK]
            descend(*tables, *squares, words, contexts, logarithms, f, part, rate, total)
            if update is not None:
                update(f"epoch {epoch + 1} of {epochs}, loss {total[0] / (start + len(part)):.4f}")
        losses.append(total[0] / len(order))
    return losses
