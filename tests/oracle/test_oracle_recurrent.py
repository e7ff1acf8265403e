"""Recurrent layers equal torch.nn.RNN, GRU and LSTM: several layers, both directions, unequal lengths, first and final states."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.oracle

from cases import Seeded, signs  # noqa: E402

from tinytx.core import Tape  # noqa: E402
from tinytx.layers import GRU, LSTM, RNN, Bidirectional, RecurrentStack  # noqa: E402

RTOL = {np.float32: 2e-5, np.float64: 1e-10}
B, T, D, R = 4, 7, 3, 5
LENGTHS = np.array([4, 7, 1, 6])


def pair(kind, n_layers, both, dtype):
    """Return our stack, with random weights, and PyTorch's with the same; its second bias is 0 where ours is their sum."""
    draw, make = {"rng": np.random.default_rng(0), "dtype": dtype}, Seeded(0)
    widths = [D, *[(1 + both) * R] * (n_layers - 1)]
    layers = [kind(d, R, **draw) for d in widths]
    if both:
        layers = [Bidirectional(layer, kind(d, R, reverse=True, **draw)) for layer, d in zip(layers, widths)]
    ours = RecurrentStack(layers)
    for parameter in ours.parameters():
        parameter.data[...] = make.array(*parameter.data.shape, scale=0.5)
    torch_dtype = torch.float32 if dtype == np.float32 else torch.float64
    theirs = getattr(torch.nn, kind.__name__)(D, R, n_layers, batch_first=True, bidirectional=both, dtype=torch_dtype)
    with torch.no_grad():
        for name, tensor in theirs.named_parameters():
            parameter = named(ours, name, both)
            tensor.copy_(torch.tensor(parameter.data.T) if parameter else torch.zeros_like(tensor))
    return ours, theirs


def named(ours, name, both):
    """Return our parameter for PyTorch's "weight_ih_l0_reverse", None for a second bias that is part of the first."""
    kind, side, layer, *reverse = name.split("_")
    owner = ours.layers[int(layer[1:])]
    if both:
        owner = owner.right_to_left if reverse else owner.left_to_right
    if kind == "bias" and hasattr(owner, "bias"):
        return owner.bias if side == "ih" else None
    return getattr(owner, f"{kind}_{'x' if side == 'ih' else 'h'}")


def assert_close(actual, expected, dtype, name):
    expected = expected.detach().numpy()
    error, scale = np.abs(actual - expected).max(), np.abs(expected).max()
    assert actual.shape == expected.shape and error <= RTOL[dtype] * scale, f"{name}: off by {error:.3g} of {scale:.3g}"


@pytest.mark.parametrize("dtype", RTOL, ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("padded", [False, True], ids=["whole", "padded"])
@pytest.mark.parametrize("both", [False, True], ids=["left to right", "both"])
@pytest.mark.parametrize("n_layers", [1, 3])
@pytest.mark.parametrize("kind", [RNN, GRU, LSTM])
def test_it_equals_pytorch(kind, n_layers, both, padded, dtype):
    """Outputs, final states, and the gradients of all of: x, first states, weights and biases."""
    (ours, theirs), make, rng, tape = pair(kind, n_layers, both, dtype), Seeded(1), np.random.default_rng(0), Tape()
    n_kinds = 2 if kind is LSTM else 1  # of states; PyTorch has all h in one array, and all c in another
    x, initial = make.array(B, T, D).astype(dtype), [make.array(B, R).astype(dtype) for _ in range(ours.n_states)]
    mask = np.arange(T) < LENGTHS[:, None] if padded else None
    y, *final = ours(x, *initial, tape, mask=mask, final=True)
    dy, *dfinal = (signs(rng, array.shape).astype(dtype) for array in (y, *final))
    dx, *dinitial = ours.backward((dy, *dfinal), tape)

    tensor = torch.tensor(x, requires_grad=True)
    starts = [torch.tensor(np.stack(initial[n::n_kinds]), requires_grad=True) for n in range(n_kinds)]
    packed = tensor
    if padded:
        lengths = torch.tensor(LENGTHS)
        packed = torch.nn.utils.rnn.pack_padded_sequence(tensor, lengths, batch_first=True, enforce_sorted=False)
    expected, ends = theirs(packed, tuple(starts) if kind is LSTM else starts[0])
    if padded:
        expected = torch.nn.utils.rnn.pad_packed_sequence(expected, batch_first=True, total_length=T)[0]
    ends = ends if kind is LSTM else (ends,)
    loss = (expected * torch.tensor(dy)).sum()
    for n, end in enumerate(ends):
        loss = loss + (end * torch.tensor(np.stack(dfinal[n::n_kinds]))).sum()
    loss.backward()

    assert_close(y, expected, dtype, "y")
    assert_close(dx, tensor.grad, dtype, "dx")
    for n, (end, start) in enumerate(zip(ends, starts, strict=True)):
        assert_close(np.stack(final[n::n_kinds]), end, dtype, f"final state {n}")
        assert_close(np.stack(dinitial[n::n_kinds]), start.grad, dtype, f"gradient of initial state {n}")
    for name, parameter in theirs.named_parameters():
        own = named(ours, name, both)
        if own:
            assert_close(own.grad.T, parameter.grad, dtype, name)
