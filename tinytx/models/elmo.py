"""ELMo, embeddings from language models (Peters et al. 2018, arXiv:1802.05365): the body, a language model in both directions.

The difference from `tinytx.models.char_rnn`: a second stack of layers reads the sentence from its end. A vector of the first
stack says what may follow the words so far, one of the second what may stand before the words from here on; both together
describe a word in its sentence, so that "walk" has one vector in "the walk" and another in "they walk". These vectors
are what the model is trained for: another task reads them all, mixed (`tinytx.layers.ScalarMix`).

The two stacks never meet. They share the table of tokens, and the output layer of their task
(`tinytx.tasks.NextAndPrevious`), and nothing else. If the second layer read both directions of the first
(`tinytx.layers.Bidirectional`), the word that it is to say would be in its input: position t - 1 of the first layer, from
the right, has read word t. Its loss falls to 0, and nothing is learned.

With x_t the token's vector (D,) and L layers, each direction has

    h_1 = LSTM_1(x),    h_j = LSTM_j(h_(j-1)) + h_(j-1)    for j > 1                                    (1)

and the body returns, for j = 0 .. L, [x; x] and [h_j from the left; h_j from the right].

A sentence is a row: the state is 0 before its first word, so its vectors do not depend on other sentences. (The published
program keeps the state from sentence to sentence.) The paper's LSTMs have 4,096 units and project to 512 at each step; here the
states are as wide as the vectors.

What x_t is, a row of the table `WORDS` says. As a rule it is a row of a table, by the word's id. In the paper it is made
of the word's characters (`tinytx.layers.CharacterWords`), so a word that was in no sentence of training has a vector
too: "walked" is read like "walks" and "talked". Then the body reads letters (B, T, C) in the place of ids. The words
that it predicts are those of a vocabulary in both cases. The paper has filters of 1 to 7 characters, 32 to 1,024 of
a width, for words of up to 50; here there are as many of each width.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from tinytx.core import Layer
from tinytx.data import N_CHARACTERS, spelled
from tinytx.layers import CharacterWords, Dropout, Embedding
from tinytx.layers.recurrent import CELLS
from tinytx.models.config import MOST_LAYERS, check_special_ids
from tinytx.settings import Settings, setting
from tinytx.shapes import check_axes, check_ids, check_rows


class Words(NamedTuple):
    """What the body reads of a sentence's words, and the layer that makes vectors of it: functions.

    Attributes
    ----------
    layer : (config, **draw) -> Layer
    read : (config, array) -> (array, mask)
        Check what the body was given; the mask (B, T) is False at padding.
    beside : (config, list of N str) -> tuple of arrays (N, ...)
        What a batch holds beside ids. The last array of a batch is what the body reads.
    """

    layer: Callable
    read: Callable
    beside: Callable


def _ids(config, ids):
    ids = check_rows("Elmo", check_ids("Elmo", ids, config.vocab_size))
    return ids, ids != config.pad_id


def _letters(config, letters):
    check_axes("Elmo", "letters", np.asarray(letters), "(B, T, C)")
    letters = check_ids("Elmo", letters, N_CHARACTERS, what="letter")
    return letters, check_rows("Elmo", letters.any(axis=2), "letters' first axes")


def _character_words(config, **draw):
    sizes = {name: getattr(config, name) for name in ("n_widths", "n_highways")}
    return CharacterWords(N_CHARACTERS, config.d_character, config.n_filters, config.d_model // 2, **sizes, **draw)


WORDS = {
    "table": Words(lambda config, **draw: Embedding(config.vocab_size, config.d_model // 2, **draw), _ids, lambda config, words: ()),
    "characters": Words(_character_words, _letters, lambda config, words: (spelled(words, config.max_characters),)),
}
BY_CHARACTERS = {"only": {"words": ("characters",)}}


class ElmoConfig(Settings):
    """What a language model in both directions is made of."""

    vocab_size: int = setting(help="number of tokens, V", minimum=1)
    d_model: int = setting(128, "width of a layer's vectors, 2 D: both directions side by side", minimum=2)
    n_layers: int = setting(2, "recurrent layers of each direction, one above the other, L", minimum=1, maximum=MOST_LAYERS)
    cell: str = setting("lstm", "what the layers compute at a position", choices=sorted(CELLS))
    dropout: float = setting(0.1, "dropout of what each layer reads, and of the last outputs, in training", minimum=0, below=1, free=True)
    words: str = setting("table", "what makes a word's vector: a table, or the word's characters", choices=sorted(WORDS))
    d_character: int = setting(16, "width of a character's vector", minimum=1, **BY_CHARACTERS)
    n_widths: int = setting(4, "widths of filters: from 1 to so many characters", minimum=1, maximum=64, **BY_CHARACTERS)
    n_filters: int = setting(32, "filters of each width", minimum=1, **BY_CHARACTERS)
    n_highways: int = setting(2, "highway layers behind the filters", minimum=0, maximum=MOST_LAYERS, **BY_CHARACTERS)
    max_characters: int = setting(18, "letters of a word, C, with a mark at each end; longer ones are cut", minimum=3, maximum=1024, **BY_CHARACTERS)
    pad_id: int = setting(0, "id of padding, behind the last token of a sentence", minimum=0)

    def __post_init__(self):
        super().__post_init__()
        check_special_ids(self, ("pad_id",), self.vocab_size)
        if self.d_model % 2:
            raise ValueError(f"ElmoConfig: d_model {self.d_model} has no half for each direction: give an even d_model")

    def beside(self, words):
        """Return what a batch holds beside the ids of N words, as `Words` has it: () or (letters (N, C),)."""
        return WORDS[self.words].beside(self, words)


class Elmo(Layer):
    """Two stacks of recurrent layers over embedded tokens: they turn ids into L + 1 vectors for each position.

    Parameters
    ----------
    config : ElmoConfig
    rng : numpy.random.Generator
        Embeddings are normal(0, 1), and other layers draw their own weights.
    dtype : float32 or float64

    Examples
    --------
    >>> body = Elmo(ElmoConfig(vocab_size=65), rng=np.random.default_rng(0))
    >>> layers = body(np.ones((2, 5), int))
    >>> layers.shape
    (2, 5, 3, 128)
    >>> from tinytx.layers import ScalarMix
    >>> ScalarMix(3)(layers).shape  # what another task reads, with shares that it learns
    (2, 5, 128)
    """

    def __init__(self, config, *, rng, dtype=np.float32):
        self.config, draw, d = config, {"rng": rng, "dtype": dtype}, config.d_model // 2
        self.token, self.dropout = WORDS[config.words].layer(config, **draw), Dropout(config.dropout)
        cell, numbers = CELLS[config.cell], range(config.n_layers)
        self.left_to_right = [cell(d, d, **draw) for _ in numbers]
        self.right_to_left = [cell(d, d, reverse=True, **draw) for _ in numbers]

    def forward(self, ids, tape=None):
        """Return the vectors of all layers at each position.

        Parameters
        ----------
        ids : integers (B, T), or (B, T, C)
            Sentences; `pad_id` behind the end of shorter ones. Where words are read by their characters, these, and 0
            behind the end of a word and of a sentence.
        tape : Tape, optional

        Returns
        -------
        array (B, T, L + 1, 2 D)
            Layer 0 is the token's vector twice. At padding, the layers above it are 0.

        Raises
        ------
        TypeError, ValueError
            If ids are not integers of this shape, or an id is not in the vocabulary.
        """
        ids, mask = WORDS[self.config.words].read(self.config, ids)
        x = self.token(ids, tape)
        halves = [self._read(stack, x, mask, tape) for stack in (self.left_to_right, self.right_to_left)]
        return np.concatenate(halves, axis=-1)

    def _read(self, stack, x, mask, tape):
        """Return x and the outputs of one direction's layers, (B, T, L + 1, D)."""
        layers = [x]
        for layer in stack:
            y, h = layer(self.dropout(layers[-1], tape), tape, mask=mask), layers[-1]
            layers.append(y + h if len(layers) > 1 else y)  # (1)
        return np.stack(layers, axis=2)

    def backward(self, dlayers, tape):
        """Add the gradients of all parameters; ids have none, so nothing is returned."""
        left, right = np.split(dlayers, 2, axis=-1)
        dx = self._read_backward(self.right_to_left, right, tape)
        self.token.backward(dx + self._read_backward(self.left_to_right, left, tape), tape)

    def _read_backward(self, stack, dlayers, tape):
        """Return dx (B, T, D)."""
        dh = dlayers[:, :, -1]
        for n, layer in reversed([*enumerate(stack)]):
            dread = self.dropout.backward(layer.backward(dh, tape), tape)
            dh = dlayers[:, :, n] + (dread + dh if n else dread)  # (1)
        return dh
