"""Aligned sequence to sequence: write the target word by word, and say which source words each of them translates.

The loss is that of the words, and a second one of a head's weights A (Garg et al. 2019, equations 3 to 5). G has a row for
each label: the share of each source word that is linked to it,

    L + alignment_weight L_a,   L_a = - (1/N) sum_t sum_s G_ts ln A_ts.

Labels without a link, such as ``stop``, have a row of zeros and no part in L_a. N is the number of labels that are not
padding, in both losses.
"""

import numpy as np

from tinytx import ops, workers
from tinytx.metrics import alignment_error_rate
from tinytx.settings import setting
from tinytx.tasks.sequence_to_sequence import LossSettings, SequenceToSequence


class AlignedLossSettings(LossSettings):
    """Settings of both losses; the weight is the paper's."""

    alignment_weight: float = setting(0.05, "weight of the loss of the links; 0: they are not learned", minimum=0)


class AlignedSequenceToSequence(SequenceToSequence):
    """An encoder-decoder with a head that aligns.

    Parameters
    ----------
    body : Layer
        As for `SequenceToSequence`; ``body(source, target, tape, aligned=True)`` also returns scores (B, T, S), and
        ``body.alignment(source, target)`` weights: `tinytx.models.AlignedTransformer`.
    rng : numpy.random.Generator, optional
    **loss
        `AlignedLossSettings`.

    Examples
    --------
    >>> from tinytx.models import AlignedTransformer, AlignedTransformerConfig
    >>> config = AlignedTransformerConfig(20, 20, d_model=16, n_heads=2, n_encoder_layers=1, n_decoder_layers=2)
    >>> task = AlignedSequenceToSequence(AlignedTransformer(config, rng=np.random.default_rng(0)))
    >>> source, target = np.array([[7, 8]]), np.array([[1, 9, 2]])
    >>> links = link_shares([{(1, 0)}], (1, 2, 2))  # word 9 translates word 8
    >>> bool(task.loss(source, target, links) > 0), task.align(source, target)[0] <= {(0, 0), (1, 0)}
    (True, True)
    """

    loss_class = AlignedLossSettings

    def loss(self, source, target, links=None, tape=None, *, count=None):
        """Return the sum of both losses, in nats.

        Parameters
        ----------
        source : integers (B, S)
        target : integers (B, T + 1)
        links : array (B, T, S), optional
            G: row t belongs to ``target[:, t + 1]``. See `link_shares`. Without it, the loss is that of the words.
        tape : Tape, optional
        count : int, optional
            `count` of the whole batch, if this is a part of it.
        """
        target = self._checked(target)
        count = self.count(source, target) if count is None else count
        weight, inputs = self.loss_settings.alignment_weight, (source, target[:, :-1])
        if links is None or not weight:
            x, loss, saved = self._vectors(*inputs, tape=tape), 0.0, None
        else:
            x, scores = self._vectors(*inputs, tape=tape, aligned=True)
            shares, mask = np.asarray(links, scores.dtype), self.body.source_mask(source)[:, 0]
            loss, saved = ops.soft_cross_entropy(scores, shares, mask, count=count)
        if tape is not None:
            tape.push(self, saved)
        return self._labels_loss(x, target[:, 1:], tape, count) + weight * loss

    def loss_backward(self, tape):
        """Add the gradients of `loss`."""
        dx, saved = self._labels_loss_backward(tape), tape.pop(self)
        if saved is not None:
            dx = dx, ops.soft_cross_entropy_backward(self.loss_settings.alignment_weight, saved)
        self.body.backward(dx, tape)

    def count(self, source, target, links=None):
        """Return the number of labels that are not padding, by which `loss` divides."""
        return super().count(source, target)

    def align(self, source, target):
        """Return the links that the head finds: for each word of the target, the source word of the largest weight.

        Parameters
        ----------
        source : integers (B, S)
        target : integers (B, T + 1)
            ``start_id``, words, ``stop_id``, padding. Only words have links.

        Returns
        -------
        list of B sets of (int, int)
            Positions of source and target words, from 0.
        """
        target = self._checked(target)
        best, labels = self.body.alignment(source, target[:, :-1]).argmax(axis=2), target[:, 1:]
        words = (labels != self.config.pad_id) & (labels != self.config.stop_id)
        return [{(int(best[b, t]), int(t)) for t in np.flatnonzero(row)} for b, row in enumerate(words)]

    def measure(self, batches):
        """Return the measures of `SequenceToSequence`, and the ``alignment_error_rate`` of `align`.

        Parameters
        ----------
        batches : iterable of (source, target, links)
        """
        batches = list(batches)
        parts = workers.each(lambda batch: [sorted(links) for links in self.align(*batch[:2])], batches)
        found = [set(links) for part in parts for links in part]
        sure = [set(map(tuple, np.argwhere(row.T).tolist())) for *_, links in batches for row in links]
        return super().measure(batches) | {"alignment_error_rate": alignment_error_rate(found, sure)}

    def random_batch(self, rng, n, length):
        """Return a random batch for `loss`: each label but the last is linked to a random source word."""
        source, target = super().random_batch(rng, n, length)
        links = [{(int(rng.integers(length)), t) for t in range(length - 1)} for _ in range(n)]
        return source, target, link_shares(links, (n, length, length))


def link_shares(links, shape, dtype=np.float32):
    """Return the shares G (B, T, S) of links: a word with n links has the share 1/n of each.

    Parameters
    ----------
    links : list of B sets of (int, int)
        Positions of source and target words, from 0.
    shape : (int, int, int)
        B, T and S.
    dtype : float32 or float64

    Examples
    --------
    >>> link_shares([{(0, 0), (2, 0), (1, 1)}], (1, 3, 3)).tolist()
    [[[0.5, 0.0, 0.5], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]]]
    """
    shares = np.zeros(shape, dtype)
    for row, pairs in zip(shares, links, strict=True):
        for s, t in pairs:
            row[t, s] = 1
    return shares / np.maximum(1, shares.sum(axis=2, keepdims=True))
