"""Image classes: predict the class of an image."""

from tinytx.tasks.classes import Classes
from tinytx.tasks.heads import ImageClassSettings
from tinytx.tasks.task import Task


class ImageClasses(Classes):
    """A body that reads images, and a head that classifies one vector, which is pooled from all vectors of the body.

    Parameters
    ----------
    body : Layer
        ``body(images, tape)`` returns (B, T, D): `tinytx.models.ViT`. Its config has ``d_model`` and ``image_shape``.
    rng : numpy.random.Generator
        Draws the head.
    **settings
        `tinytx.tasks.heads.ImageClassSettings`: ``n_classes``, ``pooling``, ``classifier_bias``, ``dropout``.

    Examples
    --------
    >>> import numpy as np
    >>> from tinytx.models import ViT, ViTConfig
    >>> rng = np.random.default_rng(0)
    >>> config = ViTConfig(image_size=8, patch_size=2, n_channels=1, d_model=16, n_heads=2, n_layers=1)
    >>> model = ImageClasses(ViT(config, rng=rng), n_classes=10, rng=rng)
    >>> model(np.zeros((3, 8, 8, 1), np.float32)).shape
    (3, 10)
    """

    unit = "image"
    needs = {"d_model": Task.needs["d_model"], "image_shape": "(height, width, channels) of an image"}
    Settings = ImageClassSettings

    def n_tokens(self, inputs):
        """Return how many patches, and class tokens, the body makes of images; or how many images, if its config does not say."""
        return len(inputs) * getattr(self.config, "max_len", 1)

    def random_batch(self, rng, n, length):
        """Return a random batch for `loss`: n images, in the config's shape, and labels; ``length`` is not used."""
        images = rng.random((n, *self.config.image_shape)).astype(self.head.classifier.weight.data.dtype)
        return images, rng.integers(0, self.asked.n_classes, n)
