"""AWD-LSTM, a language model of LSTMs that are regularised in every place (Merity, Keskar and Socher 2017, arXiv:1708.02182).

Differences from `tinytx.models.char_rnn`:

1. The last layer is as wide as a word's vector, and the output layer shares the table of vectors; it adds a bias.
2. Dropout stands in five places: whole words of the table, the vectors that the first layer reads, what goes from layer to
   layer, what the last layer puts out, and the weights from state to state (DropConnect: the "WD" of the name). The three
   masks of vectors are locked: one mask for all positions of a row, new in each step.
3. Large outputs of the last layer, and outputs that change fast, cost something: `tinytx.ops.activation_penalty`.

The "A" of the name, averaged SGD, is the optimiser's: `tinytx.training.Averaged`. ULMFiT (Howard and Ruder 2018,
arXiv:1801.06146) is this body, trained to say the next word of general texts, then of the task's texts; then
`tinytx.tasks.TextClasses` asks it for the class of a text. Dai and Le (2015, arXiv:1511.01432) did so before, without the
general texts.
"""

import numpy as np

from tinytx.core import Layer
from tinytx.layers import LSTM, ActivationPenalty, Dropout, Embedding, RecurrentStack
from tinytx.models.config import MOST_LAYERS
from tinytx.settings import Settings, setting
from tinytx.shapes import check_ids, check_rows


def _dropped(default, of):
    return setting(default, f"dropout of {of} in training", minimum=0, below=1, free=True)


def _weight(default, of):
    return setting(default, f"weight, in the loss of training, of {of}", minimum=0, free=True)


class AwdLSTMConfig(Settings):
    """What an AWD-LSTM is made of. The defaults are the paper's for WikiText-2, but for the widths: 400 and 1,150 there."""

    vocab_size: int = setting(help="number of words, V", minimum=1)
    d_model: int = setting(128, "width of a word's vector, and of the last layer's state", minimum=1)
    d_hidden: int = setting(256, "width of the other layers' states", minimum=1)
    n_layers: int = setting(3, "LSTMs, one above the other", minimum=1, maximum=MOST_LAYERS)
    word_dropout: float = _dropped(0.1, "whole words: their rows in the table of vectors")
    input_dropout: float = _dropped(0.65, "the words' vectors")
    hidden_dropout: float = _dropped(0.2, "what goes from layer to layer")
    dropout: float = _dropped(0.4, "the last layer's output")
    weight_drop: float = _dropped(0.5, "the weights from state to state")
    alpha: float = _weight(2.0, "the mean square of the last layer's output")
    beta: float = _weight(1.0, "the mean square of this output's steps from word to word")

    balance = 1.0  # alpha and beta are in the penalty


class AwdLSTM(Layer):
    """Regularised LSTMs over embedded words: they turn ids into one vector for each position.

    Parameters
    ----------
    config : AwdLSTMConfig
    rng : numpy.random.Generator
        Words' vectors are uniform in +-0.1, as in the paper; LSTMs draw PyTorch's initial values.
    dtype : float32 or float64

    Examples
    --------
    >>> body = AwdLSTM(AwdLSTMConfig(vocab_size=1000), rng=np.random.default_rng(0))
    >>> body(np.zeros((2, 5), int)).shape
    (2, 5, 128)
    """

    output_bias = True

    def __init__(self, config, *, rng, dtype=np.float32):
        self.config, draw = config, {"rng": rng, "dtype": dtype}
        self.token = Embedding(
            config.vocab_size, config.d_model, word_dropout=config.word_dropout, init=_uniform, **draw
        )
        widths = [config.d_model, *[config.d_hidden] * (config.n_layers - 1), config.d_model]
        layers = [LSTM(n, m, weight_drop=config.weight_drop, **draw) for n, m in zip(widths, widths[1:])]
        self.input_dropout = Dropout(config.input_dropout, locked=True)
        self.recurrent = RecurrentStack(layers, dropout=config.hidden_dropout, locked=True)
        self.dropout = Dropout(config.dropout, locked=True)
        self.penalty = ActivationPenalty(config.alpha, config.beta)

    @property
    def output_table(self):
        """The parameter (V, D) that an output layer shares."""
        return self.token.weight

    def forward(self, ids, tape=None, *, state=None):
        """Return the last layer's output at each position.

        Parameters
        ----------
        ids : integers (B, T)
        tape : Tape, optional
        state : State, optional
            Holds what each layer ended with after the words before ``ids``. The call replaces it by that after ``ids``.

        Returns
        -------
        array (B, T, D)

        Raises
        ------
        TypeError, ValueError
            If ids are not integers of shape (B, T), or an id is not in the vocabulary.
        """
        ids = check_rows("AwdLSTM", check_ids("AwdLSTM", ids, self.config.vocab_size))
        x = self.input_dropout(self.token(ids, tape), tape)
        raw = self.recurrent(x, tape, state=state)
        return self.penalty(raw, self.dropout(raw, tape), tape)

    def backward(self, dy, tape):
        """Add the gradients of `forward`; ids have none, so nothing is returned."""
        draw, ddropped = self.penalty.backward(dy, tape)
        draw = draw + self.dropout.backward(ddropped, tape)
        self.token.backward(self.input_dropout.backward(self.recurrent.backward(draw, tape), tape), tape)


def _uniform(rng, shape):
    return rng.uniform(-0.1, 0.1, shape)
