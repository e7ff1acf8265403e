"""Spans: find the part of a text that answers a question (BERT on SQuAD).

The body reads ``[CLS] question [SEP] text [SEP]``. Each position has two logits: one for the start of the answer, one
for its end. The start is a choice among the positions of a text, and so is the end. So each softmax runs over
positions, without those of padding. If the text does not answer the question, start and end are 0, the position of
``[CLS]``.
"""

import numpy as np

from tinytx import ops, workers
from tinytx.layers import Linear
from tinytx.shapes import check_axes, check_ids, check_shape
from tinytx.tasks.task import Task


class Spans(Task):
    """A body that reads whole texts, and a linear map from each of its vectors to two logits, for start and end.

    Parameters
    ----------
    body : Layer
        ``body(ids, tape, segments=segments)`` returns (B, T, D): `tinytx.models.Bert`. If its config has ``pad_id``,
        no answer starts or ends at padding.
    rng : numpy.random.Generator
        Draws the head.

    Examples
    --------
    >>> from tinytx.models import Bert, BertConfig
    >>> rng = np.random.default_rng(0)
    >>> model = Spans(Bert(BertConfig(20, d_model=16, n_heads=2, n_layers=1), rng=rng), rng=rng)
    >>> model(np.full((2, 5), 7)).shape
    (2, 5, 2)
    >>> starts, ends, scores = model.answers(np.full((2, 5), 7))
    """

    unit = "end of an answer"

    def __init__(self, body, *, rng):
        super().__init__(body)
        self.head = Linear(self.width, 2, **self._drawn_like_the_body(rng))
        self._draw_biases(rng, self.head)

    def forward(self, ids, tape=None, *, segments=None):
        """Return logits (B, T, 2) of texts (B, T), for start and end at each position; -inf at padding."""
        logits, words = self.head(self._vectors(ids, tape=tape, segments=segments), tape), self._words_mask(ids)
        return logits if words is None else logits + np.where(words, 0, -np.inf).astype(logits.dtype)[..., None]

    def backward(self, dlogits, tape):
        """Add the gradients of all parameters; return None. ``dlogits`` (B, T, 2) is 0 at padding."""
        self.body.backward(self.head.backward(dlogits, tape), tape)

    def loss(self, ids, starts, ends, segments=None, tape=None, *, count=None):
        """Return the mean cross-entropy of starts and ends, in nats per choice; an answer is two choices.

        Parameters
        ----------
        ids : integers (B, T)
        starts, ends : integers (B,)
            Positions of the answer's first and last token. Both are 0 if there is no answer. If both are -100, the row
            does not count.
        segments : integers (B, T), optional
        tape : Tape, optional
        count : int, optional
            `count` of the whole batch, if this is a part of it.

        Raises
        ------
        TypeError, ValueError
            If a position is outside its text or at padding, an end stands before its start, or no position counts and
            ``count`` is missing.
        """
        targets = self._checked(ids, starts, ends)
        listening = self._listening(tape)
        logits = self(ids, listening, segments=segments).swapaxes(1, 2)  # (B, 2, T)
        loss, saved = ops.cross_entropy(logits, targets, count=count)
        if tape is not None:
            tape.push(self, saved)
        return loss + self._penalties(listening, targets, count)

    def loss_backward(self, tape):
        """Add the gradients of `loss`."""
        self.backward(ops.cross_entropy_backward(1.0, tape.pop(self)).swapaxes(1, 2), tape)

    @staticmethod
    def count(ids, starts, ends, segments=None):
        """Return the number of starts and ends that count, by which `loss` divides."""
        return ops.count_targets(starts) + ops.count_targets(ends)

    def answers(self, ids, *, segments=None, allowed=None, longest=30):
        """Return the likeliest answer in each text.

        The score of an answer is the sum of the logits of its start and its end, minus the sum of both logits at
        position 0, which stands for "no answer". If no answer has a score above 0, start and end are 0.

        Parameters
        ----------
        ids : integers (B, T)
        segments : integers (B, T), optional
        allowed : booleans (B, T), optional
            True where an answer may start or end: in the text, and not in the question. All positions but the first if
            not given.
        longest : int
            The largest number of tokens in an answer.

        Returns
        -------
        starts, ends : integers (B,)
        scores : array (B,)
            The score of the best answer, also if it is not above 0; -inf if no position is allowed.
        """
        logits = self(ids, segments=segments)
        b, t, _ = logits.shape
        allowed = np.broadcast_to(np.arange(t) > 0 if allowed is None else allowed, (b, t))
        forward = np.triu(np.ones((t, t), bool)) & ~np.triu(np.ones((t, t), bool), longest)  # start <= end < start + longest
        starts, ends, scores = np.zeros(b, int), np.zeros(b, int), np.full(b, -np.inf, logits.dtype)
        for row, (start, end) in enumerate(logits.swapaxes(1, 2)):
            pairs = np.where(forward & allowed[row] & allowed[row, :, None], start[:, None] + end, -np.inf)  # (T, T)
            best = np.unravel_index(pairs.argmax(), pairs.shape)
            scores[row] = pairs[best] - (start[0] + end[0])
            if scores[row] > 0:
                starts[row], ends[row] = best
        return starts, ends, scores

    def measure(self, batches):
        """Return ``exact``, the share of correct answers, and ``f1``, the mean overlap with the correct answers.

        The overlap of two spans is 2 n / (the sum of their lengths), where n tokens are in both.

        Parameters
        ----------
        batches : iterable of (ids, starts, ends), or (ids, starts, ends, segments)
        """

        def found(batch):
            ids, starts, ends, *segments = batch
            asked = np.asarray(starts) != self.ignored
            said = self.answers(ids, segments=segments[0] if segments else None)
            s, e, start, end = (np.asarray(array)[asked] for array in (*said[:2], starts, ends))
            both = np.maximum(0, np.minimum(e, end) - np.maximum(s, start) + 1)
            return (s == start) & (e == end), 2 * both / (e - s + end - start + 2)

        exact, overlaps = map(np.concatenate, zip(*workers.each(found, batches)))
        return {"exact": float(np.mean(exact)), "f1": float(np.mean(overlaps))}

    def random_batch(self, rng, n, length):
        """Return a random batch for `loss`: n rows of ``length`` words."""
        starts, ends = np.sort(rng.integers(0, length, (2, n)), axis=0)
        return rng.integers(1, self.vocab_size, (n, length)), starts, ends

    def _checked(self, ids, starts, ends):
        """Return starts and ends as targets (B, 2), after a check that they are positions of words in their texts."""
        check_axes("Spans", "ids", np.asarray(ids), "(B, T)")
        (b, t), targets = np.shape(ids), []
        for name, positions in (("start", starts), ("end", ends)):
            positions = check_ids("Spans", positions, t, what=name, allowed=self.ignored)
            check_shape("Spans", f"{name}s", positions, (b,), "ids of shape", (b, t))
            targets.append(positions)
        words = self._words_mask(ids)
        for row, (start, end) in enumerate(zip(*targets)):
            if (start == self.ignored) != (end == self.ignored) or end < start:
                raise ValueError(f"Spans: row {row} has start {start} and end {end}, expected start <= end, or -100 for both")
            if start != self.ignored and words is not None and not words[row, [start, end]].all():
                raise ValueError(f"Spans: row {row} has start {start} and end {end}, expected words, not padding")
        return np.stack(targets, axis=1)
