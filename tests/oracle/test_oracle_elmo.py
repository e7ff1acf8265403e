"""ELMo's language model equals two stacks of torch.nn.LSTM that share words and softmax: loss and every gradient."""

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


def their_words(named, config):
    """Return the function from one word's letters to its vector (D,), with torch.nn.functional's convolution."""
    F = torch.nn.functional

    def vector(letters):
        n, parts = int((letters != 0).sum()), []
        x = named["body.token.character.weight"][torch.tensor(letters)].T[None]  # (1, E, C)
        for k in range(config.n_widths):
            name = f"body.token.filters.{k}"
            y = F.conv1d(F.pad(x, (0, k)), named[f"{name}.weight"].permute(2, 1, 0), named[f"{name}.bias"])
            parts.append(y[0, :, :n].max(dim=1).values)
        x = torch.cat(parts).relu()
        for k in range(config.n_highways):
            new, gate = (
                x @ named[f"body.token.highways.{k}.{part}.weight"] + named[f"body.token.highways.{k}.{part}.bias"]
                for part in ("transform", "gate")
            )
            x = gate.sigmoid() * new.relu() + (1 - gate.sigmoid()) * x
        return x @ named["body.token.project.weight"] + named["body.token.project.bias"]

    return vector


WORDS = ["", *"a at cat cats walked walking un- no word other longest".split()]
CHARACTERS = {"words": "characters", "d_character": 3, "n_widths": 3, "n_filters": 4, "max_characters": 8}


@pytest.mark.parametrize("dtype", RTOL, ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize(("n_layers", "options"), [(1, {}), (3, {}), (2, CHARACTERS)], ids=["1", "3", "2, characters"])
def test_it_equals_pytorch_sentence_by_sentence(n_layers, options, dtype):
    """Each sentence alone, without padding, and turned around for the stack that reads from the right."""
    config = ElmoConfig(13, d_model=8, n_layers=n_layers, **options)
    ours, make = NextAndPrevious.around(Elmo, config, rng=np.random.default_rng(0), dtype=dtype), Seeded(0)
    for parameter in ours.parameters():
        parameter.data[...] = make.array(*parameter.data.shape, scale=0.5)
    named = {name: torch.tensor(p.data, requires_grad=True) for name, p in ours.named_parameters()}
    ids, lengths = make.ids(12, 3, 7) + 1, (7, 5, 2)
    expected, beside = 0, config.beside([*WORDS, "last"])
    for array in beside:
        array[0] = 0
    of_word = their_words(named, config)
    for row, length in zip(ids, lengths):
        row[length:] = 0
        for stack, turned in (("left_to_right", 1), ("right_to_left", -1)):
            sentence = torch.tensor(row[:length][::turned].copy())
            table = torch.stack([of_word(beside[0][i]) for i in sentence]) if beside else named["body.token.weight"][sentence]
            h = table[None]
            for n in range(n_layers):
                y = their_lstm(named, f"body.{stack}.{n}")(h)
                h = y + h if n else y
            logits = h[0, :-1] @ named["head.weight"]
            expected = expected + torch.nn.functional.cross_entropy(logits, sentence[1:], reduction="sum")
    expected = expected / (sum(lengths) - 3)
    expected.backward()
    tape = Tape()
    loss = ours.loss(ids, *(array[ids] for array in beside), tape=tape)
    ours.loss_backward(tape)
    assert abs(loss - expected.item()) <= RTOL[dtype] * loss
    for name, parameter in ours.named_parameters():
        gradient = named[name].grad.numpy()
        error = np.abs(parameter.grad - gradient).max()
        assert error <= RTOL[dtype] * np.abs(gradient).max(), f"{name}: off by {error:.3g}"
