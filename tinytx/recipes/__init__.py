"""Recipes: one file for each trained thing, with its settings, its data, what is measured, and the figure to expect."""

import importlib
from pathlib import Path

from tinytx.extras import import_file
from tinytx.recipes.data_files import DataFile
from tinytx.recipes.recipe import Expect, Prepared, Recipe

RECIPES = {  # name of a file in this package -> what it trains
    "gpt": "a character-level GPT",
    "gpt_modern": "the same with the parts of a Llama",
    "mixtral": "the same with experts, of which each character uses two",
    "few_shot": "a GPT that learns a rule from examples in its context",
    "char_rnn": "a recurrent net that says the next character",
    "elmo": "recurrent nets in both directions whose layers tell tags",
    "sentiment_unit": "a recurrent net in which one unit says whether a review praises",
    "word2vec": "vectors of words that stand near each other",
    "glove": "vectors of words whose products say how often two stand near each other",
    "transformer_xl": "a transformer that remembers earlier segments of its text, character by character",
    "xlnet": "a transformer that predicts characters in any order, from both sides of them",
    "nplm": "a network that reads four words and says the next",
    "awd_lstm": "a regularised LSTM that says the next word",
    "ulmfit": "the same, which then learns classes of texts from few labels",
    "recurrent_seq2seq": "recurrent nets with attention that write dates in ISO form",
    "ntm": "a net with a memory that copies sequences",
    "reformer": "a transformer that copies long words, of which it sees what a hash finds",
    "transformer": "an encoder-decoder that writes dates in ISO form",
    "t5": "a T5 that does the same",
    "t5_tasks": "a T5 that learns five small tasks at once",
    "t5_text": "a T5 that says the words cut out of a text",
    "bart": "an encoder-decoder that restores noised texts",
    "unilm": "one stack that reads in three ways, and writes dates",
    "pointer": "a pointer network that sorts numbers",
    "gatr": "a transformer with geometry built in that says where planets go",
    "alignment": "an encoder-decoder that says which word translates which",
    "pairs": "an encoder-decoder that translates pairs of yours",
    "bert": "an encoder that fills in hidden words",
    "bert_modern": "the same, made of the parts of today's models",
    "linformer": "the same, with attention to a few sums of words",
    "longformer": "an encoder of long texts that finds what it was told 1,000 words before",
    "tutorial": "BERT with the settings of the from-scratch tutorial",
    "wordpieces": "BERT with pieces of words and pairs of sentences",
    "albert": "an encoder of one block, with pieces of words and the order of sentences",
    "roberta": "an encoder of byte pairs that fills in hidden words of whole sentences",
    "reviews": "an encoder that tells two classes of texts apart",
    "tags": "an encoder that tags each word of a sentence",
    "digits": "a ViT that tells handwritten digits apart",
    "simple_digits": "a SimpleViT that does the same",
}


def load_recipe(name):
    """Return the `Recipe` of a name, or of a Python file of your own that holds one as ``RECIPE``.

    Parameters
    ----------
    name : str
        One of ``RECIPES``, or the path of a file that ends with .py. The file is run; it may import its neighbours.

    Raises
    ------
    ValueError
        If there is no such recipe, or the file raises an error: the message names its line.
    """
    if name in RECIPES:
        return importlib.import_module(f"tinytx.recipes.{name}").RECIPE
    if Path(name).suffix != ".py" or not Path(name).is_file():
        raise ValueError(f"{name!r} is no recipe: expected one of {', '.join(RECIPES)}, or a Python file with a RECIPE")
    module = import_file(name)
    if not hasattr(module, "RECIPE"):
        raise ValueError(f"{name} holds no RECIPE: set RECIPE = tinytx.recipes.Recipe(...) in it")
    return module.RECIPE


__all__ = ["DataFile", "Expect", "Prepared", "RECIPES", "Recipe", "load_recipe"]
