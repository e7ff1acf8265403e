"""Next token: predict, at each position, the token that follows (GPT)."""

from tinytx import ops
from tinytx.layers.block import last_of
from tinytx.tasks.task import Task


class NextToken(Task):
    """A causal body, and a linear map from each of its vectors to the logits of the next token.

    Parameters
    ----------
    body : Layer
        ``body(ids, tape, state=state)`` returns (B, T, D): `tinytx.models.GPT`.
    rng : numpy.random.Generator, optional
        Draws the head if the body has no ``output_table`` to share: the generator that drew the body.

    Raises
    ------
    ValueError
        If the head must be drawn, and ``rng`` is missing.

    Examples
    --------
    >>> import numpy as np
    >>> from tinytx.models import GPT, GPTConfig
    >>> model = NextToken(GPT(GPTConfig(vocab_size=65), rng=np.random.default_rng(0)))
    >>> model(np.zeros((2, 5), int)).shape
    (2, 5, 65)
    """

    def __init__(self, body, *, rng=None):
        super().__init__(body)
        self.head = self._output_layer(rng, bias=getattr(body, "output_bias", False))

    def forward(self, ids, tape=None, *, state=None):
        """Return the logits (B, T, V) of each position's next token; ``state`` holds the positions before ``ids``."""
        return self.head(self.body(ids, tape, state=state), tape)

    def backward(self, dlogits, tape):
        """Add the gradients of all parameters; ids have none, so nothing is returned."""
        self.body.backward(self.head.backward(dlogits, tape), tape)

    def loss(self, ids, targets, tape=None, *, count=None, state=None):
        """Return the mean cross-entropy of ``targets`` (B, T), in nats per token; see `tinytx.ops.cross_entropy`.

        Parameters
        ----------
        ids : integers (B, T)
        targets : integers (B, T)
            A target of -100 does not count.
        tape : Tape, optional
        count : int, optional
            `count` of the whole batch, if this is a part of it.
        state : State, optional
            What the body remembers of the tokens before ``ids``; no gradient flows into it.

        Raises
        ------
        TypeError, ValueError
            If an id or a target is not in the vocabulary, shapes do not fit, or no target counts and ``count`` is
            missing.
        """
        listening = self._listening(tape)
        x = self._vectors(ids, tape=listening, state=state)
        return self._words_loss(x, targets, tape, count=count) + self._penalties(listening, targets, count)

    def loss_backward(self, tape):
        """Add the gradients of `loss`."""
        self.body.backward(self._words_loss_backward(tape), tape)

    @staticmethod
    def count(ids, targets):
        """Return the number of targets that count, by which `loss` divides."""
        return ops.count_targets(targets)

    def measure(self, batches):
        """Return ``perplexity`` per token, and ``accuracy``, the share of targets that are the likeliest token.

        Parameters
        ----------
        batches : iterable of (ids, targets)
        """
        return self._words_measured(batches, lambda ids, targets: (self.body(ids), targets))

    def random_batch(self, rng, n, length):
        """Return a random batch for `loss`: n rows of ``length`` tokens."""
        ids = rng.integers(0, self.vocab_size, (n, length + 1))
        return ids[:, :-1], ids[:, 1:]

    def begin(self, ids):
        """Return what decoding starts with: the first ids (B, T), and (): no constant inputs."""
        return ids, ()

    def last_logits(self, new, *, state):
        """Return the logits (B, V) of the token after ``new`` (B, t), the ids that ``state`` does not hold yet."""
        return self._last_logits(last_of(self.body, new, state=state))

    def all_logits(self, new, *, state):
        """Return the logits (B, t, V) of the token after each of ``new`` (B, t), the ids that ``state`` does not hold yet."""
        return self.head(self.body(new, state=state))
