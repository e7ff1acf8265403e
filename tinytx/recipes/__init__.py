"""Recipes: one file for each trained thing, with its settings, its data, what is measured, and the figure to expect."""

from typing import NamedTuple


class Recipe(NamedTuple):
    """A recipe as the list shows it; its file in this package has its name."""

    system: str
    paper: str
    data: str
    minutes: str
    expected: str
    help: str


RECIPES = {
    "gpt": Recipe(
        "GPT", "nanoGPT; Radford et al. 2019", "built-in text, or --data FILE", "1.5", "validation loss 1.40",
        "a character-level GPT",
    ),
    "transformer": Recipe(
        "Transformer", "arXiv:1706.03762", "generated dates", "4", "exact match 0.9996",
        "an encoder-decoder that writes dates in ISO form",
    ),
    "pairs": Recipe(
        "Transformer", "arXiv:1706.03762", "--pairs FILE.tsv", "by the file", "by the file",
        "an encoder-decoder that translates pairs of yours",
    ),
    "bert": Recipe(
        "BERT", "arXiv:1810.04805", "built-in text, or --data FILE", "4", "26 % guessed right",
        "an encoder that fills in hidden words",
    ),
    "tutorial": Recipe(
        "BERT", "Whiax, BERT-Transformer-Pytorch", "--data FILE (europarl.fr)", "hours", "by the file",
        "the same with the settings of the from-scratch tutorial",
    ),
    "wordpieces": Recipe(
        "BERT", "arXiv:1810.04805", "built-in text, or --data FILE", "by the file", "by the file",
        "the same with pieces of words and pairs of sentences",
    ),
}  # fmt: skip
