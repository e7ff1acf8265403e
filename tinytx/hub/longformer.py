"""Longformer: ``LongformerModel``, ``LongformerForMaskedLM``, and the heads for classes, tags and spans.

Names as RoBERTa's, and three more linear maps in each block. "attention_window" is a number, or a list with one for each block.

Their classes for texts make the first word global, and those for questions all words before the first separator; to the others
one has to say which words are (``global_attention_mask``). Here it is the setting ``global_words``, which config.json does not
have: it is read from the class, and written as a key that they ignore. Dilated windows are in the paper, but not in their
classes. Their windows of 2 fail.
"""

from dataclasses import replace
from typing import NamedTuple

from tinytx.hub import roberta
from tinytx.hub.keys import Key
from tinytx.hub.roberta import ROBERTA, heads_like_roberta
from tinytx.models import Longformer, LongformerConfig
from tinytx.models.longformer import windows_of

WINDOW, GLOBAL = "attention_window", "global_words"
TEXTS, QUESTIONS = "LongformerForSequenceClassification", "LongformerForQuestionAnswering"
BY_CLASS = {TEXTS: "first", QUESTIONS: "question"}


class Windows(NamedTuple):
    """The key "attention_window", which is read and written as a `tinytx.hub.keys.Key` is."""

    setting: str = "windows"
    default: object = 512

    def read(self, name, value):
        """Return {our setting: value} of a number, or of a list of numbers."""
        return {self.setting: ",".join(map(str, value if isinstance(value, list) else [value]))}

    def write(self, config):
        """Return the number, or the list of all blocks."""
        windows = [2 * side for side, _ in windows_of(config)]
        return windows if "," in config.windows else windows[0]


def normalised(published, names):
    """Return config.json as RoBERTa's is returned, with what its class says of global words.

    Raises
    ------
    ValueError
        If there is a list of windows, but not one for each block.
    """
    published, blocks = roberta.normalised(published, names), published.get("num_hidden_layers")
    windows, said = published.get(WINDOW), published.get("architectures") or [None]
    if isinstance(windows, list) and len(windows) != blocks:
        raise ValueError(f"config.json: {WINDOW} has {len(windows)} numbers, expected one for each of {blocks} blocks")
    return {GLOBAL: BY_CLASS.get(said[0], "none")} | published


def _only_where(head, name):
    """Return a head that a task is published as only if its body has the global words that their class has."""
    return replace(head, fits=lambda task: head.fits(task) and task.config.global_words == BY_CLASS[name])


HEADS = heads_like_roberta("Longformer")
LONGFORMER = replace(
    ROBERTA,
    model_type="longformer",
    body=Longformer,
    config=LongformerConfig,
    keys=ROBERTA.keys | {WINDOW: Windows(), "sep_token_id": Key("mark_id", 2), GLOBAL: Key("global_words", "none"),
                         "layer_norm_eps": Key("eps", 1e-12)},
    settings=ROBERTA.settings | {"dilations": "1", "dilated_heads": None},
    names=ROBERTA.names
    | {
        f"encoder.blocks.{{}}.attention.f.{name}_global": f"encoder.layer.{{}}.attention.self.{name}_global"
        for name in ("query", "key", "value")
    },
    heads=HEADS | {name: _only_where(HEADS[name], name) for name in BY_CLASS},
    skipped=r"(longformer\.)?embeddings\.(position_ids|token_type_ids)",
    normalised=normalised,
)  # fmt: skip
