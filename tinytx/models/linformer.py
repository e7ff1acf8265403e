"""Linformer: a BERT whose attention costs as much as there are words, not as pairs of words (Wang et al. 2020, arXiv:2006.04768).

There is one difference from `Bert`. Between the maps of keys and values and the attention stand two matrices over positions, E
and F: they make C sums of the S keys, and of the values (`tinytx.ops.compress`),

    softmax(q (E k)^T / sqrt(K)) (F v),                                  (1)

which has T C scores where attention has T S. E and F can be those of each head, or of all heads of a block, or one matrix for
both, or one for all blocks: ``sharing``. With C = S and E = F = 1 it is the attention of BERT to the last digit.

The sums hold all positions, so there is no causal Linformer, and padding is left out of the sums. Padding's columns of E and F
get no gradient from a text; a text shorter than ``max_len`` meets the first columns alone.
"""

from functools import partial

from tinytx.layers import Compress, Compressed, DotProduct
from tinytx.models.bert import Bert, BertConfig
from tinytx.settings import setting

SHARING = ("none", "heads", "keys_and_values", "blocks")


class LinformerConfig(BertConfig):
    """What a Linformer is made of; the defaults are those of BERT's base model, with a quarter as many keys as positions."""

    n_sums: int = setting(128, "weighted sums of keys, and of values, that stand in their place, C", minimum=1)
    sharing: str = setting(
        "heads", "which matrices make the sums: two for each head, or two for all heads of a block, or one for keys and values of "
        "a block, or one for all blocks", choices=SHARING,
    )  # fmt: skip


class Linformer(Bert):
    """An encoder of texts in one or two parts, as `Bert`: it turns ids into one vector for each position.

    Parameters
    ----------
    config : LinformerConfig
    rng : numpy.random.Generator
    dtype : float32 or float64

    Examples
    --------
    >>> config = LinformerConfig(20, d_model=16, n_heads=2, n_layers=1, max_len=32, n_sums=8)
    >>> body = Linformer(config, rng=np.random.default_rng(0))
    >>> body(np.full((2, 5), 7)).shape
    (2, 5, 16)
    """

    def core_maker(self, **draw):
        """Return the function that makes the core of a block's attention; ``draw`` are ``rng`` and ``dtype``."""
        config = self.config
        heads = config.n_heads if config.sharing == "none" else None
        matrix = partial(Compress, config.n_sums, config.max_len, n_heads=heads, **draw)
        of_all = matrix() if config.sharing == "blocks" else None

        def make(**settings):
            keys = of_all or matrix()
            values = keys if config.sharing in ("keys_and_values", "blocks") else matrix()
            return Compressed(DotProduct(**settings), keys, values)

        return make
