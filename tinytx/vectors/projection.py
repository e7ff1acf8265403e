"""Maps of points in the plane: principal components, and t-SNE."""

import math

import numpy as np

from tinytx.arguments import check_number, check_whole
from tinytx.ops import affinities, tsne, tsne_backward
from tinytx.ops.tsne import Saved
from tinytx.shapes import check_float
from tinytx.vectors.neighbours import check_points

SPREAD = 1e-4  # standard deviation of a map at the start: small, so that all pairs have nearly the same weight
LOOK = 100  # iterations between two computations of the loss, which takes many times as long as a gradient


def pca(x, n=2):
    """Return the principal components of points: coordinates along orthogonal directions of largest variance.

    Parameters
    ----------
    x : array (N, D), float32 or float64
    n : int
        The number of components, at most the smaller of N and D.

    Returns
    -------
    coordinates : array (N, n), the dtype of x
        Centred. The sign of each direction is such that its largest entry is positive.
    share : float64 array (n,)
        The part of the total variance that each component explains.

    Raises
    ------
    TypeError, ValueError
        If x is no matrix of finite floats, or has fewer than n rows or columns.
    """
    check_float("pca", x=x)
    check_points("pca", x)
    if check_whole("pca", "n", n) > min(x.shape):
        raise ValueError(f"pca: x has shape {x.shape}, expected (N, D) with both at least n = {n}")
    largest = float(np.abs(x).max()) or 1.0
    centred = x / largest  # so that no square overflows or underflows
    centred = np.asarray(centred, np.float64) - centred.mean(axis=0, dtype=np.float64)
    u, s, vt = np.linalg.svd(centred, full_matrices=False)
    rows = np.arange(n)
    sign = np.where(vt[rows, np.abs(vt[:n]).argmax(axis=1)] < 0, -1.0, 1.0)
    share = np.square(s / (s.max() or 1.0))
    return (u[:, :n] * (s[:n] * sign) * largest).astype(x.dtype), share[:n] / (share.sum() or 1.0)


def tsne_map(
    x,
    *,
    perplexity=30.0,
    iterations=1000,
    exaggeration=12.0,
    learning_rate=None,
    seed=0,
    update=None,
):
    """Return a map of points in the plane by t-SNE: points that are near in D dimensions are near on the map.

    Distances between clusters, and their sizes, mean little. `neighbours_kept` measures how reliable a map is.

    Parameters
    ----------
    x : array (N, D), float32 or float64, both at least 2
        For word vectors use `tinytx.vectors.unit_rows`: then words with a large cosine are near.
    perplexity : float
        The effective number of neighbours of each point: see `tinytx.ops.affinities`.
    iterations : int
        Steps of the descent.
    exaggeration : float
        The factor of the affinities in the first quarter of the steps.
    learning_rate : float, optional
        The default is max(N / exaggeration / 4, 50) (Belkina et al. 2019).
    seed : int
        Of the small noise that separates points with the same principal components.
    update : function (text), optional
        Called after each iteration with the loss: the ``update`` of `tinytx.progress.progress`.

    Returns
    -------
    y : array (N, 2), the dtype of x
        Centred.
    loss : float
        The Kullback-Leibler divergence of the map from the points, in nats.

    Raises
    ------
    TypeError, ValueError
        If x, the perplexity or the number of iterations is not as above.
    FloatingPointError
        If the descent leaves all bounds: a learning rate that is too large.

    Notes
    -----
    L. van der Maaten and G. Hinton, "Visualizing Data using t-SNE", JMLR 9 (2008): momentum, gains and early
    exaggeration are theirs. The start is Kobak and Berens's (2019), the principal components, made small. All N^2
    affinities are kept: 36 MB of float32 for 3,000 points, and 1.6 GB for 20,000.
    """
    check_float("tsne_map", x=x)
    iterations = check_whole("tsne_map", "iterations", iterations)
    expected = "a finite number of at least 1"
    check_number("tsne_map", "exaggeration", exaggeration, expected, lambda factor: 1 <= factor < math.inf)
    if learning_rate is not None:
        expected = "a finite number above 0"
        check_number("tsne_map", "learning_rate", learning_rate, expected, lambda rate: 0 < rate < math.inf)
    p = affinities(x, perplexity)
    if learning_rate is None:
        learning_rate = max(len(x) / exaggeration / 4, 50)
    y = _start(x, seed)
    velocity, gains = np.zeros_like(y), np.ones_like(y)
    loss = None
    for t in range(iterations):
        early = t < iterations // 4
        dy = tsne_backward(1.0, Saved(y, p, exaggeration if early else 1.0))
        y = _step(y, velocity, gains, dy, learning_rate, 0.5 if early else 0.8)
        if early:
            _hold(y, velocity)
        if t % LOOK == LOOK - 1 or t == iterations - 1:
            loss = tsne(y, p)[0]
        if update is not None:
            update("" if loss is None else f"loss {loss:.4f}")
    return y, loss


def _start(x, seed):
    """Return the principal components, scaled to SPREAD, with noise of a hundredth of that."""
    y, _ = pca(x)
    noise = np.random.default_rng(seed).normal(size=y.shape).astype(x.dtype)
    spread = float(y[:, 0].std(dtype=np.float64)) or 1.0
    return y * x.dtype.type(SPREAD / spread) + noise * x.dtype.type(SPREAD / 100)


def _step(y, velocity, gains, dy, learning_rate, momentum):
    """Return y after a step of gradient descent; velocity and gains are changed in place.

    Each coordinate has a gain. It grows by 0.2 while the step goes on in the direction of the velocity; when the
    direction turns, it shrinks by a fifth, to 0.01 at the least (Jacobs 1988).
    """
    number = y.dtype.type
    onward = np.sign(dy) != np.sign(velocity)  # compares signs, since a product of small numbers would be 0
    gains[...] = np.maximum(np.where(onward, gains + number(0.2), gains * number(0.8)), number(0.01))
    velocity *= number(momentum)
    velocity -= number(learning_rate) * gains * dy
    y = y + velocity
    return y - y.mean(axis=0)


def _hold(y, velocity):
    """Scale y up, in place, if it has shrunk below the spread of the start.

    If points hardly form clusters, exaggerated attraction exceeds repulsion in every direction, and y shrinks by a
    constant factor at each step, to 1e-22 and less. Directions shrink at different rates, which sorts them usefully;
    but so small a map would need hundreds of steps to grow again.
    """
    spread = float(np.sqrt(np.mean(np.square(y, dtype=np.float64))))
    if 0 < spread < SPREAD:
        y *= y.dtype.type(SPREAD / spread)
        velocity *= y.dtype.type(SPREAD / spread)
