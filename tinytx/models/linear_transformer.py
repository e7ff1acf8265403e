"""Linear transformer: a GPT whose attention has no softmax, so that a step takes time linear in the length (Katharopoulos et al. 2020).

There is one difference from `GPT`. The weight of a word for another is a product of features of query and key
(`tinytx.ops.linear_attention`, arXiv:2006.16236). All words before a word come to it through one matrix for each head, K x (K + 1)
numbers however many words there are: it cannot look one of many up as sharply as a softmax does.

Decoding keeps all keys and values, as `GPT` does, not the matrix alone.
"""

from tinytx.layers.attention import LinearAttention
from tinytx.models.config import check_heads
from tinytx.models.gpt import GPT, GPTConfig
from tinytx.settings import Settings, extended


class LinearTransformerConfig(extended(Settings, GPTConfig, without=("windows", "attention_dropout"))):
    """What a linear transformer is made of; the defaults are GPT's."""

    windows, attention_dropout = None, 0.0

    def __post_init__(self):
        super().__post_init__()
        check_heads(self)


class LinearTransformer(GPT):
    """A stack of causal blocks, as `GPT`: it turns ids into one vector for each position.

    Parameters
    ----------
    config : LinearTransformerConfig
    rng : numpy.random.Generator
    dtype : float32 or float64

    Examples
    --------
    >>> body = LinearTransformer(LinearTransformerConfig(vocab_size=65), rng=np.random.default_rng(0))
    >>> body(np.zeros((2, 5), int)).shape
    (2, 5, 128)
    """

    def core_maker(self):
        """Return the function that makes the core of a block's attention."""
        return _core


def _core(*, pattern, dropout):
    """Return a core; the pattern is `GPT`'s, CAUSAL, and no weight is there to be dropped."""
    return LinearAttention()
