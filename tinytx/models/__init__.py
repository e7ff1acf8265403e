"""Models: one file for each paper, with a config and the wiring of layers."""

from tinytx.models.gpt import GPT, GPTConfig
from tinytx.models.transformer import Transformer, TransformerConfig

MODELS = {  # name in a checkpoint -> model and config
    "gpt": (GPT, GPTConfig),
    "transformer": (Transformer, TransformerConfig),
}

__all__ = ["GPT", "GPTConfig", "MODELS", "Transformer", "TransformerConfig"]
