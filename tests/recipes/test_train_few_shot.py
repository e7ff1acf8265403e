"""``train few_shot``: what is asked, what is measured, and that an induction head is told from another."""

import numpy as np

from tinytx.core import Layer
from tinytx.data import tokenizer_from_dict
from tinytx.models import GPTConfig
from tinytx.ops.attention_patterns import CAUSAL
from tinytx.recipes.few_shot import RECIPE, curve, heads, measure, prepare


def test_labels_alone_are_asked():
    """Catches a word that is a target, a label that is told before it is asked, and rows that come back."""
    prepared = prepare(RECIPE.settings(n_examples=5, kind="words"), None)
    assert prepared.config == GPTConfig(12, max_len=9, d_model=64, n_heads=1, n_layers=2, windows="2,all")
    tokenizer = tokenizer_from_dict(prepared.tokenizers["tokenizer"])
    batches = [prepared.batch(0), prepared.batch(1), *prepared.validation]
    for ids, targets in batches:
        assert ids.shape == targets.shape and ids.shape[1] == 9
        assert (targets[:, 1::2] == -100).all() and (targets[:, :-1:2] == ids[:, 1::2]).all()
        assert set(tokenizer.decode(targets[:, ::2].ravel()).split()) == {"0", "1", "2", "3"}
    other = prepare(RECIPE.settings(n_examples=5, kind="words", seed=1), None)
    assert (other.batch(0)[0] != prepared.batch(0)[0]).any()
    assert len({ids.tobytes() for ids, _ in batches}) == len(batches)
    assert len(prepared.lines[0].split(": ")[1].split()) == 10


class Looks(Layer):
    """In place of a model: says what followed the word's last place, or 0; its one head looks there."""

    class Head(Layer):
        def forward(self, ids, tape=None):
            return ids

        def attention_weights(self, ids):
            last = Looks.places(ids)
            last[:, 1::2] = 0  # labels look at the first word
            return (np.arange(ids.shape[1]) == last[..., None])[:, None].astype(float)

    def __init__(self, n_words):
        self.head, self.n_words = Looks.Head(), n_words

    @staticmethod
    def places(ids):
        """Return (B, T): the place behind the last earlier one of each token, or 0."""
        t = np.arange(ids.shape[1])
        before = (ids[:, :, None] == ids[:, None]) & (t < t[:, None])
        return np.where(before, t + 1, 0).max(-1)

    def forward(self, ids, tape=None):
        ids = self.head(ids, tape)
        said = np.take_along_axis(ids, self.places(ids), 1)
        return np.eye(self.n_words)[said]


def test_who_looks_labels_up_is_right_where_it_can_be():
    """Its share after n examples is that of letters which were before: 1 - (3/4)^n, and 1/4 of the rest at best."""
    prepared = prepare(RECIPE.settings(), None)
    model = Looks(prepared.config.vocab_size)
    shares, expected = curve(model, prepared), 1 - 0.75 ** np.arange(12)
    np.testing.assert_allclose(shares, expected, atol=0.06)
    assert shares[0] == 0 and heads(model, prepared).tolist() == [[1.0]]
    measured, same = measure(model, prepared)
    assert measured == {"after_0": 0.0, "after_1": shares[1], "accuracy": shares[-1], "induction": 1.0}
    np.testing.assert_array_equal(same, shares)


def test_blocks_are_banded_and_dense_in_turn():
    from tinytx.models import GPT

    prepared = prepare(RECIPE.settings(), None)
    first, second = GPT(prepared.config, rng=np.random.default_rng(0)).blocks
    assert (first.attention.f.core.pattern.left, second.attention.f.core.pattern) == (1, CAUSAL)
