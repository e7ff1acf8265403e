"""Decodes one token at a time: as a stream of tokens, or as whole sequences with their log-probabilities."""

import numpy as np

from tinytx import workers
from tinytx.decoding.choose import check_settings, log_normaliser, pick
from tinytx.decoding.results import Decoded, Step, merge
from tinytx.decoding.rules import Past, check_possible, obeyed
from tinytx.decoding.sessions import Ending, sessions_of


def generate(
    model, ids, n_tokens, *, temperature=1.0, top_k=None, top_p=None, rng=None, stop=None, pad=None, rules=()
):
    """Continue sequences by up to ``n_tokens`` tokens, and yield each token when it is chosen.

    Keys and values of earlier positions come from a cache, so each token costs the computation of one position. When
    all ``max_len`` positions of a GPT are used, it continues from the last half of them.

    Parameters
    ----------
    model : NextToken or SequenceToSequence
    ids : integers (B, T), or a sequence of B integer arrays (T_b,)
        The prompts, T >= 1; of a prompt longer than ``max_len`` the end is used. Prompts of different lengths get the
        same tokens as each would alone (see `sessions_of`). For an encoder-decoder, the sources.
    n_tokens : int
    temperature : float
        Divides the logits before sampling. 0 is greedy: the most likely token each time.
    top_k : int, optional
        Sample among the k most likely tokens only.
    top_p : float in (0, 1], optional
        Sample among the most likely tokens whose probabilities add up to this.
    rng : numpy.random.Generator
        Required unless temperature is 0.
    stop : int or sequence of int, optional
        Tokens that end a sequence. By default the model's ``config.stop_id``, if it has one.
    pad : int, optional
        Fills sequences that have ended while others go on. By default the model's ``config.pad_id``, or else the first
        stop token.
    rules : sequence of functions
        What must be written, or may not: `tinytx.decoding.rules`. They change logits, in this order.

    Yields
    ------
    int64 array (B,)
        The next token of each sequence, stop tokens included. It ends early if all sequences have ended.

    Raises
    ------
    ValueError
        If a setting is out of range or ``ids`` are not as above, or the rules forbid every token.
    """
    check_settings("generate", temperature, top_k, top_p, rng)
    sessions = sessions_of("generate", model, ids, n_tokens, slide=True)
    ending = Ending("generate", model, sessions[0][1].vocab_size, stop, pad)
    streams = [
        (rows, (chosen for _, _, chosen, _ in _steps(session, n, (temperature, top_k, top_p, rng), ending, rules)))
        for rows, session, n in sessions
    ]
    return streams[0][1] if len(streams) == 1 else _together(streams, ending.pad)


def _together(streams, pad):
    """Join streams, each of some rows of the batch, to one stream of all rows."""
    n_rows = sum(len(rows) for rows, _ in streams)
    while True:
        token, n_ended = np.full(n_rows, pad), 0
        for rows, stream in streams:
            chosen = next(stream, None)
            if chosen is None:
                n_ended += 1
            else:
                token[rows] = chosen
        if n_ended == len(streams):
            return
        yield token


def greedy(model, ids, n_tokens, *, stop=None, pad=None, rules=(), trace=False):
    """Take the most likely token each time.

    Parameters
    ----------
    model, ids, n_tokens, stop, pad, rules
        As for `generate`, but prompt and tokens must fit into ``max_len``: if the beginning of a text were forgotten,
        the log-probabilities would not be those of the model. With ``n_tokens`` None, as many tokens as fit.
    trace : bool
        Whether to keep every step, see `Step`. Only for prompts of one length.

    Returns
    -------
    Decoded

    Raises
    ------
    ValueError
        As for `generate`.

    Examples
    --------
    >>> from tinytx.models import GPT, GPTConfig
    >>> from tinytx.tasks import NextToken
    >>> model = NextToken(GPT(GPTConfig(vocab_size=9, max_len=8), rng=np.random.default_rng(0)))
    >>> decoded = greedy(model, np.array([[1, 2, 3]]), 4, trace=True)
    >>> decoded.ids.shape, [step.fed.shape for step in decoded.steps]
    ((1, 4), [(1, 3), (1, 1), (1, 1), (1, 1)])
    """
    return _whole("greedy", model, ids, n_tokens, (0, None, None, None), stop, pad, rules, trace)


def sample(
    model, ids, n_tokens, *, temperature=1.0, top_k=None, top_p=None, rng=None, stop=None, pad=None, rules=(), trace=False
):
    """Draw a sequence for each row as `generate` does, and return it with the model's log-probabilities.

    Parameters
    ----------
    model, ids, n_tokens, stop, pad, rules, trace
        As for `greedy`.
    temperature, top_k, top_p, rng
        As for `generate`.

    Returns
    -------
    Decoded

    Raises
    ------
    ValueError
        As for `generate`.
    """
    return _whole("sample", model, ids, n_tokens, (temperature, top_k, top_p, rng), stop, pad, rules, trace)


def _whole(place, model, ids, n_tokens, settings, stop, pad, rules, trace):
    check_settings(place, *settings)
    sessions = sessions_of(place, model, ids, n_tokens)
    check_trace(place, trace, sessions)
    ending = Ending(place, model, sessions[0][1].vocab_size, stop, pad)
    with workers.use():  # once, and not for each token
        parts = [(rows, _decode_whole(session, n, settings, ending, rules, trace)) for rows, session, n in sessions]
    return merge(parts, sum(len(rows) for rows, _ in parts), ending.pad)


def check_trace(place, trace, sessions):
    """Raise ValueError if steps are asked for where rows do not run in step."""
    if trace and len(sessions) > 1:
        raise ValueError(f"{place}: trace=True with prompts of {len(sessions)} lengths: trace those of each by itself")


def _decode_whole(session, n_tokens, settings, ending, rules, trace):
    """Run one session to its end.

    Parameters
    ----------
    session : Session
    n_tokens : int
    settings : (temperature, top_k, top_p, rng)
    ending : Ending
    rules : sequence of functions
    trace : bool

    Returns
    -------
    Decoded
    """
    n_rows = len(session.first)
    rows, totals, lengths = np.arange(n_rows), np.zeros(n_rows), np.zeros(n_rows, np.int64)
    columns, steps, ended = [], [] if trace else None, np.zeros(n_rows, bool)
    for fed, logits, chosen, ended in _steps(session, n_tokens, settings, ending, rules):
        log_probs = np.where(ended, 0.0, logits[rows, chosen] - log_normaliser(logits)[:, 0])
        totals = totals + log_probs
        lengths += ~ended
        columns.append(chosen)
        if trace:
            steps.append(Step(fed, chosen, log_probs, totals))
    if ending.table is not None:
        ended = ended | ending.table[chosen]
    return Decoded(np.stack(columns, axis=1), lengths, ended, totals, totals, steps)


def _steps(session, n_tokens, settings, ending, rules):
    """Yield (ids fed (B, t), logits (B, V), tokens chosen (B,), rows that had ended before (B,)) of each step."""
    new, stops, pad = session.first, ending.table, ending.pad
    told, n_first, ended = new, new.shape[1], np.zeros(len(new), bool)
    for _ in range(n_tokens):
        logits = scores = session.logits(new)
        if rules:
            scores = obeyed(rules, Past(told, n_first, n_tokens, stops), logits)
            scores[ended] = logits[ended]
            check_possible(scores, told.shape[1])
        chosen = pick(scores, *settings)
        if stops is None:
            yield new, logits, chosen, ended
        else:
            chosen = np.where(ended, pad, chosen)
            yield new, logits, chosen, ended
            ended = ended | stops[chosen]
            if ended.all():
                return
        new = chosen[:, None]
        told = np.concatenate([told, new], axis=1) if rules else told
