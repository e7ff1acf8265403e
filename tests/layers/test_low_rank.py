"""LoRA: a model begins as it was, trains its branches alone, and merges into a plain one."""

import bert_cases
import numpy as np
import pytest

from tinytx.core import Tape
from tinytx.files import FileError, load_arrays, save_arrays
from tinytx.layers import Embedding, Linear, LowRankLinear
from tinytx.layers.low_rank import adapt, adapted_layers, merge, unmerge
from tinytx.models import GPT, GPTConfig
from tinytx.tasks import NextToken, TextClasses
from tinytx.training import AdamW, Trainer, freeze, load_checkpoint, save_checkpoint

PATTERNS = ("body.*.query", "body.*.value", "body.*.expand")


def rng(seed=0):
    return np.random.default_rng(seed)


def task_of(dtype=np.float64):
    body = bert_cases.model_of().body
    for parameter in body.parameters():
        parameter.data = parameter.data.astype(dtype)
    return TextClasses(body, n_classes=3, pooling="mean", dropout=0.0, rng=rng())


def adapted(dtype=np.float64, **options):
    task = task_of(dtype)
    freeze(task, "body.*")
    paths = adapt(task, *PATTERNS, **{"rank": 2, "alpha": 3.0, "rng": rng()} | options)
    return task, paths


def branches(task):
    """Give every B other values than 0."""
    for path, layer in task.named_layers():
        if isinstance(layer, LowRankLinear):
            layer.b.weight.data[...] = rng(len(path)).normal(size=layer.b.weight.data.shape)
    return task


IDS = bert_cases.batch_of(bert_cases.config_of())[0]
BATCH = IDS, np.array([2, 0, 1, 2])


def test_a_model_begins_as_it_was():
    """To the bit; and of each chosen map r (d_in + d_out) numbers are trained, beside the head."""
    task, paths = adapted()
    assert [path.rpartition(".")[2] for path in paths] == ["query", "value", "expand"] * 2
    np.testing.assert_array_equal(task(IDS), task_of()(IDS))
    trained = {path: p.data.size for path, p in task.named_parameters() if not p.frozen}
    head = sum(parameter.data.size for parameter in task.head.parameters())
    assert sum(trained.values()) == head + 2 * 2 * (12 + 12 + 13)
    assert {path.split(".")[-2] for path in trained if path.startswith("body.")} == {"a", "b"}


def test_the_branch_is_the_papers():
    """y = x W + b + alpha / r (x A) B, at an alpha that is not the rank."""
    base, x = Linear(3, 5, rng=rng(), dtype=np.float64), rng().normal(size=(2, 4, 3))
    layer = LowRankLinear(base, 2, alpha=3.0, rng=rng())
    assert not layer.b.weight.data.any() and layer.a.weight.data.all()
    layer.b.weight.data[...], base.bias.data[...] = rng(1).normal(size=(2, 5)), rng(2).normal(size=5)
    w = base.weight.data + 1.5 * layer.a.weight.data @ layer.b.weight.data
    np.testing.assert_allclose(layer(x), x @ w + base.bias.data, rtol=0, atol=1e-13)
    plain = layer.merged()
    np.testing.assert_allclose(plain.weight.data, w, rtol=1e-15)
    np.testing.assert_array_equal(plain.bias.data, base.bias.data)
    assert LowRankLinear(Linear(3, 5, bias=False, rng=rng()), 2, alpha=3.0, rng=rng()).merged().bias is None


def test_the_base_is_frozen_by_the_branch():
    """Also where nobody froze the body."""
    layer = LowRankLinear(Linear(3, 5, rng=rng()), 2, alpha=3.0, rng=rng())
    assert [path for path, parameter in layer.named_parameters() if parameter.frozen] == ["base.weight", "base.bias"]


def test_the_first_step_moves_b_alone():
    """A's gradient is 0 as long as B is; what is frozen has none."""
    task, _ = adapted()
    task.loss(*BATCH, tape=(tape := Tape()))
    task.loss_backward(tape)
    for path, parameter in task.named_parameters():
        if path.startswith("body."):
            assert parameter.has_grad == (path.split(".")[-2] in "ab")
            assert np.any(parameter.grad) == (path.split(".")[-2] == "b"), path


@pytest.mark.parametrize("threads", [1, 2])
def test_training_changes_the_branches_and_nothing_else(threads):
    """To the bit; with weight decay, which would shrink what is only left without a gradient."""
    task, _ = adapted()
    before = {path: array.copy() for path, array in task.state_dict().items()}
    trainer = Trainer(task, AdamW(task, 0.05, weight_decay=0.1), threads=threads)
    losses = [trainer.step(*BATCH) for _ in range(60)]
    same = {path for path, array in task.state_dict().items() if array.tobytes() == before[path].tobytes()}
    assert same == {path for path, parameter in task.named_parameters() if parameter.frozen}
    assert losses[-1] < 0.8 * losses[0]


@pytest.mark.parametrize(("dtype", "rtol"), [(np.float64, 1e-13), (np.float32, 1e-5)])
def test_a_merged_model_says_the_same(tmp_path, dtype, rtol):
    """Up to rounding; it is a plain model that a checkpoint takes, and what is put back is there to the bit."""
    task, paths = adapted(dtype)
    branches(task)
    expected, state = task(IDS), {path: array.tobytes() for path, array in task.state_dict().items()}
    kept = merge(task)
    assert list(kept) == paths and not any(isinstance(layer, LowRankLinear) for _, layer in task.named_layers())
    assert np.abs(task(IDS) - expected).max() <= rtol * np.abs(expected).max()
    save_checkpoint(tmp_path, task)
    np.testing.assert_array_equal(load_checkpoint(tmp_path)[0](IDS), task(IDS))
    unmerge(task, kept)
    assert {path: array.tobytes() for path, array in task.state_dict().items()} == state
    np.testing.assert_array_equal(task(IDS), expected)


def test_a_checkpoint_holds_branches_with_their_base(tmp_path):
    """To the bit: a run goes on as if it had never stopped, once its body is frozen again."""
    task, paths = adapted(dropout=0.3)
    branches(task)
    trainer = Trainer(task, optimizer := AdamW(task, 0.05))
    trainer.step(*BATCH)
    save_checkpoint(tmp_path, task, optimizer=optimizer)
    again, state, meta = load_checkpoint(tmp_path)
    said = {"rank": 2, "alpha": 3.0, "dropout": 0.3}
    assert {path: layer.settings for path, layer in adapted_layers(again).items()} == dict.fromkeys(paths, said)
    frozen = {path for path, parameter in again.named_parameters() if parameter.frozen}
    assert frozen == {path for path, parameter in task.named_parameters() if parameter.frozen}
    for path, array in task.state_dict().items():
        assert again.state_dict()[path].tobytes() == array.tobytes()
    np.testing.assert_array_equal(again(IDS), task(IDS))
    optimizer = AdamW(again, 0.05)
    optimizer.load_state_dict(state)
    other = Trainer(again, optimizer)
    assert other.step(*BATCH) == trainer.step(*BATCH)
    np.testing.assert_array_equal(again(IDS), task(IDS))
    merge(again)
    save_checkpoint(tmp_path, again)
    assert "low_rank" not in load_checkpoint(tmp_path)[2]


LIES = {  # what a file says of its branches -> the message
    "another rank": ({"rank": 10**12}, r"has branches of shapes \(6, 2\) and \(2, 6\), expected \(6, r\) and \(r, 6\), r 10000"),
    "no rank": ({"rank": None}, "has branches of shapes"),
    "alpha of nothing": ({"alpha": 0}, "LowRankLinear: alpha is 0"),
    "a word more": ({"beta": 0}, "unexpected keyword argument 'beta'"),
}


@pytest.mark.parametrize("lie", LIES)
def test_a_file_that_lies_about_branches(lie, tmp_path):
    task, paths = adapted()
    arrays, meta = load_arrays(save_checkpoint(tmp_path, task))
    change, message = LIES[lie]
    for low_rank, said in (
        ({paths[0]: meta["low_rank"][paths[0]] | change}, message),
        ({"body.encoder.token": meta["low_rank"][paths[0]]}, "body.encoder.token"),
        (3, "not iterable"),
        ({paths[0]: 3}, "not subscriptable"),
        ({}, f"unexpected {paths[0]}.a.weight"),
    ):
        save_arrays(tmp_path / "checkpoint.npz", arrays, meta | {"low_rank": low_rank})
        with pytest.raises(FileError, match=said):
            load_checkpoint(tmp_path)


def test_branches_go_on_in_a_model_adapted_anew():
    """What is trained can be kept by itself: names and values, loaded into another copy of the body."""
    task, _ = adapted()
    branches(task)
    other, _ = adapted(rng=rng(9))
    other.load_state_dict(other.state_dict() | {path: p.data for path, p in task.named_parameters() if not p.frozen})
    np.testing.assert_array_equal(other(IDS), task(IDS))


def test_a_causal_model_writes_with_its_branches():
    """Catches a path into a list of blocks that is not followed, and a cache that knows the base alone."""
    model = NextToken(GPT(GPTConfig(11, max_len=9, d_model=6, n_heads=2, n_layers=2), rng=rng(), dtype=np.float64))
    assert len(adapt(model, "*", rank=1, alpha=2.0, rng=rng())) == 2 * 6
    before = model(IDS[:, :5])
    assert np.abs(branches(model)(IDS[:, :5]) - before).max() > 0.1
    merged = model.replicate()
    merge(merged)
    np.testing.assert_allclose(merged(IDS[:, :5]), model(IDS[:, :5]), rtol=0, atol=1e-12)


def test_what_cannot_be_adapted_is_named():
    task, _ = adapted()
    with pytest.raises(ValueError, match=r"adapt: 'body\.\*\.query' matches no linear map; their paths are body\."):
        adapt(task, "body.*.query", rank=2, alpha=1.0, rng=rng())
    with pytest.raises(ValueError, match="adapt: 'bodies.*' matches no linear map"):
        adapt(task, "body.*.key", "bodies.*", rank=2, alpha=1.0, rng=rng())
    with pytest.raises(TypeError, match="LowRankLinear: base is a Embedding, expected a Linear"):
        LowRankLinear(Embedding(3, 2, rng=rng()), 2, alpha=1.0, rng=rng())
    for alpha in (0, -1.0, np.nan, "1"):
        with pytest.raises((TypeError, ValueError), match="LowRankLinear: alpha is"):
            LowRankLinear(Linear(3, 2, rng=rng()), 2, alpha=alpha, rng=rng())
    with pytest.raises(ValueError, match="LowRankLinear: rank is 0, expected a whole number of at least 1"):
        LowRankLinear(Linear(3, 2, rng=rng()), 0, alpha=1.0, rng=rng())
