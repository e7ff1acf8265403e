"""Attention of two streams: one knows the word at its position, the other predicts it."""

import numpy as np

from tinytx.layers.attention.segment_memory import SegmentMemory


class TwoStreams(SegmentMemory):
    """Attention with a memory for two streams of one text (Yang et al. 2019, XLNet, arXiv:1906.08237, 2.3).

    The *content* stream h has a vector of each word, as in any transformer. The *query* stream g has a second vector for
    each position, which must not know the word there, because it predicts it. Both have the same weights, and keys and
    values of both come from the content alone:

        h' = attention(h, [m; h], mask of the content),   g' = attention(g, [m; h], mask of the queries),

    with the memory m of `SegmentMemory`, which holds content. Here x = [h; g] (B, 2 T, D), one behind the other, so that
    all layers that read each position by itself, such as norms, are called once. Queries come from all of x. Keys and
    values of h are computed once, and get gradients from both streams:

        dh = what comes through its queries, and from the keys and values for h and g;   dg = what comes through its queries.

    Where nobody reads h', as in the last block of a model that predicts, it need not be computed: the layer then gets
    x = g and h as a second input, from which keys and values come. The gradient of h is that of keys and values alone.

    Parameters
    ----------
    attention : MultiHeadAttention
        Its core is `Relative` or `RelativeSegments` with the pattern that shows all.
    length : int
        M, the number of words that are remembered; 0 is no memory.
    """

    def forward(self, x, content=None, *, tape=None, streams=1, mask=None, segments=None, state=None):
        """Return the output of attention, of the shape of x.

        Parameters
        ----------
        x : array (B, n T, D)
        content : array (B, T, D), optional
            h, if x does not begin with it.
        tape : Tape, optional
        streams : int
            n: 2 for [h; g], or 1 for h or g alone.
        mask : boolean array (B or 1, 1, n T, T), optional
            What each may see of the T words; all see all of the memory.
        segments : integers (B, T), optional
            The part of the text that each word belongs to. A memory's words belong to part 0, as in the authors' program.
        state : State, optional
            As for `SegmentMemory`.
        """
        h = _content(x, streams) if content is None else content
        t, seen = h.shape[1], self._seen(h, state)
        settings, before = {}, seen.shape[1] - t
        if mask is not None:
            settings["mask"] = _after(before, mask, True)
        if segments is not None:
            settings["kinds"] = _kinds(segments, before, streams)
        y = self.attention(x, seen, tape, streams=streams, **settings)
        if tape is not None:
            tape.push(self, (t, content is not None))
        return y

    def backward(self, dy, tape):
        """Return dx, or (dx, dcontent)."""
        t, apart = tape.pop(self)
        dx, dseen = self.attention.backward(dy, tape)
        dh = dseen[:, dseen.shape[1] - t :]  # m is a constant
        return (dx, dh) if apart else _joined(dx[:, :t] + dh, dx[:, t:])


def _content(x, streams):
    """Return h of x = [h; g], or of x = h."""
    return np.split(x, streams, axis=1)[0]


def _joined(h, g):
    """Return [h; g]."""
    return np.concatenate([h, g], axis=1)


def _kinds(segments, before, streams):
    """Return whether query and key are of different segments, 0 or 1, (B, n T, M + T)."""
    segments = np.asarray(segments)
    of_queries, of_keys = np.tile(segments, (1, streams)), _after(before, segments, 0)
    return (of_queries[:, :, None] != of_keys[:, None]).astype(np.int64)


def _after(n, array, value):
    """Return ``array`` (..., T) after n numbers ``value``, (..., n + T)."""
    return np.concatenate([np.full((*array.shape[:-1], n), value, array.dtype), array], axis=-1)
