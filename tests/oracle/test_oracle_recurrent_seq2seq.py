"""The recurrent encoder-decoder equals one written with torch.nn.LSTM and GRU: vectors, and every gradient."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.oracle

from cases import Seeded  # noqa: E402
from transformer_cases import PAD, batch_of, recurrent_config_of  # noqa: E402

from tinytx.core import Tape  # noqa: E402
from tinytx.models import RecurrentSeq2Seq  # noqa: E402

RTOL = {np.float32: 2e-5, np.float64: 1e-10}
rnn = torch.nn.utils.rnn


class Theirs(torch.nn.Module):
    """As PyTorch's tutorials have it; the source is turned around word by word where it is read from the right."""

    def __init__(self, config, dtype):
        super().__init__()
        self.config, r, e, made = config, config.d_model, config.d_embedding, {"dtype": dtype}
        self.largest = config.readout == "maxout"
        kind, both = getattr(torch.nn, config.cell.upper()), config.reads == "both"
        sides = {"batch_first": True, **made}
        self.source = torch.nn.Embedding(config.source_vocab_size, e, **made)
        self.target = torch.nn.Embedding(config.target_vocab_size, e, **made)
        self.encoder = kind(e, r // 2 if both else r, config.n_layers, bidirectional=both, **sides)
        self.decoder = kind(e + r * (config.reads_summary + (config.wiring != "after")), r, config.n_layers, **sides)
        self.query, self.key = (torch.nn.Linear(r, r, bias=False, **made) for _ in range(2))
        wide = 2 * r + (e + r * config.reads_summary) * (config.wiring == "before")
        self.w, self.combine = torch.nn.Linear(r, 1, bias=False, **made), torch.nn.Linear(wide, r * (1 + self.largest), bias=False, **made)
        self.first = torch.nn.Linear(r // 2, r, bias=False, **made)

    def forward(self, source, target):
        lengths, config = (source != PAD).sum(1), self.config
        turn = config.reads == "right"
        packed = rnn.pack_padded_sequence(turned(self.source(source), lengths, turn), lengths, batch_first=True, enforce_sorted=False)
        y, states = self.encoder(packed)
        y = turned(rnn.pad_packed_sequence(y, batch_first=True, total_length=source.shape[1])[0], lengths, turn)
        states = states if config.cell == "lstm" else (states,)
        if config.reads == "both":
            states = tuple(torch.cat([state[0::2], state[1::2]], -1) for state in states)
        x = self.target(target)
        if config.reads_summary:
            x = torch.cat([x, states[0][-1][:, None].expand(-1, x.shape[1], -1)], -1)
        if config.wiring != "after":
            return torch.stack(self.along(x, states, y, source != PAD), 1)
        h, _ = self.decoder(x, states if config.cell == "lstm" else states[0])
        if config.attention == "none":
            return h
        return self.vector(self.context(h, y, source != PAD), h)

    def vector(self, *parts):
        """What the output layer reads of vectors that stand beside each other."""
        x = self.combine(torch.cat(parts, -1))
        return torch.maximum(x[..., 0::2], x[..., 1::2]) if self.largest else torch.tanh(x)

    def context(self, h, y, mask):
        """What queries h (B, T, R) find in y (B, S, R)."""
        if self.config.attention == "additive":
            scores = self.w(torch.tanh(self.query(h)[:, :, None] + self.key(y)[:, None]))[..., 0]
        else:
            scores = (self.query(h) if self.config.attention == "general" else h) @ y.mT
        return scores.masked_fill(~mask[:, None], -torch.inf).softmax(-1) @ y

    def along(self, x, states, y, mask):
        """The vectors of all steps, one step after the other."""
        before, vectors, fed = self.config.wiring == "before", [], torch.zeros_like(states[0][-1])
        if before:
            states = tuple(torch.tanh(self.first(state[..., state.shape[-1] // 2 :])) for state in states)
        for step in x.unbind(1):
            if before:
                fed = self.context(states[0][-1][:, None], y, mask)[:, 0]
            h, states = self.decoder(torch.cat([step, fed], -1)[:, None], states if len(states) > 1 else states[0])
            states = states if isinstance(states, tuple) else (states,)
            if before:
                vectors.append(self.vector(h[:, 0], fed, step))
            else:
                fed = self.vector(self.context(h, y, mask), h)[:, 0]
                vectors.append(fed)
        return vectors


def turned(x, lengths, turn):
    """Return the positions of each row in the opposite order, padding at its place."""
    return torch.stack([torch.cat([row[:n].flip(0), row[n:]]) for row, n in zip(x, lengths)]) if turn else x


def paired(theirs, ours):
    """Yield (name, their parameter, our parameter) of all of ours."""
    config = ours.config
    biases = (("bias_ih", "bias"),) if config.cell == "lstm" else (("bias_ih", "bias_x"), ("bias_hh", "bias_h"))
    names = {"encoder.token.weight": theirs.source.weight, "decoder.token.weight": theirs.target.weight}
    for side in ("encoder", "decoder"):
        two = side == "encoder" and config.reads == "both"
        for path, suffix in ((".left_to_right", ""), (".right_to_left", "_reverse")) if two else (("", ""),):
            for n in range(config.n_layers):
                for their_name, our_name in (("weight_ih", "weight_x"), ("weight_hh", "weight_h"), *biases):
                    tensor = getattr(getattr(theirs, side), f"{their_name}_l{n}{suffix}")
                    names[f"{side}.layers.layers.{n}{path}.{our_name}"] = tensor
    heads = {"cross_attention.query": theirs.query, "cross_attention.key": theirs.key, "first.layers.0": theirs.first}
    heads |= {f"{path}combine.layers.0": theirs.combine for path in ("", "cross_attention.")}
    names |= {f"decoder.{path}.weight": layer.weight for path, layer in heads.items()}
    names["decoder.cross_attention.core.weight"] = theirs.w.weight
    for name, parameter in ours.named_parameters():
        yield name, names[name], parameter


def like_ours(name, array):
    """Their matrices are transposed, but for tables and the row of w."""
    return array.T if array.ndim == 2 and "token" not in name and "core" not in name else array


VARIANTS = {
    "Sutskever": {"reads": "right", "n_layers": 2},
    "Cho": {"cell": "gru", "reads": "left", "reads_summary": True},
    "both, summary of two layers": {"n_layers": 2, "reads_summary": True},
    "additive": {"attention": "additive", "cell": "gru", "n_layers": 2},
    "dot": {"attention": "dot", "reads": "right"},
    "general": {"attention": "general"},
    "Luong, input feeding": {"attention": "general", "wiring": "feeding", "n_layers": 2},
    "Bahdanau": {"attention": "additive", "wiring": "before", "cell": "gru"},
    "Bahdanau, maxout": {"attention": "additive", "wiring": "before", "cell": "gru", "readout": "maxout"},
    "Luong, maxout": {"attention": "dot", "wiring": "feeding", "readout": "maxout"},
    "additive, maxout": {"attention": "additive", "readout": "maxout"},
    "Bahdanau, LSTMs, summary": {"attention": "dot", "wiring": "before", "n_layers": 2, "reads_summary": True},
}


@pytest.mark.parametrize(("variant", "dtype"), [*((name, np.float64) for name in VARIANTS), ("additive", np.float32)])
def test_it_equals_pytorch(variant, dtype):
    config, make = recurrent_config_of(**VARIANTS[variant]), Seeded(0)
    ours = RecurrentSeq2Seq(config, rng=np.random.default_rng(0), dtype=dtype)
    theirs = Theirs(config, torch.float32 if dtype == np.float32 else torch.float64)
    with torch.no_grad():
        for name, tensor in theirs.named_parameters():
            tensor.zero_()  # the second bias of an LSTM
        for name, tensor, parameter in paired(theirs, ours):
            parameter.data[...] = make.array(*parameter.data.shape, scale=0.5)
            tensor.copy_(torch.tensor(like_ours(name, parameter.data)))
    source, target = batch_of()
    expected = theirs(torch.tensor(source), torch.tensor(target))
    dx = make.array(*expected.shape).astype(dtype)
    expected.backward(torch.tensor(dx))
    tape = Tape()
    actual = ours(source, target, tape)
    ours.backward(dx, tape)
    tape.check_empty()
    np.testing.assert_allclose(actual, expected.detach().numpy(), rtol=0, atol=RTOL[dtype])
    for name, tensor, parameter in paired(theirs, ours):
        gradient = like_ours(name, tensor.grad.numpy())
        error = np.abs(parameter.grad - gradient).max()
        assert error <= RTOL[dtype] * np.abs(gradient).max(), f"{name}: off by {error:.3g}"
