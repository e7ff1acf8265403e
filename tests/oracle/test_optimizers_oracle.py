"""Optimisers, and a whole training run, beside PyTorch's."""

from fnmatch import fnmatchcase

import numpy as np
import pytest

torch = pytest.importorskip("torch")
F = torch.nn.functional

from tinytx.core import Layer, Parameter  # noqa: E402  (torch first: without it, this file is skipped)
from tinytx.models import GPT, GPTConfig  # noqa: E402
from tinytx.tasks import NextToken  # noqa: E402
from tinytx.training import (  # noqa: E402
    SGD,
    Adam,
    AdamW,
    Averaged,
    RAdam,
    Ranger,
    Trainer,
    WarmupCosine,
    WarmupInverseSqrt,
)

pytestmark = pytest.mark.oracle

OPTIMIZERS = {
    "SGD": (SGD, torch.optim.SGD, {"weight_decay": 0.1}),
    "SGD with momentum": (SGD, torch.optim.SGD, {"momentum": 0.9, "weight_decay": 0.1}),
    "Adam": (Adam, torch.optim.Adam, {"weight_decay": 0.1, "betas": (0.8, 0.95)}),
    "AdamW": (AdamW, torch.optim.AdamW, {"weight_decay": 0.1, "eps": 1e-6}),
    "RAdam": (RAdam, torch.optim.RAdam, {"weight_decay": 0.1}),
    "RAdam, decoupled": (RAdam, torch.optim.RAdam, {"weight_decay": 0.1, "decoupled_weight_decay": True}),
}


class Toy(Layer):
    """A matrix and a vector."""

    def __init__(self, rng):
        self.weight = Parameter(rng.standard_normal((5, 4)))
        self.bias = Parameter(rng.standard_normal(4))


def groups(tensors, weight_decay):
    """PyTorch's parameter groups for decay of matrices only."""
    matrices, vectors = ([t for t in tensors if (t.ndim > 1) == wanted] for wanted in (True, False))
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": vectors, "weight_decay": 0.0}]


def tensors_of(model):
    return {name: torch.tensor(array.copy(), requires_grad=True) for name, array in model.state_dict().items()}


def test_averages_equal_torch():
    """PyTorch's counter is late by one: with t0 it takes the mean of the weights after step t0 + 2 and later ones.
    Its rate and its 1 / n have single precision."""
    rng, t0 = np.random.default_rng(0), 5
    model = Toy(rng)
    tensors, ours = tensors_of(model), Averaged(SGD(model, 0.05))
    theirs = torch.optim.ASGD(tensors.values(), lr=0.05, lambd=0, t0=t0)
    for t in range(12):
        if t == t0 + 1:
            ours.begin()
        for name, tensor in tensors.items():
            gradient = rng.standard_normal(tensor.shape)
            tensor.grad, ours.named[name].grad = torch.tensor(gradient), gradient
        theirs.step()
        ours.step()
    with ours.averaged():
        for name, tensor in tensors.items():
            np.testing.assert_allclose(ours.named[name].data, theirs.state[tensor]["ax"], rtol=0, atol=1e-7)


@pytest.mark.parametrize("ours, theirs, options", OPTIMIZERS.values(), ids=OPTIMIZERS)
def test_100_steps_equal_torch(ours, theirs, options):
    """Catches a formula misread from its paper, which our own NumPy version of it would share."""
    rng = np.random.default_rng(0)
    model = Toy(rng)
    tensors = tensors_of(model)
    optimizer = ours(model, 0.01, **options)
    oracle = theirs(groups(tensors.values(), options["weight_decay"]), lr=0.01, **options)
    for _ in range(100):
        optimizer.zero_grad()
        for name, parameter in optimizer.named.items():
            g = rng.standard_normal(parameter.data.shape)
            parameter.add_grad(g)
            tensors[name].grad = torch.tensor(g)
        optimizer.step()
        oracle.step()
    for name, tensor in tensors.items():
        np.testing.assert_allclose(optimizer.named[name].data, tensor.detach().numpy(), rtol=0, atol=1e-12)


def test_100_steps_of_the_paper_equal_torch():
    """Catches a schedule that is a step late, beta_2 and eps in other places: Adam (0.9, 0.98, 1e-9) with LambdaLR."""
    rng, d, warmup = np.random.default_rng(0), 16, 30
    model = Toy(rng)
    tensors = tensors_of(model)
    optimizer = Adam(model, WarmupInverseSqrt(d, warmup, factor=0.5), betas=(0.9, 0.98), eps=1e-9)
    oracle = torch.optim.Adam(tensors.values(), lr=1.0, betas=(0.9, 0.98), eps=1e-9)

    def rate(epoch):  # the Annotated Transformer's ``rate``, epoch being the number of steps taken
        step = epoch + 1
        return 0.5 * (d ** (-0.5) * min(step ** (-0.5), step * warmup ** (-1.5)))

    scheduler = torch.optim.lr_scheduler.LambdaLR(oracle, rate)
    for _ in range(100):
        optimizer.zero_grad()
        for name, parameter in optimizer.named.items():
            g = rng.standard_normal(parameter.data.shape)
            parameter.add_grad(g)
            tensors[name].grad = torch.tensor(g)
        assert optimizer.learning_rate == pytest.approx(oracle.param_groups[0]["lr"], rel=1e-14)
        optimizer.step()
        oracle.step()
        scheduler.step()
    for name, tensor in tensors.items():
        np.testing.assert_allclose(optimizer.named[name].data, tensor.detach().numpy(), rtol=0, atol=1e-12)


class TorchRanger:
    """Ranger made of PyTorch's RAdam, and Lookahead's two lines."""

    def __init__(self, tensors, k=6, alpha=0.5, betas=(0.95, 0.999), eps=1e-5, **options):
        self.tensors, self.k, self.alpha, self.t = list(tensors), k, alpha, 0
        self.slow = [tensor.detach().clone() for tensor in self.tensors]
        groups_ = groups(self.tensors, options.pop("weight_decay", 0.0))
        self.radam = torch.optim.RAdam(groups_, betas=betas, eps=eps, decoupled_weight_decay=True, **options)
        self.param_groups = self.radam.param_groups

    @torch.no_grad()
    def step(self):
        self.radam.step()
        self.t += 1
        if self.t % self.k == 0:
            for fast, slow in zip(self.tensors, self.slow):
                slow.lerp_(fast, self.alpha)
                fast.copy_(slow)


def torch_radam(tensors, weight_decay=0.0, **options):
    return torch.optim.RAdam(groups(tensors, weight_decay), **options)


RATES = {
    "large": lambda step: 0.3,
    "small": lambda step: 1e-4,
    "warm-up and cosine": WarmupCosine(0.1, 10, 100, 1e-3),
    "inverse root": WarmupInverseSqrt(16, 30, factor=0.5),
    "0 at times": lambda step: 0.1 * (step % 3),
}
DECAYS = [{}, {"weight_decay": 1e-4}, {"weight_decay": 0.3}]
RECTIFIED = {
    "RAdam": (RAdam, torch_radam, {}),
    "RAdam, decoupled": (RAdam, torch_radam, {"decoupled_weight_decay": True}),
    "RAdam, b2 0.98": (RAdam, torch_radam, {"betas": (0.8, 0.98), "eps": 1e-3}),
    "RAdam, never rectified": (RAdam, torch_radam, {"betas": (0.9, 0.6)}),
    "Ranger": (Ranger, TorchRanger, {}),
    "Ranger, k 5": (Ranger, TorchRanger, {"k": 5, "alpha": 0.8, "betas": (0.9, 0.99)}),
}


@pytest.mark.parametrize("rate", RATES.values(), ids=RATES)
@pytest.mark.parametrize("decay", DECAYS, ids=str)
@pytest.mark.parametrize("ours, theirs, options", RECTIFIED.values(), ids=RECTIFIED)
def test_150_rectified_steps_equal_torch(ours, theirs, options, decay, rate):
    """Catches a rule for the first steps that sets in late, a place of eps, and decay scaled with another rate.

    In float32 the same to within rounding: 2e-5 of numbers of size 1 to 10 after 150 steps.
    """
    rng = np.random.default_rng(0)
    model, single = Toy(rng), Toy(np.random.default_rng(0))
    for parameter in single.parameters():
        parameter.data = parameter.data.astype(np.float32)
        parameter.zero_grad()
    tensors = tensors_of(model)
    oracle = theirs(tensors.values(), lr=1.0, **options, **decay)
    optimizers = [ours(each, rate, **options, **decay) for each in (model, single)]
    for step in range(150):
        gradients = {name: rng.standard_normal(tensor.shape) for name, tensor in tensors.items()}
        for optimizer in optimizers:
            optimizer.zero_grad()
            for name, parameter in optimizer.named.items():
                parameter.add_grad(gradients[name].astype(parameter.data.dtype))
            optimizer.step()
        for name, tensor in tensors.items():
            tensor.grad = torch.tensor(gradients[name])
        for group in oracle.param_groups:
            group["lr"] = rate(step)
        oracle.step()
    for name, tensor in tensors.items():
        expected = tensor.detach().numpy()
        np.testing.assert_allclose(model.state_dict()[name], expected, rtol=0, atol=1e-10)
        np.testing.assert_allclose(single.state_dict()[name], expected, rtol=2e-5, atol=2e-5)


class Tree(Layer):
    """Two toys, for paths with a dot."""

    def __init__(self, rng):
        self.token, self.norm = Toy(rng), Toy(rng)


GROUPS = {
    "no decay of biases": ([("*.bias", {"weight_decay": 0.0})], {"*.bias": {"weight_decay": 0.0}}),
    "a rate of its own": ([("token.*", {"lr": 0.02})], {"token.*": {"lr": 0.02}}),
    "a factor": ([("token.weight", {"lr_factor": 0.3})], {"token.weight": {"lr": 0.03}}),
    "frozen": ([("token.*", {"lr_factor": 0.0})], {"token.*": {"lr": 0.0}}),
    "two": (
        [("token.weight", {"lr_factor": 0.5, "weight_decay": 0.2}), ("*.weight", {"weight_decay": 0.01})],
        {"token.weight": {"lr": 0.05, "weight_decay": 0.2}, "norm.weight": {"weight_decay": 0.01}},
    ),
}


@pytest.mark.parametrize("ours, theirs, options", OPTIMIZERS.values(), ids=OPTIMIZERS)
@pytest.mark.parametrize("own, torch_own", GROUPS.values(), ids=GROUPS)
def test_groups_equal_torch(own, torch_own, ours, theirs, options):
    """Catches a group's setting that goes elsewhere, and vectors without the decay that PyTorch gives to everything."""
    rng = np.random.default_rng(0)
    model = Tree(rng)
    tensors = tensors_of(model)
    left, torch_groups = dict(tensors), []
    for pattern, settings in torch_own.items():
        taken = [name for name in left if fnmatchcase(name, pattern)]
        torch_groups.append({"params": [left.pop(name) for name in taken], **settings})
    oracle = theirs([*torch_groups, {"params": left.values()}], lr=0.1, **options)
    optimizer = ours(model, 0.1, groups=with_everything(own), **options)
    for _ in range(100):
        optimizer.zero_grad()
        for name, parameter in optimizer.named.items():
            g = rng.standard_normal(parameter.data.shape)
            parameter.add_grad(g)
            tensors[name].grad = torch.tensor(g)
        optimizer.step()
        oracle.step()
    for name, tensor in tensors.items():
        np.testing.assert_allclose(model.state_dict()[name], tensor.detach().numpy(), rtol=0, atol=1e-10)


def with_everything(own):
    """Decay for all that a group does not set it for: PyTorch's rule, as groups."""
    return [(pattern, {"weight_decay": 0.1} | settings) for pattern, settings in [*own, ("*", {})]]


def test_one_group_is_torchs_decay_of_everything():
    """Catches biases and gains that the tutorial's torch.optim.Adam(weight_decay=1e-4) decays and we do not."""
    rng = np.random.default_rng(0)
    model = Tree(rng)
    tensors = tensors_of(model)
    oracle = torch.optim.Adam(tensors.values(), lr=2e-3, weight_decay=1e-4)
    optimizer = Adam(model, 2e-3, groups=[("*", {"weight_decay": 1e-4})])
    for step in range(100):
        optimizer.zero_grad()
        for name, parameter in optimizer.named.items():
            g = rng.standard_normal(parameter.data.shape) * (step < 5)  # then nothing but decay
            parameter.add_grad(g)
            tensors[name].grad = torch.tensor(g)
        optimizer.step()
        oracle.step()
    for name, tensor in tensors.items():
        np.testing.assert_allclose(model.state_dict()[name], tensor.detach().numpy(), rtol=0, atol=1e-12)


def torch_logits(p, ids, config):
    """A GPT of the same weights, as PyTorch's functions say it."""

    def linear(x, name):
        return x @ p[f"{name}.weight"] + p[f"{name}.bias"]

    def norm(x, name):
        return F.layer_norm(x, x.shape[-1:], p[f"{name}.weight"], p[f"{name}.bias"])

    def heads(x):
        return x.unflatten(-1, (config.n_heads, -1)).transpose(1, 2)  # (B, H, T, K)

    p = {name.removeprefix("body."): tensor for name, tensor in p.items()}
    x = p["token.weight"][ids] + p["position.weight"][: ids.shape[1]]
    for i in range(config.n_layers):
        block = f"blocks.{i}.attention"
        y = norm(x, f"{block}.norm")
        q, k, v = (heads(linear(y, f"{block}.f.{part}")) for part in ("query", "key", "value"))
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True).transpose(1, 2).flatten(2)
        x = x + linear(y, f"{block}.f.output")
        block = f"blocks.{i}.feed_forward"
        y = F.gelu(linear(norm(x, f"{block}.norm"), f"{block}.f.expand"), approximate="tanh")
        x = x + linear(y, f"{block}.f.contract")
    return norm(x, "norm") @ p["token.weight"].T  # tied head


def test_ten_steps_of_a_gpt_equal_torch():
    """Catches what no part shows alone: gradients of tied weights, clipping, decay, schedule and bias correction
    together, from loss to weights, with shards in threads on our side."""
    config = GPTConfig(vocab_size=11, max_len=9, d_model=12, n_heads=3, n_layers=2)
    rng = np.random.default_rng(0)
    model = NextToken(GPT(config, rng=rng, dtype=np.float64))
    for parameter in model.parameters():  # biases other than 0, gains other than 1, gradients above the clip
        parameter.data += 0.3 * rng.standard_normal(parameter.data.shape)
    tensors = tensors_of(model)
    schedule = WarmupCosine(1e-2, 3, 10, 1e-3)
    trainer = Trainer(model, AdamW(model, schedule, betas=(0.9, 0.99), weight_decay=0.1), clip=1.0, threads=2)
    oracle = torch.optim.AdamW(groups(tensors.values(), 0.1), betas=(0.9, 0.99))
    clipped = []
    for step in range(10):
        ids, targets = rng.integers(config.vocab_size, size=(2, 5, 8))
        targets[rng.random(targets.shape) < 0.3] = -100
        logits = torch_logits(tensors, torch.tensor(ids), config)
        loss = F.cross_entropy(logits.flatten(0, 1), torch.tensor(targets).flatten())
        oracle.zero_grad()
        loss.backward()
        clipped.append(float(torch.nn.utils.clip_grad_norm_(tensors.values(), 1.0)) > 1.0)
        for group in oracle.param_groups:
            group["lr"] = schedule(step)
        oracle.step()
        assert trainer.step(ids, targets) == pytest.approx(loss.item(), abs=1e-8)
    assert any(clipped) and not all(clipped)
    for name, tensor in tensors.items():
        np.testing.assert_allclose(model.state_dict()[name], tensor.detach().numpy(), rtol=0, atol=1e-8, err_msg=name)
