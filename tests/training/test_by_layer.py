"""What a step says of each layer: the norms are those of NumPy, and looking at a step does not change it."""

import math

import numpy as np
import pytest

from tinytx.core import Parameter
from tinytx.models import GPT, GPTConfig, Word2Vec, Word2VecConfig
from tinytx.tasks import NearbyWords, NextToken
from tinytx.training import SGD, AdamW, Lookahead, Trainer, WordTrainer
from tinytx.training.by_layer import Before, layer_of

OPTIMIZERS = {
    "AdamW": lambda model: AdamW(model, 1e-2, weight_decay=0.1),
    "Lookahead": lambda model: Lookahead(AdamW(model, 1e-2), k=1),  # moves the weights once more
    "groups": lambda model: AdamW(model, 1e-2, groups=[("body.token.*", {"first_step": 9})]),
}


def trainer_of(optimizer, threads=1, **options):
    config = GPTConfig(vocab_size=11, max_len=7, d_model=12, n_heads=3, n_layers=2)
    model = NextToken(GPT(config, rng=np.random.default_rng(0), dtype=np.float64))
    return Trainer(model, OPTIMIZERS[optimizer](model), threads=threads, clip=0.01, **options)


def weights(trainer):
    return {name: p.data.copy() for name, p in trainer.optimizer.named.items()}


def batch(seed=0):
    return np.random.default_rng(seed).integers(11, size=(2, 3, 6))


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_the_norms_are_those_of_the_step(optimizer, threads):
    """Catches a clipped gradient, a size that is not that before the step, a layer left out, one that rests counted in."""
    trainer = trainer_of(optimizer, threads)
    trainer.watches = True
    trainer.step(*batch())
    before = weights(trainer)
    trainer.step(*batch(1))
    after, (norms, ratios) = weights(trainer), trainer.by_layer.values()
    resting = {"body.token"} if optimizer == "groups" else set()
    assert norms.keys() == ratios.keys() == {layer_of(name) for name in before} - resting
    assert math.hypot(*norms.values()) == pytest.approx(trainer.grad_norm, rel=1e-12) != 0.01
    for path in ratios:
        own = [name for name in before if layer_of(name) == path]
        moved, size, gradient = (
            math.hypot(*(np.linalg.norm(array) for array in arrays))
            for arrays in (
                [after[name] - before[name] for name in own],
                [before[name] for name in own],
                [trainer.optimizer.named[name].grad for name in own],
            )
        )
        assert norms[path] == pytest.approx(gradient, rel=1e-12)
        assert ratios[path] == pytest.approx(moved / size, rel=1e-10)


def test_looking_changes_no_bit_and_ends():
    """Catches a step that is another one where it is looked at, and norms of an earlier step."""
    watched, other = trainer_of("AdamW"), trainer_of("AdamW")
    watched.watches = True
    assert watched.step(*batch()) == other.step(*batch())
    assert all((p.data == q.data).all() for p, q in zip(watched.model.parameters(), other.model.parameters(), strict=True))
    assert other.by_layer == {} != watched.by_layer
    watched.watches = False
    watched.step(*batch())
    assert watched.by_layer == {}


def test_a_layer_at_0_that_moves():
    weight = Parameter(np.zeros((2, 3)))
    weight.add_grad(np.ones((2, 3)))
    before = Before({"linear.weight": weight})
    assert before.to_now()["update_ratios"] == {"linear": 0.0}
    weight.data[0, 0] = 1.0
    assert before.to_now() == {"grad_norms": {"linear": pytest.approx(math.sqrt(6))}, "update_ratios": {"linear": math.inf}}


def test_steps_of_words():
    """Their gradient is what moved the tables, divided by the rate, as the trainer's own norm."""
    model = NearbyWords(Word2Vec(Word2VecConfig(vocab_size=9, d_model=4), rng=np.random.default_rng(0)))
    model.output.data[...] = np.random.default_rng(2).normal(size=model.output.data.shape)
    trainer = WordTrainer(model, SGD(model, 0.1))
    rng = np.random.default_rng(1)
    words = rng.integers(9, size=(20, 1)), rng.integers(9, size=(20, 3)), np.tile([1, 0, 0], (20, 1))
    trainer.step(*words)
    assert trainer.by_layer == {}
    trainer.watches = True
    before = weights(trainer)
    trainer.step(*words)
    norms, ratios = trainer.by_layer.values()
    assert math.hypot(*norms.values()) == pytest.approx(trainer.grad_norm)
    assert ratios.keys() == {layer_of(name) for name in before}
    for name, old in before.items():
        moved = np.linalg.norm((trainer.optimizer.named[name].data - old).astype(float))
        assert ratios[layer_of(name)] == pytest.approx(moved / np.linalg.norm(old.astype(float)), rel=1e-6)
