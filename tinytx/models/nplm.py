r"""NPLM, the neural probabilistic language model (Bengio, Ducharme, Vincent and Jauvin 2003, JMLR 3, 1137-1155).

The difference from `tinytx.models.char_rnn`: the model keeps no state but the last words themselves. It reads a fixed
number of words, n - 1, as an n-gram model does; but it reads their vectors, so that what it learns of one context also
holds for contexts of similar words. With C(w) the vector of word w, and the words side by side,

    x_t = [C(w_{t-n+2}) ... C(w_t)]                                                                            (1)
    h_t = tanh(x_t H + d)                                                                                      (2)
    y_t = b + x_t W + h_t U,                                                                                   (3)

where y_t are the logits of word t + 1. W are the paper's direct connections, which may be left out. The body returns
[x_t, h_t, 1], so (3) is one product, and the head's matrix holds W, U and b, one above the other.

A position with fewer than n - 1 words before it reads, in place of those that are missing, one more learned vector: the
last row of the table.
"""

import numpy as np

from tinytx.core import Layer
from tinytx.layers import Activation, Dropout, Embedding, Linear
from tinytx.settings import Settings, setting
from tinytx.shapes import check_ids, check_rows


class NPLMConfig(Settings):
    """What a neural probabilistic language model is made of. Its n is the paper's: that of an n-gram."""

    vocab_size: int = setting(help="number of words, V", minimum=1)
    n: int = setting(5, "words of an n-gram: the n - 1 last words predict the next", minimum=2, maximum=1000)
    d_embedding: int = setting(60, "width of a word's vector, m in the paper", minimum=1)
    d_hidden: int = setting(100, "hidden units, h in the paper", minimum=1)
    direct: bool = setting(True, "whether words are also connected to the output directly, W in the paper")
    dropout: float = setting(0.0, "dropout of the words' vectors and of the hidden units in training", minimum=0, below=1, free=True)

    @property
    def d_model(self):
        """The width of what the body returns: the words' vectors if ``direct``, the hidden units, and a 1."""
        return self.direct * (self.n - 1) * self.d_embedding + self.d_hidden + 1


class NPLM(Layer):
    """Equations (1) and (2): the last n - 1 words of each position, and hidden units that read them.

    Parameters
    ----------
    config : NPLMConfig
    rng : numpy.random.Generator
        Word vectors are normal(0, 1), H is uniform in +-1/sqrt of its fan-in, d is 0.
    dtype : float32 or float64

    Examples
    --------
    >>> body = NPLM(NPLMConfig(vocab_size=2000, direct=False), rng=np.random.default_rng(0))
    >>> body(np.zeros((2, 7), int)).shape
    (2, 7, 101)
    """

    def __init__(self, config, *, rng, dtype=np.float32):
        self.config, draw = config, {"rng": rng, "dtype": dtype}
        self.token = Embedding(config.vocab_size + 1, config.d_embedding, **draw)
        self.hidden = Linear((config.n - 1) * config.d_embedding, config.d_hidden, **draw)
        self.tanh, self.dropout = Activation("tanh"), Dropout(config.dropout)

    def forward(self, ids, tape=None, *, state=None):
        """Return [x_t, h_t, 1] at each position, or [h_t, 1] without direct connections.

        Parameters
        ----------
        ids : integers (B, T)
        tape : Tape, optional
        state : State, optional
            Holds the last n - 2 words before ``ids``. The call replaces them by those after ``ids``.

        Returns
        -------
        array (B, T, config.d_model)

        Raises
        ------
        TypeError, ValueError
            If ids are not integers of shape (B, T), or an id is not in the vocabulary.
        """
        ids = check_rows("NPLM", check_ids("NPLM", ids, self.config.vocab_size))
        x = self.dropout(self.token(self._contexts(ids, state), tape), tape)
        x = x.reshape(*ids.shape, -1)  # (1): (B, T, n - 1, m) -> (B, T, (n - 1) m)
        h = self.dropout(self.tanh(self.hidden(x, tape), tape), tape)  # (2)
        parts = [x, h] if self.config.direct else [h]
        return np.concatenate([*parts, np.ones_like(h[..., :1])], axis=-1)

    def _contexts(self, ids, state):
        """Return the last n - 1 words of each position, (B, T, n - 1): id V stands for a word that is missing."""
        slot, n_before = state and state.next(), self.config.n - 2
        if slot and slot.arrays:
            (before,) = slot.arrays
        else:
            before = np.full((len(ids), n_before), self.config.vocab_size)
        words = np.concatenate([before, ids], axis=1)  # (B, n - 2 + T)
        if slot:
            slot.arrays = (words[:, words.shape[1] - n_before :],)
        return np.lib.stride_tricks.sliding_window_view(words, n_before + 1, axis=1)

    def backward(self, dy, tape):
        """Add the gradients of `forward`; ids have none, so nothing is returned."""
        d_hidden, n_read = self.config.d_hidden, self.config.n - 1
        dx, dh = dy[..., : -d_hidden - 1], dy[..., -d_hidden - 1 : -1]  # the 1 is constant
        through = self.hidden.backward(self.tanh.backward(self.dropout.backward(dh, tape), tape), tape)
        dx = through + dx if self.config.direct else through  # x is read twice
        self.token.backward(self.dropout.backward(dx.reshape(*dx.shape[:2], n_read, -1), tape), tape)
