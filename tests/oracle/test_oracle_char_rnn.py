"""The recurrent net over characters equals torch.nn.LSTM of several layers: logits, loss, every gradient, and the carried state."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.oracle

from cases import Seeded  # noqa: E402

from tinytx.core import Tape  # noqa: E402
from tinytx.models import CharRNN, CharRNNConfig  # noqa: E402
from tinytx.state import State  # noqa: E402
from tinytx.tasks import NextToken  # noqa: E402

RTOL = {np.float32: 2e-5, np.float64: 1e-10}


class Theirs(torch.nn.Module):
    def __init__(self, config, dtype):
        super().__init__()
        v, d, r, n = config.vocab_size, config.d_embedding, config.d_model, config.n_layers
        self.token = torch.nn.Embedding(v, d, dtype=dtype)
        self.lstm = torch.nn.LSTM(d, r, n, batch_first=True, dtype=dtype)
        self.head = torch.nn.Linear(r, v, bias=False, dtype=dtype)

    def forward(self, ids, state=None):
        y, state = self.lstm(self.token(ids), state)
        return self.head(y), state


def paired(theirs, ours):
    """Yield (name, their parameter as ours lies in memory, our parameter); their second bias is 0."""
    named = dict(ours.named_parameters())
    yield "token", theirs.token.weight, named["body.token.weight"]
    yield "head", theirs.head.weight.mT, named["head.weight"]
    for n in range(len(ours.body.recurrent.layers)):
        for their_name, our_name in (("weight_ih", "weight_x"), ("weight_hh", "weight_h"), ("bias_ih", "bias")):
            tensor = getattr(theirs.lstm, f"{their_name}_l{n}")
            yield f"{n} {our_name}", tensor.T if tensor.ndim == 2 else tensor, named[f"body.recurrent.layers.{n}.{our_name}"]


@pytest.mark.parametrize("dtype", RTOL, ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("n_layers", [1, 2, 3])
def test_it_equals_pytorch_over_two_parts_of_a_text(n_layers, dtype):
    config = CharRNNConfig(vocab_size=13, d_embedding=4, d_model=6, n_layers=n_layers)
    ours, make = NextToken.around(CharRNN, config, rng=np.random.default_rng(0), dtype=dtype), Seeded(0)
    for parameter in ours.parameters():
        parameter.data[...] = make.array(*parameter.data.shape, scale=0.5)
    theirs = Theirs(config, torch.float32 if dtype == np.float32 else torch.float64)
    with torch.no_grad():
        for name, tensor, parameter in paired(theirs, ours):
            tensor.copy_(torch.tensor(parameter.data))
        for n in range(n_layers):
            getattr(theirs.lstm, f"bias_hh_l{n}").zero_()
    state, their_state = State(), None
    for _ in range(2):
        ids, targets = make.ids(13, 3, 20), make.ids(13, 3, 20)
        logits, their_state = theirs(torch.tensor(ids), their_state)
        their_state = tuple(part.detach() for part in their_state)  # no gradient goes into the part before
        theirs.zero_grad()
        expected = torch.nn.functional.cross_entropy(logits.flatten(0, 1), torch.tensor(targets).flatten())
        expected.backward()
        ours.zero_grad()
        tape = Tape()
        loss = ours.loss(ids, targets, tape, state=state)
        ours.loss_backward(tape)
        assert abs(loss - expected.item()) <= RTOL[dtype] * loss
        for name, tensor, parameter in paired(theirs, ours):
            leaf = tensor if tensor.is_leaf else tensor._base
            gradient = leaf.grad.numpy() if tensor.is_leaf else leaf.grad.numpy().T
            error = np.abs(parameter.grad - gradient).max()
            assert error <= RTOL[dtype] * np.abs(gradient).max(), f"{name}: off by {error:.3g}"
    for n in range(n_layers):
        for name, part in zip((f"{n}.0", f"{n}.1"), their_state, strict=True):
            np.testing.assert_allclose(state.state_dict()[name], part[n].numpy(), rtol=0, atol=RTOL[dtype])
