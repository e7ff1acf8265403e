"""RoBERTa: ``RobertaModel``, ``RobertaForMaskedLM``, and the heads for classes, tags and spans.

Names as BERT's, but for the heads. "max_position_embeddings" counts the rows of the table of positions, 514 for texts of 512
tokens: the first ``pad_token_id + 1`` rows stand at no word.
"""

from dataclasses import replace
from typing import NamedTuple

from tinytx.arguments import check_whole
from tinytx.hub.bert import BERT, class_keys, class_settings, heads_of
from tinytx.hub.keys import NEEDED, Key

ROWS = "max_position_embeddings"


class Rows(NamedTuple):
    """The key "max_position_embeddings", which is read and written as a `tinytx.hub.keys.Key` is."""

    setting: str = "max_len"
    default: object = NEEDED

    def read(self, name, value):
        """Return {our setting: value}, of which `normalised` has subtracted the rows of no word."""
        return {self.setting: value}

    def write(self, config):
        """Return the number of rows."""
        return config.max_len + config.pad_id + 1


def normalised(published, names):
    """Return config.json with the tokens of the longest text in place of the table's rows."""
    if ROWS not in published:
        return published
    pad_id = check_whole("config.json", "pad_token_id", published.get("pad_token_id", 1), 0)
    rows = check_whole("config.json", ROWS, published[ROWS], pad_id + 2)
    return published | {ROWS: rows - pad_id - 1}


def heads_like_roberta(family):
    """Return the heads of a family whose names are RoBERTa's, as "Longformer" has them."""
    words = {"transform.linear": "lm_head.dense", "transform.norm": "lm_head.layer_norm", "head": "lm_head"}
    classes = "classifier.dense", "classifier.out_proj"
    return heads_of(family, f"{family.lower()}.", words, *classes, settings=class_settings, keys=class_keys)


ROBERTA = replace(
    BERT,
    model_type="roberta",
    keys=BERT.keys | {ROWS: Rows(), "layer_norm_eps": Key("eps", 1e-5), "pad_token_id": Key("pad_id", 1)},
    fixed=BERT.fixed | {"hidden_act": ("gelu",)},  # the head of words has it, whatever is said here
    settings=BERT.settings | {"positions": "counted"},
    names={name: theirs for name, theirs in BERT.names.items() if name != "encoder.position"}
    | {"encoder.place": "embeddings.position_embeddings"},
    heads=heads_like_roberta("Roberta"),
    copies={
        "lm_head.decoder.weight": ("embeddings.word_embeddings.weight",),
        "lm_head.decoder.bias": ("lm_head.bias",),
    },
    skipped=r"(roberta\.)?embeddings\.(position_ids|token_type_ids)",
    normalised=normalised,
)
