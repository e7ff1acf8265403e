"""Sessions: a model that is decoding, with the methods that decoding algorithms need.

Greedy decoding, sampling and beam search use a session and not a model::

    session.first            the first ids to read, (B, T)
    session.logits(new)      reads ids (N, t); returns the logits (N, V) of the token after them
    session.all_logits(new)  the same, with the logits (N, t, V) of the token after each of them
    session.mark()           returns what session.rewind(mark) needs to continue from here once more
    session.repeat(n)        repeats every row n times, in consecutive rows
    session.select(rows)     continues with these rows, in this order
    session.restarted()      returns another session, at the beginning

So one algorithm works for decoder-only models and for encoder-decoders. A session remembers what it has read in a
`tinytx.state.State`: each id is read once.
"""

import copy
import sys
from collections import deque

import numpy as np

from tinytx import workers
from tinytx.arguments import check_whole
from tinytx.decoding.programs import OneToken
from tinytx.memory import keep_freed_memory
from tinytx.shapes import check_ids
from tinytx.state import CAPACITY, State

ENDLESS = sys.maxsize  # positions of a model that has no longest sequence
MOST = 4096  # positions for which there is room before any of them is known


class Session:
    """A model that continues prompts of one length, or writes the targets of sources.

    Parameters
    ----------
    model : Task
        ``begin(ids)`` returns the first ids to read, and a tuple of constant arrays (a memory and its mask, with batch
        as first axis). ``last_logits(new, *constants, state=state)`` returns the logits (B, V) of the token after
        ``new``. `tinytx.tasks.NextToken`, `tinytx.tasks.SequenceToSequence`.
    ids : integers (B, T)
    slide : bool
        When all ``max_len`` positions are used, continue without end from the last half of them. Of a prompt longer
        than ``max_len`` the end is used. A model whose config has no ``max_len`` reads texts of any length; one that has
        a ``max_len`` itself keeps a part of its positions for something else.
    n_tokens : int
        How many tokens are expected: so many have room in what the model remembers, without a copy on the way.
    n_back : int
        How many tokens `rewind` may leave out.
    """

    def __init__(self, model, ids, slide=False, n_tokens=0, n_back=0):
        self.model, self.vocab_size = model, model.vocab_size
        self.max_len = getattr(model, "max_len", getattr(model.config, "max_len", ENDLESS))
        self.slides = slide and self.max_len < ENDLESS
        keep_freed_memory()
        with workers.use():
            self.first, self._kept = model.begin(ids[:, -self.max_len :] if slide else ids)
        self._capacity = max(CAPACITY, min(self.first.shape[1] + n_tokens, self.max_len, MOST))
        self.state, self._n_fed, self._n_read, self._one_token = State(capacity=self._capacity), 0, 0, OneToken(model)
        self._window = max(1, self.max_len // 2)
        self._last = deque(maxlen=min(ENDLESS, self._window + n_back))  # columns (B,); O(1) for each token

    def logits(self, new):
        """Return the logits (N, V) of the token after ``new`` (N, t); the next call may write others into the same array."""
        self._note(new)
        if self.slides and self._n_fed + new.shape[1] > self.max_len:
            self.state, self._n_fed, new = State(capacity=self._capacity), 0, np.stack(list(self._last)[-self._window :], axis=1)
        self._n_fed += new.shape[1]
        with workers.use(), workers.awake.use():
            made = None if self._kept else self._one_token.logits(new, self.state)
            return self.model.last_logits(new, *self._kept, state=self.state) if made is None else made

    def all_logits(self, new):
        """Return the logits (N, t, V) of the token after each of ``new`` (N, t), at most as many as `left`."""
        self._note(new)
        self._n_fed += new.shape[1]
        with workers.use(), workers.awake.use():
            return self.model.all_logits(new, state=self.state)

    @property
    def left(self):
        """How many tokens can be read before the window slides, or the model has no position for one more."""
        return self.max_len - self._n_fed

    def mark(self):
        """Return what `rewind` needs to come back to this moment."""
        return self.state, self.state.mark(), self._n_fed, self._n_read

    def rewind(self, mark, keep=0):
        """Come back to the moment of a `mark`, as if nothing had been read since, or only the first ``keep`` tokens.

        Errors are those of `State.rewind`. ``keep`` is 0 where the window has slid since.
        """
        self.state, held, self._n_fed, n_read = mark
        self.state.rewind(held, keep)
        for _ in range(self._n_read - n_read - keep if self.slides else 0):
            self._last.pop()
        self._n_fed, self._n_read = self._n_fed + keep, n_read + keep

    def _note(self, new):
        """Remember what the window needs of ``new`` (N, t)."""
        self._n_read += new.shape[1]
        if self.slides:
            self._last.extend(new.T)

    @property
    def room(self):
        """How many tokens fit in behind the first ids: the last one is chosen, but not read."""
        return self.max_len - self.first.shape[1] + 1

    def restarted(self):
        """Return another session with the same memory, which has read nothing yet."""
        other = copy.copy(self)
        other._one_token = OneToken(self.model)
        other.state, other._n_fed, other._last = State(capacity=self._capacity), 0, deque(maxlen=self._last.maxlen)
        return other

    def repeat(self, n):
        """Repeat every row n times, and its memory too: ``0 0 1 1 2 2`` for n = 2."""
        self.state.select(np.repeat(np.arange(len(self.first)), n))
        self._kept = tuple(np.repeat(array, n, axis=0) for array in self._kept)

    def select(self, rows):
        """Keep these rows, in this order; each new row must have the source of the row that it replaces."""
        self.state.select(rows)


def sessions_of(place, model, ids, n_tokens, *, slide=False, make_room=True, n_back=0):
    """Return the sessions that decode ``ids``, each with its rows of the batch.

    An encoder-decoder gets one session: shorter sources are padded, and padding is masked. A decoder-only model has no
    such mask, and padding would shift its positions; so there is one session for each length of prompt. Then each
    prompt gets the same result as alone, but each step calls the model once for each length.

    Parameters
    ----------
    place : str
        For messages.
    model : NextToken or SequenceToSequence
    ids : integers (B, T), or a sequence of B integer arrays (T_b,)
    n_tokens : int, optional
        The number of tokens to decode; as many as there is room for if not given.
    slide : bool
        See `Session`; not every model can.
    make_room : bool
        Whether to make room for all tokens at once. A search, which selects rows after each token, copies all that there is room for.
    n_back : int
        See `Session`.

    Returns
    -------
    list of (integers (B',), session, number of tokens to decode)

    Raises
    ------
    ValueError
        If ids have another shape, or the tokens exceed the model's ``max_len`` (and the window does not slide).
    """
    if n_tokens is not None:
        n_tokens = check_whole(place, "n_tokens", n_tokens, least=0 if slide else 1)
    groups = _by_length(place, ids)
    groups = [_padded(model, groups)] if model.pads_prompts else groups
    room = n_tokens if make_room and n_tokens is not None else 0
    sessions = [(rows, Session(model, prompt, slide and model.slides, room, n_back)) for rows, prompt in groups]
    for _, session in sessions:
        least = 1 if n_tokens is None else n_tokens
        if least > session.room and not session.slides:
            slides = ", or use generate, which continues from the end of the text" if model.slides else ""
            raise ValueError(
                f"{place}: n_tokens is {least}, but after {session.first.shape[1]} tokens the model's max_len "
                f"{session.max_len} leaves room for {session.room}: ask for fewer{slides}"
            )
    return [(rows, session, session.room if n_tokens is None else n_tokens) for rows, session in sessions]


def _by_length(place, ids):
    """Return [(rows, ids (B', T))], one item for each length of prompt."""
    if not isinstance(ids, np.ndarray) and not np.isscalar(ids):
        prompts = [np.asarray(prompt) for prompt in ids]
        for row, prompt in enumerate(prompts):
            if prompt.ndim != 1 or prompt.size == 0:
                raise ValueError(
                    f"{place}: row {row} of ids has shape {prompt.shape}, expected (T,) with at least one token"
                )
        lengths = np.array([len(prompt) for prompt in prompts])
        if (lengths != lengths[:1]).any():
            groups = [np.flatnonzero(lengths == length) for length in np.unique(lengths)]
            return [(rows, np.stack([prompts[row] for row in rows])) for rows in groups]
        ids = np.array(prompts)
    ids = np.asarray(ids)
    if ids.ndim != 2 or ids.size == 0:
        raise ValueError(
            f"{place}: ids have shape {ids.shape}, expected (B, T) with at least one token to continue; or a list of "
            "prompts (T,) of any lengths"
        )
    return [(np.arange(len(ids)), ids)]


def _padded(model, groups):
    """Return (rows, ids) of all sources, padded to one length."""
    n_rows, longest = sum(len(rows) for rows, _ in groups), max(ids.shape[1] for _, ids in groups)
    source = np.full((n_rows, longest), model.config.pad_id, groups[0][1].dtype)
    for rows, ids in groups:
        source[rows, : ids.shape[1]] = ids
    return np.arange(n_rows), source


class Ending:
    """The tokens that end a sequence, and the token that fills ended rows while others go on.

    Parameters
    ----------
    place : str
        For messages.
    model : NextToken or SequenceToSequence
    vocab_size : int
    stop : int or sequence of int, optional
        If None, the model's ``config.stop_id``, if it has one. ``()`` means no stop token.
    pad : int, optional
        If None, the model's ``config.pad_id``, or else the first stop token.

    Attributes
    ----------
    table : boolean array (V,), or None
        True at stop tokens; None if there are none.
    pad : int

    Raises
    ------
    ValueError, TypeError
        If one is not an id of the vocabulary.
    """

    def __init__(self, place, model, vocab_size, stop, pad):
        if stop is None:
            stop = getattr(model.config, "stop_id", ())
        stops = np.atleast_1d(np.asarray(stop, dtype=np.int64 if np.size(stop) == 0 else None))
        stops = check_ids(place, stops, vocab_size, what="stop token")
        if pad is None:
            pad = getattr(model.config, "pad_id", stops[0] if len(stops) else 0)
        self.pad = int(check_ids(place, np.atleast_1d(pad), vocab_size, what="pad token")[0])
        self.n_stops, self.table = len(stops), None
        if len(stops):
            self.table = np.zeros(vocab_size, bool)
            self.table[stops] = True
