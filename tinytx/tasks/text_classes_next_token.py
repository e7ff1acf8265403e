"""Text classes and the next token: fine-tuning with the loss of the pre-training as an auxiliary loss (GPT-1).

The loss is that of the classes plus a part of the language model's loss on the same texts, L = L_classes + 0.5 L_words
(Radford et al. 2018, "Improving language understanding by generative pre-training", equation (5)). The body reads each
text once, and both heads read its vectors. So the gradient of these vectors is the sum of both heads' gradients.

With ``unlabelled``, a text with a label is asked for its class alone, and one without for its next words. So one run can go
from a language model to a classifier, as its batches do: ULMFiT (Howard and Ruder 2018, arXiv:1801.06146).
"""

import numpy as np

from tinytx import ops, workers
from tinytx.settings import extended, setting
from tinytx.tasks.heads import ClassSettings, PooledHead
from tinytx.tasks.next_token import NextToken


class AuxiliarySettings(extended(ClassSettings, pooling="last")):
    """Settings of the head for whole texts, and the weight of the auxiliary loss."""

    weight: float = setting(0.5, "factor of the loss per word in the loss of the task", minimum=0)
    unlabelled: bool = setting(False, "whether the next word is asked for in texts without a label only")


class TextClassesNextToken(NextToken):
    """A causal body, its output layer for the next token, and a head for whole texts.

    Parameters
    ----------
    body : Layer
        ``body(ids, tape)`` returns (B, T, D), and reads from left to right: `tinytx.models.GPT`. (A body that sees later
        words would only copy the next one.)
    rng : numpy.random.Generator
        Draws the head for whole texts, and the output layer if the body has no ``output_table`` to share.
    **settings
        `AuxiliarySettings`: ``n_classes``, ``weight``, ``unlabelled``, ``pooling``, ``dropout``, ``classifier_bias``,
        ``pad_id``.

    Examples
    --------
    >>> from tinytx.models import GPT, GPTConfig
    >>> rng = np.random.default_rng(0)
    >>> body = GPT(GPTConfig(20, max_len=8, d_model=16, n_heads=2, n_layers=1), rng=rng)
    >>> model = TextClassesNextToken(body, n_classes=3, pad_id=0, rng=rng)
    >>> model(np.full((2, 5), 7)).shape
    (2, 3)
    """

    unit = "text"

    def __init__(self, body, *, rng, **settings):
        super().__init__(body, rng=rng)
        self.asked = asked = AuxiliarySettings(**settings)
        self.texts = PooledHead.of(self.width, asked, **self._drawn_like_the_body(rng))
        self._draw_biases(rng, self.texts)

    @property
    def settings(self):
        return dict(vars(self.asked))

    def forward(self, ids, tape=None):
        """Return the logits (B, n_classes) of texts (B, T)."""
        return self.texts(self._vectors(ids, tape=tape), tape, mask=self._words_mask(ids, self.asked.pad_id))

    def backward(self, dlogits, tape):
        """Add the gradients of `forward`; ids have none, so nothing is returned."""
        self.body.backward(self.texts.backward(dlogits, tape), tape)

    def loss(self, ids, labels, tape=None, *, count=None):
        """Return the mean cross-entropy of labels, plus ``weight`` times that of each next word, in nats.

        Parameters
        ----------
        ids : integers (B, T)
            Each word but the first is predicted from the words before it. Padding is not predicted.
        labels : integers (B,)
            A label of -100 does not count; the words of its text do. With ``unlabelled``, only theirs do.
        tape : Tape, optional
        count : array (2,), optional
            `count` of the whole batch, if this is a part of it.
        """
        n_texts, n_words = (int(n) for n in (self.count(ids, labels) if count is None else count))
        listening, targets = self._listening(tape), self._targets(ids, labels)
        hidden = self._vectors(ids, tape=listening)  # (B, T, D)
        words = self._words_loss(hidden, targets, tape, count=n_words)
        logits = self.texts(hidden, tape, mask=self._words_mask(ids, self.asked.pad_id))
        loss, saved = ops.cross_entropy(logits, labels, count=n_texts)
        if tape is not None:
            tape.push(self, saved)
        return loss + self.asked.weight * words + self._penalties(listening, targets, n_words)

    def loss_backward(self, tape):
        """Add the gradients of `loss`."""
        dhidden = self.texts.backward(ops.cross_entropy_backward(1.0, tape.pop(self)), tape)
        self.body.backward(dhidden + self._words_loss_backward(tape, self.asked.weight), tape)

    def count(self, ids, labels):
        """Return the two divisors of `loss`, an array (2,): numbers of texts with a label and of predicted words."""
        return np.array([ops.count_targets(labels), ops.count_targets(self._targets(ids, labels))])

    def measure(self, batches):
        """Return ``accuracy`` of the classes, and ``perplexity`` of the words.

        Parameters
        ----------
        batches : iterable of (ids, labels)
        """

        def told(batch):
            ids, labels = batch
            hidden, asked = self.body(ids), np.asarray(labels) != self.ignored
            logits = self.texts(hidden, mask=self._words_mask(ids, self.asked.pad_id))
            return (logits.argmax(axis=-1) == labels)[asked], self._words_told(hidden, self._targets(ids))

        right, words = zip(*workers.each(told, batches))
        return {"accuracy": float(np.mean(np.concatenate(right))), "perplexity": self._words_in_all(words)["perplexity"]}

    def random_batch(self, rng, n, length):
        """Return a random batch for `loss`: n rows of ``length`` words."""
        return rng.integers(1, self.vocab_size, (n, length)), rng.integers(0, self.asked.n_classes, n)

    def _targets(self, ids, labels=None):
        """Return the word after each position (B, T): ``ignored`` at the last position, where padding follows, and in
        texts that are asked only for their class."""
        words = self._words_mask(ids, self.asked.pad_id)
        targets = np.asarray(ids) if words is None else np.where(words, ids, self.ignored)
        if labels is not None and self.asked.unlabelled:
            targets = np.where(np.reshape(labels, (-1, 1)) == self.ignored, targets, self.ignored)
        return np.pad(targets[:, 1:], ((0, 0), (0, 1)), constant_values=self.ignored)
