"""A trained language model continues a text."""

from typing import NamedTuple

import numpy as np

from tinytx.core import Layer
from tinytx.data import Tokenizer
from tinytx.decoding import generate
from tinytx.pipelines.load import read_tokenizer
from tinytx.pipelines.texts import encode_known, known_form
from tinytx.tasks import NextToken


class Writer(NamedTuple):
    """A trained GPT, or a model of yours that `tinytx.decoding.generate` can ask, and its tokenizer.

    Examples
    --------
    >>> "".join(Writer(model, tokenizer).write("To be", 100, temperature=0.8))  # doctest: +SKIP
    """

    model: Layer
    tokenizer: Tokenizer
    task = NextToken

    @classmethod
    def of(cls, model, meta, place):
        """Return the pipeline of a checkpoint; raise ValueError if its tokenizer does not fit the model."""
        return cls(model, read_tokenizer(place, meta.get("tokenizer"), model.config.vocab_size, model.config))

    @property
    def default_prompt(self):
        """A line break, or the first token of a vocabulary without one."""
        return "\n" if "\n" in self.tokenizer.names else self.tokenizer.names[0]

    def write(self, prompt=None, n_tokens=500, *, stop=None, **options):
        """Yield a prompt, and then text after text that continues it, as it is made.

        Parameters
        ----------
        prompt : str, optional
            Without it, `default_prompt`.
        n_tokens : int
        stop : str, optional
            The text ends after the first of these tokens.
        **options
            ``temperature``, ``top_k``, ``top_p`` and ``rng`` of `tinytx.decoding.generate`.

        Raises
        ------
        ValueError
            If a text has tokens that the model does not know, or an option is out of range.
        """
        prompt = known_form(self.tokenizer, prompt or self.default_prompt)
        ids = encode_known(self.tokenizer, prompt, "the prompt")
        if stop is not None:
            stop = encode_known(self.tokenizer, known_form(self.tokenizer, stop), "the text to stop after")
        options = {"rng": np.random.default_rng()} | options
        tokens = generate(self.model, ids[None], n_tokens, stop=stop, **options)
        yield prompt
        yield from map(self.tokenizer.decode, tokens)
