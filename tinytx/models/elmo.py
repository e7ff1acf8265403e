"""ELMo, embeddings from language models (Peters et al. 2018, arXiv:1802.05365): the body, a language model in both directions.

The difference from `tinytx.models.char_rnn`: a second stack of layers reads the sentence from its end. A vector of the first
stack says what may follow the words so far, one of the second what may stand before the words from here on; both together
describe a word in its sentence, so that "walk" has one vector in "the walk" and another in "they walk". These vectors
are what the model is trained for: another task reads them all, mixed (`tinytx.layers.ScalarMix`).

The two stacks never meet. They share the table of tokens, and the output layer of their task
(`tinytx.tasks.NextAndPrevious`), and nothing else. If the second layer read both directions of the first
(`tinytx.layers.Bidirectional`), the word that it is to say would be in its input: position t - 1 of the first layer, from
the right, has read word t. Its loss falls to 0, and nothing is learned.

With x_t the token's vector (D,) and L layers, each direction has

    h_1 = LSTM_1(x),    h_j = LSTM_j(h_(j-1)) + h_(j-1)    for j > 1                                    (1)

and the body returns, for j = 0 .. L, [x; x] and [h_j from the left; h_j from the right].

A sentence is a row: the state is 0 before its first word, so its vectors do not depend on other sentences. (The published
program keeps the state from sentence to sentence.) The paper's LSTMs have 4,096 units and project to 512 at each step, and
its x_t is made of the word's characters; here the states are as wide as the vectors, and x_t is a row of a table.
"""

import numpy as np

from tinytx.core import Layer
from tinytx.layers import Dropout, Embedding
from tinytx.layers.recurrent import CELLS
from tinytx.models.config import MOST_LAYERS, check_special_ids
from tinytx.settings import Settings, setting
from tinytx.shapes import check_ids, check_rows


class ElmoConfig(Settings):
    """What a language model in both directions is made of."""

    vocab_size: int = setting(help="number of tokens, V", minimum=1)
    d_model: int = setting(128, "width of a layer's vectors, 2 D: both directions side by side", minimum=2)
    n_layers: int = setting(2, "recurrent layers of each direction, one above the other, L", minimum=1, maximum=MOST_LAYERS)
    cell: str = setting("lstm", "what the layers compute at a position", choices=sorted(CELLS))
    dropout: float = setting(0.1, "dropout of what each layer reads, and of the last outputs, in training", minimum=0, below=1, free=True)
    pad_id: int = setting(0, "id of padding, behind the last token of a sentence", minimum=0)

    def __post_init__(self):
        super().__post_init__()
        check_special_ids(self, ("pad_id",), self.vocab_size)
        if self.d_model % 2:
            raise ValueError(f"ElmoConfig: d_model {self.d_model} has no half for each direction: give an even d_model")


class Elmo(Layer):
    """Two stacks of recurrent layers over embedded tokens: they turn ids into L + 1 vectors for each position.

    Parameters
    ----------
    config : ElmoConfig
    rng : numpy.random.Generator
        Embeddings are normal(0, 1), and recurrent layers draw their own weights.
    dtype : float32 or float64

    Examples
    --------
    >>> body = Elmo(ElmoConfig(vocab_size=65), rng=np.random.default_rng(0))
    >>> layers = body(np.ones((2, 5), int))
    >>> layers.shape
    (2, 5, 3, 128)
    >>> from tinytx.layers import ScalarMix
    >>> ScalarMix(3)(layers).shape  # what another task reads, with shares that it learns
    (2, 5, 128)
    """

    def __init__(self, config, *, rng, dtype=np.float32):
        self.config, draw, d = config, {"rng": rng, "dtype": dtype}, config.d_model // 2
        self.token, self.dropout = Embedding(config.vocab_size, d, **draw), Dropout(config.dropout)
        cell, numbers = CELLS[config.cell], range(config.n_layers)
        self.left_to_right = [cell(d, d, **draw) for _ in numbers]
        self.right_to_left = [cell(d, d, reverse=True, **draw) for _ in numbers]

    def forward(self, ids, tape=None):
        """Return the vectors of all layers at each position.

        Parameters
        ----------
        ids : integers (B, T)
            Sentences; `pad_id` behind the end of shorter ones.
        tape : Tape, optional

        Returns
        -------
        array (B, T, L + 1, 2 D)
            Layer 0 is the token's vector twice. At padding, the layers above it are 0.

        Raises
        ------
        TypeError, ValueError
            If ids are not integers of shape (B, T), or an id is not in the vocabulary.
        """
        ids = check_rows("Elmo", check_ids("Elmo", ids, self.config.vocab_size))
        x, mask = self.token(ids, tape), ids != self.config.pad_id
        halves = [self._read(stack, x, mask, tape) for stack in (self.left_to_right, self.right_to_left)]
        return np.concatenate(halves, axis=-1)

    def _read(self, stack, x, mask, tape):
        """Return x and the outputs of one direction's layers, (B, T, L + 1, D)."""
        layers = [x]
        for layer in stack:
            y, h = layer(self.dropout(layers[-1], tape), tape, mask=mask), layers[-1]
            layers.append(y + h if len(layers) > 1 else y)  # (1)
        return np.stack(layers, axis=2)

    def backward(self, dlayers, tape):
        """Add the gradients of all parameters; ids have none, so nothing is returned."""
        left, right = np.split(dlayers, 2, axis=-1)
        dx = self._read_backward(self.right_to_left, right, tape)
        self.token.backward(dx + self._read_backward(self.left_to_right, left, tape), tape)

    def _read_backward(self, stack, dlayers, tape):
        """Return dx (B, T, D)."""
        dh = dlayers[:, :, -1]
        for n, layer in reversed([*enumerate(stack)]):
            dread = self.dropout.backward(layer.backward(dh, tape), tape)
            dh = dlayers[:, :, n] + (dread + dh if n else dread)  # (1)
        return dh
