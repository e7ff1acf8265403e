"""The recurrent layer of the Neural Turing Machine equals its equations in PyTorch: outputs, weights, every gradient."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.oracle

import torch.nn.functional as F  # noqa: E402
from cases import Seeded, signs  # noqa: E402
from oracle.test_oracle_ops import address, write_memory  # noqa: E402

from tinytx.core import Tape  # noqa: E402
from tinytx.layers import ExternalMemory  # noqa: E402

RTOL = {np.float32: 2e-5, np.float64: 1e-10}


def reference(x, weight_in, bias_in, weight_heads, bias_heads, n_rows, width, n_reads):
    b, heads = len(x), n_reads + 1
    memory, w = torch.full((b, n_rows, width), 1e-6, dtype=x.dtype), F.one_hot(torch.zeros(b, heads, dtype=int), n_rows).to(x.dtype)
    read, outputs, weights = x.new_zeros(b, n_reads * width), [], []
    for x_t in x.unbind(1):
        h = torch.tanh(torch.cat([x_t, read], 1) @ weight_in + bias_in)
        *own, erase, add = (h @ weight_heads + bias_heads).split([heads * width, heads, heads, heads * 3, heads, width, width], 1)
        key, strength, gate, shift, sharpness = own
        w = address(key.view(b, heads, -1), strength, gate, shift.view(b, heads, 3), sharpness, w, memory)
        read = (w[:, :-1] @ memory).flatten(1)
        memory = write_memory(memory, w[:, -1], erase, add)
        outputs.append(torch.cat([h, read], 1))
        weights.append(w)
    return torch.stack(outputs, 1), torch.stack(weights, 2)


@pytest.mark.parametrize("dtype", RTOL, ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("n_reads", [1, 2])
def test_layer_equals_pytorch(n_reads, dtype):
    layer, make = ExternalMemory(3, 6, 5, 4, n_reads, rng=np.random.default_rng(0), dtype=dtype), Seeded(0)
    for parameter in layer.parameters():
        parameter.data[...] = make.array(*parameter.data.shape, scale=0.5)
    x = make.array(2, 7, 3).astype(dtype)
    tensors = [torch.tensor(array, requires_grad=True) for array in (x, *(p.data for p in layer.parameters()))]
    expected, weights = reference(*tensors, 5, 4, n_reads)
    tape = Tape()
    y = layer(x, tape)
    dy = signs(np.random.default_rng(0), y.shape).astype(dtype)
    expected.backward(torch.tensor(dy))
    gradients = [layer.backward(dy, tape), *(p.grad for p in layer.parameters())]
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=0, atol=10 * RTOL[dtype])
    np.testing.assert_allclose(layer.attention_weights(x), weights.detach().numpy(), rtol=0, atol=10 * RTOL[dtype])
    for gradient, tensor in zip(gradients, tensors, strict=True):
        error = np.abs(gradient - tensor.grad.numpy()).max()
        assert error <= 10 * RTOL[dtype] * np.abs(tensor.grad.numpy()).max(), f"off by {error:.3g}"
