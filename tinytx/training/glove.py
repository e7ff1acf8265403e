"""GloVe's training (Pennington, Socher and Manning 2014): AdaGrad, pair after pair, as in the authors' program.

A step of `tinytx.training.Trainer` makes the gradient of all tables; here a step reads and writes the rows of its two words:
see `tinytx.ops.glove_loss`, whose derivation it shares.
"""

import math

import numpy as np

from tinytx.arguments import check_number, check_whole
from tinytx.ops.glove_loss import descend, weights

CHUNK = 100_000  # pairs between two calls of ``update``


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
    for epoch in range(epochs):
        order, total = np.random.default_rng([seed, epoch]).permutation(len(counts)), np.zeros(1)
        for start in range(0, len(order), CHUNK):
            part = order[start : start + CHUNK]
            descend(*tables, *squares, words, contexts, logarithms, f, part, rate, total)
            if update is not None:
                update(f"epoch {epoch + 1} of {epochs}, loss {total[0] / (start + len(part)):.4f}")
        losses.append(total[0] / len(order))
    return losses
