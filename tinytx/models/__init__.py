"""Models: one file for each paper, with a config and the wiring of layers."""

from tinytx.models.gpt import GPT, GPTConfig

__all__ = ["GPT", "GPTConfig"]
