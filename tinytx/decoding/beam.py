"""Beam search: the likeliest sequences, as far as looking at a few at a time can tell.

The likeliest sequence need not begin with the likeliest token. Beam search follows the ``beam_size`` likeliest
beginnings, or hypotheses, of each sentence: all their continuations by one token are compared, and the best
``beam_size`` of them are followed on.

A hypothesis that ends with a stop token, and is among the best ``beam_size`` continuations, is set aside, and the next
best takes its place. The search for a sentence ends when ``beam_size`` hypotheses are set aside, or none that is still
followed can come to beat the n best of them. At the limit of tokens the unfinished ones count as well.

Long sequences have small probabilities. So that they are not at a disadvantage, hypotheses Y of source X are ordered by

    score(Y) = ln p(Y | X) / penalty(|Y|),                               (1)
    penalty(n) = ((5 + n) / 6)^alpha                                     (2)

(Wu et al. 2016, arXiv:1609.08144, section 7, equation 14, without their coverage term), where n counts the stop token.
alpha = 0 orders by probability; Vaswani et al. 2017 (section 6.1) use a beam of 4 and alpha = 0.6. While they are
followed, hypotheses have the same length, and (1) orders them as their probabilities do.

Beam search can be worse than greedy decoding: the greedy hypothesis may leave the beam for others that look better and
come to a bad end. Here greedy's own hypothesis is always among the candidates (one more greedy decoding, a small part
of the work), so that the best score is never below that of greedy; with alpha = 0 neither is the log-probability. With
alpha > 0 a longer hypothesis of smaller probability may come first: that is what alpha is for.
"""

import math

import numpy as np

from tinytx.arguments import check_number, check_whole
from tinytx.decoding.choose import largest_columns, log_normaliser
from tinytx.decoding.generate import check_trace, decode_whole
from tinytx.decoding.results import Decoded, Step, merge
from tinytx.decoding.sessions import Ending, begin

LARGEST = 300.0  # of a penalty, its natural logarithm: e^709 is the largest number


def beam_search(model, ids, n_tokens, *, beam_size=4, alpha=0.0, n_best=1, stop=None, pad=None, trace=False):
    """Search for the likeliest sequences.

    Parameters
    ----------
    model, ids, n_tokens, stop, pad
        As for `tinytx.decoding.greedy`.
    beam_size : int
        Hypotheses to follow at a time, for each row of ``ids``. 1 is greedy.
    alpha : float
        Of the length penalty (2); 0 is none.
    n_best : int
        Sequences to return of each row, at most ``beam_size``.
    trace : bool
        Whether to keep every step, see `Step`. Only for prompts of one length.

    Returns
    -------
    Decoded
        Arrays (B, n_best, ...), best first. Where fewer than ``n_best`` sequences exist, the rest has length 0 and
        score -inf.

    Raises
    ------
    TypeError
        If a setting is of another kind.
    ValueError
        If a setting is out of range, the penalty of ``n_tokens`` tokens overflows, or as `tinytx.decoding.greedy`.

    Examples
    --------
    >>> from tinytx.models import GPT, GPTConfig
    >>> from tinytx.tasks import NextToken
    >>> model = NextToken(GPT(GPTConfig(vocab_size=9, max_len=8), rng=np.random.default_rng(0)))
    >>> decoded = beam_search(model, np.array([[1, 2, 3]]), 4, beam_size=5, n_best=2, stop=0)
    >>> decoded.scores.shape
    (1, 2)
    """
    beam_size = check_whole("beam_search", "beam_size", beam_size)
    n_best = check_whole("beam_search", "n_best", n_best, most=beam_size, remedy=", beam_size")
    expected = "a finite number of at least 0 (0 is no penalty)"
    check_number("beam_search", "alpha", alpha, expected, lambda alpha: 0 <= alpha < math.inf)
    parts, greedy_settings = [], (0, None, None, None)
    sessions = begin("beam_search", model, ids, n_tokens)
    check_trace("beam_search", trace, sessions)
    if alpha * math.log((5 + n_tokens) / 6) > LARGEST:
        raise ValueError(
            f"beam_search: alpha is {alpha}, and the length penalty of {n_tokens} tokens, "
            f"{(5 + n_tokens) / 6:.3g}^alpha, is beyond all numbers; 0.6 to 1 is usual"
        )
    ending = Ending("beam_search", model, sessions[0][1].vocab_size, stop, pad)
    for rows, session in sessions:
        pool = Pool(len(rows), n_best, alpha)
        pool.add_all(decode_whole(session.restarted(), n_tokens, greedy_settings, ending))
        steps = _search(session, n_tokens, beam_size, ending, pool, trace)
        parts.append((rows, pool.decoded(ending.pad, steps)))
    return merge(parts, sum(len(rows) for rows, _ in parts), ending.pad)


class Pool:
    """The candidates of each sentence: finished hypotheses, and those that the limit of tokens cut off.

    Parameters
    ----------
    n_rows, n_best : int
    alpha : float

    Attributes
    ----------
    threshold : float64 array (B,)
        Score of the n-th best so far, -inf while there are fewer: what another must beat.
    """

    def __init__(self, n_rows, n_best, alpha):
        self.n_best, self.alpha = n_best, alpha
        self.threshold = np.full(n_rows, -np.inf)
        self._candidates = [{} for _ in range(n_rows)]  # ids -> (score, log_prob, ended)

    def penalty(self, n):
        """Return the length penalty (2) of n tokens."""
        return ((5 + n) / 6) ** self.alpha

    def add(self, row, ids, log_prob, ended):
        """Add a hypothesis, a tuple of ids; one that is known already keeps its place."""
        candidates = self._candidates[row]
        if ids not in candidates:
            candidates[ids] = (log_prob / self.penalty(len(ids)), log_prob, ended)
            if len(candidates) >= self.n_best:
                self.threshold[row] = sorted(score for score, _, _ in candidates.values())[-self.n_best]

    def add_all(self, decoded):
        """Add the sequences of a Decoded, one for each row."""
        for row, (ids, n) in enumerate(zip(decoded.ids.tolist(), decoded.lengths.tolist(), strict=True)):
            self.add(row, tuple(ids[:n]), float(decoded.log_probs[row]), bool(decoded.ended[row]))

    def decoded(self, pad, steps):
        """Return the n best of each row as a `Decoded`, best first."""
        best = [sorted(c.items(), key=lambda item: -item[1][0])[: self.n_best] for c in self._candidates]
        shape = (len(best), self.n_best)
        all_ids = np.full((*shape, max(len(ids) for row in best for ids, _ in row)), pad)
        lengths, ended = np.zeros(shape, np.int64), np.zeros(shape, bool)
        log_probs, scores = np.full(shape, -np.inf), np.full(shape, -np.inf)
        for b, row in enumerate(best):
            for i, (ids, facts) in enumerate(row):
                all_ids[b, i, : len(ids)], lengths[b, i] = ids, len(ids)
                scores[b, i], log_probs[b, i], ended[b, i] = facts
        return Decoded(all_ids, lengths, ended, log_probs, scores, steps)


def _search(session, n_tokens, beam_size, ending, pool, trace):
    """Fill the pool; return the steps if asked to. Hypotheses are kept as back-pointers, so no step copies them."""
    n_rows = len(session.first)
    new, logits = session.first, session.logits(session.first)
    vocab_size = logits.shape[-1]
    session.repeat(beam_size)
    logits = np.repeat(logits, beam_size, axis=0)  # (N, V), N = B beam_size
    followed = np.full((n_rows, beam_size), -np.inf)  # ln p of each hypothesis; -inf where there is none
    followed[:, 0] = 0.0
    rows = np.arange(n_rows)[:, None]
    stops = np.zeros(vocab_size, bool) if ending.table is None else ending.table
    n_finished, open_rows = np.zeros(n_rows, np.int64), np.ones(n_rows, bool)
    history, steps = [], [] if trace else None  # history: (tokens, parents), each (B, beam_size), of every step
    for n in range(1, n_tokens + 1):
        # Of one hypothesis no more than beam_size go on, and no more than n_stops end.
        tokens = largest_columns(logits, beam_size + ending.n_stops)  # (N, C)
        log_probs = logits[np.arange(len(logits))[:, None], tokens] - log_normaliser(logits)
        tokens, log_probs = tokens.reshape(n_rows, -1), log_probs.reshape(n_rows, -1)  # (B, beam_size C)
        parents = np.arange(tokens.shape[1]) // (tokens.shape[1] // beam_size)
        totals = followed[:, parents] + log_probs
        order = np.argsort(-totals, axis=-1, kind="stable")
        tokens, log_probs, totals = tokens[rows, order], log_probs[rows, order], totals[rows, order]
        parents, ends = parents[order], stops[tokens]
        if trace:
            best = slice(beam_size)
            steps.append(Step(new, tokens[:, best], log_probs[:, best], totals[:, best], parents[:, best]))

        finished = ends[:, :beam_size] & (totals[:, :beam_size] > -np.inf) & open_rows[:, None]
        for row, i in np.argwhere(finished).tolist():
            ids = (*_trace_back(history, row, parents[row, i]), int(tokens[row, i]))
            pool.add(row, ids, float(totals[row, i]), True)
        n_finished += finished.sum(axis=1)

        onward = np.argsort(ends, axis=-1, kind="stable")[:, :beam_size]  # the best that do not end
        tokens, parents = tokens[rows, onward], parents[rows, onward]
        followed = np.where(ends[rows, onward], -np.inf, totals[rows, onward])
        history.append((tokens, parents))
        open_rows &= (n_finished < beam_size) & (followed[:, 0] / pool.penalty(n_tokens) > pool.threshold)
        if not open_rows.any() or n == n_tokens:
            break
        moved = (rows * beam_size + parents).ravel()
        if (moved != np.arange(len(moved))).any():
            session.select(moved)
        new = tokens.reshape(-1, 1)
        logits = session.logits(new)
    for row, i in np.argwhere(open_rows[:, None] & (followed > -np.inf)).tolist():
        pool.add(row, _trace_back(history, row, i), float(followed[row, i]), False)
    return steps


def _trace_back(history, row, i):
    """Return the ids of a sentence's i-th hypothesis after the last step in ``history``, a tuple."""
    ids = []
    for tokens, parents in reversed(history):
        ids.append(int(tokens[row, i]))
        i = parents[row, i]
    return tuple(reversed(ids))
