"""Sequence to sequence: read a source, and write the target word by word (the Transformer).

Three questions are often asked:

What does the decoder read in training? It reads the target itself, shifted by one position (teacher forcing). A target
is ``start w1 w2 .. wn stop`` and then padding, (B, T + 1). The decoder reads all columns but the last, and predicts all
columns but the first::

    input    start  w1  w2  ..  wn          target[:, :-1]
    label    w1     w2  ..  wn  stop        target[:, 1:]

At every position the decoder reads the correct words before it, even where it would have predicted others. The causal
mask hides the word that it must predict. So all positions are trained in one pass. `SequenceToSequence.loss` shifts the
target.

Where does decoding start? It starts with ``start`` alone. The logits predict w1, which is appended, and so on until
``stop``.

What does padding do? It has no effect: no word sees it, and as a label it does not count.
"""

import numpy as np

from tinytx import ops
from tinytx.settings import Settings, setting
from tinytx.tasks.task import Task


class LossSettings(Settings):
    """Settings of the loss and of the output layer; a label smoothing of 0.1 is the paper's."""

    label_smoothing: float = setting(0.1, "share of each label that is spread over other words", minimum=0, below=1)
    loss_form: str = setting(
        "kl_divergence", "which words label_smoothing is spread over: the V - 2 that are neither the label nor padding "
        "(kl_divergence), or all V (cross_entropy)", choices=("kl_divergence", "cross_entropy"),
    )  # fmt: skip
    output_bias: bool = setting(False, "whether the output layer has a bias (BART, Marian)")


class SequenceToSequence(Task):
    """An encoder-decoder, and a linear map from each of the decoder's vectors to the logits of the next word.

    Parameters
    ----------
    body : Layer
        ``body(source, target, tape)`` returns (B, T, D), and it has ``encode``, ``source_mask`` and ``decode``:
        `tinytx.models.Transformer`. Its config has ``pad_id``, ``start_id`` and ``target_vocab_size``.
    rng : numpy.random.Generator, optional
        Draws the head if the body has no ``output_table`` to share: the generator that drew the body.
    **loss
        `LossSettings`: ``label_smoothing``, ``loss_form``, ``output_bias``.

    Examples
    --------
    >>> from tinytx.models import Transformer, TransformerConfig
    >>> config = TransformerConfig(20, 20, d_model=16, n_heads=2, n_encoder_layers=1, n_decoder_layers=1)
    >>> model = SequenceToSequence(Transformer(config, rng=np.random.default_rng(0)))
    >>> model(np.full((2, 5), 7), np.full((2, 3), 8)).shape
    (2, 3, 20)
    """

    pads_prompts, slides, loss_class = True, False, LossSettings

    def __init__(self, body, *, rng=None, **loss):
        super().__init__(body)
        self.loss_settings = self.loss_class(**loss)
        self.head = self._output_layer(rng, bias=self.loss_settings.output_bias)

    @property
    def settings(self):
        return dict(vars(self.loss_settings))

    @property
    def vocab_size(self):
        return self.config.target_vocab_size

    @property
    def ignored(self):
        return self.config.pad_id

    def forward(self, source, target, tape=None):
        """Return the logits (B, T, V) of source ids (B, S) and target ids (B, T)."""
        return self.head(self._vectors(source, target, tape=tape), tape)

    def backward(self, dlogits, tape):
        """Add the gradients of all parameters; ids have none, so nothing is returned."""
        self.body.backward(self.head.backward(dlogits, tape), tape)

    def loss(self, source, target, tape=None, *, count=None):
        """Return the mean loss per word of the target, in nats.

        Parameters
        ----------
        source : integers (B, S)
        target : integers (B, T + 1)
            ``start_id``, words, ``stop_id``, padding: it contains the decoder's input and the labels, see above.
        tape : Tape, optional
        count : int, optional
            `count` of the whole batch, if this is a part of it.

        Raises
        ------
        ValueError
            If a target has padding before a word, because the words after it would see it; or as for the body.
        """
        target = self._checked(target)
        return self._labels_loss(self._vectors(source, target[:, :-1], tape=tape), target[:, 1:], tape, count)

    def loss_backward(self, tape):
        """Add the gradients of `loss`."""
        self.body.backward(self._labels_loss_backward(tape), tape)

    def _labels_loss(self, x, labels, tape, count):
        """Return the loss of labels (B, T) given the decoder's vectors x (B, T, D)."""
        pad_id, options = self.config.pad_id, {"label_smoothing": self.loss_settings.label_smoothing, "count": count}
        if self.loss_settings.loss_form == "cross_entropy":
            return self._words_loss(x, labels, tape, ignore_index=pad_id, **options)
        loss, saved = ops.kl_divergence(self.head(x, tape), labels, pad_id=pad_id, **options)
        if tape is not None:
            tape.push(self, saved)
        return loss

    def _labels_loss_backward(self, tape):
        """Add the head's gradients of `_labels_loss`; return dx."""
        if self.loss_settings.loss_form == "cross_entropy":
            return self._words_loss_backward(tape)
        return self.head.backward(ops.kl_divergence_backward(1.0, tape.pop(self)), tape)

    def count(self, source, target):
        """Return the number of labels that are not padding, by which `loss` divides."""
        return ops.count_targets(np.asarray(target)[:, 1:], self.config.pad_id)

    def measure(self, batches):
        """Return how well the next word is predicted from the correct words before it.

        Parameters
        ----------
        batches : iterable of (source, target, ...)

        Returns
        -------
        dict
            ``perplexity`` per word, computed without label smoothing; and ``accuracy``, the share of positions where
            the likeliest word is the target.
        """
        return self._words_measured(
            batches, lambda source, target, *_: (self.body(source, target[:, :-1]), target[:, 1:])
        )

    def random_batch(self, rng, n, length):
        """Return a random batch for `loss`: sources (n, length) and targets (n, length + 1), without padding."""
        config = self.config
        special = config.pad_id, config.start_id, config.stop_id
        sources, words = (np.setdiff1d(np.arange(n), special) for n in (config.source_vocab_size, config.target_vocab_size))
        target = np.pad(rng.choice(words, (n, length - 1)), ((0, 0), (1, 1)), constant_values=((0, 0), special[1:]))
        return rng.choice(sources, (n, length)), target

    def begin(self, source):
        """Return what decoding starts with: the first ids (B, 1), and the constant inputs (memory, source_mask)."""
        first = np.full((len(source), 1), self.config.start_id)
        return first, (self.body.encode(source), self.body.source_mask(source))

    def last_logits(self, new, memory, source_mask, *, state):
        """Return the logits (B, V) of the word after ``new`` (B, t), the ids that ``state`` does not hold yet."""
        return self._last_logits(self.body.decode(new, memory, source_mask, state=state))

    def _checked(self, target):
        """Return target as an array, after a check that it can be shifted and has padding only at its end."""
        target, place = np.asarray(target), type(self).__name__
        if target.ndim != 2 or target.shape[1] < 2:
            raise ValueError(f"{place}: target has shape {target.shape}, expected (B, T + 1): start, words, stop")
        pad = target == self.config.pad_id
        pad[:, 0] &= self.config.start_id != self.config.pad_id  # T5 begins with padding's id
        wrong = np.argwhere(pad[:, :-1] & ~pad[:, 1:])
        if len(wrong):
            row, position = (int(i) for i in wrong[0])
            raise ValueError(
                f"{place}: target row {row} has padding (id {self.config.pad_id}) at position {position} and words after "
                "it: pad targets at the end"
            )
        return target
