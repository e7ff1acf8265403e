"""Decoding: tokens out of a trained model."""

from tinytx.decoding.generate import choose, generate

__all__ = ["choose", "generate"]
