"""Hidden words: predict the words that are hidden in a text, from the words on both sides (BERT).

``targets`` holds each hidden word at its position, and ``IGNORE`` everywhere else::

    ids      [CLS]   the    [MASK]   sat    [SEP]      what the body reads
    targets  -100    -100   cat      -100   -100       what it must predict

Only the rows of hidden words go through the output layer (`tinytx.ops.select_rows`). The logits are the largest array
of all: if one word in six is hidden, their size becomes a sixth, and loss and gradients stay the same.

A text can have two parts, ``[CLS] a [SEP] b [SEP]``. ``segments`` holds the part that each word belongs to. From the
vector at ``[CLS]`` the model predicts whether b followed a in the source (``labels``: 0 if it did, 1 if not).
"""

from typing import NamedTuple

import numpy as np

from tinytx import ops, workers
from tinytx.layers import TiedLinear
from tinytx.settings import Settings, setting
from tinytx.shapes import check_ids, check_shape
from tinytx.tasks.heads import PooledHead, Transform
from tinytx.tasks.task import Task

IGNORE = -100  # a target where nothing is predicted


class HeadSettings(Settings):
    """The heads of the task."""

    head: str = setting(
        "tied", "output layer: tinytx.tasks.heads.Transform and the embedding's table, or one matrix",
        choices=("tied", "untied"), fixed=True,
    )  # fmt: skip
    next_sentence: bool = setting(False, "whether the model also predicts if a text's second part followed the first")


class _Saved(NamedTuple):
    rows: tuple  # of `select_rows`: those of the hidden words
    texts: tuple  # of `cross_entropy`, or None


class HiddenWords(Task):
    """A body that reads whole texts, a head that predicts hidden words, and perhaps a head for pairs of texts.

    Parameters
    ----------
    body : Layer
        ``body(ids, tape, segments=segments)`` returns (B, T, D): `tinytx.models.Bert`.
    rng : numpy.random.Generator
        Draws the heads: the generator that drew the body.
    **heads
        `HeadSettings`: ``head`` and ``next_sentence``. The head "tied" is the paper's: a `Transform`, then the body's
        ``output_table`` transposed, and a bias; it needs ``activation`` and ``eps`` in the body's config. The head
        "untied" is one matrix.

    Raises
    ------
    TypeError, ValueError
        If a setting is invalid, if the head is tied and the body has no ``output_table``, or if ``next_sentence`` is
        given and the body's config has fewer than two segments.

    Examples
    --------
    >>> from tinytx.models import Bert, BertConfig
    >>> rng = np.random.default_rng(0)
    >>> model = HiddenWords(Bert(BertConfig(20, d_model=16, n_heads=2, n_layers=1), rng=rng), rng=rng)
    >>> model(np.full((2, 5), 7)).shape
    (2, 5, 20)
    >>> model.fill(np.full((2, 5), 7), [1, 3]).shape
    (2, 2, 20)
    """

    unit = "hidden {}"

    def __init__(self, body, *, rng, **heads):
        super().__init__(body)
        self.head_settings = asked = HeadSettings(**heads)
        config, options, table = body.config, self._drawn_like_the_body(rng), getattr(body, "output_table", None)
        if asked.next_sentence and getattr(config, "n_segments", 0) < 2:
            facts = f"n_segments is {getattr(config, 'n_segments', 0)} in the body's config"
            raise ValueError(f"HiddenWords: {facts}, expected at least 2 with next_sentence")
        self.transform = None
        if asked.head == "untied":
            self.head = self._output_layer(rng, tied=False)
        elif table is None:
            raise ValueError(f'HiddenWords: this {type(body).__name__} shares no table (output_table): give head="untied"')
        else:
            form = {"activation": config.activation, "eps": config.eps, "bias": getattr(config, "bias", True)}
            self.transform = Transform(self.width, table.data.shape[1], **form, **options)
            self.head = TiedLinear(table, bias=True)
        self.next_sentence = PooledHead(self.width, 2, **options) if asked.next_sentence else None
        self._draw_biases(rng, self.transform, self.next_sentence)
        if self.next_sentence:
            self.next_sentence.begin_with(getattr(body, "pooler", None))

    @property
    def settings(self):
        return dict(vars(self.head_settings))

    def forward(self, ids, tape=None, *, segments=None):
        """Return the logits (B, T, V) of the word at each position."""
        return self.word_logits(self._vectors(ids, tape=tape, segments=segments), tape)

    def backward(self, dlogits, tape):
        """Add the gradients of all parameters; ids have none, so nothing is returned."""
        self.body.backward(self.word_logits_backward(dlogits, tape), tape)

    def word_logits(self, x, tape=None):
        """Return the logits (..., V) of the word at each of the body's vectors x (..., D)."""
        return self.head(self._transformed(x, tape), tape)

    def word_logits_backward(self, dlogits, tape):
        """Return dx (..., D)."""
        return self._transformed_backward(self.head.backward(dlogits, tape), tape)

    def text_logits(self, hidden, tape=None):
        """Return the logits (B, 2) of texts with vectors (B, T, D). Class 0: the second part followed the first.

        Raises
        ------
        ValueError
            If ``next_sentence`` is False, so that there is no such head.
        """
        if not self.next_sentence:
            raise ValueError("HiddenWords: next_sentence is False: there is no head for whole texts")
        return self.next_sentence(hidden, tape)

    def fill(self, ids, positions, *, segments=None):
        """Return the probability of each word of the vocabulary at some positions.

        Parameters
        ----------
        ids : integers (B, T)
        positions : integers (n,), or (B, n) if each text has its own
            Each in 0..T-1.
        segments : integers (B, T), optional

        Returns
        -------
        array (B, n, V)
            Each row adds up to 1.

        Raises
        ------
        TypeError, ValueError
            If an id or a position is out of its range, or shapes do not fit.
        """
        hidden = self._vectors(ids, tape=None, segments=segments)
        b, t, _ = hidden.shape
        rows = self._positions(positions, (b, t)) + t * np.arange(b)[:, None]
        logits = self.word_logits(ops.select_rows(hidden, rows.reshape(-1))[0])  # (B·n, V)
        return ops.softmax(logits)[0].reshape(*rows.shape, self.vocab_size)

    def loss(self, ids, targets, segments=None, labels=None, tape=None, *, count=None, **settings):
        """Return the mean loss per hidden word, plus the mean loss per text if there are labels, in nats.

        If no word is hidden, or no label counts, this part of the loss is 0.

        Parameters
        ----------
        ids, targets : integers (B, T)
            A target of ``IGNORE`` does not count.
        segments : integers (B, T), optional
        labels : integers (B,)
            Required if ``next_sentence`` is True: 0, 1, or ``IGNORE``.
        tape : Tape, optional
        count : array (2,), optional
            `count` of the whole batch, if this is a part of it.
        **settings
            Settings of the body.

        Raises
        ------
        TypeError, ValueError
            If a target or label is out of range, shapes do not fit, labels are missing, labels are given without
            ``next_sentence``, or neither a target nor a label counts and ``count`` is missing.
        """
        place = "HiddenWords"
        n_words, n_texts = (int(n) for n in (self.count(ids, targets, segments, labels) if count is None else count))
        if count is None and not n_words + n_texts:
            raise ValueError(f"{place}: all targets are {IGNORE}: there is no mean. For a part of a batch give count")
        targets = check_ids(place, targets, self.vocab_size, what="target", allowed=IGNORE)
        check_shape(place, "targets", targets, np.shape(ids), "ids of shape", np.shape(ids))
        labels = self._checked(labels, len(targets))
        listening = self._listening(tape)
        hidden = self._vectors(ids, tape=listening, segments=segments, **settings)  # (B, T, D)
        masked = np.flatnonzero(targets != IGNORE)  # (n,)
        x, rows = ops.select_rows(hidden, masked)  # (n, D)
        loss = self._words_loss(self._transformed(x, tape), targets.reshape(-1)[masked], tape, count=n_words)
        texts = None
        if self.next_sentence:
            text_loss, texts = ops.cross_entropy(self.text_logits(hidden, tape), labels, count=n_texts)
            loss += text_loss
        if tape is not None:
            tape.push(self, _Saved(rows, texts))
        return loss + self._penalties(listening, targets, n_words)

    def loss_backward(self, tape):
        """Add the gradients of `loss`."""
        rows, texts = tape.pop(self)
        dtext = self.next_sentence.backward(ops.cross_entropy_backward(1.0, texts), tape) if texts else None
        dx = self._transformed_backward(self._words_loss_backward(tape), tape)  # (n, D)
        dhidden = ops.select_rows_backward(dx, rows)  # (B, T, D)
        self.body.backward(dhidden if dtext is None else dhidden + dtext, tape)

    def count(self, ids, targets, segments=None, labels=None):
        """Return the two divisors of `loss`, an array (2,): the number of hidden words, and of texts with a label."""
        n_texts = ops.count_targets(labels, IGNORE) if self.next_sentence and labels is not None else 0
        return np.array([ops.count_targets(targets, IGNORE), n_texts])

    def measure(self, batches):
        """Return how well hidden words and pairs are predicted.

        Parameters
        ----------
        batches : iterable of (ids, targets), or (ids, targets, segments, labels)

        Returns
        -------
        dict
            ``perplexity`` of the hidden words; ``accuracy``, the share of them that is predicted correctly; and if
            there are pairs, ``pair_accuracy``, the share of pairs that is predicted correctly.
        """

        def told(batch):
            ids, targets, *pairs = batch
            hidden, asked = self._vectors(ids, tape=None, segments=pairs[0] if pairs else None), targets != IGNORE
            of_pairs = [self.text_logits(hidden).argmax(axis=-1) == pairs[1]] if pairs else []
            return self._words_told(self._transformed(hidden[asked]), targets[asked]) if asked.any() else (0.0, 0, 0), of_pairs

        both = workers.each(told, batches)
        of_pairs = [right for _, parts in both for right in parts]
        measured = self._words_in_all([of_words for of_words, _ in both])
        return measured | ({"pair_accuracy": float(np.mean(np.concatenate(of_pairs)))} if of_pairs else {})

    def random_batch(self, rng, n, length):
        """Return a random batch for `loss`: n rows of ``length`` words; the first and 15 % of the rest are targets."""
        ids = rng.integers(1, self.vocab_size, (n, length))
        hidden = (rng.random((n, length)) < 0.15) | (np.arange(length) == 0)
        batch = ids, np.where(hidden, ids, IGNORE)
        if not self.next_sentence:
            return batch
        return *batch, np.broadcast_to(np.arange(length) * 2 // length, (n, length)), rng.integers(0, 2, n)

    def _transformed(self, x, tape=None):
        return self.transform(x, tape) if self.transform else x

    def _transformed_backward(self, dx, tape):
        return self.transform.backward(dx, tape) if self.transform else dx

    def _checked(self, labels, b):
        """Return labels (B,), or None if there is no head for them."""
        wanted = self.head_settings.next_sentence
        if wanted == (labels is None):
            found = "missing" if wanted else "given"
            raise ValueError(f"HiddenWords: labels are {found}, and next_sentence is {wanted}")
        if not wanted:
            return None
        labels = check_ids("HiddenWords", labels, 2, what="label", allowed=IGNORE)
        check_shape("HiddenWords", "labels", labels, (b,), "targets of", b, "rows")
        return labels
