"""AWD-LSTM equals PyTorch's LSTMs, tied, with its penalties by autograd, over two parts of a text."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.oracle

from cases import Seeded  # noqa: E402

from tinytx.core import Tape  # noqa: E402
from tinytx.models import AwdLSTM, AwdLSTMConfig  # noqa: E402
from tinytx.state import State  # noqa: E402
from tinytx.tasks import NextToken  # noqa: E402

RTOL = {np.float32: 2e-5, np.float64: 1e-10}
OFF = dict.fromkeys(("word_dropout", "input_dropout", "hidden_dropout", "dropout", "weight_drop"), 0.0)


def theirs(named, ids, targets, states, config):
    """Loss and the states after a part, written with functions of PyTorch on our parameters' values."""
    x, after = named["body.token.weight"][ids], []
    for n in range(config.n_layers):
        weights = [named[f"body.recurrent.layers.{n}.{name}"] for name in ("weight_x", "weight_h", "bias")]
        flat = [weights[0].T, weights[1].T, weights[2], torch.zeros_like(weights[2])]
        h, c = states[n]
        x, h, c = torch.lstm(x, (h[None], c[None]), flat, True, 1, 0.0, False, False, True)
        after.append((h[0].detach(), c[0].detach()))
    logits = x @ named["body.token.weight"].T + named["head.bias"]
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), targets.flatten())
    return loss + config.alpha * x.square().mean() + config.beta * x.diff(dim=1).square().mean(), after


@pytest.mark.parametrize("dtype", RTOL, ids=lambda dtype: dtype.__name__)
def test_it_equals_pytorch_over_two_parts_of_a_text(dtype):
    config = AwdLSTMConfig(13, d_model=4, d_hidden=6, alpha=0.7, beta=0.4, **OFF)
    ours, make = NextToken.around(AwdLSTM, config, rng=np.random.default_rng(0), dtype=dtype), Seeded(0)
    for parameter in ours.parameters():
        parameter.data[...] = make.array(*parameter.data.shape, scale=0.5)
    named = {name: torch.tensor(p.data, requires_grad=True) for name, p in ours.named_parameters()}
    zeros = [torch.zeros(3, r).to(named["head.bias"].dtype) for r in (6, 6, 4)]
    state, states = State(), [(zero, zero) for zero in zeros]
    for _ in range(2):
        ids, targets = make.ids(13, 3, 20), make.ids(13, 3, 20)
        expected, states = theirs(named, torch.tensor(ids), torch.tensor(targets), states, config)
        gradients = dict(zip(named, torch.autograd.grad(expected, named.values()), strict=True))
        ours.zero_grad()
        tape = Tape(seed=1)  # penalties are those of training; all dropouts are 0
        loss = ours.loss(ids, targets, tape, state=state)
        ours.loss_backward(tape)
        assert abs(loss - expected.item()) <= RTOL[dtype] * loss
        for name, parameter in ours.named_parameters():
            error, largest = np.abs(parameter.grad - gradients[name].numpy()).max(), gradients[name].abs().max()
            assert error <= RTOL[dtype] * largest, f"{name}: off by {error:.3g}"
