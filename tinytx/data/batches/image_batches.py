"""Batches of images with classes, moved by a few pixels where few images are to teach that places do not matter."""

import numpy as np

from tinytx.arguments import INT64, check_whole
from tinytx.data.batches.epochs import Epochs


class ImageBatches(Epochs):
    """Images in a new order in each epoch: ``batches(step)`` is what a loss takes.

    Order and moves depend on seed and step alone, so a run that resumes at step 500 gets the same batch 500.

    Parameters
    ----------
    images : array (N, H, W, C), float32 or float64
    labels : integers (N,)
        The class of each image.
    batch_size : int
        The largest number of images in a batch; batches have nearly equal sizes.
    seed : int, not negative
    shift : int, not negative
        Each image is moved by up to so many pixels, up or down and left or right; what moves in from outside is 0.

    Raises
    ------
    TypeError, ValueError
        If there are no images, labels do not fit them, or a number is out of its range.

    Examples
    --------
    >>> images = np.arange(12, dtype=np.float32).reshape(3, 2, 2, 1)
    >>> batches = ImageBatches(images, [1, 0, 1], batch_size=2, seed=3)
    >>> for some, labels in batches.epoch():
    ...     print(some.shape, labels.tolist())
    (2, 2, 2, 1) [1, 0]
    (1, 2, 2, 1) [1]
    """

    def __init__(self, images, labels, *, batch_size, seed, shift=0):
        super().__init__()
        images, labels = np.asarray(images), np.asarray(labels)
        if images.ndim != 4 or images.dtype not in (np.float32, np.float64) or not len(images):
            facts = f"images are {images.dtype} of shape {images.shape}"
            raise TypeError(f"ImageBatches: {facts}, expected float32 or float64 of shape (N, height, width, channels), N at least 1")
        if labels.shape != images.shape[:1] or labels.dtype.kind not in "iu":
            facts = f"labels are {labels.dtype} of shape {labels.shape}"
            raise ValueError(f"ImageBatches: {facts}, expected integers of shape {images.shape[:1]}, one for each image")
        self.images, self.labels = images, labels
        self.batch_size = check_whole("ImageBatches", "batch_size", batch_size)
        self.seed = check_whole("ImageBatches", "seed", seed, 0, INT64[1])
        self.shift = check_whole("ImageBatches", "shift", shift, 0, min(images.shape[1:3]))

    def __len__(self):
        """Return the number of batches in an epoch."""
        return -(-len(self.images) // self.batch_size)

    def batch(self, step):
        """Return batch ``step`` of the run: images (B, H, W, C) and labels (B,)."""
        _, chosen = self._rows_of(step)
        images, s = self.images[chosen], self.shift
        if s:
            _, h, w, _ = images.shape
            wide = np.pad(images, ((0, 0), (s, s), (s, s), (0, 0)))
            corners = np.random.default_rng([self.seed, step, s]).integers(0, 2 * s + 1, (len(images), 2))
            images = np.stack([image[i : i + h, j : j + w] for image, (i, j) in zip(wide, corners, strict=True)])
        return images, self.labels[chosen]

    __call__ = batch

    def _planned(self, epoch):
        return np.array_split(np.random.default_rng([self.seed, epoch]).permutation(len(self.images)), len(self))
