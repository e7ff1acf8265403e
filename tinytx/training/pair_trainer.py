"""Steps of GloVe for a run: those of `descend_pairs`, some of the pairs at a time, counted, checked and validated."""

import numpy as np

from tinytx.ops.glove_loss import descend, weights
from tinytx.shapes import check_axes, check_ids, check_shape
from tinytx.training.descent_trainer import DescentTrainer
from tinytx.training.optimizers import AdaGrad


class PairTrainer(DescentTrainer):
    """Runs training steps of GloVe: AdaGrad, pair after pair, as in `tinytx.training.descend_pairs`.

    Parameters
    ----------
    model : Cooccurrences
        Of a `tinytx.models.GloVe`. A batch is what its ``loss`` takes: words (N,), contexts (N,) and counts (N,).
    optimizer : AdaGrad
        Holds the sums of squares.
    clip, threads, accumulate, seed
        As for `tinytx.training.descent_trainer.DescentTrainer`, which has the attributes, too. The gradient of a pair is half
        of that of its loss, as in the authors' program, and so is its norm.
    """

    kind = AdaGrad

    def _checked_batch(self, place, words, contexts, counts):
        tables = [table.data for table in self.model.tables]
        words, contexts = (check_ids(place, ids, len(table), what="word") for ids, table in zip((words, contexts), tables))
        counts = np.asarray(counts, tables[0].dtype)
        check_axes(place, "counts", counts, "(N,)")
        for name, ids in (("words", words), ("contexts", contexts)):
            check_shape(place, name, ids, counts.shape, "counts of shape", counts.shape)
        wrong = np.flatnonzero(~((counts > 0) & np.isfinite(counts)))
        if len(wrong):
            raise ValueError(f"{place}: counts[{wrong[0]}] is {counts[wrong[0]]}, expected a finite number above 0")
        if not len(counts):
            raise ValueError(f"{place}: counts have shape {counts.shape}, so there is no pair: give one at least")
        return words, contexts, counts

    def _tables(self, batch):
        return self._beside(batch, [table.data for table in self.model.tables])

    def _sums(self, batch):
        return self._beside(batch, self._squares())

    def _beside(self, batch, arrays):
        """Return each of four arrays, of words, of contexts, and of the biases of both, with the ids that name its rows."""
        words, contexts, _ = batch
        return [*zip((words, contexts, words, contexts), arrays)]

    def _squares(self):
        """Return the optimiser's sums of squares, in the order of the task's tables."""
        sums = self.optimizer.state["squares"]
        return [next(sums[name] for name, own in self.optimizer.named.items() if own is table) for table in self.model.tables]

    def _descend(self, batch, rate):
        words, contexts, counts = batch
        tables, f = [table.data for table in self.model.tables], weights(counts, self.model.x_max, self.model.alpha)
        order = np.arange(len(counts))
        descend(*tables, *self._squares(), words, contexts, np.log(counts), f, order, rate, np.zeros(1))
