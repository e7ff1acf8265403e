"""Steps of word2vec for a run: those of `descend_words`, one part of the text at a time, counted, checked and validated."""

import numpy as np

from tinytx.ops.logistic_rows import NONE, descend
from tinytx.shapes import check_axes, check_ids, check_shape
from tinytx.training.descent_trainer import DescentTrainer
from tinytx.training.optimizers import SGD


class WordTrainer(DescentTrainer):
    """Runs training steps of word2vec: plain gradient descent, example after example, as in `tinytx.training.descend_words`.

    Parameters
    ----------
    model : NearbyWords
        Of a `tinytx.models.Word2Vec`. A batch is what its ``loss`` takes: contexts (N, C), rows (N, K) and labels (N, K).
    optimizer : SGD
    clip, threads, accumulate, seed
        As for `tinytx.training.descent_trainer.DescentTrainer`, which has the attributes, too.
    """

    kind = SGD

    def _checked_batch(self, place, contexts, rows, labels):
        contexts = check_ids(place, contexts, self.model.vocab_size, what="word", allowed=NONE)
        rows = check_ids(place, rows, len(self.model.output.data), what="row", allowed=NONE)
        labels = check_ids(place, labels, 2, what="label")
        check_axes(place, "contexts", contexts, "(N, C)")
        check_shape(place, "rows", rows, (len(contexts), *rows.shape[1:2]), "contexts of shape", contexts.shape, "and K")
        check_shape(place, "labels", labels, rows.shape, "rows of shape", rows.shape)
        if not len(contexts):
            raise ValueError(f"{place}: contexts have shape {contexts.shape}, so there is no example: give one at least")
        return contexts, rows, labels

    def _tables(self, batch):
        contexts, rows, _ = batch
        return [(contexts, self.model.body.token.weight.data), (rows, self.model.output.data)]

    def _descend(self, batch, rate):
        tables = self.model.body.token.weight.data, self.model.output.data
        width, dtype = tables[0].shape[1], tables[0].dtype
        descend(*tables, *batch, rate, *np.empty((2, width), dtype), np.empty(batch[1].shape[1], dtype))
