"""Task: what all tasks share, above all a loss over words that computes many logits in chunks, to save memory."""

import math

import numpy as np

from tinytx import ops, workers
from tinytx.core import Layer, Tape
from tinytx.layers import Linear, TiedLinear
from tinytx.layers.init import uniform_fan_in
from tinytx.layers.linear import draw_biases
from tinytx.layers.quantized import QuantizedLinear, quantized
from tinytx.members import is_altered
from tinytx.metrics import perplexity
from tinytx.pretrained import Pretrained
from tinytx.shapes import check_ids, check_shape

LOGITS = 1 << 25  # with more logits in a batch, a head without a bias computes them in chunks: 128 MB of float32


class _Listener(Tape):
    """A tape for a loss without a backward: it keeps the penalties that layers report, and no saved values."""

    def push(self, layer, saved):
        pass


class Task(Pretrained, Layer):
    """Base class of tasks; a subclass writes ``loss``, ``loss_backward``, ``count`` and ``measure``.

    A task is a layer: its body and its head are children, and `tinytx.training.Trainer` trains it. If layers of the body
    report penalties (`Tape.penalise`), such as the balance of experts, ``loss`` also contains these, times ``balance`` of
    the config. (The loss of `SequenceToSequence` does not.)

    Parameters
    ----------
    body : Layer
        Turns ids into vectors (..., D): a body of `tinytx.models`, or your own. It has a ``config`` with the fields
        that ``needs`` lists. It may have ``init``, the function that draws a head's matrices
        (`tinytx.layers.init.uniform_fan_in` if there is none), ``output_table``, a parameter (V, D) that an output
        layer can share, and ``output_bias``, whether the map to the logits of the next token has a bias.

    Raises
    ------
    TypeError
        If the body's config lacks a field of ``needs``.
    """

    pads_prompts = False  # whether decoding may pad shorter prompts, because the body masks padding
    slides = True  # whether decoding may go on beyond max_len, with the last half of its positions as a new prompt
    ignored = -100  # a target with this value does not count
    needs = {"vocab_size": "the number of tokens", "d_model": "the width of what forward returns"}  # in a body's config
    unit = "{}"  # what the loss is a mean over; {} is the tokenizer's word for a token
    quantity = "nats"  # what the loss is a number of

    def __init__(self, body):
        missing = [name for name in self.needs if not hasattr(getattr(body, "config", None), name)]
        if missing:
            facts = f"the config of {type(body).__name__} has no {' and no '.join(missing)}"
            remedy = f"give it {', and '.join(f'{name}, {meaning}' for name, meaning in self.needs.items())}"
            raise TypeError(f"{type(self).__name__}: {facts}: {remedy}")
        self.body = body

    @classmethod
    def around(cls, body, config, *, rng, settings=None, **options):
        """Return the task with a new body; one generator draws the weights of both.

        Parameters
        ----------
        body : type
            A class of `tinytx.models`, or your own.
        config : Settings
            The body's config.
        rng : numpy.random.Generator
        settings : dict, optional
            The settings of the task, see `settings`.
        **options
            Further arguments of the body, such as ``dtype``.
        """
        return cls(body(config, rng=rng, **options), rng=rng, **(settings or {}))

    @property
    def settings(self):
        """The task's arguments except body and generator: {name: number or text}, as a checkpoint stores them."""
        return {}

    @property
    def config(self):
        """The body's config."""
        return self.body.config

    @property
    def width(self):
        """The width of the body's vectors: ``body.width`` where it has one, else its config's ``d_model``."""
        return getattr(self.body, "width", self.config.d_model)

    @property
    def vocab_size(self):
        """The number V of words of the vocabulary."""
        return self.config.vocab_size

    def quantized(self):
        """Return a copy with weights in 8 bits, for use without training: `tinytx.layers.quantized`."""
        return quantized(self)

    def n_tokens(self, inputs):
        """Return how many tokens the body reads in a batch's first array: its size, where that holds ids."""
        return np.size(inputs)

    def _vectors(self, *inputs, tape, **options):
        """Return the body's vectors. Messages of a tape then name layers by their path in the task.

        Options that are None are left out, because not every body has a setting ``segments``.
        """
        if tape is not None and tape.root is None:
            tape.root = self
        return self.body(*inputs, tape, **{name: value for name, value in options.items() if value is not None})

    def _words_mask(self, ids, pad_id=None):
        """Return booleans (B, T), False at padding; None if neither ``pad_id`` nor the body's config names padding."""
        pad_id = getattr(self.config, "pad_id", None) if pad_id is None else pad_id
        return None if pad_id is None else np.asarray(ids) != pad_id

    def _positions(self, positions, shape):
        """Return positions of rows (B, T), given as (n,) or (B, n), as (B, n); raise unless each is in 0..T-1."""
        place, (b, t) = type(self).__name__, shape
        positions = np.atleast_1d(check_ids(place, positions, t, what="position"))
        if positions.ndim > 1:
            check_shape(place, "positions", positions, (b, positions.shape[-1]), "ids of shape", shape)
        return np.broadcast_to(positions, (b, positions.shape[-1]))

    def _output_layer(self, rng, tied=True, bias=False):
        """Return the linear map from vectors to logits: tied to the body's table if there is one, else drawn."""
        table = getattr(self.body, "output_table", None) if tied else None
        if table is not None:
            return TiedLinear(table, bias=bias)
        if rng is None:
            raise ValueError(
                f"{type(self).__name__}: this {type(self.body).__name__}'s output layer shares no table, so it has "
                "weights of its own to draw: give rng, the generator that drew the body's"
            )
        return Linear(self.width, self.vocab_size, bias=bias, **self._drawn_like_the_body(rng))

    def _drawn_like_the_body(self, rng):
        """Return the arguments with which a head's layers are made like the body: ``rng``, ``dtype`` and ``init``."""
        dtype = self.body.parameters()[0].data.dtype
        return {"rng": rng, "dtype": dtype, "init": getattr(self.body, "init", uniform_fan_in)}

    def _draw_biases(self, rng, *parts):
        """Draw the biases of a head's parts if those of the body were drawn. Parts may be None."""
        if getattr(self.body, "draws_biases", False):
            for part in filter(None, parts):
                draw_biases(part, rng)

    def mean_loss(self, batches):
        """Return the mean of `loss` over what `count` counts in all batches: a float."""
        batches = list(batches)
        count = sum(self.count(*batch) for batch in batches)
        return math.fsum(workers.each(lambda batch: float(self.loss(*batch, count=count)), batches))

    def _listening(self, tape):
        """Return the tape to which layers report penalties: ``tape``, or a new one that keeps only penalties."""
        tape = _Listener() if tape is None and getattr(self.body, "penalises", False) else tape
        if tape is not None:
            tape.penalties, tape.dpenalty = [], None
        return tape

    def _penalties(self, tape, targets, count):
        """Return the sum of the penalties of the body's layers (`Tape.penalise`), times ``balance`` of the config.

        The factor of a row of ``targets`` (B, ...) is its share of all targets that count. So the penalties of the
        parts of a batch add up to the penalty of the whole.
        """
        if tape is None or not tape.penalties:
            return 0.0
        asked = np.asarray(targets) != self.ignored
        counted = asked.sum(axis=tuple(range(1, asked.ndim)))
        factors = self.config.balance * counted / max(1, counted.sum() if count is None else count)
        tape.dpenalty = factors.astype(tape.penalties[0].dtype)
        return float(sum(tape.dpenalty @ penalty for penalty in tape.penalties))

    def _words_loss(self, x, targets, tape, **options):
        """Return the cross-entropy of ``targets`` (...) given the body's vectors x (..., D).

        If there are more than ``LOGITS`` logits, and the head is a matrix without a bias, they are computed in chunks and not kept:
        `tinytx.ops.linear_cross_entropy`.
        """
        if np.size(targets) * self.vocab_size > LOGITS and self._is_only_a_matrix(self.head):
            loss, saved = ops.linear_cross_entropy(x, self.head.matrix, targets, **options)
        else:
            loss, saved = ops.cross_entropy(self.head(x, tape), targets, **options)
        if tape is not None:
            tape.push(self, saved)
        return loss

    @staticmethod
    def _is_only_a_matrix(head):
        """Return whether a head is the product with its ``matrix``, and not a layer of another kind, or one that was changed."""
        return type(head) in (Linear, TiedLinear, QuantizedLinear) and not head.bias and not is_altered(head)

    def _words_loss_backward(self, tape, dloss=1.0):
        """Add the head's gradients of `_words_loss`; return dx (..., D)."""
        saved = tape.pop(self)
        if hasattr(saved, "logits"):
            return self.head.backward(ops.cross_entropy_backward(dloss, saved), tape)
        dx, dmatrix = ops.linear_cross_entropy_backward(dloss, saved)
        self.head.add_matrix_grad(dmatrix)
        return dx

    def _words_measured(self, batches, predicted):
        """Return {"perplexity": ..., "accuracy": ...} of several batches.

        Parameters
        ----------
        batches : iterable of batches
        predicted : function (*batch) -> vectors (..., D), targets (...)
        """
        return self._words_in_all(workers.each(lambda batch: self._words_told(*predicted(*batch)), batches))

    def _words_told(self, x, targets):
        """Return what vectors x (..., D) tell of targets (...): the sum of their losses in nats, how many are right, how many there are."""
        asked = targets != self.ignored
        step, nats, n_right = max(1, LOGITS // self.vocab_size), 0.0, 0
        x, targets = x[asked], targets[asked]  # (n, D), (n,)
        for start in range(0, len(x), step):
            logits, some = self.head(x[start : start + step]), targets[start : start + step]
            nats += float(ops.cross_entropy(logits, some, count=1)[0])
            n_right += int((logits.argmax(axis=-1) == some).sum())
        return nats, n_right, len(targets)

    @staticmethod
    def _words_in_all(told):
        """Return {"perplexity": ..., "accuracy": ...} of what `_words_told` says of each batch."""
        nats, n_right, n = ([column[i] for column in told] for i in range(3))
        return {"perplexity": perplexity(nats, n), "accuracy": sum(n_right) / sum(n)}

    def _last_logits(self, x):
        """Return the logits (B, V) of the last position of vectors x (B, T, D)."""
        return self.head(x[:, -1:])[:, 0]
