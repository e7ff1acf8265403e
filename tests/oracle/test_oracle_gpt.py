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


NEO = {  # our path in a block: theirs
    "attention.norm": "ln_1", "attention.f.query": "attn.attention.q_proj", "attention.f.key": "attn.attention.k_proj",
    "attention.f.value": "attn.attention.v_proj", "attention.f.output": "attn.attention.out_proj",
    "feed_forward.norm": "ln_2", "feed_forward.f.expand": "mlp.c_fc", "feed_forward.f.contract": "mlp.c_proj",
}  # fmt: skip


def name_in_neo(path):
    """Return transformers' name of one of our parameters."""
    parts = path.removeprefix("body.").split(".")
    if parts[0] != "blocks":
        return ".".join(["transformer", {"token": "wte", "position": "wpe", "norm": "ln_f"}[parts[0]], parts[-1]])
    return ".".join(["transformer.h", parts[1], NEO[".".join(parts[2:-1])], parts[-1]])


@pytest.mark.parametrize("dtype", RTOL, ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("windows", ["all,5", "5,all"])
def test_alternating_windows_are_those_of_gpt_neo(windows, dtype):
    """Its queries and keys have no biases, and its scores are not divided by sqrt(K): its W_q is ours, divided."""
    transformers = pytest.importorskip("transformers")
    from published import all_in_float64

    config = GPTConfig(23, max_len=20, d_model=12, n_heads=3, n_layers=4, d_ff=20, windows=windows)
    model, make = NextToken.around(GPT, config, rng=np.random.default_rng(0), dtype=dtype), Seeded(0)
    none = ("query.bias", "key.bias", "value.bias")
    for path, parameter in model.named_parameters():
        parameter.data[...] = 0 if path.endswith(none) else make.array(*parameter.data.shape, scale=0.3)
    ids, targets = make.ids(23, 3, 17), make.ids(23, 3, 17)
    kinds = ["global" if window == "all" else "local" for window in windows.split(",")]
    with all_in_float64(dtype == np.float64):
        theirs = transformers.GPTNeoForCausalLM(transformers.GPTNeoConfig(
            vocab_size=23, max_position_embeddings=20, hidden_size=12, num_heads=3, num_layers=4, intermediate_size=20,
            attention_types=[[kinds, 2]], window_size=5, bos_token_id=0, eos_token_id=0, attn_implementation="eager",
        )).to(torch.float64 if dtype == np.float64 else torch.float32).eval()  # fmt: skip
        own = dict(theirs.named_parameters())
        ours = {path: p for path, p in model.named_parameters() if not path.endswith(none)}
        turned = {path: path.endswith("weight") and ".f." in path for path in ours}
        with torch.no_grad():
            for path, parameter in ours.items():
                array = parameter.data.T if turned[path] else parameter.data
                own[name_in_neo(path)].copy_(torch.tensor(array / (2.0 if "query" in path else 1.0)))  # sqrt(K)
        expected = theirs(input_ids=torch.tensor(ids)).logits
        F.cross_entropy(expected.flatten(0, 1), torch.tensor(targets).flatten()).backward()
    tape = Tape()
    assert_close(model(ids), expected.detach().numpy(), RTOL[dtype], "logits")
    model.loss(ids, targets, tape)
    model.loss_backward(tape)
    assert {name_in_neo(path) for path in ours} == own.keys()
    for path, parameter in ours.items():
        gradient = own[name_in_neo(path)].grad.numpy() / (2.0 if "query" in path else 1.0)
        assert_close(parameter.grad, gradient.T if turned[path] else gradient, 3 * RTOL[dtype], path)
