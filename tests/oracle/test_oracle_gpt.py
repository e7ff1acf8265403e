"""The whole GPT, written once more over PyTorch's functions: logits, loss and every gradient."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
F = torch.nn.functional
pytestmark = pytest.mark.oracle

from cases import Seeded  # noqa: E402

from tinytx.core import Tape  # noqa: E402
from tinytx.models import GPT, GPTConfig  # noqa: E402
from tinytx.tasks import NextToken  # noqa: E402

RTOL = {np.float32: 1e-5, np.float64: 1e-10}
ACTIVATIONS = {"gelu": F.gelu, "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"), "relu": F.relu}


def logits_of(config, w, ids):
    """The forward of nanoGPT over a dict of named tensors."""

    def linear(x, path):
        return x @ w[f"{path}.weight"] + w[f"{path}.bias"]

    def norm(x, path):
        return F.layer_norm(x, x.shape[-1:], w[f"{path}.weight"], w[f"{path}.bias"])

    def attention(x, path):
        q, k, v = (linear(x, f"{path}.{name}").unflatten(2, (config.n_heads, -1)).transpose(1, 2) for name in NAMES)
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        return linear(y.transpose(1, 2).flatten(2), f"{path}.output")

    def feed_forward(x, path):
        return linear(ACTIVATIONS[config.activation](linear(x, f"{path}.expand")), f"{path}.contract")

    def residual(x, f, path):
        if config.norm_order == "pre":
            return x + f(norm(x, f"{path}.norm"), f"{path}.f")
        return norm(x + f(x, f"{path}.f"), f"{path}.norm")

    NAMES = ("query", "key", "value")
    x = w["token.weight"][ids] + w["position.weight"][: ids.shape[1]]
    for i in range(config.n_layers):
        x = residual(x, attention, f"blocks.{i}.attention")
        x = residual(x, feed_forward, f"blocks.{i}.feed_forward")
    if config.norm_order == "pre":
        x = norm(x, "norm")
    return x @ (w["token.weight"].T if config.tied_head else w["head.weight"])


def assert_close(actual, expected, rtol, what, largest=0.0):
    """Equal to rtol of the largest reference value; of ``largest``, where the reference is rounding."""
    error, scale = np.abs(actual - expected).max(), max(np.abs(expected).max(), largest)
    assert actual.shape == expected.shape and error <= rtol * scale, f"{what}: off by {error:.3g} of {scale:.3g}"


@pytest.mark.parametrize("dtype", RTOL, ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("norm_order", ["pre", "post"])
@pytest.mark.parametrize("tied_head", [True, False])
def test_gpt_equals_pytorch(tied_head, norm_order, activation, dtype):
    config = GPTConfig(
        vocab_size=23, max_len=80, d_model=12, n_heads=3, n_layers=2, d_ff=20,
        tied_head=tied_head, norm_order=norm_order, activation=activation,
    )  # fmt: skip
    model, make = NextToken.around(GPT, config, rng=np.random.default_rng(0), dtype=dtype), Seeded(0)
    for parameter in model.parameters():
        parameter.data[...] = make.array(*parameter.data.shape, scale=0.3)
    ids, targets = make.ids(23, 3, 70), make.ids(23, 3, 70)
    targets[0, 5:] = -100

    weights = {path: torch.tensor(array, requires_grad=True) for path, array in model.state_dict().items()}
    named = {path.removeprefix("body."): tensor for path, tensor in weights.items()}
    expected = logits_of(config, named, torch.tensor(ids))
    expected_loss = F.cross_entropy(expected.flatten(0, 1), torch.tensor(targets).flatten())
    expected_loss.backward()

    tape = Tape()
    assert_close(model(ids), expected.detach().numpy(), RTOL[dtype], "logits")
    loss = model.loss(ids, targets, tape)
    model.loss_backward(tape)
    assert abs(loss - expected_loss.item()) <= RTOL[dtype] * loss
    largest = max(float(weight.grad.abs().max()) for weight in weights.values())
    for path, parameter in model.named_parameters():
        zero = path.endswith("key.bias")  # softmax does not see a constant
        assert_close(parameter.grad, weights[path].grad.numpy(), RTOL[dtype], path, largest if zero else 0)
