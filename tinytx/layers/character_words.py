"""CharacterWords: a vector for each word, made of its characters."""

import numpy as np

from tinytx.arguments import check_sizes, check_whole
from tinytx.core import Layer
from tinytx.layers.convolution import Conv1d
from tinytx.layers.embedding import Embedding
from tinytx.layers.feed_forward import Activation
from tinytx.layers.highway import Highway
from tinytx.layers.init import uniform_fan_in
from tinytx.layers.linear import Linear
from tinytx.layers.pool import Pool
from tinytx.shapes import check_axes, check_ids


class CharacterWords(Layer):
    """A word's vector from its characters, so that a word that was never seen has one (Kim et al. 2016, arXiv:1508.06615).

    Each character has a row of a table. A convolution of each width reads the row of characters and looks, at every place, for
    what its filters know, such as the end "-ing" or the beginning "un-"; of each filter the largest value of the word
    counts, wherever it stood (`tinytx.ops.pool`). Highways and a linear map make a vector of these numbers.

    A filter is read at the characters of a word, not at what stands behind; one that reaches beyond the last character
    meets the row of padding, which is learned like others.

    Parameters
    ----------
    n_characters : int
        Kinds of characters, of which 0 is padding.
    d_character, n_filters, d_model : int
        Widths: of a character's row, of each convolution's output, F, and of a word's vector, D.
    n_widths : int
        Convolutions, of 1 to so many characters.
    n_highways : int
        May be 0.
    rng : numpy.random.Generator
    dtype : float32 or float64
    init : function (rng, shape) -> array
        For all matrices.

    Examples
    --------
    >>> layer = CharacterWords(30, 4, 5, 6, n_widths=3, rng=np.random.default_rng(0))
    >>> layer(np.array([[[1, 2, 3, 0], [1, 2, 0, 0], [0, 0, 0, 0]]])).shape  # two words and padding
    (1, 3, 6)
    """

    def __init__(
        self, n_characters, d_character, n_filters, d_model, *, n_widths, n_highways=2, rng, dtype=np.float32, init=uniform_fan_in
    ):
        check_sizes("CharacterWords", n_characters=n_characters, n_highways=n_highways)
        check_whole("CharacterWords", "n_widths", n_widths)
        draw = {"rng": rng, "dtype": dtype}
        self.n_characters, widths = n_characters, range(1, n_widths + 1)
        self.character = Embedding(n_characters, d_character, **draw)
        self.filters = [Conv1d(d_character, n_filters, width, right=width - 1, **draw, init=init) for width in widths]
        self.pool, self.activation = Pool("max"), Activation("relu")
        self.highways = [Highway(n_widths * n_filters, **draw, init=init) for _ in range(n_highways)]
        self.project = Linear(n_widths * n_filters, d_model, **draw, init=init)

    def forward(self, spelled, tape=None):
        """Return the vectors of words.

        Parameters
        ----------
        spelled : integers (B, T, C)
            The characters of each word, and 0 behind them: `tinytx.data.spelled`.
        tape : Tape, optional

        Returns
        -------
        array (B, T, D)
        """
        check_axes("CharacterWords", "spelled", np.asarray(spelled), "(B, T, C)")
        spelled = check_ids("CharacterWords", spelled, self.n_characters)
        rows = spelled.reshape(-1, spelled.shape[2])  # (B T, C)
        x, mask = self.character(rows, tape), rows != 0
        x = _beside([self.pool(f(x, tape), tape, mask=mask) for f in self.filters])
        x = self.activation(x, tape)  # (B T, n_widths F)
        for highway in self.highways:
            x = highway(x, tape)
        return self.project(x, tape).reshape(*spelled.shape[:2], -1)

    def backward(self, dy, tape):
        """Add the gradients of all parameters; characters have none, so nothing is returned."""
        dx = self.project.backward(dy.reshape(-1, dy.shape[2]), tape)
        for highway in reversed(self.highways):
            dx = highway.backward(dx, tape)
        parts = _apart(self.activation.backward(dx, tape), len(self.filters))
        dx = sum(f.backward(self.pool.backward(part, tape), tape) for f, part in zip(reversed(self.filters), reversed(parts)))
        self.character.backward(dx, tape)


def _beside(parts):
    """Return arrays (N, F) side by side."""
    return np.concatenate(parts, axis=1)


def _apart(dy, n):
    """Return the gradients of n arrays that `_beside` took."""
    return np.split(dy, n, axis=1)
