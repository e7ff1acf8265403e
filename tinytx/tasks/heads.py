"""Parts of heads: what stands between a body and its output layer, and what says something about a whole text or image."""

from tinytx.core import Layer
from tinytx.layers import Activation, Dropout, LayerNorm, Linear, Pool
from tinytx.settings import Settings, setting

POOLINGS = {
    "first": ("first",), "cls": ("first",), "last": ("last",), "mean": ("mean",), "max": ("max",), "concat": ("last", "max", "mean"),
}  # fmt: skip


class TagSettings(Settings):
    """What a head says of each vector."""

    n_classes: int = setting(2, "classes to tell apart", minimum=1)
    dropout: float = setting(0.1, "dropout of what the classifier reads", minimum=0, below=1)


def _pooling(default):
    return setting(
        default, "what the vector of a text or an image is made of: its first vector (first, ViT); the same, a linear map and "
        "tanh (cls, BERT); its last vector, that of the last word (last, GPT-1); the mean or the maximum over its words or "
        "patches (mean, SimpleViT; max); last, max and mean one behind the other (concat, ULMFiT)",
        choices=tuple(POOLINGS), fixed=True,
    )  # fmt: skip


class PooledSettings(TagSettings):
    """What a head says of a whole text or image, and what it reads."""

    pooling: str = _pooling("cls")
    classifier_bias: bool = setting(True, "whether the map to the logits has a bias (GPT-2's has none)", fixed=True)


class ClassSettings(PooledSettings):
    """What a head says of a whole text, and what it reads."""

    pad_id: int | None = setting(None, "id of padding, which is no word of a text; if not given, the body's", minimum=0)


class ImageClassSettings(PooledSettings):
    """What a head says of an image, and what it reads."""

    pooling: str = _pooling("first")


class Transform(Layer):
    """What BERT does to a hidden word's vector before the output layer: norm(activation(linear(x))).

    Parameters
    ----------
    d_model, d_out : int
        Widths of the body's vectors and of the output layer's.
    activation : str
    eps : float
        Of the norm.
    bias : bool
        Whether the linear map and the norm have one.
    rng : numpy.random.Generator
    dtype : float32 or float64
    init : function (rng, shape) -> array
    """

    def __init__(self, d_model, d_out, *, activation, eps, bias=True, rng, dtype, init):
        self.linear = Linear(d_model, d_out, bias=bias, rng=rng, dtype=dtype, init=init)
        self.activation = Activation(activation)
        self.norm = LayerNorm(d_out, eps=eps, bias=bias, dtype=dtype)

    def forward(self, x, tape=None):
        """(..., D) -> (..., E)."""
        return self.norm(self.activation(self.linear(x, tape), tape), tape)

    def backward(self, dy, tape):
        return self.linear.backward(self.activation.backward(self.norm.backward(dy, tape), tape), tape)


class PooledHead(Layer):
    """What a body says about a whole text or image: logits of its classes, classifier(pool(x)).

    With ``pooling`` "cls" these are classifier(tanh(pooler(x_0))). The first token is ``[CLS]``, which means nothing by
    itself; so nothing but this head and attention use its vector, and it can become a summary of the others.

    Parameters
    ----------
    d_model, n_classes : int
    pooling : {"first", "cls", "last", "mean", "max", "concat"}
        See `ClassSettings`.
    dropout : float
    bias : bool
        Whether the classifier has one.
    rng : numpy.random.Generator
    dtype : float32 or float64
    init : function (rng, shape) -> array
    """

    def __init__(self, d_model, n_classes, *, pooling="cls", dropout=0.0, bias=True, rng, dtype, init):
        self.pool, width = Pool(*POOLINGS[pooling]), len(POOLINGS[pooling]) * d_model
        self.pooler = Linear(d_model, d_model, rng=rng, dtype=dtype, init=init) if pooling == "cls" else None
        self.tanh, self.dropout = Activation("tanh"), Dropout(dropout)
        self.classifier = Linear(width, n_classes, bias=bias, rng=rng, dtype=dtype, init=init)

    @classmethod
    def of(cls, d_model, asked, **drawn):
        """Return the head that `PooledSettings` ask for; ``drawn`` are ``rng``, ``dtype`` and ``init``."""
        options = {"pooling": asked.pooling, "dropout": asked.dropout, "bias": asked.classifier_bias}
        return cls(d_model, asked.n_classes, **options, **drawn)

    def forward(self, hidden, tape=None, *, mask=None):
        """(B, T, D) -> (B, n_classes); ``mask`` (B, T) is True at words, and False at padding."""
        x = self.pool(hidden, tape, mask=mask)
        x = self.tanh(self.pooler(x, tape), tape) if self.pooler else x
        return self.classifier(self.dropout(x, tape), tape)

    def backward(self, dy, tape):
        """Return dhidden (B, T, D)."""
        dx = self.dropout.backward(self.classifier.backward(dy, tape), tape)
        dx = self.pooler.backward(self.tanh.backward(dx, tape), tape) if self.pooler else dx
        return self.pool.backward(dx, tape)
