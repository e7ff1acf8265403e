"""A trained model says which of some classes a picture belongs to: a picture's file, or its pixels."""

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np

from tinytx.arguments import check_whole
from tinytx.core import Layer
from tinytx.extras import require
from tinytx.pipelines.base import Pipeline
from tinytx.pipelines.classification import ranking
from tinytx.pipelines.classify import labels_of
from tinytx.tasks import ImageClasses

MODES = {1: "L", 3: "RGB", 4: "RGBA"}  # Pillow's name of pixels of so many numbers
FILTERS, BILINEAR = range(6), 2  # Pillow's numbers of ways to bring a picture to another size
REMEDY = "write preprocessor_config.json with save_pretrained of transformers' image processor"


class Preparation(NamedTuple):
    """What is done with a picture's pixels, numbers from 0 to 255, before a model reads them: (scale pixel - mean) / std.

    Attributes
    ----------
    scale : float
    mean, std : tuple of float
        A number for each channel, or one for all.
    filter : int
        How a picture of another size is brought to the model's: 2 bilinear, 3 bicubic, as the library Pillow counts.
    """

    scale: float = 1 / 255
    mean: tuple = (0.0,)
    std: tuple = (1.0,)
    filter: int = BILINEAR

    @classmethod
    def of(cls, state, image_shape, place):
        """Return what preprocessor_config.json says, as transformers reads it.

        Parameters
        ----------
        state : dict, or None
            None, or {}, is what is not there.
        image_shape : (height, width, channels) of the model
        place : str or Path
            For messages.

        Raises
        ------
        ValueError
            If it does not say how pictures are prepared, or makes images of another size than the model reads.
        """
        if not isinstance(state, dict) or not state:
            raise ValueError(f"{place} does not say how a picture becomes what the model reads: {REMEDY}")
        height, width, channels = image_shape
        size = state.get("size")
        size = [size.get("height"), size.get("width")] if isinstance(size, dict) else [size, size]
        if state.get("do_resize", True) and size != [height, width] or state.get("do_center_crop"):
            facts = f"{place}: pictures are made {state.get('size')!r:.60}{', and cut' if state.get('do_center_crop') else ''}"
            raise ValueError(f"{facts}, expected a height of {height} and a width of {width}, those of the model: {REMEDY}")
        scale = state.get("rescale_factor", 1 / 255) if state.get("do_rescale", True) else 1.0
        normal = state.get("do_normalize", True)
        mean, std = (state.get(name, [0.5]) if normal else [none] for name, none in (("image_mean", 0.0), ("image_std", 1.0)))
        for name, numbers in (("rescale_factor", [scale]), ("image_mean", mean), ("image_std", std)):
            fits = isinstance(numbers, list) and len(numbers) in (1, channels)
            if not fits or not all(isinstance(x, int | float) and math.isfinite(x) for x in numbers):
                raise ValueError(f"{place}: {name} is {numbers!r:.60}, expected {channels} finite numbers, or one: {REMEDY}")
        if 0 in std or state.get("resample", BILINEAR) not in FILTERS:
            facts = f"image_std {std!r:.60} and resample {state.get('resample')!r:.20}"
            raise ValueError(f"{place}: {facts}, expected no 0, and a number from 0 to 5: {REMEDY}")
        return cls(float(scale), tuple(map(float, mean)), tuple(map(float, std)), state.get("resample", BILINEAR))


class ImageClassifier(NamedTuple):
    """A trained `ImageClasses`, what is done with a picture before it, and the names of its classes.

    Examples
    --------
    >>> ImageClassifier(model, Preparation(), ["cat", "dog"]).logits("cat.png")  # doctest: +SKIP
    """

    model: Layer
    preparation: Preparation
    labels: list
    tasks = (ImageClasses,)

    @classmethod
    def of(cls, model, meta, place):
        """Return the pipeline of a checkpoint; raise ValueError if its preparation or its labels do not fit the model."""
        preparation = Preparation.of(meta.get("preprocessor"), model.config.image_shape, place)
        return cls(model, preparation, labels_of(meta, model.settings["n_classes"], place))

    def read(self, picture):
        """Return what the model reads of a picture, an array (height, width, channels).

        Parameters
        ----------
        picture : str or Path, or array (H, W) or (H, W, channels), uint8, or an image of the library Pillow
            The name of a picture's file; its pixels. A picture of another size is brought to the model's, one in colours to
            shades of grey where the model reads these.

        Raises
        ------
        ValueError
            If there is no such file, or it holds no picture; if an array has another dtype or other axes.
        MissingExtra
            If the library Pillow is not installed, which `pip install "tinytx[train]"` does.
        """
        images = require("PIL.Image", "train", "reading pictures")
        (height, width, channels), (scale, mean, std, how) = self.model.config.image_shape, self.preparation
        if channels not in MODES:
            raise ValueError(f"ImageClassifier: the model reads {channels} channels, and pictures have 1, 3 or 4")
        turned = require("PIL.ImageOps", "train", "reading pictures").exif_transpose(_opened(images, picture))
        image = turned.convert(MODES[channels])
        if image.size != (width, height):
            image = image.resize((width, height), how)
        pixels = np.asarray(image, np.float64).reshape(height, width, channels)
        prepared = (pixels * scale - mean) / np.array(std)
        return prepared.astype(self.model.head.classifier.weight.data.dtype)

    def logits(self, picture):
        """Return the logits (n_classes,) of a picture; for the parameter and the errors see `read`."""
        return self.model(self.read(picture)[None])[0]


def _opened(images, picture):
    """Return a picture as an image of Pillow, whatever it is; see `ImageClassifier.read`."""
    if isinstance(picture, str | Path):
        if not Path(picture).is_file():
            raise ValueError(f"there is no file {picture}: check its name and the working folder")
        try:
            with open(picture, "rb") as file:
                image = images.open(file)
                image.load()
        except Exception as error:  # Pillow has an error for each kind of damage, and some more for pictures of huge sizes
            raise ValueError(f"{picture} is no picture that can be read: {error}") from error
        return image
    if isinstance(picture, images.Image):
        return picture
    if not isinstance(picture, np.ndarray) or picture.dtype != np.uint8:
        kind = f"an array of {picture.dtype}" if isinstance(picture, np.ndarray) else f"a {type(picture).__name__}"
        raise ValueError(f"ImageClassifier: {kind}, expected the name of a file, or an array of uint8 (height, width, channels); "
                         "the model itself reads floats")  # fmt: skip
    axes = picture[:, :, 0] if picture.ndim == 3 and picture.shape[2] == 1 else picture
    if axes.ndim not in (2, 3) or axes.ndim == 3 and axes.shape[2] not in MODES or 0 in axes.shape:
        raise ValueError(f"ImageClassifier: an array of shape {picture.shape}, expected (height, width, channels), 1, 3 or 4 of these")
    return images.fromarray(axes)


class ImageClassification(Pipeline):
    """A model says which class a picture has."""

    use, takes = ImageClassifier, (object,)  # `ImageClassifier.read` says what is no picture

    def __call__(self, inputs, *, top_k=5, function_to_apply=None):
        """Classify a picture, or several.

        Parameters
        ----------
        inputs : a picture, as `ImageClassifier.read` takes it, or list of these
        top_k : int
            How many classes to name for each, at most.
        function_to_apply : str, optional
            What makes scores of logits: "softmax", "sigmoid" or "none". By default what config.json's "problem_type" says;
            else softmax, or sigmoid for a model of one class.

        Returns
        -------
        list of dict, with ``label`` and ``score``
            The likeliest class first. Of several pictures the list of all that.

        Raises
        ------
        ValueError
            If one is no picture, or there is no such function.
        """
        check_whole("ImageClassification", "top_k", top_k)
        ranked = ranking("ImageClassification", self.uses, function_to_apply)
        return self._each(inputs, lambda pictures: [ranked(self.uses.logits(picture))[:top_k] for picture in pictures])
