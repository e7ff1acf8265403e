"""UniLM: one set of weights that reads in three ways (Dong et al. 2019, arXiv:1905.03197).

It is a `Bert` with one difference. Each row of a batch has a *prefix*, its first n words, which every word of the row
sees. After the prefix, a word sees itself and the words before it::

    word t sees word s  if  s < n  or  s <= t                            (1)

    both ways                n = T                    BERT
    left to right            n = 0                    GPT
    sequence to sequence     n = length of a source   encoder and decoder in one stack

So one rule makes all three masks, and the number n of each row chooses one: in `tinytx.ops.attention_patterns`, (1) is
``CAUSAL | Prefix(n)``. The paper has a fourth mask, right to left, which is not implemented here.

To write a word, the model reads a mask token at its position t, and predicts the word of the same position. (A GPT
predicts the word of the next position.) `tinytx.tasks.UnifiedWords` trains the model and decodes with it.
"""

from tinytx.models.bert import Bert, BertConfig
from tinytx.models.config import check_special_ids
from tinytx.ops.attention_patterns import CAUSAL, FULL, Prefix
from tinytx.settings import setting

N_SEGMENTS = 5  # both ways 0 and 1, left to right 2, sequence to sequence 3 and 4: they identify the mask


class UnilmConfig(BertConfig):
    """What a UniLM is made of: a BERT, and the ids of its frame ``start source stop target stop`` and of the mask token."""

    n_segments: int = setting(N_SEGMENTS, "segments of all three ways to read", minimum=N_SEGMENTS, maximum=N_SEGMENTS)
    start_id: int = setting(1, "id of the token before a source ([CLS] in the paper)", minimum=0)
    stop_id: int = setting(2, "id of the token after a source, and after a target ([SEP])", minimum=0)
    mask_id: int = setting(4, "id of the token in place of a hidden word ([MASK])", minimum=0)

    def __post_init__(self):
        super().__post_init__()
        check_special_ids(self, ("pad_id", "start_id", "stop_id", "mask_id"), self.vocab_size)

    @property
    def source_vocab_size(self):
        """The same as ``vocab_size``: sources and targets have one vocabulary."""
        return self.vocab_size

    target_vocab_size = source_vocab_size


class Unilm(Bert):
    """An encoder, a decoder, or both in one: it turns ids into one vector for each position.

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
        """Return a vector for each word.

        Parameters
        ----------
        ids, tape, segments, state
            As for `Bert`.
        prefix : integers (B,), optional
            n of (1), counted from the first word of the row, even if a state holds that word. Without a prefix, every
            word sees every word.

        Returns
        -------
        array (B, T, D)

        Raises
        ------
        TypeError, ValueError
            If a prefix is not a whole number of at least 0, or there is not one for each row; or as for `Bert`.
        """
        pattern = FULL if prefix is None else CAUSAL | Prefix(prefix)
        return super().forward(ids, tape, segments=segments, pattern=pattern, state=state)
