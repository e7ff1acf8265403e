"""BatchNorm, and the means and variances of the population, which it has after training."""

import numpy as np

from tinytx import ops
from tinytx.arguments import check_sizes
from tinytx.core import Layer, Parameter, Tape
from tinytx.ops.layer_norm import check_eps
from tinytx.shapes import check_dtype


class BatchNorm(Layer):
    """The normalisation of `tinytx.ops.batch_norm`: each feature has its mean over all rows of the batch.

    Without ``population`` these are the rows of the call, in training as in evaluation: a row's output depends on the rows
    beside it. `calibrate` ends that: from then on the layer has the mean and variance of the population.

    A forward cannot see beyond its own call. Where a batch is cut into shards or parts, each has the mean of its own rows
    ("ghost batches"; Hoffer et al. 2017, arXiv:1705.08741), so that results depend on the number of threads: train with
    ``threads=1`` where that matters. And in a model that reads from left to right, the mean over positions lets a position
    know something of later ones.

    Parameters
    ----------
    d_model : int
    eps : float
        Added to the variance.
    population : bool
        Whether the layer has the population's mean and variance from the start: for weights that come out of a file.
    dtype : float32 or float64

    Attributes
    ----------
    weight, bias : Parameter (D,)
        ``weight`` starts at 1, and ``bias`` at 0.
    mean, variance : Parameter (D,), or None
        The population's, frozen; at first 0 and 1. None: those of each batch.
    """

    def __init__(self, d_model, *, eps=1e-5, population=False, dtype=np.float32):
        check_sizes("BatchNorm", d_model=d_model)
        dtype, self.eps = check_dtype("BatchNorm", dtype), check_eps("BatchNorm", eps)
        self.weight, self.bias = Parameter(np.ones(d_model, dtype)), Parameter(np.zeros(d_model, dtype))
        self.mean = self.variance = None
        if population:
            self.set_population(np.zeros(d_model, dtype), np.ones(d_model, dtype))

    def set_population(self, mean, variance):
        """Use this mean and variance (D,) from now on, frozen."""
        self.mean, self.variance = Parameter(mean, frozen=True), Parameter(variance, frozen=True)

    def forward(self, x, tape=None, *, mask=None):
        """(..., D) -> (..., D). The mask, which broadcasts to (...), is True at rows that are not padding; padding gives 0."""
        population = (self.mean.data, self.variance.data) if self.mean else ()
        y, saved = ops.batch_norm(x, self.weight.data, self.bias.data, *population, mask=mask, eps=self.eps)
        if tape is not None:
            tape.push(self, saved)
        return y

    def backward(self, dy, tape):
        dx, *gradients = ops.batch_norm_backward(dy, tape.pop(self))
        for parameter, gradient in zip((self.weight, self.bias, self.mean, self.variance), gradients, strict=True):
            if parameter:
                parameter.add_grad(gradient, fresh=True)
        return dx


class _Statistics(Tape):
    """A tape that keeps nothing but a sum of N, N mean, N - 1 and N variance of each `BatchNorm`."""

    def __init__(self):
        super().__init__()
        self.sums = {}

    def push(self, layer, saved):
        if isinstance(layer, BatchNorm):
            rows, means, degrees, squares = self.sums.get(layer, (0, 0, 0, 0))
            n, mean, variance = saved.n, saved.mean.astype(float), saved.variance.astype(float)
            self.sums[layer] = rows + n, means + n * mean, degrees + n - 1, squares + n * variance


def calibrate(model, batches):
    """Give each `BatchNorm` of a model the mean and variance of the population; until then it has those of each batch.

    The paper's algorithm 2: the mean over batches of their means, and of their variances times N / (N - 1), without which the
    variance of few rows is too small on average. A batch counts by its rows N, of which this leaves padding out.

    Parameters
    ----------
    model : Layer
    batches : iterable of tuples of arrays
        What ``model(*batch)`` takes: some of those that it was trained on, as large as in training.

    Raises
    ------
    ValueError
        If the model has no `BatchNorm`, or one that no batch of at least two rows reaches.

    Examples
    --------
    >>> norm = BatchNorm(1)
    >>> calibrate(norm, [(np.float32([[1], [3]]),), (np.float32([[5], [5]]),)])
    >>> norm.mean.data.tolist(), norm.variance.data.tolist()  # means 2 and 5, variances 1 and 0, times 2 / (2 - 1)
    ([3.5], [1.0])
    """
    norms = {layer: path for path, layer in model.named_layers() if isinstance(layer, BatchNorm)}
    if not norms:
        raise ValueError(f"calibrate: {type(model).__name__} has no BatchNorm")
    for layer in norms:
        layer.mean = layer.variance = None
    tape = _Statistics()
    for batch in batches:
        model(*batch, tape)
    for layer, path in norms.items():
        rows, means, degrees, squares = tape.sums.get(layer, (0, 0, 0, 0))
        if degrees == 0:
            facts = f"BatchNorm {path!r} saw {rows} rows, no two of them in one batch"
            raise ValueError(f"calibrate: {facts}: expected batches of at least two rows that reach it")
        layer.set_population(*(total.astype(layer.weight.data.dtype) for total in (means / rows, squares / degrees)))
