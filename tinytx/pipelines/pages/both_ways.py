"""The page of a model that reads a sentence in both directions (ELMo): what each of them reads, its states, both losses."""

from typing import NamedTuple

from tinytx.core import Layer
from tinytx.data import Tokenizer
from tinytx.pipelines.load import read_tokenizer
from tinytx.pipelines.pages.explanation import Explanation, likeliest, losses, refuse, size
from tinytx.pipelines.pages.layout import heading, paragraph, words
from tinytx.pipelines.pages.states import states
from tinytx.pipelines.texts import encode_framed, known_form, unknown_note
from tinytx.tasks import NextAndPrevious
from tinytx.wording import counted


class BothWays(NamedTuple):
    """A trained `NextAndPrevious`, and its tokenizer.

    Examples
    --------
    >>> print(explain(BothWays(model, tokenizer), "they walk home").page)  # doctest: +SKIP
    """

    model: Layer
    tokenizer: Tokenizer
    tasks = (NextAndPrevious,)

    @classmethod
    def of(cls, model, meta, place):
        """Return the pipeline of a checkpoint; raise ValueError if its tokenizer does not fit the model."""
        config = model.config
        return cls(model, read_tokenizer(place, meta.get("tokenizer"), config.vocab_size, config, "pad_id"))

    def read(self, text):
        """Return (ids (1, T), (letters,) or (), the T words, notes) of a sentence; raise ValueError if it has less than 2 tokens."""
        text = known_form(self.tokenizer, text)
        ids = encode_framed(self.tokenizer, text)[0][None]
        letters = tuple(array[None] for array in self.model.config.beside(_spelling(self.tokenizer, ids[0], text)))
        if ids.size < 2:
            raise ValueError(f"the text has {counted(ids.size, 'token')}, expected at least 2")
        return ids, letters, self.tokenizer.tokens(ids[0]), unknown_note(self.tokenizer, text)


def explain_both_ways(trained, text, target=None, tokens=None):
    """Return the page of a sentence's next and previous words."""
    model, tokenizer = trained
    refuse(model, target=target, tokens=tokens)
    ids, letters, names, notes = trained.read(text)
    read = (ids, *letters)[-1]
    page = "\n".join(_page(model, tokenizer, ids, names, read))
    return Explanation(page, notes, model, (read,), (names,), "")


def _spelling(tokenizer, ids, text):
    """Return the words of a text as it writes them, in the frame of ids, also those that are unknown."""
    unknown = iter(tokenizer.unknown(text))
    return [next(unknown, name) if i == tokenizer.unk_id else name for i, name in zip(ids.tolist(), tokenizer.tokens(ids))]


def _page(model, tokenizer, ids, names, read):
    logits, n = model(read)[0], ids.size - 1  # (T, 2, V)
    yield size(model.body, f"{counted(model.config.n_layers, 'layer')} in each direction", "sentence")
    yield heading(f"1. The model reads the sentence twice: ids (B, T) = {ids.shape}")
    yield words(names, ids[0])
    if read is not ids:
        yield paragraph(
            f"It makes each word's vector of the word's letters (B, T, C) = {read.shape}: bytes of UTF-8, a mark in front and one "
            "behind. So it reads unknown words, too; what it says are words of its vocabulary."
        )
    yield paragraph(
        "One stack of layers reads from left to right, and says the next word of each; another one reads from right to left, "
        "and says the previous word. They never meet, so neither knows the word that it is to say."
    )
    yield heading("2. What is carried along")
    yield from states(model, (read,), (names,))
    means = []
    sides = (("next", logits[:-1, 0], names[:-1], ids[0, 1:]), ("previous", logits[1:, 1], names[1:], ids[0, :-1]))
    for number, (side, scores, read, labels) in enumerate(sides, start=3):
        lines, mean = losses(scores, read, labels, tokenizer.names)
        means.append(mean)
        yield heading(f"{number}. The loss of the {side} word: logits (B, T, 2, V) = {(1, *logits.shape)}")
        yield lines
        yield f"\nMean over {counted(n, 'word')}: {mean:.4f} nats"
        yield likeliest(scores, read, tokenizer.names)
    yield f"\nThe loss of training is the sum of both means: {sum(means):.4f} nats"
