"""Gradients of large matrices that are made after the shards have ended: in every bit those that the shards make."""

import zlib

import numpy as np
import pytest
from model_cases import MODEL_CASES

from tinytx.core import Parameter
from tinytx.kernel import is_plain
from tinytx.layers import Linear
from tinytx.models import GPT, GPTConfig, Llama, LlamaConfig
from tinytx.ops import gelu_linear, gelu_linear_backward, linear, linear_backward
from tinytx.ops.linear import Product
from tinytx.tasks import NextToken
from tinytx.training import AdamW, Trainer, products, shards
from tinytx.training.products import are_worth_it, made
from tinytx.training.shards import ShardParameter, share_gradients

SIZES = {"vocab_size": 300, "max_len": 32, "d_model": 96, "n_heads": 4, "n_layers": 2}
MODELS = {
    "GPT": (GPT, GPTConfig(**SIZES)),
    "GPT of other settings": (GPT, GPTConfig(**SIZES, activation="gelu", tied_head=False)),
    "Llama": (Llama, LlamaConfig(**SIZES)),
}


@pytest.fixture
def counts(monkeypatch):
    """Products that are handed over, and pieces that are made; smaller matrices and pieces than else."""
    seen = {"handed over": 0, "pieces": 0}

    def is_worth_it(dy, shape):
        found = are_worth_it(dy, shape)
        seen["handed over"] += found
        return found

    def write(value, out, rows, write=products._write):
        seen["pieces"] += 1
        return write(value, out, rows)

    monkeypatch.setattr(shards, "are_worth_it", is_worth_it)
    monkeypatch.setattr(products, "_write", write)
    monkeypatch.setattr(products, "LARGE", 96 * 96)
    monkeypatch.setattr(products, "PIECE", 96 * 96)
    return seen


def model_of(name, dtype=np.float32):
    kind, config = MODELS[name]
    rng = np.random.default_rng(0)
    return NextToken(kind(config, rng=rng, dtype=dtype), rng=rng)


def steps(model, n=4, rows=5, t=6, **options):
    trainer, seen = Trainer(model, AdamW(model, 1e-2), **options), []
    for number in range(n):
        ids = np.random.default_rng(number).integers(300, size=(rows, t + 1))
        seen += [trainer.step(ids[:, :-1], ids[:, 1:]), trainer.grad_norm]
        seen += [zlib.crc32(p.grad.tobytes()) for p in model.parameters()]
    return seen, trainer


@pytest.mark.parametrize("options", [{"threads": 2}, {"threads": 3}, {"threads": 5}, {"threads": 2, "accumulate": 2}], ids=str)
@pytest.mark.parametrize("name", MODELS)
def test_every_bit_is_that_of_sums_of_the_shards_own(name, options, counts, monkeypatch):
    """Catches sums in another order or of fewer shards, products of other operands, rows of a tied table that come before its product."""
    after, _ = steps(model_of(name), **options)
    n = counts["handed over"]
    assert n >= 4 * 13 and counts["pieces"] > n / 2  # some matrices are cut in several pieces
    monkeypatch.setattr(products, "LARGE", 1 << 60)
    before, _ = steps(model_of(name), **options)
    assert counts["handed over"] == n
    assert after == before


def test_one_shard_hands_over_and_another_does_not(counts, monkeypatch):
    """Rows of two shards may be as many as the limit, and one more."""
    monkeypatch.setattr(products, "ROWS", 12)  # of two rows of six, but not of three
    after, _ = steps(model_of("GPT"), threads=2)
    assert counts["handed over"] == 4 * 13
    monkeypatch.setattr(products, "LARGE", 1 << 60)
    assert after == steps(model_of("GPT"), threads=2)[0]


@pytest.mark.parametrize("name", MODEL_CASES)
def test_nobody_writes_to_what_is_handed_over(name, monkeypatch):
    """Catches a layer that writes into its input or into dy after the backward of a linear map, which nobody else would see."""
    found = []
    for is_worth_it in (False, True):
        monkeypatch.setattr(shards, "are_worth_it", lambda dy, shape: is_worth_it)  # noqa: B023
        task, batch = MODEL_CASES[name](np.float64)
        if not hasattr(task, "loss_backward") or len(batch[0]) < 2:
            pytest.skip("there are no two shards")
        trainer = Trainer(task, AdamW(task, 0.0), threads=2)
        trainer.step(*batch)
        found.append([p.grad for p in task.parameters()])
    for one, other in zip(*found, strict=True):
        np.testing.assert_allclose(other, one, rtol=1e-11, atol=1e-13)


class WritesToDy(Linear):
    """A layer of somebody's own, that uses the memory of dy."""

    def backward(self, dy, tape, *, onto=None):
        dx = super().backward(dy, tape, onto=onto)
        dy *= 2
        return dx

    def add_matrix_grad(self, dmatrix):
        self.weight.add_grad(2 * dmatrix)


@pytest.mark.parametrize("change", ["class", "method"])
def test_layers_of_other_people_hand_over_nothing(change, counts, monkeypatch):
    """Catches products of what somebody has written to since then, and somebody who computes with a gradient that is no array yet."""
    seen = []
    for large in (96 * 96, 1 << 60):
        monkeypatch.setattr(products, "LARGE", large)
        model = model_of("GPT")
        layer = model.body.blocks[0].feed_forward.f.expand
        if change == "class":
            layer.__class__ = WritesToDy
        else:
            layer.add_matrix_grad = lambda dmatrix: None  # it may keep what it gets
        seen.append(steps(model, n=2, threads=2)[0])
    assert seen[0] == seen[1] and not counts["pieces"]


def test_frozen_matrices_and_single_shards_hand_over_nothing(counts):
    model = model_of("GPT")
    steps(model, n=1, threads=1)
    assert not counts["handed over"]
    for parameter in model.parameters():
        parameter.frozen = parameter.data.ndim == 2
    _, trainer = steps(model, n=1, threads=2)
    assert not counts["pieces"] and trainer.grad_norm > 0


def test_gradients_that_travel_are_made_at_once():
    """Other machines get arrays, while the shards still compute."""
    parameter = Parameter(np.zeros((600, 600)))
    for offer, wanted in ((None, True), (print, False)):
        own = [ShardParameter(parameter.data) for _ in range(2)]
        share_gradients({"p": parameter}, [{"p": each} for each in own], offer=offer, hands_over=True)
        assert [each.takes_unmade(np.zeros((3, 600))) for each in own] == [wanted] * 2
    assert not parameter.takes_unmade(np.zeros((3, 600)))


def test_a_repeated_step_hands_over_too(counts, monkeypatch):
    """Catches arrays that later calls of the recorded step have written to."""
    monkeypatch.setattr("tinytx.training.repeater.ORDINARY", 1)
    after, trainer = steps(model_of("GPT"), n=6, rows=4, t=12, threads=2)
    assert [each.n_repeated for each in trainer._repeaters] == ([0, 0] if is_plain() else [3, 3]) and counts["handed over"]
    monkeypatch.setattr(products, "LARGE", 1 << 60)
    assert after == steps(model_of("GPT"), n=6, rows=4, t=12, threads=2)[0]


@pytest.mark.parametrize(("n", "r", "c", "wanted"), [(128, 768, 768, True), (257, 4096, 4096, False), (128, 256, 256, False), (16, 65, 50_257, True), (200, 768, 768, False)])
def test_it_is_worth_it_where_rows_are_few_and_the_matrix_is_large(n, r, c, wanted):
    assert are_worth_it(np.empty((n, c)), (r, c)) == wanted
    assert not are_worth_it(np.empty((n, c)), (r, c, 1))


def test_a_product_is_the_gradient_that_it_stands_for():
    rng = np.random.default_rng(0)
    x, dy, weight = rng.normal(size=(2, 9, 5)), rng.normal(size=(2, 9, 7)), rng.normal(size=(5, 7))
    for forward, backward in ((linear, linear_backward), (gelu_linear, gelu_linear_backward)):
        _, saved = forward(x, weight)
        dx, dweight, _ = backward(dy, saved)
        other, product, _ = backward(dy, saved, unmade=True)
        assert backward(dy, saved, unmade=True, frozen=True)[1] is None
        np.testing.assert_array_equal(other, dx)
        if isinstance(product, Product):  # in plain Python it is made at once
            assert product.shape == (5, 7) and product.dtype == np.float64
            for array in (np.asarray(product), np.asarray(product.T).T, made(product), made((product, product)) / 2):
                np.testing.assert_allclose(array, dweight, rtol=1e-12)
