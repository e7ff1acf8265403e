"""Models: one file for each paper, with a config and a body, which turns ids into vectors."""

from tinytx.models.bert import Bert, BertConfig
from tinytx.models.char_lstm import CharLSTM, CharLSTMConfig
from tinytx.models.gpt import GPT, GPTConfig
from tinytx.models.transformer import Transformer, TransformerConfig

MODELS = {  # name in a checkpoint -> model and config
    "bert": (Bert, BertConfig),
    "char_lstm": (CharLSTM, CharLSTMConfig),
    "gpt": (GPT, GPTConfig),
    "transformer": (Transformer, TransformerConfig),
}

__all__ = ["Bert", "BertConfig", "CharLSTM", "CharLSTMConfig", "GPT", "GPTConfig", "MODELS", "Transformer", "TransformerConfig"]
