"""The whole Transformer beside ``torch.nn.Transformer``: logits, loss and every gradient, weights moved by name."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
F = torch.nn.functional
pytestmark = pytest.mark.oracle

from transformer_cases import PAD, batch_of, new_model  # noqa: E402

from tinytx.core import Tape  # noqa: E402
from tinytx.training import Adam, Trainer, WarmupInverseSqrt  # noqa: E402

RTOL = {np.float32: 1e-5, np.float64: 1e-10}  # measured in float64: 7e-13
LAYER = {  # torch's name of a part -> ours
    "encoder": {"norm1": "attention.norm", "norm2": "feed_forward.norm"},
    "decoder": {"norm1": "attention.norm", "norm2": "cross_attention.norm", "norm3": "feed_forward.norm"},
}
ATTENTION = {"self_attn": "attention.f", "multihead_attn": "cross_attention.f"}
LINEAR = {"linear1": "feed_forward.f.expand", "linear2": "feed_forward.f.contract"}


def torch_names(config):
    """Yield (name in torch.nn.Transformer, our names, function of our arrays): the map by which weights move.

    Torch's linear weights are (d_out, d_in), ours (d_in, d_out); its in_proj stacks query, key and value.
    """
    for stack, n_layers in (("encoder", config.n_encoder_layers), ("decoder", config.n_decoder_layers)):
        for i in range(n_layers):
            theirs, ours = f"{stack}.layers.{i}", f"{stack}.blocks.{i}"
            for norm, name in LAYER[stack].items():
                for part in ("weight", "bias"):
                    yield f"{theirs}.{norm}.{part}", [f"{ours}.{name}.{part}"], lambda w: w
            for linear, name in LINEAR.items():
                yield f"{theirs}.{linear}.weight", [f"{ours}.{name}.weight"], lambda w: w.T
                yield f"{theirs}.{linear}.bias", [f"{ours}.{name}.bias"], lambda b: b
            for attention, name in ATTENTION.items():
                if stack == "encoder" and attention == "multihead_attn":
                    continue
                three = [f"{ours}.{name}.{part}" for part in ("query", "key", "value")]
                yield f"{theirs}.{attention}.in_proj_weight", [f"{n}.weight" for n in three], _stacked
                yield f"{theirs}.{attention}.in_proj_bias", [f"{n}.bias" for n in three], _concatenated
                yield f"{theirs}.{attention}.out_proj.weight", [f"{ours}.{name}.output.weight"], lambda w: w.T
                yield f"{theirs}.{attention}.out_proj.bias", [f"{ours}.{name}.output.bias"], lambda b: b
        for part in ("weight", "bias"):
            yield f"{stack}.norm.{part}", [f"{stack}.norm.{part}"], lambda w: w


def _stacked(*weights):
    return np.concatenate([w.T for w in weights])


def _concatenated(*biases):
    return np.concatenate(biases)


class Oracle(torch.nn.Module):
    """Embeddings times sqrt(D), sinusoids, ``torch.nn.Transformer`` and an output layer, with our model's weights."""

    def __init__(self, model):
        super().__init__()
        self.config, self.smoothing = model.config, model.loss_settings
        config = model.config
        self.dtype = torch.tensor(model.body.encoder.token.weight.data).dtype
        self.transformer = torch.nn.Transformer(
            config.d_model, config.n_heads, config.n_encoder_layers, config.n_decoder_layers, config.d_ff, dropout=0.0,
            activation=config.activation, batch_first=True, norm_first=config.norm_order == "pre", dtype=self.dtype,
        )  # fmt: skip
        if model.body.encoder.norm is None:  # torch puts a norm at the end of both stacks, whatever the order
            self.transformer.encoder.norm = self.transformer.decoder.norm = None
        own = dict(self.transformer.named_parameters())
        state = {name.removeprefix("body."): array for name, array in model.state_dict().items()}
        names = [row for row in torch_names(config) if row[0] in own]
        assert {row[0] for row in names} == set(own)
        self.names = names
        with torch.no_grad():
            for name, ours, made in names:
                own[name].copy_(torch.tensor(made(*(state[n] for n in ours))))
        self.tables = torch.nn.ParameterDict(
            {n.replace(".", "_"): torch.tensor(state[n]) for n in state if n.endswith(("token.weight", "head.weight"))}
        )
        self.tables |= {n.replace(".", "_"): torch.tensor(state[n]) for n in state if n.endswith("position.weight")}

    def table(self, name):
        """Return a table by our name, or the one that it is tied to."""
        tied = {"three-way": "encoder_token_weight", "two-way": "decoder_token_weight"}.get(self.config.tied)
        return self.tables[name] if name in self.tables else self.tables[tied]

    def embed(self, stack, ids):
        d, t = self.config.d_model, ids.shape[1]
        x = F.embedding(ids, self.table(f"{stack}_token_weight"))
        x = x * d**0.5 if self.config.scaled_embedding else x
        if self.config.positions == "learned":
            return x + self.tables[f"{stack}_position_weight"][:t]
        wave = torch.exp(torch.arange(0, d, 2, dtype=torch.float64) * (-np.log(10000.0) / d))
        angle = torch.arange(t, dtype=torch.float64)[:, None] * wave  # as the Annotated Transformer has it
        return x + torch.stack([angle.sin(), angle.cos()], -1).flatten(1).to(self.dtype)

    def forward(self, source, target):
        later = torch.nn.Transformer.generate_square_subsequent_mask(target.shape[1], dtype=self.dtype)
        y = self.transformer(
            self.embed("encoder", source),
            self.embed("decoder", target),
            tgt_mask=later,
            src_key_padding_mask=source == PAD,
            memory_key_padding_mask=source == PAD,
        )
        head = self.table("head_weight")
        return y @ (head if self.config.tied == "none" else head.T)

    def loss(self, source, target):
        labels, epsilon = target[:, 1:].flatten(), self.smoothing.label_smoothing
        logits = self(source, target[:, :-1]).flatten(0, 1)
        if self.smoothing.loss_form == "cross_entropy":
            return F.cross_entropy(logits, labels, ignore_index=PAD, label_smoothing=epsilon)
        q = torch.full_like(logits, epsilon / (logits.shape[1] - 2)).scatter(1, labels[:, None], 1 - epsilon)
        q[:, PAD] = 0
        q[labels == PAD] = 0
        return F.kl_div(F.log_softmax(logits, -1), q.detach(), reduction="sum") / (labels != PAD).sum()

    def expected(self, gradients):
        """Yield (name, ours in torch's shape, torch's gradient), given ours by name."""
        own = dict(self.transformer.named_parameters())
        gradients = {name.removeprefix("body."): gradient for name, gradient in gradients.items()}
        for name, ours, made in self.names:
            yield name, made(*(gradients[n] for n in ours)), own[name].grad.numpy()
        for name, table in self.tables.items():
            ours = next(n for n in gradients if n.replace(".", "_") == name)
            yield name, gradients[ours], table.grad.numpy()


def assert_close(actual, expected, rtol, what, largest=0.0):
    """Equal to rtol of the largest reference value; of ``largest``, where the reference is rounding."""
    error, scale = np.abs(actual - expected).max(), max(np.abs(expected).max(), largest)
    assert actual.shape == expected.shape and error <= rtol * scale, f"{what}: off by {error:.3g} of {scale:.3g}"


def random_model(dtype=np.float64, **options):
    """Return a model whose gains are not 1 and whose biases are not 0."""
    rng = np.random.default_rng(0)
    model = new_model(rng, dtype, **options)
    for parameter in model.parameters():
        parameter.data[...] = 0.6 * rng.normal(size=parameter.data.shape)
    return model


OPTIONS = {
    "paper": {"label_smoothing": 0.1},
    "untied, cross-entropy": {"tied": "none", "loss_form": "cross_entropy", "label_smoothing": 0.1},
    "two-way, learned, unscaled": {"tied": "two-way", "positions": "learned", "scaled_embedding": False},
    "gelu": {"activation": "gelu", "label_smoothing": 0.0, "d_model": 12, "n_heads": 3},
}


@pytest.mark.parametrize("dtype", RTOL, ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("final_norm", [True, False])
@pytest.mark.parametrize("norm_order", ["pre", "post"])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
@pytest.mark.filterwarnings("ignore:enable_nested_tensor", "ignore:The PyTorch API of nested tensors")
def test_transformer_equals_pytorch(options, norm_order, final_norm, dtype):
    model = random_model(dtype, norm_order=norm_order, final_norm=final_norm, n_encoder_layers=2, **options)
    oracle = Oracle(model)
    source, target = batch_of(b=4)
    assert source.shape[1] != target.shape[1] - 1
    oracle.train()  # in eval mode torch's encoder takes a path of its own
    expected = oracle.loss(torch.tensor(source), torch.tensor(target))
    expected.backward()
    logits = oracle(torch.tensor(source), torch.tensor(target[:, :-1])).detach().numpy()
    tape = Tape()
    assert_close(model(source, target[:, :-1]), logits, RTOL[dtype], "logits")
    loss = model.loss(source, target, tape)
    model.loss_backward(tape)
    tape.check_empty()
    assert abs(loss - expected.item()) <= RTOL[dtype] * loss
    rows = list(oracle.expected({path: parameter.grad for path, parameter in model.named_parameters()}))
    assert len(rows) == len(list(oracle.parameters()))
    largest = max(np.abs(theirs).max() for _, _, theirs in rows)
    for name, ours, theirs in rows:
        if name.endswith("in_proj_bias"):  # softmax does not see a constant: the keys' bias has no gradient
            d = model.config.d_model
            assert_close(ours[d : 2 * d], theirs[d : 2 * d], RTOL[dtype], name, largest)
            ours, theirs = np.delete(ours, np.s_[d : 2 * d]), np.delete(theirs, np.s_[d : 2 * d])
        # In float32 both sides are rounded, and some gradients are small differences of what is.
        assert_close(ours, theirs, RTOL[dtype], name, largest if dtype == np.float32 else 0)


@pytest.mark.filterwarnings("ignore:enable_nested_tensor")
def test_twenty_steps_of_the_paper_equal_torch():
    """Catches what no part shows alone: shifted labels, ties, smoothing, schedule and Adam together, in two threads."""
    model = random_model(n_encoder_layers=2, norm_order="pre")
    oracle, schedule = Oracle(model), WarmupInverseSqrt(6, 8, 0.1)
    trainer = Trainer(model, Adam(model, schedule, betas=(0.9, 0.98), eps=1e-9), clip=None, threads=2)
    optimizer = torch.optim.Adam(oracle.parameters(), lr=1.0, betas=(0.9, 0.98), eps=1e-9)
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, schedule)
    losses = []
    for step in range(20):
        source, target = batch_of(step, b=4)
        optimizer.zero_grad()
        loss = oracle.loss(torch.tensor(source), torch.tensor(target))
        loss.backward()
        optimizer.step()
        scheduler.step()
        losses.append(loss.item())
        assert trainer.step(source, target) == pytest.approx(loss.item(), abs=1e-7)
    assert min(losses[10:]) < losses[0]
