"""GloVe (Pennington, Socher and Manning 2014): word vectors whose products say how often two words stand together.

The differences from `tinytx.models.word2vec`: a text is read once, to count pairs of words, and vectors are learned from the
counts; and both tables of vectors, that of words and that of the words beside them, are part of the result. The body
returns their sum. `tinytx.tasks.Cooccurrences` has the loss, and `tinytx.training.descend_pairs` trains as the authors'
program does.
"""

import numpy as np

from tinytx.core import Layer, Parameter
from tinytx.layers import Embedding
from tinytx.models.word2vec import half_over_width
from tinytx.settings import Settings, setting


class GloVeConfig(Settings):
    """What GloVe is made of."""

    vocab_size: int = setting(help="number of words, V", minimum=1)
    d_model: int = setting(100, "width of a word's vector, D", minimum=1)


class GloVe(Layer):
    """The sum of a word's two vectors.

    Parameters
    ----------
    config : GloVeConfig
    rng : numpy.random.Generator
        Vectors are uniform in +-0.5 / D; biases begin with 0.
    dtype : float32 or float64

    Attributes
    ----------
    token, context : Embedding
        The vectors of words, and of the words beside them.
    bias_token, bias_context : Parameter (V,)

    Examples
    --------
    >>> body = GloVe(GloVeConfig(vocab_size=50), rng=np.random.default_rng(0))
    >>> body(np.array([3, 7])).shape
    (2, 100)
    """

    def __init__(self, config, *, rng, dtype=np.float32):
        self.config = config
        draw = {"rng": rng, "dtype": dtype, "init": half_over_width}
        self.token, self.context = (Embedding(config.vocab_size, config.d_model, **draw) for _ in range(2))
        self.bias_token, self.bias_context = (Parameter(np.zeros(config.vocab_size, dtype)) for _ in range(2))

    def forward(self, ids, tape=None):
        """Return the vectors of words.

        Parameters
        ----------
        ids : integers, any shape
        tape : Tape, optional

        Returns
        -------
        array (..., D)
        """
        return self.token(ids, tape) + self.context(ids, tape)

    def backward(self, dy, tape):
        """Add the gradients of `forward`; words have none, so nothing is returned."""
        self.context.backward(dy, tape)
        self.token.backward(dy, tape)
