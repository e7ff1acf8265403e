"""Parts of heads: a layer between a body and its output layer, and a classifier of whole texts or images."""

from tinytx.core import Layer
from tinytx.layers import Activation, Dropout, LayerNorm, Linear, Pool
from tinytx.pretrained import Pooler
from tinytx.settings import Settings, setting

POOLINGS = {
    "first": ("first",), "cls": ("first",), "last": ("last",), "mean": ("mean",), "max": ("max",), "concat": ("last", "max", "mean"),
}  # fmt: skip


class TagSettings(Settings):
    """Settings of a head that classifies each vector."""

    n_classes: int = setting(2, "classes to tell apart", minimum=1)
    dropout: float = setting(0.1, "dropout of what the classifier reads", minimum=0, below=1)


def _pooling(default):
    return setting(
        default, "how one vector is made from those of a text or image: first, the first of them (ViT); cls, the first "
        "one, a linear map and tanh (BERT); last, that of the last word (GPT-1); mean or max over words or patches "
        "(mean: SimpleViT); concat, last, max and mean side by side (ULMFiT)",
        choices=tuple(POOLINGS), fixed=True,
    )  # fmt: skip


class PooledSettings(TagSettings):
    """Settings of a head that classifies whole texts or images."""

    pooling: str = _pooling("cls")
    classifier_bias: bool = setting(True, "whether the map to the logits has a bias (GPT-2's has none)", fixed=True)


class ClassSettings(PooledSettings):
    """Settings of a head that classifies whole texts."""

    pad_id: int | None = setting(None, "id of padding, which the head leaves out; if not given, the body's", minimum=0)


class ImageClassSettings(PooledSettings):
    """Settings of a head that classifies images."""

    pooling: str = _pooling("first")


class Transform(Layer):
    """The layers of BERT between a hidden word's vector and the output layer: norm(activation(linear(x))).

    Parameters
    ----------
    d_model, d_out : int
        D and E, the widths of the body's vectors and of the output layer's input.
    activation : str
        As for `tinytx.layers.Activation`.
    eps : float
        Of the norm.
    bias : bool
        Whether the linear map and the norm have a bias.
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
    """A head for a whole text or image: the logits of its classes are classifier(dropout(pool(x))).

    With ``pooling`` "cls" they are classifier(dropout(tanh(pooler(x_0)))). The first token is then ``[CLS]``, which
    stands for no word. Only this head and attention use its vector, so it can become a summary of the others.

    Parameters
    ----------
    d_model, n_classes : int
    pooling : {"first", "cls", "last", "mean", "max", "concat"}
        See `PooledSettings`.
    dropout : float in [0, 1)
        Of the classifier's input.
    bias : bool
        Whether the classifier has a bias.
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
        """Return the head that `PooledSettings` describe; ``drawn`` are ``rng``, ``dtype`` and ``init``."""
        options = {"pooling": asked.pooling, "dropout": asked.dropout, "bias": asked.classifier_bias}
        return cls(d_model, asked.n_classes, **options, **drawn)

    def begin_with(self, pooler):
        """Let the pooler begin with the numbers of a `tinytx.pretrained.Pooler`, if there are both."""
        if self.pooler and isinstance(pooler, Pooler):
            self.pooler.weight.data[...], self.pooler.bias.data[...] = pooler

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
