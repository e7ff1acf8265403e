"""Tags: a class for each token of a text, such as its part of speech, or whether it belongs to a name (BERT)."""

from tinytx.layers import Dropout, Linear
from tinytx.tasks.heads import TagSettings
from tinytx.tasks.text_classes import TextClasses


class Tags(TextClasses):
    """A body that reads whole texts, and a linear map from each of its vectors to the logits of a tag.

    ``labels`` (B, T) hold -100 where no tag is predicted: at padding and special tokens. If tokens are parts of words,
    only the first part of each word has a tag.

    Parameters
    ----------
    body : Layer
        As for `TextClasses`. A body that reads from left to right predicts a tag from the word and those before it.
    rng : numpy.random.Generator
        Draws the head.
    **settings
        `tinytx.tasks.heads.TagSettings`: ``n_classes``, ``dropout``.

    Examples
    --------
    >>> import numpy as np
    >>> from tinytx.models import Bert, BertConfig
    >>> rng = np.random.default_rng(0)
    >>> model = Tags(Bert(BertConfig(20, d_model=16, n_heads=2, n_layers=1), rng=rng), n_classes=3, rng=rng)
    >>> model(np.full((2, 5), 7)).shape
    (2, 5, 3)
    """

    unit = "tagged {}"
    Settings = TagSettings

    def _make_head(self, rng):
        self.dropout = Dropout(self.asked.dropout)
        self.head = Linear(self.width, self.asked.n_classes, **self._drawn_like_the_body(rng))

    def forward(self, ids, tape=None, *, segments=None):
        """Return the logits (B, T, n_classes) of each token of texts (B, T)."""
        return self.head(self.dropout(self._vectors(ids, tape=tape, segments=segments), tape), tape)

    def backward(self, dlogits, tape):
        """Add the gradients of all parameters; ids have none, so nothing is returned."""
        self.body.backward(self.dropout.backward(self.head.backward(dlogits, tape), tape), tape)

    def random_batch(self, rng, n, length):
        """Return a random batch for `loss`: n rows of ``length`` words."""
        ids, _ = super().random_batch(rng, n, length)
        return ids, rng.integers(0, self.asked.n_classes, (n, length))
