"""ELMo's language model equals two stacks of torch.nn.LSTM that share table and softmax: loss and every gradient."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.oracle

from cases import Seeded  # noqa: E402

from tinytx.core import Tape  # noqa: E402
from tinytx.models import Elmo, ElmoConfig  # noqa: E402
from tinytx.tasks import NextAndPrevious  # noqa: E402

RTOL = {np.float32: 2e-5, np.float64: 1e-10}


def their_lstm(named, path):
    """Return torch.nn.LSTM with our weights as leaves of its own graph; its second bias is 0."""
    d = len(named[f"{path}.weight_x"])
    lstm = torch.nn.LSTM(d, d, batch_first=True, dtype=named[f"{path}.weight_x"].dtype)

    def run(x):
        names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
        bias = named[f"{path}.bias"]
        weights = (named[f"{path}.weight_x"].T, named[f"{path}.weight_h"].T, bias, 0 * bias)
        return torch.func.functional_call(lstm, dict(zip(names, weights)), (x,))[0]

    return run


@pytest.mark.parametrize("dtype", RTOL, ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("n_layers", [1, 3])
def test_it_equals_pytorch_sentence_by_sentence(n_layers, dtype):
    """Each sentence alone, without padding, and turned around for the stack that reads from the right."""
    config = ElmoConfig(13, d_model=8, n_layers=n_layers)
    ours, make = NextAndPrevious.around(Elmo, config, rng=np.random.default_rng(0), dtype=dtype), Seeded(0)
    for parameter in ours.parameters():
        parameter.data[...] = make.array(*parameter.data.shape, scale=0.5)
    named = {name: torch.tensor(p.data, requires_grad=True) for name, p in ours.named_parameters()}
    ids, lengths = make.ids(12, 3, 7) + 1, (7, 5, 2)
    expected = 0
    for row, length in zip(ids, lengths):
        row[length:] = 0
        for stack, turned in (("left_to_right", 1), ("right_to_left", -1)):
            sentence = torch.tensor(row[:length][::turned].copy())
            h = named["body.token.weight"][sentence][None]
            for n in range(n_layers):
                y = their_lstm(named, f"body.{stack}.{n}")(h)
                h = y + h if n else y
            logits = h[0, :-1] @ named["head.weight"]
            expected = expected + torch.nn.functional.cross_entropy(logits, sentence[1:], reduction="sum")
    expected = expected / (sum(lengths) - 3)
    expected.backward()
    tape = Tape()
    loss = ours.loss(ids, tape)
    ours.loss_backward(tape)
    assert abs(loss - expected.item()) <= RTOL[dtype] * loss
    for name, parameter in ours.named_parameters():
        gradient = named[name].grad.numpy()
        error = np.abs(parameter.grad - gradient).max()
        assert error <= RTOL[dtype] * np.abs(gradient).max(), f"{name}: off by {error:.3g}"
