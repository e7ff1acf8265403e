"""Beam search: an approximate search for the most likely sequences.

The most likely sequence need not begin with the most likely token. Beam search keeps the ``beam_size`` most likely
beginnings, called hypotheses, of each sentence. At each step it compares all their continuations by one token and keeps
the best ``beam_size``.

A hypothesis among the best ``beam_size`` that ends with a stop token is finished, and the next best takes its place.
The search for a sentence ends when ``beam_size`` hypotheses are finished, or when no other can still become better than
the n best of them. At the limit of tokens, unfinished hypotheses count as well. ``early_stopping``, a setting of the library
transformers, changes this: "never" drops the first reason. False drops it too, and takes for the best that a hypothesis can
still become its probability over the penalty of its length so far, a guess that is wrong if a longer one may win.

Long sequences have small probabilities. To make up for that, hypotheses Y of source X are ordered by

    score(Y) = ln p(Y | X) / penalty(|Y|),                               (1)
    penalty(n) = ((5 + n) / 6)^alpha                                     (2)

(Wu et al. 2016, arXiv:1609.08144, section 7, equation 14, without their coverage term), where n counts the stop token.
alpha = 0 orders by probability; Vaswani et al. 2017 (section 6.1) use a beam of 4 and alpha = 0.6. Unfinished
hypotheses have the same length, so (1) orders them by probability. The library transformers has another penalty,

    penalty(n) = n^alpha,                                                (3)

of which alpha = 1 orders by the mean log-probability of a token.

Beam search alone can be worse than greedy decoding, because better beginnings may displace the greedy hypothesis and
end worse. So the greedy hypothesis is always added to the candidates (this needs one more greedy decoding, a small part
of the work), and the best score is never below that of greedy. With alpha = 0 this holds for the log-probability too;
with alpha > 0 a longer hypothesis of smaller probability may come first. ``greedy=False`` leaves it out, as transformers does.
"""

import math

import numpy as np

from tinytx import workers
from tinytx.arguments import check_choice, check_flag, check_number, check_whole
from tinytx.decoding.choose import largest_columns, log_normaliser
from tinytx.decoding.generate import check_trace
from tinytx.decoding.results import Decoded, Step, merge
from tinytx.decoding.rules import Past, obeyed
from tinytx.decoding.sessions import Ending, sessions_of

PENALTIES = {"wu": lambda n: (5 + n) / 6, "length": lambda n: n}  # what alpha is the exponent of: (2), (3)
LARGEST = 300.0  # the largest logarithm of a penalty; e^709 is the largest float


def beam_search(
    model, ids, n_tokens, *, beam_size=4, alpha=0.0, penalty="wu", n_best=1, early_stopping=True, greedy=True,
    stop=None, pad=None, rules=(), trace=False,
):  # fmt: skip
    """Search for the most likely sequences.

    Parameters
    ----------
    model, ids, n_tokens, stop, pad
        As for `tinytx.decoding.greedy`.
    beam_size : int
        Number of hypotheses for each row of ``ids``. 1 is greedy.
    alpha : float
        Exponent of the length penalty; 0 is no penalty.
    penalty : {"wu", "length"}
        Which one: (2), or (3), that of transformers.
    n_best : int
        Number of sequences to return for each row, at most ``beam_size``.
    early_stopping : True, False or "never"
        When a search ends, see above.
    greedy : bool
        Whether the greedy hypothesis is a candidate too.
    rules : sequence of functions
        What must be written, or may not: `tinytx.decoding.rules`. They change log-probabilities, in this order, and all sums
        of log-probabilities are of what they return.
    trace : bool
        Whether to keep every step, see `Step`. Only for prompts of one length.

    Returns
    -------
    Decoded
        Arrays (B, n_best, ...), best first. If there are fewer than ``n_best`` sequences, the rest have length 0 and
        score -inf.

    Raises
    ------
    TypeError
        If a setting has a wrong type.
    ValueError
        If a setting is out of range, the penalty of ``n_tokens`` tokens overflows, the rules leave a row no sequence, or as
        `tinytx.decoding.greedy`.

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
    base = PENALTIES[check_choice("beam_search", "penalty", penalty, PENALTIES)]
    if not isinstance(early_stopping, bool) and early_stopping != "never":
        raise ValueError(f"beam_search: early_stopping is {early_stopping!r:.60}, expected True, False or 'never'")
    greedy, parts = check_flag("beam_search", "greedy", greedy), []
    sessions = sessions_of("beam_search", model, ids, n_tokens, make_room=False)
    check_trace("beam_search", trace, sessions)
    most = max(n for *_, n in sessions)
    if alpha * math.log(base(most)) > LARGEST:
        raise ValueError(
            f"beam_search: alpha is {alpha}, and the length penalty of {most} tokens, "
            f"{base(most):.3g}^alpha, is too large for a float; 0.6 to 1 is usual"
        )
    ending = Ending("beam_search", model, sessions[0][1].vocab_size, stop, pad)
    for rows, session, n in sessions:
        pool = Pool(len(rows), n_best, beam_size if early_stopping is False else n_best, lambda n: base(n) ** alpha)
        with workers.use():  # once, and not for each token
            if greedy:  # a beam of one
                _search(session.restarted(), n, 1, True, ending, rules, pool)
            steps = _search(session, n, beam_size, early_stopping, ending, rules, pool, trace)
        parts.append((rows, pool.decoded(ending.pad, steps)))
    return merge(parts, sum(len(rows) for rows, _ in parts), ending.pad)


class Pool:
    """The candidates of each sentence: finished hypotheses, and unfinished ones at the limit of tokens.

    Parameters
    ----------
    n_rows, n_best, n_kept : int
    penalty : function (int) -> float
        The length penalty of so many tokens.

    Attributes
    ----------
    threshold : float64 array (B,)
        Score of the ``n_kept``-th best candidate, -inf while there are fewer. A new candidate must have a higher score.
    """

    def __init__(self, n_rows, n_best, n_kept, penalty):
        self.n_best, self.n_kept, self.penalty = n_best, n_kept, penalty
        self.threshold = np.full(n_rows, -np.inf)
        self._candidates = [{} for _ in range(n_rows)]  # ids -> (score, log_prob, ended)

    def add(self, row, ids, log_prob, ended):
        """Add a hypothesis, a tuple of ids; nothing changes if it is a candidate already."""
        candidates = self._candidates[row]
        if ids not in candidates:
            candidates[ids] = (log_prob / self.penalty(len(ids)), log_prob, ended)
            if len(candidates) >= self.n_kept:
                self.threshold[row] = sorted(score for score, _, _ in candidates.values())[-self.n_kept]

    def decoded(self, pad, steps):
        """Return the n best of each row as a `Decoded`, best first."""
        best = [sorted(c.items(), key=lambda item: -item[1][0])[: self.n_best] for c in self._candidates]
        if not all(best):
            raise ValueError("beam_search: the rules forbid every token that a hypothesis could go on with: give fewer rules")
        shape = (len(best), self.n_best)
        all_ids = np.full((*shape, max(len(ids) for row in best for ids, _ in row)), pad)
        lengths, ended = np.zeros(shape, np.int64), np.zeros(shape, bool)
        log_probs, scores = np.full(shape, -np.inf), np.full(shape, -np.inf)
        for b, row in enumerate(best):
            for i, (ids, facts) in enumerate(row):
                all_ids[b, i, : len(ids)], lengths[b, i] = ids, len(ids)
                scores[b, i], log_probs[b, i], ended[b, i] = facts
        return Decoded(all_ids, lengths, ended, log_probs, scores, steps)


def _search(session, n_tokens, beam_size, early_stopping, ending, rules, pool, trace=False):
    """Fill the pool; return the steps if ``trace``. Hypotheses are stored as links to parents, and never copied."""
    n_rows = len(session.first)
    new, logits, n_first = session.first, session.logits(session.first), session.first.shape[1]
    vocab_size = logits.shape[-1]
    session.repeat(beam_size)
    logits, told = np.repeat(logits, beam_size, axis=0), np.repeat(new, beam_size, axis=0)  # (N, V), (N, t); N = B beam_size
    followed = np.full((n_rows, beam_size), -np.inf)  # ln p of each hypothesis; -inf if there is none
    followed[:, 0] = 0.0
    rows = np.arange(n_rows)[:, None]
    stops = np.zeros(vocab_size, bool) if ending.table is None else ending.table
    n_finished, open_rows = np.zeros(n_rows, np.int64), np.ones(n_rows, bool)
    history, steps = [], [] if trace else None  # history: (tokens, parents), each (B, beam_size), of every step
    for n in range(1, n_tokens + 1):
        scores, below = logits, log_normaliser(logits)  # ln p = scores - below
        if rules:
            scores, below = obeyed(rules, Past(told, n_first, n_tokens, ending.table), logits - below), 0.0
        # At most beam_size continuations of a hypothesis go on, and at most n_stops end.
        tokens = largest_columns(scores, beam_size + ending.n_stops)  # (N, C)
        log_probs = scores[np.arange(len(scores))[:, None], tokens] - below
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

        onward = np.argsort(ends, axis=-1, kind="stable")[:, :beam_size]  # the best continuations that do not end
        tokens, parents = tokens[rows, onward], parents[rows, onward]
        followed = np.where(ends[rows, onward], -np.inf, totals[rows, onward])
        history.append((tokens, parents))
        if n == n_tokens:
            followed[onward >= beam_size] = -np.inf  # of all continuations, the best beam_size count
            break
        length = n if early_stopping is False else n_tokens  # for which the best that is still possible is computed
        open_rows &= followed[:, 0] / pool.penalty(length) > pool.threshold
        if early_stopping is True:
            open_rows &= n_finished < beam_size
        if not open_rows.any():
            break
        moved = (rows * beam_size + parents).ravel()
        if (moved != np.arange(len(moved))).any():
            session.select(moved)
        new = tokens.reshape(-1, 1)
        told = np.concatenate([told[moved], new], axis=1) if rules else told
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
