"""Recurrent net over characters (Karpathy 2015, "The unreasonable effectiveness of recurrent neural networks").

The difference from `tinytx.models.gpt`: the model does not read earlier tokens again, but keeps a state of fixed size:
h of each layer, and c of an LSTM. So there are no positions and no longest sequence. The cost of a token does not depend
on the length of the text before it. A text can be learned in parts, where each part begins with the final state of the
part before.
"""

import numpy as np

from tinytx.core import Layer
from tinytx.layers import Dropout, Embedding, RecurrentStack
from tinytx.layers.recurrent import CELLS
from tinytx.models.config import MOST_LAYERS
from tinytx.settings import Settings, setting
from tinytx.shapes import check_rows


class CharRNNConfig(Settings):
    """What a recurrent net over characters is made of."""

    vocab_size: int = setting(help="number of tokens, V", minimum=1)
    d_embedding: int = setting(64, "width of the embedded tokens", minimum=1)
    d_model: int = setting(256, "width of the state, R, and of the output", minimum=1)
    n_layers: int = setting(1, "recurrent layers, one above the other", minimum=1, maximum=MOST_LAYERS)
    cell: str = setting("lstm", "what the layers compute at a position", choices=sorted(CELLS))
    dropout: float = setting(0.0, "dropout of each layer's output in training", minimum=0, below=1, free=True)
    locked: bool = setting(False, "one mask of dropout for all characters of a row, new in each step", free=True)
    weight_drop: float = setting(0.0, "dropout of the weights from state to state", minimum=0, below=1, free=True)


class CharRNN(Layer):
    """Recurrent layers over embedded tokens: they turn ids into one vector for each position.

    Parameters
    ----------
    config : CharRNNConfig
    rng : numpy.random.Generator
        Embeddings are normal(0, 1), and recurrent layers draw their own weights: both are PyTorch's initial values.
    dtype : float32 or float64

    Examples
    --------
    >>> body = CharRNN(CharRNNConfig(vocab_size=65), rng=np.random.default_rng(0))
    >>> body(np.zeros((2, 5), int)).shape
    (2, 5, 256)
    """

    def __init__(self, config, *, rng, dtype=np.float32):
        self.config, draw = config, {"rng": rng, "dtype": dtype}
        self.token = Embedding(config.vocab_size, config.d_embedding, **draw)
        widths = [config.d_embedding, *[config.d_model] * (config.n_layers - 1)]
        layers = [CELLS[config.cell](d, config.d_model, weight_drop=config.weight_drop, **draw) for d in widths]
        self.recurrent = RecurrentStack(layers, dropout=config.dropout, locked=config.locked)
        self.dropout = Dropout(config.dropout, locked=config.locked)

    def forward(self, ids, tape=None, *, state=None):
        """Return the last layer's output at each position.

        Parameters
        ----------
        ids : integers (B, T)
        tape : Tape, optional
        state : State, optional
            Holds what each layer ended with after the tokens before ``ids``. The call replaces it by that after ``ids``.

        Returns
        -------
        array (B, T, R)

        Raises
        ------
        ValueError
            If ids do not have the shape (B, T), or an id is not in the vocabulary.
        """
        y = self.recurrent(self.token(check_rows("CharRNN", ids), tape), tape, state=state)
        return self.dropout(y, tape)

    def backward(self, dx, tape):
        """Add the gradients of `forward`; ids have none, so nothing is returned."""
        dx = self.recurrent.backward(self.dropout.backward(dx, tape), tape)
        self.token.backward(dx, tape)
