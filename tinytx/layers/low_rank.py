"""LoRA: a frozen linear map, and a small trained one of low rank beside it (Hu et al. 2021, arXiv:2106.09685).

    y = x W + b + (alpha / r) (x A) B,    A (d_in, r), B (r, d_out)

A is random and B is 0 at first, so a model begins as what it was, to the bit. Of a matrix's d_in d_out numbers r (d_in + d_out)
are trained: gradient and moments of W are never made. A checkpoint holds both parts. After training, `merge` makes one matrix
of them::

    freeze(model, "body.*")
    adapt(model, "body.*.query", "body.*.value", rank=4, alpha=8, rng=rng)
    ...                     # an optimiser and a trainer, made now
    merge(model)            # a plain model again, which save_pretrained takes, too
"""

from fnmatch import fnmatchcase

import numpy as np

from tinytx.arguments import check_number, check_whole
from tinytx.core import Layer
from tinytx.layers.dropout import Dropout
from tinytx.layers.init import Zeros, uniform_fan_in
from tinytx.layers.linear import Linear
from tinytx.layers.sequential import Scale


class LowRankLinear(Layer):
    """A linear map that is frozen, plus one of low rank.

    Parameters
    ----------
    base : Linear
        Becomes frozen, its bias too.
    rank : int
        r.
    alpha : float
        The branch is multiplied by alpha / r, so that r can change without another learning rate.
    dropout : float
        Of what the branch reads.
    rng : numpy.random.Generator
        Draws A.

    Attributes
    ----------
    base, a, b : Linear
    settings : dict
        ``rank``, ``alpha`` and ``dropout``.
    """

    def __init__(self, base, rank, *, alpha, dropout=0.0, rng):
        if not isinstance(base, Linear):
            raise TypeError(f"LowRankLinear: base is a {type(base).__name__}, expected a Linear")
        (d_in, d_out), dtype = base.weight.data.shape, base.weight.data.dtype
        rank = check_whole("LowRankLinear", "rank", rank)
        alpha = check_number("LowRankLinear", "alpha", alpha, "a finite number above 0", lambda x: 0 < x < np.inf)
        self.settings = {"rank": rank, "alpha": alpha, "dropout": dropout}
        self.base, self.dropout = base, Dropout(dropout)
        self.a = Linear(d_in, rank, bias=False, rng=rng, dtype=dtype, init=uniform_fan_in)
        self.b = Linear(rank, d_out, bias=False, rng=rng, dtype=dtype, init=lambda rng, shape: np.zeros(shape))
        self.scale = Scale(alpha / rank)
        for parameter in base.parameters():
            parameter.frozen = True

    def forward(self, x, tape=None):
        """(..., d_in) -> (..., d_out)."""
        y = self.base(x, tape)
        return y + self.scale(self.b(self.a(self.dropout(x, tape), tape), tape), tape)

    def backward(self, dy, tape):
        dx = self.a.backward(self.b.backward(self.scale.backward(dy, tape), tape), tape)
        dx = self.dropout.backward(dx, tape)
        return dx + self.base.backward(dy, tape)

    def merged(self):
        """Return a new `Linear` with W + (alpha / r) A B, computed in float64 and then rounded once; W stays as it is."""
        a, b = (part.weight.data.astype(np.float64) for part in (self.a, self.b))
        weight = self.base.weight.data + self.scale.factor * (a @ b)
        dtype, bias = self.base.weight.data.dtype, self.base.bias
        plain = Linear(*weight.shape, bias=bias is not None, rng=None, dtype=dtype, init=lambda rng, shape: weight)
        if bias is not None:
            plain.bias.data[...] = bias.data
        return plain


def adapted_layers(model):
    """Return {path: `LowRankLinear`} of a model."""
    return {path: layer for path, layer in model.named_layers() if isinstance(layer, LowRankLinear)}


def adapt(model, *patterns, rank, alpha, dropout=0.0, rng):
    """Put a `LowRankLinear` in the place of linear maps; return their paths.

    Parameters
    ----------
    model : Layer
        Changed in place. What is to be trained beside the branches must not be frozen: a new head, say.
    *patterns : str
        Of paths of `Linear` layers, as `model.named_layers` has them: ``"body.*.query"``; see
        `tinytx.training.optimizers.groups` for patterns.
    rank, alpha, dropout, rng
        As for `LowRankLinear`.

    Raises
    ------
    ValueError
        If a pattern matches no linear map.
    """
    linears = {path: layer for path, layer in model.named_layers() if isinstance(layer, Linear)}
    adapted = adapted_layers(model)
    linears = {path: linears[path] for path in linears if path.rpartition(".")[0] not in adapted}
    for pattern in patterns:
        if not any(fnmatchcase(path, pattern) for path in linears):
            raise ValueError(f"adapt: {pattern!r} matches no linear map; their paths are {', '.join(list(linears)[:8])}, ...")
    chosen = [path for path in linears if any(fnmatchcase(path, pattern) for pattern in patterns)]
    for path in chosen:
        _put(model, path, LowRankLinear(linears[path], rank, alpha=alpha, dropout=dropout, rng=rng))
    return chosen


def adapt_to_load(model, settings, weights):
    """Put branches of zeros where a saved model had them.

    Parameters
    ----------
    model : Layer
        Changed in place.
    settings : dict
        {path: `LowRankLinear.settings`}.
    weights : dict of str to array
        What is to be loaded. A branch is made if its own two arrays are there: a file cannot ask for more memory than it has.

    Raises
    ------
    TypeError, ValueError, KeyError
        If a path leads to no linear map, or its settings or arrays are not those of a branch.
    """
    layers = dict(model.named_layers())
    for path, each in dict(settings).items():
        d_in, d_out = layers[path].weight.data.shape if isinstance(layers[path], Linear) else (0, 0)
        held = [weights[f"{path}.{part}.weight"].shape for part in "ab"]
        if held != [(d_in, each["rank"]), (each["rank"], d_out)]:
            facts = f"{path} has branches of shapes {held[0]} and {held[1]}"
            raise ValueError(f"{facts}, expected ({d_in}, r) and (r, {d_out}), r {each['rank']!r:.60}")
        _put(model, path, LowRankLinear(layers[path], rng=Zeros(held[0][0] * held[0][1]), **each))


def merge(model):
    """Put a plain `Linear` in the place of each `LowRankLinear`; return {path: LowRankLinear}, for `unmerge`.

    The merged model says the same up to rounding. Optimisers and trainers made before are of another model.
    """
    adapted = adapted_layers(model)
    for path, layer in adapted.items():
        _put(model, path, layer.merged())
    return adapted


def unmerge(model, adapted):
    """Put back what `merge` returned. It has been kept, not computed: W, A and B are what they were, to the bit."""
    for path, layer in adapted.items():
        _put(model, path, layer)


def _put(model, path, layer):
    """Put a layer at a path of the model, whose parts are attributes, keys and places in lists."""
    *parents, last = path.split(".")
    holder = model
    for name in parents:
        holder = _part(holder, name)
    if isinstance(holder, Layer):
        setattr(holder, last, layer)
    else:
        holder[int(last) if isinstance(holder, list) else last] = layer


def _part(holder, name):
    if isinstance(holder, Layer):
        return getattr(holder, name)
    return holder[int(name) if isinstance(holder, (list, tuple)) else name]
