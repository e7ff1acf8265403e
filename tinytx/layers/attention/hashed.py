"""Self-attention among neighbours that a hash finds, with keys that are the queries."""

import numpy as np

from tinytx import ops
from tinytx.arguments import check_flag, check_probability, check_whole
from tinytx.core import Layer
from tinytx.layers.attention.compared import Compared
from tinytx.layers.attention.heads import merge_heads, split_heads
from tinytx.layers.init import uniform_fan_in
from tinytx.layers.linear import Linear

EPS = 1e-6  # added to the mean square of a key's numbers
UNSEEDED = 0  # draws the rotations where no tape has a seed


class HashedSelfAttention(Layer):
    """Heads whose queries are also their keys, and see what shares a bucket with them (Kitaev et al. 2020, arXiv:2001.04451).

    A key is its query with length 1, so that scores are not larger for longer keys; they are not divided by sqrt(K), as in the
    authors' program. The rest is `tinytx.ops.lsh_attention`. A training step draws new rotations. A forward that runs a second
    time, in `Checkpoint` or `ReversibleStack`, takes the buckets of the first: inputs that were computed back differ in the last
    digit, and one of them may fall into another bucket.

    Parameters
    ----------
    d_model, n_heads : int
        D and H.
    n_buckets : int
        Buckets in a round, an even number. About 2 T / ``chunk`` is usual.
    n_rounds : int
        R.
    chunk : int
        m. A sequence that is not longer is one chunk, and is seen whole.
    causal : bool
    d_key : int, optional
        The width K of each head; D / H if not given.
    dropout : float in [0, 1)
        Of the attention weights.
    rng : numpy.random.Generator
    dtype : float32 or float64
    init : function (rng, shape) -> array

    Attributes
    ----------
    query_key, value, output : Linear
        Without biases.

    Raises
    ------
    TypeError, ValueError
        If a number is out of its range, or H does not divide D and ``d_key`` is not given.
    """

    def __init__(
        self, d_model, n_heads, *, n_buckets, n_rounds=1, chunk=64, causal=True, d_key=None, dropout=0.0, rng, dtype=np.float32,
        init=uniform_fan_in,
    ):  # fmt: skip
        place = "HashedSelfAttention"
        self.n_heads, self.n_rounds = check_whole(place, "n_heads", n_heads), check_whole(place, "n_rounds", n_rounds)
        self.chunk, self.causal = check_whole(place, "chunk", chunk), check_flag(place, "causal", causal)
        self.p, self.n_buckets = check_probability(place, "dropout", dropout), check_whole(place, "n_buckets", n_buckets, 2)
        if self.n_buckets % 2:
            raise ValueError(f"{place}: n_buckets is {n_buckets}, expected an even number: each direction has an opposite one")
        if d_key is None and d_model % n_heads:
            raise ValueError(f"{place}: n_heads {n_heads} does not divide d_model {d_model}")
        width = d_model // n_heads if d_key is None else check_whole(place, "d_key", d_key)
        draw = {"bias": False, "rng": rng, "dtype": dtype, "init": init}
        self.query_key, self.value = (Linear(d_model, n_heads * width, **draw) for _ in range(2))
        self.output = Linear(n_heads * width, d_model, **draw)

    def rotations(self, key, width, dtype):
        """Return the rotations (H, K, R, n/2) of `tinytx.ops.lsh_buckets`; ``key`` is that of a dropout mask, or None."""
        rng = np.random.default_rng(UNSEEDED if key is None else key)
        return rng.normal(size=(self.n_heads, width, self.n_rounds, self.n_buckets // 2)).astype(dtype)

    def forward(self, x, tape=None):
        """(B, T, D) -> (B, T, D).

        Raises
        ------
        ValueError
            If x is longer than ``chunk``, and ``chunk`` does not divide T.
        """
        q, k, v, saved_norm = self._heads(x, tape)
        key = None if tape is None else tape.dropout_key()
        make = self._buckets(q, key)
        buckets = make() if tape is None else tape.chosen(make)
        options = {"chunk": min(self.chunk, x.shape[1]), "causal": self.causal, "scale": 1.0}
        if tape is not None and self.p:
            options |= {"dropout": self.p, "key": tape.dropout_key(), "first_row": tape.first_row}
        y, saved = ops.lsh_attention(q, k, v, buckets, **options)
        if tape is not None:
            tape.push(self, (saved, saved_norm))
        return self.output(merge_heads(y), tape)

    def backward(self, dy, tape):
        """Return dx."""
        dy = split_heads(self.output.backward(dy, tape), self.n_heads)
        saved, saved_norm = tape.pop(self)
        dq, dk, dv = ops.lsh_attention_backward(dy, saved)
        dx = self.value.backward(merge_heads(dv), tape)
        return dx + self.query_key.backward(merge_heads(dq + ops.rms_norm_backward(dk, saved_norm)[0]), tape)

    def attention_weights(self, x):
        """Return the attention weights (B, H, T, T), without dropout, for pictures; with the rotations of a forward without a tape."""
        q, k, _, _ = self._heads(x, None)
        return ops.lsh_weights(q, k, self._buckets(q, None)(), chunk=min(self.chunk, x.shape[1]), causal=self.causal)

    def queries_and_keys(self, x):
        """Return the `Compared` queries and keys, for pictures: of a pair in different buckets, too, which is not looked at."""
        q, k, _, _ = self._heads(x, None)
        return Compared(q, k, besides="the logarithm of the number of rounds that find the pair is added to it" if self.n_rounds > 1 else "")

    def _heads(self, x, tape):
        """Return q, k and v (B, H, T, K), and what the norm of the keys saved."""
        q = np.ascontiguousarray(split_heads(self.query_key(x, tape), self.n_heads))
        k, saved_norm = ops.rms_norm(q, np.full(q.shape[3], q.shape[3] ** -0.5, q.dtype), EPS)
        return q, k, split_heads(self.value(x, tape), self.n_heads), saved_norm

    def _buckets(self, q, key):
        """Return the function that makes the buckets."""
        return lambda: ops.lsh_buckets(q, self.rotations(key, q.shape[3], q.dtype))
