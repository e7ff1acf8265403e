"""Toy models for decoding: a table of conditional probabilities, and a GPT with clear preferences."""

import itertools
from types import SimpleNamespace

import numpy as np

from tinytx.models import GPT, GPTConfig
from tinytx.tasks import NextToken


class Table:
    """A decoder-only model whose next token depends on all tokens before it, by a random but fixed table.

    It keeps the past in the state that it is given, as attention does: a wrong row there is a wrong table.
    """

    pads_prompts, slides = False, True

    def __init__(self, vocab_size, max_len=20, seed=0, scale=1.5, impossible=()):
        self.config, self.vocab_size = SimpleNamespace(max_len=max_len), vocab_size
        self.seed, self.scale, self.impossible = seed, scale, list(impossible)
        self._known = {}

    def begin(self, ids):
        return ids, ()

    def last_logits(self, new, *, state):
        return self.all_logits(new, state=state)[:, -1]

    def all_logits(self, new, *, state):
        with state.forward():
            past, _ = state.next().extend(*[new[:, None, :, None]] * 2)
        stops = range(past.shape[2] - new.shape[1] + 1, past.shape[2] + 1)
        return np.stack([[self.row(row[:stop]) for stop in stops] for row in past[:, 0, :, 0]])

    def row(self, past):
        """The logits (V,) after these tokens."""
        key = tuple(int(token) for token in past)
        if key not in self._known:
            logits = np.random.default_rng([self.seed, *key]).normal(scale=self.scale, size=self.vocab_size)
            logits[self.impossible] = -np.inf
            self._known[key] = logits
        return self._known[key]

    def log_probs(self, past):
        """ln p of each next token, computed plainly."""
        logits = self.row(past)
        return logits - np.log(np.exp(logits).sum())


class Listed(Table):
    """A table written down: {past: probabilities}; what is not listed is uniform."""

    def __init__(self, vocab_size, table, max_len=20):
        super().__init__(vocab_size, max_len)
        with np.errstate(divide="ignore"):
            self._known = {past: np.log(np.array(p)) for past, p in table.items()}

    def row(self, past):
        return self._known.get(tuple(int(token) for token in past), np.zeros(self.vocab_size))


class Pairs:
    """An encoder-decoder around a table: the source, which it reads from the memory, is its prompt."""

    pads_prompts, slides = True, False

    def __init__(self, table, pad_id, start_id, stop_id):
        self.table, self.vocab_size = table, table.vocab_size
        self.config = SimpleNamespace(max_len=table.config.max_len, pad_id=pad_id, start_id=start_id, stop_id=stop_id)

    def begin(self, source):
        first = np.full((len(source), 1), self.config.start_id)
        return first, (source[:, :, None].astype(np.float64), (source != self.config.pad_id)[:, None, None, :])

    def last_logits(self, new, memory, source_mask, *, state):
        assert len(new) == len(memory) == len(source_mask)
        with state.forward():
            past, _ = state.next().extend(*[new[:, None, :, None]] * 2)
        sources = [m[keep, 0] for m, keep in zip(memory, source_mask[:, 0, 0], strict=True)]
        return np.stack([self.table.row([*source, *row]) for source, row in zip(sources, past[:, 0, :, 0], strict=True)])


def all_sequences(table, prompt, n_tokens, stop):
    """Yield (ids, ln p) of every sequence that ends with ``stop``, or has ``n_tokens`` tokens and none."""
    others = [token for token in range(table.vocab_size) if token != stop]
    for n in range(1, n_tokens + 1):
        for beginning in itertools.product(others, repeat=n - 1):
            for last in [stop] if n < n_tokens else range(table.vocab_size):
                ids = (*beginning, last)
                yield ids, sum(table.log_probs([*prompt, *ids[:i]])[token] for i, token in enumerate(ids))


def random_gpt(vocab_size=11, max_len=12, dtype=np.float64, scale=1.0, seed=1):
    """A GPT with weights large enough that its logits differ clearly."""
    config = GPTConfig(vocab_size=vocab_size, max_len=max_len, d_model=12, n_heads=3, n_layers=2)
    model, rng = NextToken(GPT(config, rng=np.random.default_rng(0), dtype=dtype)), np.random.default_rng(seed)
    for parameter in model.parameters():
        parameter.data[...] = scale * rng.standard_normal(parameter.data.shape)
    return model
