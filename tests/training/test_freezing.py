"""Frozen parameters: the same bits, no gradient, no work for it; layers thawed one after the other, and resumed runs."""

import re
from functools import partial

import bert_cases
import numpy as np
import pytest
from model_cases import MODEL_CASES
from optimizer_twins import Toy, random_gradients, take

from tinytx import ops
from tinytx.core import Tape
from tinytx.files import FileError, load_arrays, save_arrays
from tinytx.models import GPT, CharRNN, CharRNNConfig, GPTConfig
from tinytx.tasks import NextToken
from tinytx.training import (
    SGD,
    AdaGrad,
    Adam,
    AdamW,
    RAdam,
    Ranger,
    Trainer,
    by_depth,
    freeze,
    layerwise,
    load_checkpoint,
    save_checkpoint,
    thaw,
)

LOWER = ("body.encoder.token.*", "body.encoder.*position.*", "body.encoder.blocks.0.*")


def gradients(task, batch):
    task.zero_grad()
    task.loss(*batch, tape=(tape := Tape(seed=1)))
    task.loss_backward(tape)
    tape.check_empty()
    return {path: np.copy(parameter.grad) for path, parameter in task.named_parameters() if parameter.has_grad}


@pytest.mark.parametrize("name", MODEL_CASES)
def test_others_have_the_gradient_they_had(name):
    """Half of each model's parameters frozen: no gradient for them, and the same bits for the rest."""
    task, batch = MODEL_CASES[name](np.float64)
    whole, paths = gradients(task, batch), [path for path, _ in task.named_parameters()]
    for half in (paths[::2], paths[1::2]):
        assert freeze(task, *half) == half
        few = gradients(task, batch)
        assert few.keys() == set(paths) - set(half)
        assert all((gradient == whole[path]).all() for path, gradient in few.items())
        assert thaw(task, "*") == paths
    assert gradients(task, batch).keys() == whole.keys()


@pytest.mark.parametrize("how", ["freeze", "groups"])
@pytest.mark.parametrize("threads", [1, 2])
def test_a_run_leaves_frozen_parameters_as_they_are(how, threads):
    """To the bit, whoever freezes; catches copies for threads that do not know it, and clipping by what is not used."""
    task = bert_cases.model_of()
    groups, batch = [(pattern, {"lr_factor": 0}) for pattern in LOWER], bert_cases.batch_of(task.config)
    trainer = Trainer(task, AdamW(task, 0.01, groups=groups if how == "groups" else ()), threads=threads, clip=1e-3)
    if how == "freeze":
        freeze(task, *LOWER)
    before = {path: array.copy() for path, array in task.state_dict().items()}
    for _ in range(3):
        trainer.step(*batch)
    named = dict(task.named_parameters())
    same = {path for path in before if named[path].data.tobytes() == before[path].tobytes()}
    assert {path for path in named if not named[path].has_grad} == same
    assert same == {path for path in named if re.match(r"body\.encoder\.(token|position|blocks\.0)\.", path)}
    norm = np.sqrt(sum((named[path].grad ** 2).sum() for path in named if path not in same))
    assert trainer.grad_norm == pytest.approx(norm, rel=1e-12)
    assert all(parameter.frozen == (how == "freeze") for path, parameter in named.items() if path in same)


def _noted(asked, backward, *given, frozen, **more):
    asked.append(frozen)
    return backward(*given, frozen=frozen, **more)


@pytest.mark.parametrize("tied", [True, False])
def test_the_product_for_a_frozen_matrix_is_not_made(tied, monkeypatch):
    """Catches work that nobody asked for: of the three products of a linear map, the gradient of W is one."""
    task = NextToken.around(GPT, GPTConfig(11, max_len=9, d_model=6, n_heads=2, n_layers=1, tied_head=tied), rng=np.random.default_rng(0))
    ids, asked = np.random.default_rng(0).integers(0, 11, (2, 8)), []
    for name in ("linear_backward", "gelu_linear_backward"):  # all maps, and those behind a GELU
        monkeypatch.setattr(ops, name, partial(_noted, asked, getattr(ops, name)))
    gradients(task, (ids, ids))
    assert asked == [False] * 7
    asked.clear()
    freeze(task, "*.weight")
    gradients(task, (ids, ids))
    assert asked == [True] * 7
    _, saved = ops.linear(np.ones((2, 3)), np.ones((3, 4)))
    assert ops.linear_backward(np.ones((2, 4)), saved, frozen=True)[1] is None


def test_a_pattern_that_matches_nothing_is_named():
    with pytest.raises(ValueError, match=r"freeze: 'boddy\.\*' matches no parameter; their paths are body\.encoder"):
        freeze(bert_cases.model_of(), "body.*", "boddy.*")


def test_a_copy_is_frozen_too():
    task = bert_cases.model_of()
    freeze(task, "body.*")
    assert all(p.frozen == path.startswith("body.") for path, p in task.replicate().named_parameters())


# ------------------------------------------------------------------------------------------- one after the other


@pytest.mark.parametrize(
    "make",
    [
        lambda model, **options: SGD(model, 0.1, momentum=0.9, **options),
        lambda model, **options: AdaGrad(model, 0.1, **options),
        lambda model, **options: Adam(model, 0.1, **options),
        lambda model, **options: RAdam(model, 0.1, **options),
        lambda model, **options: Ranger(model, 0.1, k=2, **options),
    ],
    ids=["SGD", "AdaGrad", "Adam", "RAdam", "Ranger"],
)
def test_what_is_thawed_begins_as_a_new_run_does(make):
    """Catches moments of before, and a bias correction that takes them for long averages: a first step of 3 lr."""
    model, alone = Toy(), Toy()
    optimizer, fresh = make(model, groups=[("weight", {"first_step": 4})]), make(alone)
    start = model.weight.data.copy()
    for step, grads in enumerate(random_gradients(12)):
        take(optimizer, grads)
        if step < 4:
            assert model.weight.data.tobytes() == start.tobytes()
        else:
            take(fresh, grads)
        np.testing.assert_allclose(model.weight.data, alone.weight.data, rtol=0, atol=1e-13)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_resumed_run_thaws_the_same_layers(tmp_path, threads):
    """To the bit, whether it stops before, at or after a thaw."""
    config = GPTConfig(11, max_len=9, d_model=6, n_heads=2, n_layers=2, dropout=0.1)
    ids = np.random.default_rng(0).integers(0, 11, (4, 9))

    def run(steps, stop=None):
        task, adam = NextToken.around(GPT, config, rng=np.random.default_rng(0)), None
        for first, last in ((0, stop), (stop, steps)) if stop else ((0, steps),):
            if first:
                task, state, _ = load_checkpoint(tmp_path)
            adam = AdamW(task, 0.01, groups=layerwise(task, every=3))
            if first:
                adam.load_state_dict(state)
            trainer = Trainer(task, adam, threads=threads)
            for _ in range(first, last):
                trainer.step(ids[:, :-1], ids[:, 1:])
            save_checkpoint(tmp_path, task, optimizer=adam)
        return {path: array.copy() for path, array in task.state_dict().items()}

    straight = run(12)
    for stop in (2, 6, 7):
        resumed = run(12, stop)
        assert all((array == straight[path]).all() for path, array in resumed.items())


def test_a_checkpoint_knows_what_is_frozen(tmp_path):
    """A run goes on without thawing a parameter, to the bit; a path that the model does not have is named."""
    config = GPTConfig(11, max_len=9, d_model=6, n_heads=2, n_layers=2)
    ids = np.random.default_rng(0).integers(0, 11, (4, 9))
    task = NextToken.around(GPT, config, rng=np.random.default_rng(0))
    frozen = freeze(task, "body.blocks.0.*", "body.token.*")
    adam = AdamW(task, 0.01)
    Trainer(task, adam).step(ids[:, :-1], ids[:, 1:])
    save_checkpoint(tmp_path, task, optimizer=adam)
    again, state, meta = load_checkpoint(tmp_path)
    assert meta["frozen"] == [path for path, p in again.named_parameters() if p.frozen] and set(frozen) == set(meta["frozen"])
    other = AdamW(again, 0.01)
    other.load_state_dict(state)
    for model, optimizer in ((task, adam), (again, other)):
        Trainer(model, optimizer).step(ids[:, :-1], ids[:, 1:])
    assert all((array == task.state_dict()[path]).all() for path, array in again.state_dict().items())
    arrays, meta = load_arrays(tmp_path / "checkpoint.npz")
    for lie in (["body.no.such"], 3, [[1]]):
        save_arrays(tmp_path / "checkpoint.npz", arrays, meta | {"frozen": lie})
        with pytest.raises(FileError, match="load_checkpoint: .*do not fit"):
            load_checkpoint(tmp_path)
    thaw(again, "*")
    save_checkpoint(tmp_path, again)
    assert "frozen" not in load_checkpoint(tmp_path)[2]


def test_depths_of_bodies():
    """From the loss down; catches a norm behind the last block taken for one of the embeddings, and the reverse."""
    depths = by_depth(bert_cases.model_of("tutorial", n_layers=2))
    tops = [{".".join(path.split(".")[:4]) for path in paths} for paths in depths]
    assert [{path.split(".")[0] for path in paths} for paths in depths] == [{"head"}, {"body"}, {"body"}, {"body"}]
    assert tops[1] == {"body.encoder.blocks.1", "body.encoder.norm.weight", "body.encoder.norm.bias"}
    assert tops[2] == {"body.encoder.blocks.0"} and tops[3] == {"body.encoder.token.weight"}
    rnn = by_depth(NextToken.around(CharRNN, CharRNNConfig(11, n_layers=2), rng=np.random.default_rng(0)))
    assert [{path.split(".")[0] for path in paths} for paths in rnn][0] == {"head"}
    assert rnn[3] == ["body.token.weight"] and all(path.startswith("body.recurrent.layers.0.") for path in rnn[2])
    with pytest.raises(ValueError, match="by_depth: the body of SequenceToSequence has 2 lists of blocks, expected one"):
        by_depth(MODEL_CASES["transformer"](np.float64).task)


def test_rates_fall_with_depth():
    """lr / 2.6^depth, and each layer begins when it is told to."""
    task = bert_cases.model_of(n_layers=2)
    adam, depths = AdamW(task, 0.5, groups=layerwise(task, every=10)), by_depth(task)
    for t in (0, 9, 10, 25, 30, 99):
        adam.t = t
        expected = {path: 0.5 / 2.6**d for d, paths in enumerate(depths) for path in paths if t >= 10 * d}
        assert adam.learning_rates() == pytest.approx(expected)
    assert AdamW(task, 0.5, groups=layerwise(task, factor=1)).learning_rates() == {
        path: 0.5 for path, _ in task.named_parameters()
    }
