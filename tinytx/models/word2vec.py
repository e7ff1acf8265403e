"""word2vec (Mikolov et al. 2013, arXiv:1301.3781): a vector for each word, and the mean of those of some words.

The difference from `tinytx.models.nplm`: there are no hidden units, and the order of the words does not count. The body
returns the mean of the vectors of context words (CBOW), or the vector of the only context word (skip-gram).
`tinytx.tasks.NearbyWords` asks which word stands among them, and `tinytx.training.descend_words` trains both, at the cost
of the words that it sees.
"""

import numpy as np

from tinytx.core import Layer
from tinytx.layers import Embedding, Pool
from tinytx.settings import Settings, setting
from tinytx.shapes import check_ids


class Word2VecConfig(Settings):
    """What word2vec is made of."""

    vocab_size: int = setting(help="number of words, V", minimum=1)
    d_model: int = setting(100, "width of a word's vector, D", minimum=1)


def half_over_width(rng, shape):
    """Return the initial values of word2vec.c: uniform in +-0.5 / D."""
    return rng.uniform(-0.5, 0.5, shape) / shape[1]


class Word2Vec(Layer):
    """The mean of the vectors of context words.

    Parameters
    ----------
    config : Word2VecConfig
    rng : numpy.random.Generator
        Vectors are uniform in +-0.5 / D.
    dtype : float32 or float64

    Examples
    --------
    >>> body = Word2Vec(Word2VecConfig(vocab_size=50), rng=np.random.default_rng(0))
    >>> body(np.array([[3, 7, -1], [3, -1, -1]])).shape
    (2, 100)
    """

    def __init__(self, config, *, rng, dtype=np.float32):
        self.config = config
        self.token = Embedding(config.vocab_size, config.d_model, rng=rng, dtype=dtype, init=half_over_width)
        self.mean = Pool("mean")

    def forward(self, contexts, tape=None):
        """Return the mean vector of each row of words.

        Parameters
        ----------
        contexts : integers (N, C)
            Words; -1 stands for no word.
        tape : Tape, optional

        Returns
        -------
        array (N, D)

        Raises
        ------
        TypeError, ValueError
            If contexts are not integers of shape (N, C), or a word is not in the vocabulary.
        """
        contexts = check_ids("Word2Vec", contexts, self.config.vocab_size, what="word", allowed=-1)
        if contexts.ndim != 2:
            raise ValueError(f"Word2Vec: contexts have shape {contexts.shape}, expected (N, C)")
        return self.mean(self.token(np.maximum(contexts, 0), tape), tape, mask=contexts >= 0)

    def backward(self, dh, tape):
        """Add the gradients of `forward`; words have none, so nothing is returned."""
        self.token.backward(self.mean.backward(dh, tape), tape)
