"""A trained language model continues a text."""

from typing import NamedTuple

import numpy as np

from tinytx.core import Layer
from tinytx.data import Tokenizer
from tinytx.decoding import generate, speculate
from tinytx.pipelines.asked import rules_of
from tinytx.pipelines.load import read_tokenizer
from tinytx.pipelines.texts import encode_known, known_form
from tinytx.tasks import NextToken, TextClassesNextToken


class Writer(NamedTuple):
    """A trained GPT, or a model of yours that `tinytx.decoding.generate` can ask, and its tokenizer.

    Examples
    --------
    >>> "".join(Writer(model, tokenizer).write("To be", 100, temperature=0.8))  # doctest: +SKIP
    """

    model: Layer
    tokenizer: Tokenizer
    tasks = (NextToken, TextClassesNextToken)

    @classmethod
    def of(cls, model, meta, place):
        """Return the pipeline of a checkpoint; raise ValueError if its tokenizer does not fit the model."""
        return cls(model, read_tokenizer(place, meta.get("tokenizer"), model.config.vocab_size, model.config))

    @property
    def default_prompt(self):
        """A line break, or the first token of a vocabulary without one that is not special."""
        names, special = self.tokenizer.names, self.tokenizer.special_ids
        return "\n" if "\n" in names else self.tokenizer.decode([next(i for i in range(len(names)) if i not in special)])

    @property
    def stop_id(self):
        """The token that ends a text: that of the model's config, or else of the tokenizer; None if there is none."""
        return getattr(self.model.config, "stop_id", self.tokenizer.stop_id)

    def encode(self, text, place="the prompt"):
        """Return the ids (T,) of a text to continue; raise ValueError if there are none, or the model does not know one."""
        ids = encode_known(self.tokenizer, known_form(self.tokenizer, text), place)
        if not len(ids):
            raise ValueError(f"{place} is {text!r:.60}, which has no token to continue: write some text")
        return ids

    def write(self, prompt=None, n_tokens=500, *, stop=None, draft=None, **options):
        """Yield a prompt, and then text after text that continues it, as soon as it is whole.

        Parameters
        ----------
        prompt : str, optional
            Without it, `default_prompt`.
        n_tokens : int
        stop : str, optional
            The text ends after the first of these tokens.
        draft : Writer, optional
            A smaller model that proposes tokens, so that the same distribution of texts takes less time where the model is large.
        **options
            ``temperature``, ``top_k``, ``top_p`` and ``rng`` of `tinytx.decoding.generate`; with ``draft`` also ``draft_tokens`` and ``counts``
            of `tinytx.decoding.speculate`.

        Raises
        ------
        ValueError
            If a text has tokens that the model does not know, or an option is out of range; if the draft's tokens are others, or it or the model
            is not of a kind that `tinytx.decoding.speculate` takes.
        """
        prompt = known_form(self.tokenizer, prompt or self.default_prompt)
        ids = self.encode(prompt)
        if stop is not None:
            stop = encode_known(self.tokenizer, known_form(self.tokenizer, stop), "the text to stop after")
        defaults = {"rng": np.random.default_rng(), "stop": self.stop_id if stop is None else stop, "rules": rules_of(self.model)}
        options = defaults | options
        if draft is None:
            tokens = generate(self.model, ids[None], n_tokens, **options)
        else:
            self._check_draft(draft)
            tokens = speculate(self.model, draft.model, ids[None], n_tokens, **options)
        yield prompt
        yield from self._texts(ids.tolist(), tokens)

    def _check_draft(self, draft):
        """Raise ValueError unless a draft's ids stand for the same tokens."""
        mine, others = self.tokenizer.names, draft.tokenizer.names
        if mine != others:
            same = len(mine) == len(others) and next(i for i, both in enumerate(zip(mine, others)) if both[0] != both[1])
            facts = f"{len(others)} tokens, and the model {len(mine)}" if same is False else f"{others[same]!r} with id {same}, and the model {mine[same]!r}"
            raise ValueError(f"the draft has {facts}, expected the same tokens: take one that was trained on the same text")

    def _texts(self, before, tokens):
        """Yield what each of the tokens (1,) adds to the text: a part of a character waits for its other parts."""
        new = []
        for token in tokens:
            new += token.tolist()
            text = self.tokenizer.decode(before + new)
            if not text.endswith("\ufffd"):
                yield text.removeprefix(self.tokenizer.decode(before))
                before, new = new, []
        if new:
            yield self.tokenizer.decode(before + new).removeprefix(self.tokenizer.decode(before))
