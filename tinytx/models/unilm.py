"""UniLM: one set of weights that reads in three ways (Dong et al. 2019, arXiv:1905.03197).

A `Bert` with one difference: each row of a batch has a *prefix*, its first n words, which every word of the row sees. Of
the others, a word sees itself and those before it::

    word t sees word s  if  s < n  or  s <= t                            (1)

    both ways                n = T                    BERT
    left to right            n = 0                    GPT
    sequence to sequence     n = length of a source   encoder and decoder in one stack

So three masks are one rule, and a number for each row chooses among them: `tinytx.ops.attention_patterns` writes (1) as
``CAUSAL | Prefix(n)``. The paper has a fourth mask, right to left, which is not here.

A model that writes is asked by a mask token: at position t it says the word of position t, and not the next one, as a GPT
does. `tinytx.tasks.UnifiedWords` trains it and decodes.
"""

from tinytx.models.bert import Bert, BertConfig
from tinytx.models.config import check_special_ids
from tinytx.ops.attention_patterns import CAUSAL, FULL, Prefix
from tinytx.settings import setting

N_SEGMENTS = 5  # both ways 0 and 1, left to right 2, sequence to sequence 3 and 4: they say which mask is on


class UnilmConfig(BertConfig):
    """What a UniLM is made of: a BERT, and the ids of its frame ``start source stop target stop`` and of the mask token."""

    n_segments: int = setting(N_SEGMENTS, "parts of texts, of all ways to read", minimum=N_SEGMENTS, maximum=N_SEGMENTS)
    start_id: int = setting(1, "id of the token before a source ([CLS] in the paper)", minimum=0)
    stop_id: int = setting(2, "id of the token after a source, and after a target ([SEP])", minimum=0)
    mask_id: int = setting(4, "id of the token in place of a hidden word ([MASK])", minimum=0)

    def __post_init__(self):
        super().__post_init__()
        check_special_ids(self, ("pad_id", "start_id", "stop_id", "mask_id"), self.vocab_size)

    @property
    def source_vocab_size(self):
        """As ``vocab_size``: sources and targets have one vocabulary."""
        return self.vocab_size

    target_vocab_size = source_vocab_size


class Unilm(Bert):
    """An encoder, a decoder, or both in one: ids to a vector for each position.

    Parameters
    ----------
    config : UnilmConfig
    rng : numpy.random.Generator
    dtype : float32 or float64

    Examples
    --------
    >>> import numpy as np
    >>> config = UnilmConfig(20, d_model=16, n_heads=2, n_layers=1)
    >>> body = Unilm(config, rng=np.random.default_rng(0))
    >>> body(np.full((2, 5), 7), prefix=np.array([3, 5])).shape
    (2, 5, 16)
    """

    def forward(self, ids, tape=None, *, segments=None, prefix=None, state=None):
        """Return what the stack makes of each word.

        Parameters
        ----------
        ids, tape, segments, state
            As for `Bert`.
        prefix : integers (B,), optional
            n of (1), counted from a row's first word, also where a state holds it. Without it, every word sees every word.

        Returns
        -------
        array (B, T, D)

        Raises
        ------
        TypeError, ValueError
            If a prefix is no whole number of at least 0, there are not as many as rows; or as `Bert`.
        """
        pattern = FULL if prefix is None else CAUSAL | Prefix(prefix)
        return super().forward(ids, tape, segments=segments, pattern=pattern, state=state)
