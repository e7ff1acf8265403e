"""Sequence to sequence: read a source, and write the target word by word (the Transformer).

Three questions that everybody asks first:

What does the decoder get while training? The target itself, one position late (teacher forcing). A target is
``start w1 w2 .. wn stop`` and then padding, (B, T + 1). The decoder reads all but its last column and is to say all
but its first::

    input    start  w1  w2  ..  wn          target[:, :-1]
    label    w1     w2  ..  wn  stop        target[:, 1:]

so that at every position it has the right words before it, whatever it would have said itself, and the causal mask
keeps it from the word it is to say. All positions are trained in one pass. `SequenceToSequence.loss` does the shifting.

Where does decoding start? From ``start`` alone: its logits say w1, which is appended, and so on until ``stop``.

What does padding do? Nothing: no word looks at it, and as a label it counts for nothing.
"""

import numpy as np

from tinytx import ops
from tinytx.settings import Settings, setting
from tinytx.tasks.task import Task


class LossSettings(Settings):
    """How the loss treats a label, and the output layer; the defaults are the paper's."""

    label_smoothing: float = setting(0.1, "share of each label that is spread over other words", minimum=0, below=1)
    loss_form: str = setting(
        "kl_divergence", "which words share it: the V - 2 that are neither the label nor padding (kl_divergence), or all "
        "V (cross_entropy)", choices=("kl_divergence", "cross_entropy"),
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
        Draws the head of a body that shares no table with it; the one that drew the body.
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

    pads_prompts, slides = True, False

    def __init__(self, body, *, rng=None, **loss):
        super().__init__(body)
        self.loss_settings = LossSettings(**loss)
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
            ``start_id``, words, ``stop_id``, padding: the decoder's input and its labels, see above.
        tape : Tape, optional
        count : int, optional
            By how many words to divide: those of the whole batch, where this is a part of it.

        Raises
        ------
        ValueError
            If a target holds padding before a word, which the words after it would look at; or as the body.
        """
        target, pad_id = self._checked(target), self.config.pad_id
        x, labels = self._vectors(source, target[:, :-1], tape=tape), target[:, 1:]
        options = {"label_smoothing": self.loss_settings.label_smoothing, "count": count}
        if self.loss_settings.loss_form == "cross_entropy":
            return self._words_loss(x, labels, tape, ignore_index=pad_id, **options)
        loss, saved = ops.kl_divergence(self.head(x, tape), labels, pad_id=pad_id, **options)
        if tape is not None:
            tape.push(self, saved)
        return loss

    def loss_backward(self, tape):
        """Add the gradients of `loss`."""
        if self.loss_settings.loss_form == "cross_entropy":
            dx = self._words_loss_backward(tape)
        else:
            dx = self.head.backward(ops.kl_divergence_backward(1.0, tape.pop(self)), tape)
        self.body.backward(dx, tape)

    def count(self, source, target):
        """Return by how many words `loss` divides: labels that are not padding."""
        return ops.count_targets(np.asarray(target)[:, 1:], self.config.pad_id)

    def measure(self, batches):
        """Return how well the next word is said, where the right words stand before it.

        Parameters
        ----------
        batches : iterable of (source, target, ...)

        Returns
        -------
        dict
            ``perplexity`` per word, without label smoothing, which is no part of a surprise; and ``accuracy``, the share
            of words that are the likeliest.
        """
        return self._words_measured(
            (self.body(source, target[:, :-1]), target[:, 1:]) for source, target, *_ in batches
        )

    def random_batch(self, rng, n, length):
        """Return n random sources, and targets of so many words, as `loss` takes them, without padding."""
        config = self.config
        special = config.pad_id, config.start_id, config.stop_id
        sources, words = (np.setdiff1d(np.arange(n), special) for n in (config.source_vocab_size, config.target_vocab_size))
        target = np.pad(rng.choice(words, (n, length - 1)), ((0, 0), (1, 1)), constant_values=((0, 0), special[1:]))
        return rng.choice(sources, (n, length)), target

    def begin(self, source):
        """Return what decoding starts from: the ids to feed first (B, 1); and the memory with its mask, which stay."""
        first = np.full((len(source), 1), self.config.start_id)
        return first, (self.body.encode(source), self.body.source_mask(source))

    def last_logits(self, new, memory, source_mask, *, state):
        """Return the logits (B, V) of the word after ``new`` (B, t), the ids that ``state`` does not hold yet."""
        return self._last_logits(self.body.decode(new, memory, source_mask, state=state))

    def _checked(self, target):
        """Return target as an array, if it can be shifted and has padding at its end only."""
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
