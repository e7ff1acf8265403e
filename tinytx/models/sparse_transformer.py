"""Sparse Transformer: a GPT in which a word sees about sqrt(T) of the T words before it (Child et al. 2019, arXiv:1904.10509).

There is one difference from `GPT`. Each block attends to the union of two sets of places, and their products alone are computed
(`tinytx.ops.sparse_attention`): under ``strided`` the last ``stride`` places, and every ``stride``-th before them, which suits
pictures, whose rows are that long; under ``fixed`` its own block of ``stride`` places, and the last ``n_ends`` of each block,
which suits texts. Two blocks reach every earlier place by either.

The paper's other choices (a smoother activation, places as rows and columns, half precision) are not part of it.
"""

from functools import partial

from tinytx.layers.attention import Sparse
from tinytx.models.config import check_heads
from tinytx.models.gpt import GPT, GPTConfig
from tinytx.ops.sparse_attention import KINDS
from tinytx.settings import Settings, extended, setting


class SparseTransformerConfig(extended(Settings, GPTConfig, without=("windows",))):
    """What a Sparse Transformer is made of; the defaults are GPT's, with a stride of 8."""

    kind: str = setting("strided", "the sets of places that a word sees", choices=KINDS)
    stride: int = setting(8, "the last places that a word sees, and the step between those before; near sqrt(max_len)", minimum=1)
    n_ends: int = setting(
        1, "places at the end of each block that all later words see, at most stride", minimum=1, only={"kind": ("fixed",)}
    )

    windows = None

    def __post_init__(self):
        super().__post_init__()
        check_heads(self)
        if self.n_ends > self.stride:
            raise ValueError(f"SparseTransformerConfig: n_ends is {self.n_ends}, expected at most stride, {self.stride}")


class SparseTransformer(GPT):
    """A stack of causal blocks, as `GPT`: it turns ids into one vector for each position.

    Parameters
    ----------
    config : SparseTransformerConfig
    rng : numpy.random.Generator
    dtype : float32 or float64

    Examples
    --------
    >>> body = SparseTransformer(SparseTransformerConfig(vocab_size=65), rng=np.random.default_rng(0))
    >>> body(np.zeros((2, 5), int)).shape
    (2, 5, 128)
    """

    def core_maker(self):
        """Return the function that makes the core of a block's attention."""
        config = self.config
        return partial(_core, config.kind, config.stride, n_ends=config.n_ends)


def _core(kind, stride, *, n_ends, pattern, dropout):
    """Return a core; the pattern is `GPT`'s, CAUSAL, as the sparse ones are."""
    return Sparse(kind, stride, n_ends=n_ends, dropout=dropout)
