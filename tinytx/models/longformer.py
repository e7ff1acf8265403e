"""Longformer: a RoBERTa for texts of thousands of words (Beltagy, Peters and Cohan 2020, arXiv:2004.05150).

There is one difference from a `Bert` with RoBERTa's settings. A word sees a window of words near it, and a few *global* words,
which in turn see the whole text, by linear maps of their own (`tinytx.layers.GlobalWindowAttention`). So the time of a layer grows
as the text does, not as its square, and what stands far away is still one step from a global word.

Which words are global is a matter of the task: the first word for classes of whole texts, which is the one that is read; all
words of a question, for answers in a text. ``global_words`` of the config says it, or the caller, for each batch. A word of
padding is never global.

The paper's models with characters have windows that grow from block to block, and two heads of the last blocks see every
second place, further away: ``windows``, ``dilations`` and ``dilated_heads``. Those models read from left to right; this one
reads both ways, as the published ones do.
"""

import re
from dataclasses import asdict

import numpy as np

from tinytx.layers import GlobalWindow, GlobalWindowAttention
from tinytx.models.bert import Bert, BertConfig
from tinytx.models.config import check_special_ids
from tinytx.settings import extended, setting

GLOBAL_WORDS = ("none", "first", "question", "marked")
ROBERTA = {"max_len": 4096, "n_segments": 1, "positions": "counted", "eps": 1e-5, "pad_id": 1}


class LongformerConfig(extended(BertConfig, **ROBERTA)):
    """What a Longformer is made of; the defaults are those of the published base model."""

    windows: str = setting(
        "512", "words that a word sees beside itself, half of them on each side; a list such as 32,64 repeats over the blocks",
        empty=False,
    )  # fmt: skip
    dilations: str = setting(
        "1", "distance from one word of a window to the next; a list such as 1,2 repeats over the blocks", empty=False
    )
    dilated_heads: int | None = setting(
        None, "how many heads, the last ones, have the distances of dilations; the others have 1; all if not given", minimum=0
    )
    global_words: str = setting(
        "none", "words that see all words and that all words see: those that the caller says, the first of a text, those before "
        "the first mark, or all marks", choices=GLOBAL_WORDS,
    )  # fmt: skip
    mark_id: int = setting(
        2, "id of the mark: what ends a question, or what is itself global", minimum=0, only={"global_words": ("question", "marked")}
    )

    def __post_init__(self):
        super().__post_init__()
        check_special_ids(self, ("mark_id",), self.vocab_size)
        windows_of(self)


def windows_of(config):
    """Return (places on each side, dilation of each head) of each block.

    Raises
    ------
    ValueError
        If ``windows`` is not a list of even numbers between commas, or ``dilations`` not one of numbers of at least 1; or if more
        heads are dilated than there are.

    Examples
    --------
    >>> sizes = {"d_model": 8, "n_heads": 2, "n_layers": 3}
    >>> windows_of(LongformerConfig(20, **sizes, windows="32,64", dilations="1,1,4", dilated_heads=1))
    [(16, (1, 1)), (32, (1, 1)), (16, (1, 4))]
    """
    widths = _numbers(config, "windows", "even numbers of at least 2", lambda n: n > 1 and n % 2 == 0)
    steps, dilated = _numbers(config, "dilations", "numbers of at least 1", lambda n: n > 0), config.dilated_heads
    if dilated is not None and dilated > config.n_heads:
        raise ValueError(f"LongformerConfig: dilated_heads is {dilated}, expected at most n_heads, {config.n_heads}")
    dilated = config.n_heads if dilated is None else dilated
    near = (1,) * (config.n_heads - dilated)
    return [(widths[i % len(widths)] // 2, near + (steps[i % len(steps)],) * dilated) for i in range(config.n_layers)]


def _numbers(config, name, expected, accept):
    """Return the numbers of a setting that is a list between commas."""
    said = getattr(config, name).split(",")
    if not all(re.fullmatch("[0-9]{1,9}", each) and accept(int(each)) for each in said):
        raise ValueError(f"LongformerConfig: {name} is {getattr(config, name)!r:.60}, expected {expected} between commas")
    return [int(each) for each in said]


def global_words(ids, config):
    """Return which words of texts are global, by ``global_words`` of the config: ids (B, T) -> booleans (B, T).

    Examples
    --------
    >>> ids, sizes = np.array([[0, 7, 2, 8, 2, 1], [0, 2, 9, 9, 9, 2]]), {"d_model": 8, "n_heads": 2, "n_layers": 1}
    >>> for kind in ("first", "question", "marked"):
    ...     global_words(ids, LongformerConfig(20, **sizes, global_words=kind)).astype(int).tolist()
    [[1, 0, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0]]
    [[1, 1, 0, 0, 0, 0], [1, 0, 0, 0, 0, 0]]
    [[0, 0, 1, 0, 1, 0], [0, 1, 0, 0, 0, 1]]
    """
    marks, kind = ids == config.mark_id, config.global_words
    if kind == "marked":
        return marks
    if kind == "question":  # a text without a mark has no question
        return (np.cumsum(marks, axis=1) == 0) & marks.any(axis=1, keepdims=True)
    return np.broadcast_to((np.arange(ids.shape[1]) == 0) & (kind == "first"), ids.shape)


class Longformer(Bert):
    """An encoder of long texts: it turns ids into one vector for each position.

    Parameters
    ----------
    config : LongformerConfig
    rng : numpy.random.Generator
    dtype : float32 or float64

    Examples
    --------
    >>> config = LongformerConfig(20, d_model=16, n_heads=2, n_layers=1, windows="4", global_words="first")
    >>> body = Longformer(config, rng=np.random.default_rng(0))
    >>> body(np.full((2, 50), 7)).shape
    (2, 50, 16)
    """

    attention_kind = GlobalWindowAttention

    @classmethod
    def of_roberta(cls, body, **changes):
        """Return the Longformer that a RoBERTa becomes, as the published ones were made, to be trained on.

        The maps of global words begin as those of the others. If the new one reads longer texts, the vectors of positions are
        repeated, so that words near each other have the positions of neighbours nearly everywhere. A text that is no longer than
        a window's half gets the vectors that it had, whatever is global.

        Parameters
        ----------
        body : Bert
            With RoBERTa's positions, ``BertConfig.roberta``.
        **changes
            Settings of `LongformerConfig` that are others than RoBERTa's: ``max_len``, ``windows``, ...

        Raises
        ------
        ValueError
            If the body's positions are of another kind.

        Examples
        --------
        >>> sizes = {"max_len": 8, "d_model": 16, "n_heads": 2, "n_layers": 1}
        >>> roberta = Bert(BertConfig.roberta(20, **sizes), rng=np.random.default_rng(0))
        >>> Longformer.of_roberta(roberta, max_len=40, windows="8")(np.full((2, 30), 7)).shape
        (2, 30, 16)
        """
        if body.config.positions != "counted":
            raise ValueError(f"Longformer: the body's positions are {body.config.positions!r}, expected RoBERTa's, 'counted'")
        config = LongformerConfig(**asdict(body.config) | changes)
        arrays, first = body.state_dict(), config.pad_id + 1
        dtype = arrays["encoder.token.weight"].dtype
        longer = cls(config, rng=np.random.default_rng(0), dtype=dtype)
        table = arrays["encoder.place.weight"]
        arrays["encoder.place.weight"] = np.concatenate([table[:first], np.resize(table[first:], (config.max_len, table.shape[1]))])
        longer.load_state_dict({path: arrays[path.replace("_global.", ".")] for path, _ in longer.named_parameters()})
        return longer

    def core_maker(self, **draw):
        """Return the function that makes the core of a block's attention, block by block."""
        windows = iter(windows_of(self.config))

        def make(*, pattern, dropout):  # the pattern is `Bert`'s, FULL
            side, dilations = next(windows)
            return GlobalWindow(side, side, dilation=dilations, dropout=dropout)

        return make

    def forward(self, ids, tape=None, *, segments=None, is_global=None):
        """Return a vector for each word.

        Parameters
        ----------
        ids : integers (B, T)
        tape : Tape, optional
        segments : integers (B, T), optional
            As for `Bert`.
        is_global : booleans (B, T), optional
            Which words are global; without, those that ``global_words`` of the config says.

        Returns
        -------
        array (B, T, D)

        Raises
        ------
        ValueError
            If an id is not in the vocabulary, there are more words than ``max_len``, or shapes do not fit.
        """
        ids = np.asarray(ids)
        if ids.ndim == 2:  # `Bert` refuses other shapes
            is_global = global_words(ids, self.config) if is_global is None else is_global
            is_global = is_global & (ids != self.config.pad_id)
        return super().forward(ids, tape, segments=segments, is_global=is_global)
