"""Steps of word2vec for a run: those of `descend_words`, one part of the text at a time, counted, checked and validated."""

import math

import numpy as np

from tinytx.ops.logistic_rows import NONE, descend
from tinytx.shapes import check_axes, check_ids, check_shape
from tinytx.training.optimizers import SGD
from tinytx.training.trainer import NotFiniteError, Trainer
from tinytx.workers.interruption import held_back

JUDGED = 2000  # examples of which a step says the loss

class WordTrainer(Trainer):
    """Runs training steps of word2vec: plain gradient descent, example after example, at the cost of their words.

    A step of `Trainer` makes one gradient of a batch, and changes whole tables. Here each example of a batch has a descent
    of its own, as in `tinytx.training.descend_words`; so nothing can be clipped or accumulated.

    Parameters
    ----------
    model : NearbyWords
        Of a `tinytx.models.Word2Vec`.
    optimizer : SGD
        Its learning rate is that of each example, and it counts the steps. It has no momentum and no weight decay.
    clip : None or 0
    threads : int
        For `evaluate`. A step is the work of one thread.
    accumulate : 1
    seed : int
        Is not used: nothing is drawn in a step.

    Attributes
    ----------
    grad_norm : float
        How far the last step has moved the tables, divided by the learning rate.

    Raises
    ------
    ValueError
        If something is to be clipped or accumulated, or the optimiser is another one.
    """

    def __init__(self, model, optimizer, *, clip=None, threads=1, accumulate=1, seed=0):
        super().__init__(model, optimizer, clip=clip, threads=threads, accumulate=accumulate, seed=seed)
        if clip or accumulate != 1:
            facts = f"clip is {clip} and accumulate {accumulate}, and each example has a step of its own"
            raise ValueError(f"WordTrainer: {facts}: leave both out")
        decays = any(optimizer.decay_of(name) for name in optimizer.named)
        if type(optimizer) is not SGD or optimizer.momentum or decays:
            facts = f"the optimiser is {type(optimizer).__name__}"
            raise ValueError(f"WordTrainer: {facts}, expected SGD without momentum and weight decay, which is what a step does")

    def step(self, contexts, rows, labels, *, state=None):
        """Take a step of gradient descent for each example, one after the other.

        Parameters
        ----------
        contexts, rows, labels : integers (N, C), (N, K) and (N, K)
            As `tinytx.tasks.NearbyWords.loss` takes them.
        state : None
            word2vec remembers nothing.

        Returns
        -------
        float
            The mean loss before the step, of 2,000 of the examples at most, which lie evenly among them.

        Raises
        ------
        TypeError, ValueError
            If the batch is none that the loss takes.
        NotFiniteError
            If the loss is not finite, or a word's vector would not be; tables and optimiser are as before.
        """
        place = f"WordTrainer: step {self.optimizer.t}"
        tables, rate = (self.model.body.token.weight.data, self.model.output.data), self.optimizer.learning_rate
        batch = self._checked_batch(place, contexts, rows, labels)
        with held_back():
            apart = -(-len(contexts) // JUDGED)
            loss = self.model.loss(*(array[::apart] for array in batch))
            if not math.isfinite(loss):
                raise NotFiniteError(f"{place}: loss is {loss}; this step was not taken. {self._remedy()}")
            named = [_named(ids, len(table)) for ids, table in zip(batch, tables)]
            before = [table[own] for table, own in zip(tables, named)]
            width, dtype = tables[0].shape[1], tables[0].dtype
            descend(*tables, *batch, dtype.type(rate), *np.empty((2, width), dtype), np.empty(batch[1].shape[1], dtype))
            moved = [np.linalg.norm((table[own] - old).astype(np.float64)) for table, own, old in zip(tables, named, before)]
            if not np.isfinite(moved).all():
                for table, own, old in zip(tables, named, before):
                    table[own] = old
                raise NotFiniteError(f"{place}: vectors are not finite; this step was not taken. A smaller learning rate may help")
            self.optimizer.t += 1
            self.grad_norm = math.hypot(*moved) / rate if rate else 0.0
        return loss

    def _checked_batch(self, place, contexts, rows, labels):
        """Return a batch as the kernel takes it; raise TypeError or ValueError where it would read beside the tables."""
        contexts = check_ids(place, contexts, self.model.vocab_size, what="word", allowed=NONE)
        rows = check_ids(place, rows, len(self.model.output.data), what="row", allowed=NONE)
        labels = check_ids(place, labels, 2, what="label")
        check_axes(place, "contexts", contexts, "(N, C)")
        check_shape(place, "rows", rows, (len(contexts), *rows.shape[1:2]), "contexts of shape", contexts.shape, "and K")
        check_shape(place, "labels", labels, rows.shape, "rows of shape", rows.shape)
        if not len(contexts):
            raise ValueError(f"{place}: contexts have shape {contexts.shape}, so there is no example: give one at least")
        return contexts, rows, labels


def _named(ids, n):
    """Return which of n rows are named, in ascending order; `NONE` names none."""
    named = np.zeros(n + 1, bool)
    named[ids] = True  # NONE, which is -1, is the last
    return np.flatnonzero(named[:n])
