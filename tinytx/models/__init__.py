"""Models: one file for each paper, with a config and the wiring of layers."""

from tinytx.models.gpt import GPT, GPTConfig

MODELS = {"gpt": (GPT, GPTConfig)}  # name in a checkpoint -> model and config

__all__ = ["GPT", "GPTConfig", "MODELS"]
