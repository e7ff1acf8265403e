r"""Speculative decoding: a small model proposes tokens, a large one reads several at once, and the text is as the large one alone would write it.

Leviathan, Kalman and Matias 2023 (arXiv:2211.17192); Chen et al. 2023 (arXiv:2302.01318) found the same.

To write one token a large model reads all of its weights. To say how probable each of k + 1 given tokens is it reads them once, too, which
takes hardly longer, as long as reading them is what takes the time. So a draft model, which is fast, proposes k tokens one by
one, and the large model, the target, reads them together.

Why the distribution stays what it was
--------------------------------------
Let p(x) be the probability with which the target alone would choose the next token x, after temperature, top-k, top-p and rules, and q(x) that
with which the draft does, by the same settings. A token x, drawn from q, is accepted with probability

    a(x) = min(1, p(x) / q(x)).                                          (1)

If it is not, a token is drawn from what p has more than q, scaled to a sum of 1:

    r(x) = (p(x) - q(x))+ / sum_y (p(y) - q(y))+,   (u)+ = max(u, 0).    (2)

The token x is then chosen with probability p(x). It is proposed and accepted with probability q(x) a(x) = min(q(x), p(x)). A proposal is
rejected, whichever it is, with probability

    1 - sum_y min(q(y), p(y)) = sum_y (p(y) - min(q(y), p(y))) = sum_y (p(y) - q(y))+,    (3)

the divisor of (2), so that x comes from (2) with probability (p(x) - q(x))+ in all, and

    min(q(x), p(x)) + (p(x) - q(x))+ = p(x).                             (4)

That holds for any q that was settled before x was drawn. The second proposal is looked at only if the first is accepted; then the text before
it is the one that the target read, and (4) holds again, and so on. Proposals behind a rejected one are thrown away. If all k are
accepted, the target has read the last one as well, and one token more is drawn from its p.

With temperature 0 p and q are 1 at one token each: a proposal is accepted if it is the target's own choice, and (2) is this choice.

When it pays
------------
If each proposal is accepted with probability a, one call of the target gives, on average,

    1 + a + a^2 + ... + a^k = (1 - a^(k+1)) / (1 - a)                    (5)

tokens, for the time of k tokens of the draft and of one call on k + 1 tokens. `benchmarks/speculative.py` measures both.

What is exact
-------------
(4) is about p of k + 1 positions read together, where `generate` reads them one by one. Both are the same sums in another order, and differ by rounding, in
float32 in the seventh digit: where two tokens are as probable as each other to that digit, temperature 0 may choose the other one.
"""

from dataclasses import dataclass

import numpy as np

from tinytx.arguments import check_whole
from tinytx.decoding.choose import Distribution, check_settings, draw, pick
from tinytx.decoding.rules import Past, check_possible, obeyed
from tinytx.decoding.sessions import Ending, sessions_of


@dataclass
class Speculation:
    """What `speculate` counts while it writes.

    Attributes
    ----------
    tokens : int
        Tokens that were written.
    calls : int
        Calls of the target, that on the prompt included.
    proposed, accepted : int
        Proposals that the target has looked at, and those of them that it took. Proposals behind a rejected one do not count.
    """

    tokens: int = 0
    calls: int = 0
    proposed: int = 0
    accepted: int = 0

    @property
    def acceptance(self):
        """The share of proposals that were accepted, a of (5); NaN before the first."""
        return self.accepted / self.proposed if self.proposed else float("nan")

    @property
    def tokens_per_call(self):
        """How many tokens a call of the target gave; NaN before the first."""
        return self.tokens / self.calls if self.calls else float("nan")


def speculate(
    model, draft, ids, n_tokens, *, draft_tokens=4, temperature=1.0, top_k=None, top_p=None, rng=None, stop=None, rules=(), counts=None
):
    """Continue a text as `generate` does, with tokens that a small model proposes: the same distribution in less time.

    Parameters
    ----------
    model : NextToken
        The target: whose text it is. What it remembers must belong to single positions, as keys and values do.
    draft : NextToken
        A faster model with the same tokens. The more often it is right, the more tokens a call of the target gives. It may be of any kind, and
        have another ``max_len``.
    ids : integers (T,) or (1, T)
        The prompt, as for `generate`.
    n_tokens : int
    draft_tokens : int
        k, how many tokens the draft proposes at a time, at least 1; fewer where fewer are left, or where ``max_len`` of the target is near.
    temperature, top_k, top_p, rng, stop, rules
        As for `generate`. Both models obey them.
    counts : Speculation, optional
        Counts calls and proposals.

    Returns
    -------
    iterator of int64 array (1,)
        The tokens. The prompt is read before it is returned.

    Raises
    ------
    TypeError, ValueError
        As for `generate`; if there are several prompts, the models have different numbers of tokens, or the target is not as above.

    Examples
    --------
    >>> from tinytx.models import GPT, GPTConfig
    >>> from tinytx.tasks import NextToken
    >>> model, draft = (
    ...     NextToken(GPT(GPTConfig(vocab_size=9, max_len=16, d_model=width), rng=np.random.default_rng(0))) for width in (64, 8)
    ... )
    >>> counts = Speculation()
    >>> len(list(speculate(model, draft, [1, 2, 3], 12, rng=np.random.default_rng(0), counts=counts)))
    12
    >>> counts.tokens == 12 > counts.calls
    True
    """
    settings, k = (temperature, top_k, top_p, rng), check_whole("speculate", "draft_tokens", draft_tokens)
    check_settings("speculate", *settings)
    ids = _one_prompt(ids)
    if not isinstance(counts, (Speculation, type(None))):
        raise TypeError(f"speculate: counts is {counts!r:.60}, expected a Speculation, which counts calls and proposals, or None")
    if model.vocab_size != draft.vocab_size:
        facts = f"the model has {model.vocab_size} tokens and the draft {draft.vocab_size}"
        raise ValueError(f"speculate: {facts}, expected the same ones: take a draft that was trained with the model's tokenizer")
    for name, each in (("model", model), ("draft", draft)):
        if not hasattr(each, "all_logits"):
            facts = f"the {name} is of {type(each).__name__}, which has no all_logits: the logits after each of several tokens"
            raise TypeError(f"speculate: {facts}; expected one that continues a text, such as NextToken: use generate")
    ((_, target, n_tokens),) = sessions_of("speculate", model, ids, n_tokens, slide=True, n_back=k + 1)
    ((_, proposer, _),) = sessions_of("speculate, draft", draft, ids, n_tokens, slide=True, n_back=k + 1)
    ending = Ending("speculate", model, model.vocab_size, stop, None)
    scorer = _Scorer(settings, rules, target.first.shape[1], n_tokens, ending.table)
    logits = target.logits(target.first) if n_tokens else None
    if not target.state.is_by_position:
        raise ValueError(
            f"speculate: {type(getattr(model, 'body', model)).__name__} remembers something of all tokens together, such as a recurrent state, from "
            "which rejected ones cannot be left out: take such a model as the draft, or use generate"
        )
    return _written(target, proposer, logits, n_tokens, k, scorer, Speculation() if counts is None else counts)


def _one_prompt(ids):
    """Return ids as (1, T); raise ValueError if they are those of several prompts."""
    try:
        ids, facts = np.atleast_2d(np.asarray(ids)), ""
    except ValueError:  # rows of different lengths
        facts = "are of several lengths"
    if facts or len(ids) != 1:
        facts = facts or f"have shape {ids.shape}"
        raise ValueError(f"speculate: ids {facts}, expected (T,), one prompt: call it for each text by itself, or use generate")
    return ids


class _Scorer:
    """Chooses tokens and tells their probabilities, by the settings of `generate`."""

    def __init__(self, settings, rules, n_first, n_tokens, stops):
        self.settings, self.rules, self.stops = settings, list(rules), stops
        self._sizes = n_first, n_tokens, stops
        self.rng = settings[3] if settings[0] else None

    def obeyed(self, logits, *parts):
        """Return logits (V,) after a text, the lists of tokens ``parts`` in a row, as the rules leave them, (1, V)."""
        logits = logits.reshape(1, -1)
        if self.rules:
            text = np.array([sum(parts, [])])
            logits = obeyed(self.rules, Past(text, *self._sizes), logits)
            check_possible(logits, text.shape[1])
        return logits

    def pick(self, logits, *parts):
        """Return the token after a text, drawn from p."""
        return int(pick(self.obeyed(logits, *parts), *self.settings)[0])

    def distribution(self, logits, *parts):
        """Return p or q of the token after a text."""
        return Distribution(self.obeyed(logits, *parts), *self.settings[:3])

    def replaced(self, p, q):
        """Return the token that takes the place of a rejected one, drawn by (2)."""
        weights = np.maximum(p.all() - q.all(), 0)  # the numerators of (2)
        return int(draw(weights[None], self.rng)[0]) if weights.any() else p.draw(self.rng)  # p and q are equal but for rounding

    def accepts(self, p, q):
        """Return whether (1) lets a proposal pass whose probabilities are p and q; q > 0."""
        return (0.5 if self.rng is None else self.rng.random()) * q < p


class _Draft:
    """The draft model, as far as it has read the text."""

    def __init__(self, session, n_first, scorer):
        self._session, self._scorer, self._n_read, self._n_first, self._marks = session, scorer, 0, n_first, []

    def proposals(self, text, k):
        """Return k tokens that may follow the text, and q of each."""
        logits, tokens, q, self._marks = self._caught_up(text), [], [], []
        for i in range(k):
            self._marks.append(self._session.mark())
            if i:
                logits = self._session.logits(np.array([tokens[-1:]]))
            try:
                q.append(self._scorer.distribution(logits, text, tokens))
            except ValueError as error:  # such as weights that are NaN
                raise ValueError(f"speculate, draft: {error}") from error
            tokens.append(q[-1].draw(self._scorer.rng))
        self._n_read = len(text)
        return tokens, q

    def keep(self, n):
        """Leave out what was read of the last proposals, all but the first n of them."""
        n = min(n, len(self._marks) - 1)  # the last one was not read
        if n + 1 < len(self._marks):
            self._session.rewind(self._marks[n + 1])
        self._n_read += n

    def _caught_up(self, text):
        """Read what the draft has not read of the text, the last token at least; return the logits (1, V) after it."""
        logits = None
        if not self._n_read:
            logits, self._n_read = self._session.logits(self._session.first), self._n_first
        for token in text[self._n_read :]:
            logits = self._session.logits(np.array([[token]]))
        return logits


def _written(target, proposer, logits, n_tokens, k, scorer, counts):
    """Yield the tokens (1,) behind what the target has read, whose last logits are (1, V)."""
    text, draft = target.first[0].tolist(), _Draft(proposer, target.first.shape[1], scorer)
    left = n_tokens
    while left > 0:
        n = min(k, left - 1, target.left - 1) if logits is None else 0
        if n > 0:
            new = _checked(target, draft, text, n, scorer, counts)
        else:
            logits = target.logits(np.array([text[-1:]])) if logits is None else logits
            new, logits = [scorer.pick(logits, text)], None
        counts.calls += 1
        for token in new:
            text.append(token)
            counts.tokens, left = counts.tokens + 1, left - 1
            yield np.array([token])
            if scorer.stops is not None and scorer.stops[token]:
                return


def _checked(target, draft, text, k, scorer, counts):
    """Return the tokens that one call of the target gives: proposals that it accepts, and one of its own."""
    proposals, q = draft.proposals(text, k)
    mark, n = target.mark(), 0
    logits = target.all_logits(np.array([text[-1:] + proposals]))[0]
    while n < k:
        p, x = scorer.distribution(logits[n], text, proposals[:n]), proposals[n]
        counts.proposed += 1
        if not scorer.accepts(p.of(x), q[n].of(x)):  # (1)
            token = scorer.replaced(p, q[n])  # (2)
            break
        counts.accepted, n = counts.accepted + 1, n + 1
    else:
        token = scorer.pick(logits[k], text, proposals)
    target.rewind(mark, keep=n + 1)
    draft.keep(n)
    return [*proposals[:n], token]
