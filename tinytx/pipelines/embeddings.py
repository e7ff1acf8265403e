"""The word vectors of a trained model, and which of them to show."""

import numpy as np

from tinytx.data.tokenizers.graphemes import count_letters

SHOWN = 6  # words whose neighbours are named where none was asked for


def word_vectors(trained, side="source"):
    """Return the words of a trained model, and the rows of its embedding.

    Parameters
    ----------
    trained : Writer, Filler, Words or Translator
    side : {"source", "target"}
        Of a Translator.

    Returns
    -------
    words : list of str
        Without special tokens, and in lower case if the tokenizer reads no other.
    vectors : float array (V, D)
    lower : bool
    """
    model, tokenizer = trained.model, getattr(trained, "tokenizer", None)
    stack = getattr(model.body, "encoder", model.body)
    if tokenizer is None:
        tokenizer = getattr(trained, f"{side}_tokenizer")
        stack = {"source": model.body.encoder, "target": model.body.decoder}[side]
    own = np.delete(np.arange(tokenizer.vocab_size), tokenizer.special_ids)
    return [tokenizer.names[i] for i in own], stack.token.weight.data[own], getattr(tokenizer, "lower", False)


def common(words):
    """Return some of the first words that mean something: of four letters or more, or what there is.

    >>> common(["the", ",", "name", "##ing", "value"])
    ['name', 'value']
    >>> common(["।", "है", "विश्वविद्यालय"])
    ['विश्वविद्यालय']
    """
    long = [word for word in words if count_letters(word) > 3]
    some = long or [word for word in words if any(map(str.isalnum, word))]
    return (some or words)[:SHOWN]


def telling_decimals(vectors):
    """Return so many digits after the decimal point that a typical entry has two that count, and at least 2.

    >>> telling_decimals(np.array([[0.9, -1.1]])), telling_decimals(np.array([[0.02, -0.02]]))
    (2, 4)
    """
    size = float(np.sqrt(np.mean(np.square(vectors, dtype=np.float64))))
    return 2 + max(0, round(-np.log10(size))) if size > 0 else 2
