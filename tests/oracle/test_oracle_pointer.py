"""The pointer network equals one written with torch.nn.LSTM: the loss, and every gradient, that of the elements too."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.oracle

from model_cases import MODEL_CASES  # noqa: E402

from tinytx.core import Tape  # noqa: E402

RTOL = {np.float32: 2e-5, np.float64: 1e-10}


@pytest.mark.parametrize("dtype", RTOL)
def test_pointer_network(dtype):
    task, (elements, order) = MODEL_CASES["pointer"](dtype)
    loss = task.loss(elements, order, tape := Tape())
    delements, _ = task.loss_backward(tape)

    own = {name: torch.tensor(array, requires_grad=True) for name, array in task.body.state_dict().items()}
    x = torch.tensor(elements, requires_grad=True)
    d = own["start.weight"].shape[1]
    embedded = x @ own["element.weight"] + own["element.bias"]
    memory, state = lstm(own, "encoder", d)(embedded)
    read = torch.stack([embedded[b, order[b, :-1]] for b in range(len(order))])
    y, _ = lstm(own, "decoder", d)(torch.cat([own["start.weight"].expand(len(order), 1, d), read], 1), state)
    queries, keys = y @ own["pointer.query.weight"] + own["pointer.query.bias"], memory @ own["pointer.key.weight"]
    scores = torch.tanh(queries[:, :, None] + keys[:, None]) @ own["pointer.weight"][0]
    for t in range(1, order.shape[1]):
        for row, places in enumerate(order[:, :t]):
            scores[row, t, places] = -torch.inf
    theirs = torch.nn.functional.cross_entropy(scores.flatten(0, 1), torch.tensor(order).flatten())
    theirs.backward()

    assert loss == pytest.approx(theirs.item(), rel=RTOL[dtype])
    gradients = {name: parameter.grad for name, parameter in task.body.named_parameters()} | {"elements": delements}
    expected = {name: array.grad.numpy() for name, array in own.items()} | {"elements": x.grad.numpy()}
    for name, gradient in gradients.items():
        atol = RTOL[dtype] * np.abs(expected[name]).max()
        np.testing.assert_allclose(gradient, expected[name], rtol=0, atol=atol, err_msg=name)


def lstm(own, name, d):
    """Return a function (x, state) of torch's LSTM with our weights, as tensors that get gradients."""
    weights = [own[f"{name}.weight_x"].T, own[f"{name}.weight_h"].T, own[f"{name}.bias"], torch.zeros_like(own[f"{name}.bias"])]

    def run(x, state=None):
        state = state or (x.new_zeros(1, len(x), d),) * 2
        y, h, c = torch.lstm(x, state, weights, True, 1, 0.0, False, False, True)
        return y, (h, c)

    return run
