"""Reformer equals transformers' ReformerModelWithLMHead: logits and every gradient, with its rotations."""

import numpy as np
import pytest

from tinytx.core import Tape
from tinytx.models import Reformer, ReformerConfig
from tinytx.tasks import NextToken

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.oracle

V, T, D, H, F, CHUNK, BUCKETS, ROUNDS, SEED = 13, 24, 12, 3, 20, 4, 6, 3, 5
NAMES = {
    "body.token.weight": "reformer.embeddings.word_embeddings.weight",
    "body.position.weight": "reformer.embeddings.position_embeddings.embedding.weight",
    "body.norm.weight": "reformer.encoder.layer_norm.weight",
    "body.norm.bias": "reformer.encoder.layer_norm.bias",
    "head.weight": "lm_head.decoder.weight",
    "head.bias": "lm_head.decoder.bias",
}
PARTS = {
    "fs.{}.layers.0.": "attention.layer_norm.",
    "fs.{}.layers.1.query_key.": "attention.self_attention.query_key.",
    "fs.{}.layers.1.value.": "attention.self_attention.value.",
    "fs.{}.layers.1.output.": "attention.output.dense.",
    "gs.{}.layers.0.": "feed_forward.layer_norm.",
    "gs.{}.layers.1.expand.": "feed_forward.dense.dense.",
    "gs.{}.layers.1.contract.": "feed_forward.output.dense.",
}


def name_of(path):
    """Return transformers' name of one of our parameters."""
    if path in NAMES:
        return NAMES[path]
    number = path.split(".")[3]
    for ours, theirs in PARTS.items():
        start = "body.stack." + ours.format(number)
        if path.startswith(start):
            return f"reformer.encoder.layers.{number}.{theirs}{path.removeprefix(start)}"
    raise KeyError(path)


def theirs_in_float64(n_layers, length):
    config = transformers.ReformerConfig(
        vocab_size=V, hidden_size=D, num_attention_heads=H, attention_head_size=D // H, feed_forward_size=F, hidden_act="relu",
        attn_layers=["lsh"] * n_layers, axial_pos_embds=False, is_decoder=True, hash_seed=SEED, num_hashes=ROUNDS, num_buckets=BUCKETS,
        lsh_attn_chunk_length=CHUNK, lsh_num_chunks_before=1, lsh_num_chunks_after=0, hidden_dropout_prob=0.0,
        lsh_attention_probs_dropout_prob=0.0, max_position_embeddings=length, layer_norm_eps=1e-12,
    )  # fmt: skip
    return transformers.ReformerModelWithLMHead(config).double().train()


@pytest.mark.parametrize(("n_layers", "length"), [(1, T), (3, T), (2, CHUNK)])
def test_equals_transformers(n_layers, length, monkeypatch):
    """Several chunks in three rounds; and one chunk, which is seen whole. Parameters are random."""
    model = theirs_in_float64(n_layers, length)

    def rotations(self, key, width, dtype):
        torch.manual_seed(SEED)
        return torch.randn((H, width, ROUNDS, BUCKETS // 2), dtype=torch.float64).numpy()

    from tinytx.layers import HashedSelfAttention

    monkeypatch.setattr(HashedSelfAttention, "rotations", rotations)
    config = ReformerConfig(
        V, max_len=length, d_model=D, n_heads=H, n_layers=n_layers, d_ff=F, chunk=CHUNK, n_buckets=BUCKETS, n_rounds=ROUNDS
    )
    task = NextToken.around(Reformer, config, rng=np.random.default_rng(0), dtype=np.float64)
    rng, known = np.random.default_rng(1), dict(model.named_parameters())
    for path, parameter in task.named_parameters():
        parameter.data[...] = rng.normal(size=parameter.data.shape) * 0.5
        value = torch.from_numpy(parameter.data.T if known[name_of(path)].shape != parameter.data.shape else parameter.data)
        matrix = path.endswith("weight") and parameter.data.ndim == 2 and not path.startswith(("body.token", "body.position"))
        known[name_of(path)].data.copy_(torch.from_numpy(parameter.data).T if matrix else value)
    ids = rng.integers(0, V, (2, length))
    targets = rng.integers(0, V, (2, length))
    logits = model(input_ids=torch.from_numpy(ids)).logits
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), torch.from_numpy(targets).flatten())
    loss.backward()
    np.testing.assert_allclose(task(ids), logits.detach().numpy(), rtol=0, atol=1e-10 * np.abs(logits.detach().numpy()).max())
    tape = Tape()
    ours = task.loss(ids, targets, tape)
    task.loss_backward(tape)
    assert abs(ours - loss.item()) < 1e-10
    for path, parameter in task.named_parameters():
        expected = known[name_of(path)].grad.numpy()
        expected = expected.T if path.endswith("weight") and expected.ndim == 2 and not path.startswith(("body.token", "body.position")) else expected
        np.testing.assert_allclose(parameter.grad, expected, rtol=0, atol=1e-10 * max(1e-2, np.abs(expected).max()), err_msg=path)
