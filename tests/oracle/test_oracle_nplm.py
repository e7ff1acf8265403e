"""The neural probabilistic language model equals y = b + x W + tanh(d + x H) U in PyTorch: logits, loss, every gradient."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.oracle

from cases import Seeded  # noqa: E402

from tinytx.core import Tape  # noqa: E402
from tinytx.models import NPLM, NPLMConfig  # noqa: E402
from tinytx.tasks import NextToken  # noqa: E402

RTOL = {np.float32: 2e-5, np.float64: 1e-10}


@pytest.mark.parametrize("dtype", RTOL, ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("direct", [True, False])
def test_it_equals_the_papers_equation(direct, dtype):
    config = NPLMConfig(vocab_size=13, n=4, d_embedding=4, d_hidden=6, direct=direct)
    ours, make = NextToken.around(NPLM, config, rng=np.random.default_rng(0), dtype=dtype), Seeded(0)
    for parameter in ours.parameters():
        parameter.data[...] = make.array(*parameter.data.shape, scale=0.5)
    named = {name: torch.tensor(p.data, requires_grad=True) for name, p in ours.named_parameters()}
    ids, targets = make.ids(13, 3, 7), make.ids(13, 3, 7)
    padded = torch.tensor(np.pad(ids, ((0, 0), (2, 0)), constant_values=13))
    x = torch.cat([named["body.token.weight"][padded[:, k : k + 7]] for k in range(3)], dim=-1)
    h = torch.tanh(named["body.hidden.bias"] + x @ named["body.hidden.weight"])
    *direct_rows, u, b = named["head.weight"].split([12, 6, 1] if direct else [6, 1])
    logits = b + h @ u + sum(x @ w for w in direct_rows)
    expected = torch.nn.functional.cross_entropy(logits.flatten(0, 1), torch.tensor(targets).flatten())
    expected.backward()
    np.testing.assert_allclose(ours(ids), logits.detach().numpy(), rtol=0, atol=10 * RTOL[dtype])
    tape = Tape()
    loss = ours.loss(ids, targets, tape)
    ours.loss_backward(tape)
    assert abs(loss - expected.item()) <= RTOL[dtype] * loss
    for name, parameter in ours.named_parameters():
        gradient = named[name].grad.numpy()
        error = np.abs(parameter.grad - gradient).max()
        assert error <= RTOL[dtype] * np.abs(gradient).max(), f"{name}: off by {error:.3g}"
