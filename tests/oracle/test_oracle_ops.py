"""Every operation, forward and every gradient, equals PyTorch's."""

import numpy as np
import pytest
from cases import Seeded, cast, signs
from op_cases import OPS

from tinytx import ops
from tinytx.ops.addressing import EPS
from tinytx.ops.attention_patterns import CAUSAL

torch = pytest.importorskip("torch")
F = torch.nn.functional
pytestmark = pytest.mark.oracle

from attention_oracles import ATTENTION, kept, softmax  # noqa: E402 - they import PyTorch
from geometric_oracles import GEOMETRIC  # noqa: E402
from loss_oracles import LOSSES  # noqa: E402

RTOL = {np.float32: 1e-5, np.float64: 1e-10}


def layer_norm(x, weight, bias, eps):
    return F.layer_norm(x, x.shape[-1:], weight, bias, eps)


def gate(a, b, activation):
    f = {"gelu": F.gelu, "gelu_tanh": lambda a: F.gelu(a, approximate="tanh"), "relu": F.relu, "silu": F.silu}[activation]
    return f(a) * b


def linear(x, weight, bias=None, onto=0):
    return F.linear(x, weight.T, bias) + onto


def gelu_linear(x, *others, activation):
    return linear(F.gelu(x, approximate={"gelu": "none", "gelu_tanh": "tanh"}[activation]), *others)


def pool(x, kinds, mask):
    """A row without a real position is 0 here."""
    real, parts = torch.tensor(mask)[..., None], []
    n = real.sum(1)
    for kind in kinds:
        if kind == "mean":
            parts.append((x * real).sum(1) / n.clamp(min=1))
        elif kind == "max":
            parts.append(x.masked_fill(~real, -torch.inf).max(1).values.masked_fill(n == 0, 0))
        else:
            at = [row.nonzero().flatten()[0 if kind == "first" else -1] if row.any() else 0 for row in real[..., 0]]
            parts.append(x[torch.arange(len(x)), torch.tensor(at)] * (n > 0))
    return torch.cat(parts, -1)


def recurrent(kind):
    """A layer of ``torch.nn``, which takes padded sequences packed; of one in both directions, the wanted one."""

    def oracle(x, weight_x, weight_h, *others, mask, reverse=False):
        lstm = kind is torch.nn.LSTM
        *biases, h = others[:-1] if lstm else others
        biases = biases if len(biases) == 2 else [*biases, torch.zeros_like(biases[0])]
        layer = kind(x.shape[2], h.shape[1], batch_first=True, bidirectional=reverse, dtype=x.dtype)
        weights = [weight_x.T, weight_h.T, *biases] * (2 if reverse else 1)
        named = dict(zip((name for name, _ in layer.named_parameters()), weights, strict=True))
        initial = tuple(torch.stack([state] * (2 if reverse else 1)) for state in ([h, others[-1]] if lstm else [h]))
        if mask is not None:
            lengths = torch.tensor(mask.sum(axis=1))
            x = torch.nn.utils.rnn.pack_padded_sequence(x, lengths, batch_first=True, enforce_sorted=False)
        y, final = torch.func.functional_call(layer, named, (x, initial if lstm else initial[0]))
        if mask is not None:
            y = torch.nn.utils.rnn.pad_packed_sequence(y, batch_first=True, total_length=mask.shape[1])[0]
        final = [state[-1][:, None] for state in (final if lstm else [final])]
        return torch.cat([y[..., -h.shape[1] :], *final], 1)

    return lambda case: oracle


def stepwise(step):
    """A cell that PyTorch lacks, position by position; ``step`` returns the states after one."""

    def oracle(x, weight_x, weight_h, bias, *states, mask):
        outputs = []
        for t in range(x.shape[1]):
            here = torch.tensor(True if mask is None else mask[:, t, None])
            after = step(x[:, t], weight_x, weight_h, bias, *states)
            states = [torch.where(here, new, old) for new, old in zip(after, states, strict=True)]
            outputs.append(torch.where(here, states[0], 0))
        return torch.stack([*outputs, *states], 1)

    return lambda case: oracle


def original_gru(x, weight_x, weight_h, bias, h):
    p, edge = x @ weight_x + bias, 2 * h.shape[1]
    r, z = torch.sigmoid(p[:, :edge] + h @ weight_h[:, :edge]).chunk(2, 1)
    n = torch.tanh(p[:, edge:] + (r * h) @ weight_h[:, edge:])
    return [torch.lerp(n, h, z)]


def mlstm(x, weight_x, weight_h, bias, h, c):
    units = h.shape[1]
    m = (x @ weight_x[:, :units]) * (h @ weight_h[:, :units])
    i, f, g, o = (x @ weight_x[:, units:] + m @ weight_h[:, units:] + bias).chunk(4, 1)
    c = f.sigmoid() * c + i.sigmoid() * g.tanh()
    return [o.sigmoid() * c.tanh(), c]


def rotate(x, frequencies, start, neighbours, scale):
    """As transformers' ``apply_rotary_pos_emb``, with pairs of halves; neighbours are brought into halves and back."""
    n, t = len(frequencies), x.shape[1]
    angles = torch.arange(start, start + t, dtype=torch.float64)[:, None] * torch.tensor(frequencies)
    cos, sin = (torch.cat([scale * f(angles)] * 2, dim=-1).to(x.dtype)[:, None] for f in (torch.cos, torch.sin))
    order = [*range(0, 2 * n, 2), *range(1, 2 * n, 2)] if neighbours else [*range(2 * n)]
    turned, rest = x[..., : 2 * n][..., order], x[..., 2 * n :]
    half = torch.cat([-turned[..., n:], turned[..., :n]], dim=-1)
    back = np.argsort(order).tolist()
    return torch.cat([(turned * cos + half * sin)[..., back], rest], dim=-1)


def route(logits, n_chosen, renormalise):
    weights = logits.softmax(-1).topk(n_chosen).values
    return weights / weights.sum(-1, keepdim=True) if renormalise else weights


def balance(logits, experts):
    share = F.one_hot(torch.tensor(experts), logits.shape[-1]).sum(2).to(logits.dtype).mean(1)  # (B, X), of each text's tokens
    return logits.shape[-1] * (share * logits.softmax(-1).mean(1)).sum(-1)


def add_rows(x, weights, slots):
    slots, k = torch.tensor(slots), weights.shape[-1]
    y = x.new_zeros(weights[..., 0].numel(), x.shape[1]).index_add(0, slots // k, weights.flatten()[slots][:, None] * x)
    return y.reshape(*weights.shape[:-1], -1)


def additive_scores(q, k, weight):
    k = k.repeat_interleave(q.shape[1] // k.shape[1], 1)
    return torch.einsum("bhtsa,ha->bhts", torch.tanh(q[:, :, :, None] + k[:, :, None]), weight)


def relative_scores(q, r, *, ahead, scale):
    c, t, s = q.shape[-1] ** -0.5 if scale is None else scale, torch.arange(q.shape[2]), torch.arange(r.shape[1] - ahead)
    row = (ahead + len(s) - len(t) + t[:, None] - s).expand(*q.shape[:3], len(s))
    return (c * q @ r.mT).gather(-1, row.clamp(min=0)).where(row >= 0, 0.0)


def segment_scores(case):
    """As XLNet has it: the products with all kinds, weighted by a one-hot array."""
    def reference(q, u):
        kinds, scale = torch.tensor(case.facts["kinds"]), case.facts["scale"]
        picked = F.one_hot(kinds, u.shape[1]).to(q.dtype).expand(len(q), -1, -1, -1)
        products = torch.einsum("bhtk,hnk->bhtn", q, u) * (q.shape[-1] ** -0.5 if scale is None else scale)
        return torch.einsum("bhtn,btsn->bhts", products, picked)

    return reference


def conv1d(x, weight, bias=None, *, left, right, step, distance):
    x = F.pad(x.mT, (left, right))
    return F.conv1d(x, weight.permute(2, 1, 0), bias, stride=step, dilation=distance).mT


def batch_norm(x, weight, bias, mean=None, variance=None, *, mask, eps):
    real = torch.ones(x.shape[:-1], dtype=torch.bool) if mask is None else torch.tensor(mask).expand(x.shape[:-1])
    if mean is None:
        rows = F.batch_norm(x[real], None, None, weight, bias, training=True, eps=eps)
    else:  # F.batch_norm has no gradient for them
        rows = weight * (x[real] - mean) / (variance + eps).sqrt() + bias
    return torch.zeros_like(x).masked_scatter(real[..., None], rows)


def address(k, strength, gate, shift, sharpness, before, memory):
    cosine = k @ memory.mT / (k.norm(dim=-1)[..., None] * memory.norm(dim=-1)[:, None] + EPS)
    content = (F.softplus(strength)[..., None] * cosine).softmax(-1)
    g = gate.sigmoid()[..., None]
    mixed, far = g * content + (1 - g) * before, shift.shape[-1] // 2
    spread = sum(p[..., None] * mixed.roll(j - far, -1) for j, p in enumerate(shift.softmax(-1).unbind(-1)))
    power = spread ** (1 + F.softplus(sharpness))[..., None]
    return power / power.sum(-1, keepdim=True)


def write_memory(memory, w, erase, add):
    return memory * (1 - w[..., None] * erase.sigmoid()[:, None]) + w[..., None] * add[:, None]


ORACLES = ATTENTION | GEOMETRIC | LOSSES | {
    "activation_penalty": lambda case: lambda raw, dropped, alpha, beta: (
        alpha * dropped.square().mean((1, 2)) + beta * raw.diff(dim=1).square().mean((1, 2)).nan_to_num()  # NaN: no step
    ),
    "word_dropout": lambda case: lambda x, ids, **options: x * kept(torch.ones(10, 1), **options).to(x)[torch.tensor(ids)],
    "address": lambda case: address,
    "read_memory": lambda case: torch.bmm,
    "write_memory": lambda case: write_memory,
    "linear": lambda case: linear,
    "linear transposed": lambda case: lambda x, table: F.linear(x, table),
    "gelu_linear": lambda case: gelu_linear,
    "layer_norm": lambda case: layer_norm,
    "batch_norm": lambda case: batch_norm,
    "rms_norm": lambda case: lambda x, weight, eps: F.rms_norm(x, x.shape[-1:], weight, eps),
    "gate": lambda case: gate,
    "highway": lambda case: lambda x, h, gate: torch.lerp(x, h, gate.sigmoid()),
    "softmax": lambda case: softmax,
    "gelu": lambda case: F.gelu,
    "gelu_tanh": lambda case: lambda x: F.gelu(x, approximate="tanh"),
    **{name: lambda case, name=name: getattr(torch, name) for name in ("relu", "tanh")},
    "silu": lambda case: F.silu,
    "maxout": lambda case: lambda x: F.max_pool1d(x, 2),
    "rotate": lambda case: rotate,
    "select_rows": lambda case: lambda x: x.flatten(0, 1)[torch.tensor(case.facts)],
    "embedding": lambda case: lambda weight: F.embedding(torch.tensor(case.before[0]), weight),
    "add_positions": lambda case: lambda x, table, start: x + table[start : start + x.shape[1]],
    "dropout": lambda case: lambda x, **options: x * kept(x, **options),
    "scale": lambda case: lambda x, factor: x * factor,
    "rnn": recurrent(torch.nn.RNN),
    "gru": recurrent(torch.nn.GRU),
    "lstm": recurrent(torch.nn.LSTM),
    "product_scores": lambda case: lambda q, k, scale: q @ k.mT * (q.shape[-1] ** -0.5 if scale is None else scale),
    "segment_scores": segment_scores,
    "relative_scores": lambda case: relative_scores,
    "additive_scores": lambda case: additive_scores,
    "original_gru": stepwise(original_gru),
    "mlstm": stepwise(mlstm),
    "pool": lambda case: pool,
    "prepend": lambda case: lambda x, weight: torch.cat([weight.expand(len(x), -1, -1), x], 1),
    "patches": lambda case: lambda images, size: F.unfold(images.permute(0, 3, 1, 2), size, stride=size).mT,
    "conv1d": lambda case: conv1d,
    "scalar_mix": lambda case: lambda layers, scores, gamma: gamma * torch.einsum("n,...nd->...d", torch.softmax(scores, 0), layers),
    "pair_sum": lambda case: lambda a, b: a.unsqueeze(2) + b.unsqueeze(1),
    "route": lambda case: route,
    "balance": lambda case: balance,
    "add_rows": lambda case: add_rows,
}


def oracle_of(name):
    """Return the oracle of the longest name that begins a case's: "attention causal" has attention's."""
    return ORACLES[max((known for known in ORACLES if name.startswith(known)), key=len)]


def assert_close(actual, expected, rtol, what, largest=0.0):
    """Equal to rtol of the largest reference value; of ``largest``, where the reference is 0 but for rounding."""
    error, scale = np.abs(actual - expected).max(initial=0), max(np.abs(expected).max(initial=0), largest)
    assert actual.shape == expected.shape and error <= rtol * scale, f"{what}: off by {error:.3g} of {scale:.3g}"


@pytest.mark.parametrize("dtype", RTOL, ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("name", OPS)
def test_operation_equals_pytorch(name, seed, dtype):
    case = OPS[name](Seeded(seed))
    arrays = cast(case.arrays, dtype)
    tensors = {key: torch.tensor(array, requires_grad=True) for key, array in arrays.items()}
    expected = oracle_of(name)(case)(*tensors.values(), **case.options)
    y, saved = case.forward(arrays)
    assert_close(y, expected.detach().numpy(), RTOL[dtype], "y")
    dy = signs(np.random.default_rng(seed), y.shape).astype(dtype)
    expected.backward(torch.tensor(dy))
    references = {key: tensor.grad.numpy() for key, tensor in tensors.items()}
    for key, gradient in case.backward(dy, saved).items():
        assert_close(gradient, references[key], RTOL[dtype], key)


@pytest.mark.parametrize("dtype", RTOL, ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("shape", [(2, 3, 70, 16), (1, 2, 200, 8)])
def test_long_attention_equals_scaled_dot_product_attention(shape, dtype):
    """Many tiles, against PyTorch's own operation."""
    rng = np.random.default_rng(0)
    q, k, v, dy = (rng.normal(size=shape).astype(dtype) for _ in range(4))
    tensors = [torch.tensor(array, requires_grad=True) for array in (q, k, v)]
    expected = F.scaled_dot_product_attention(*tensors, is_causal=True)
    expected.backward(torch.tensor(dy))
    case = OPS["attention causal"](Seeded(0))
    y, saved = case.op(q, k, v, pattern=CAUSAL)
    assert_close(y, expected.detach().numpy(), RTOL[dtype], "y")
    for name, gradient, tensor in zip("qkv", case.op_backward(dy, saved), tensors, strict=True):
        assert_close(gradient, tensor.grad.numpy(), RTOL[dtype], name)


@pytest.mark.parametrize("shared", [(), (0,), (0, 1), (2,), (1, 2)])
def test_attention_with_bias_and_groups_equals_scaled_dot_product_attention(shared):
    """PyTorch takes the bias as a mask of floats; axes in ``shared`` have size 1. Many tiles, and c is not 1/sqrt(K)."""
    b, h, g, t, s, k, w = 2, 6, 3, 70, 150, 8, 5
    rng, rtol = np.random.default_rng(0), 1e-10
    shapes = [(b, h, t, k), (b, g, s, k), (b, g, s, w), [1 if a in shared else n for a, n in enumerate((b, h, t, s))]]
    arrays = [rng.normal(size=shape) for shape in shapes]
    dy = rng.normal(size=(b, h, t, w))
    q, k, v, bias = tensors = [torch.tensor(array, requires_grad=True) for array in arrays]
    expected = F.scaled_dot_product_attention(q, k, v, bias.expand(b, h, t, s), scale=0.7, enable_gqa=True)
    expected.backward(torch.tensor(dy))
    y, saved = ops.attention(*arrays, scale=0.7)
    assert_close(y, expected.detach().numpy(), rtol, "y")
    for name, gradient, tensor in zip("qkvb", ops.attention_backward(dy, saved), tensors, strict=True):
        assert_close(gradient, tensor.grad.numpy(), rtol, name)
