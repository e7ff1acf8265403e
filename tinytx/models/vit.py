"""ViT: an encoder of images (Dosovitskiy et al. 2020, arXiv:2010.11929), and SimpleViT (Beyer et al. 2022, arXiv:2205.01580).

Its blocks are those of `Bert` with the norm before each part and one more norm at the end. It reads images, not words. An
image is cut into square patches, and each patch is one position: a linear map turns its pixels into a vector. A learned
vector, the class token, stands in front of them, and a classifier reads the output at its position. Vectors of
positions are learned, including one for the class token.

SimpleViT (`ViTConfig.simple`) has no class token; its positions are fixed sinusoids of row and column, and a classifier
reads the mean of all vectors. `tinytx.tasks.ImageClasses` is the classifier of both.
"""

import numpy as np

from tinytx.core import Layer
from tinytx.layers import ClassToken, Dropout, GridPositions, LayerNorm, LearnedPositions, PatchEmbedding
from tinytx.layers.feed_forward import ACTIVATIONS
from tinytx.layers.init import normal, xavier_uniform
from tinytx.models.config import MOST_LAYERS, check_heads
from tinytx.models.stacks import make_blocks
from tinytx.pretrained import Pretrained
from tinytx.settings import Settings, setting

POSITIONS = ("learned", "sinusoidal", "none")


class ViTConfig(Settings):
    """What a ViT is made of; the defaults are the paper's base model with patches of 16 x 16 pixels, ViT-B/16."""

    image_size: int = setting(224, "pixels along each side of an image", minimum=1)
    patch_size: int = setting(16, "pixels along each side of a patch, P, a divisor of image_size", minimum=1)
    n_channels: int = setting(3, "numbers in a pixel, C: 3 for colours, 1 for shades of grey", minimum=1)
    d_model: int = setting(768, "width of the model, D", minimum=1)
    n_heads: int = setting(12, "attention heads, H, a divisor of D", minimum=1)
    n_layers: int = setting(12, "blocks", minimum=1, maximum=MOST_LAYERS)
    d_ff: int | None = setting(None, "width inside the feed-forward layers; 4 D if not given", minimum=1)
    class_token: bool = setting(True, "whether a learned vector stands in front of the patches")
    positions: str = setting(
        "learned", "vectors of positions; the sinusoids are those of a patch's row and column", choices=POSITIONS
    )
    activation: str = setting("gelu", "function inside the feed-forward layers", choices=sorted(ACTIVATIONS))
    eps: float = setting(1e-12, "epsilon of every layer norm", above=0, below=1)
    dropout: float = setting(
        0.0, "dropout of embeddings and of each part's output in training", minimum=0, below=1, free=True
    )
    attention_dropout: float | None = setting(
        None, "dropout of attention weights; as dropout if not given", minimum=0, below=1, free=True
    )
    position_std: float = setting(
        0.02, "initial standard deviation of positions and class token; short runs need more", above=0, free=True
    )

    norm_order = "pre"

    def __post_init__(self):
        super().__post_init__()
        check_heads(self)
        if self.image_size % self.patch_size:
            raise ValueError(f"ViTConfig: patch_size {self.patch_size} does not divide image_size {self.image_size}")
        if self.positions == "sinusoidal" and (self.d_model % 4 or self.d_model < 8):
            raise ValueError(
                f"ViTConfig: d_model is {self.d_model}, expected a multiple of 4, at least 8, for sinusoidal positions"
            )

    @classmethod
    def simple(cls, **changes):
        """Return the config of SimpleViT."""
        return cls(**{"class_token": False, "positions": "sinusoidal"} | changes)

    @property
    def image_shape(self):
        """(H, W, C) of an image."""
        return self.image_size, self.image_size, self.n_channels

    @property
    def n_side(self):
        """The number of patches along each side."""
        return self.image_size // self.patch_size

    @property
    def max_len(self):
        """The number of positions: the patches, and the class token if there is one."""
        return self.n_side**2 + self.class_token


class ViT(Pretrained, Layer):
    """An encoder of images: it turns pixels into one vector for each patch, after one for the class token.

    Parameters
    ----------
    config : ViTConfig
    rng : numpy.random.Generator
        As in the authors' program, matrices are Xavier uniform, the matrix of the patches is normal with variance
        1 / (C P P), and positions are normal with the standard deviation ``position_std``. So is the class token, which
        starts at 0 in their program.
    dtype : float32 or float64

    Examples
    --------
    >>> config = ViTConfig(image_size=8, patch_size=2, n_channels=1, d_model=16, n_heads=2, n_layers=1)
    >>> body = ViT(config, rng=np.random.default_rng(0))
    >>> body(np.zeros((3, 8, 8, 1), np.float32)).shape
    (3, 17, 16)
    """

    init = staticmethod(xavier_uniform)

    def __init__(self, config, *, rng, dtype=np.float32):
        self.config = config
        d, draw = config.d_model, {"rng": rng, "dtype": dtype}
        inputs = config.n_channels * config.patch_size**2
        self.patches = PatchEmbedding(config.patch_size, config.n_channels, d, init=normal(inputs**-0.5), **draw)
        spread = normal(config.position_std)
        self.class_token = ClassToken(d, init=spread, **draw) if config.class_token else None
        self.position = None
        if config.positions == "learned":
            self.position = LearnedPositions(config.max_len, d, init=spread, **draw)
        elif config.positions == "sinusoidal":
            self.position = GridPositions(config.n_side, config.n_side, d, leading=int(config.class_token), dtype=dtype)
        self.dropout = Dropout(config.dropout)
        self.blocks = make_blocks(
            config, config.n_layers, attention_dropout=config.attention_dropout, eps=config.eps, init=self.init, **draw
        )
        self.norm = LayerNorm(d, eps=config.eps, dtype=dtype)

    def forward(self, images, tape=None):
        """Return a vector for each position, which depends on the whole image.

        Parameters
        ----------
        images : array (B, H, W, C), the weights' dtype
            For grey images C is 1: ``images[..., None]`` adds this axis. The published models were trained on pixels
            between -1 and 1.
        tape : Tape, optional

        Returns
        -------
        array (B, N, D), or (B, 1 + N, D) with a class token
            The vectors of N = (image_size / patch_size)^2 patches, row by row. That of the class token is the first.

        Raises
        ------
        TypeError, ValueError
            If the images have another dtype or shape.
        """
        images, dtype, shape = np.asarray(images), self.norm.weight.data.dtype, self.config.image_shape
        if images.dtype != dtype:
            remedy = "(images / 255)" if images.dtype == np.uint8 else "images"
            raise TypeError(f"ViT: images are {images.dtype}, expected {dtype}, as the weights: {remedy}.astype(np.{dtype})")
        if images.ndim != 4 or images.shape[1:] != shape:
            expected = f"(B, {', '.join(map(str, shape))}), (B, height, width, channels) from the config"
            raise ValueError(f"ViT: images have shape {images.shape}, expected {expected}")
        x = self.patches(images, tape)
        if self.class_token:
            x = self.class_token(x, tape)
        if self.position:
            x = self.position(x, tape)
        x = self.dropout(x, tape)
        for block in self.blocks:
            x = block(x, tape)
        return self.norm(x, tape)

    def backward(self, dx, tape):
        """Return dimages (B, H, W, C)."""
        dx = self.norm.backward(dx, tape)
        for block in reversed(self.blocks):
            dx = block.backward(dx, tape)
        dx = self.dropout.backward(dx, tape)
        if self.position:
            dx = self.position.backward(dx, tape)
        if self.class_token:
            dx = self.class_token.backward(dx, tape)
        return self.patches.backward(dx, tape)
