"""Reformer equals transformers' ReformerModelWithLMHead in texts of several chunks: logits and every gradient, with its rotations."""

import numpy as np
import pytest

from tinytx.core import Tape
from tinytx.hub import FAMILIES, load
from tinytx.layers import HashedSelfAttention

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("safetensors")
pytestmark = pytest.mark.oracle

V, T, D, H, K, F, CHUNK, LOCAL, BUCKETS, ROUNDS, SEED = 13, 24, 12, 3, 5, 20, 4, 3, 6, 3, 5


def theirs_in_float64(layers, length):
    """Return their model with random parameters; its backward works in training alone."""
    config = transformers.ReformerConfig(
        vocab_size=V, hidden_size=D, num_attention_heads=H, attention_head_size=K, feed_forward_size=F, hidden_act="relu",
        attn_layers=layers, local_attn_chunk_length=LOCAL, local_attention_probs_dropout_prob=0.0, axial_pos_embds=False, is_decoder=True,
        hash_seed=SEED, num_hashes=ROUNDS, num_buckets=BUCKETS, lsh_attn_chunk_length=CHUNK, hidden_dropout_prob=0.0,
        lsh_attention_probs_dropout_prob=0.0, max_position_embeddings=length, layer_norm_eps=1e-12,
    )  # fmt: skip
    model, generator = transformers.ReformerModelWithLMHead(config).double().train(), torch.Generator().manual_seed(1)
    for parameter in model.parameters():
        parameter.data.copy_(torch.randn(parameter.shape, generator=generator, dtype=torch.float64) * 0.5)
    return model


@pytest.mark.parametrize(
    ("layers", "length"),
    [(["lsh"], T), (["lsh"] * 3, T), (["lsh"] * 2, CHUNK), (["local", "lsh"] * 2, T), (["local"], 6), (["local"], 3)],
)
def test_equals_transformers(layers, length, monkeypatch, tmp_path):
    """Several chunks in three rounds; one chunk, which is seen whole; and local blocks."""

    def rotations(self, key, width, dtype):
        torch.manual_seed(SEED)
        return torch.randn((H, width, ROUNDS, BUCKETS // 2), dtype=torch.float64).numpy()

    monkeypatch.setattr(HashedSelfAttention, "rotations", rotations)
    model, rng = theirs_in_float64(layers, length), np.random.default_rng(1)
    model.save_pretrained(tmp_path)
    task = load(tmp_path)
    ids, targets = rng.integers(0, V, (2, 2, length))
    logits = model(input_ids=torch.from_numpy(ids)).logits
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), torch.from_numpy(targets).flatten())
    loss.backward()
    logits = logits.detach().numpy()
    np.testing.assert_allclose(task(ids), logits, rtol=0, atol=1e-10 * np.abs(logits).max())
    tape = Tape()
    ours = task.loss(ids, targets, tape)
    task.loss_backward(tape)
    assert abs(ours - loss.item()) < 1e-10
    family, own = FAMILIES["reformer"], dict(task.named_parameters())
    head, theirs = family.heads["ReformerModelWithLMHead"], dict(model.named_parameters())
    rows = family.rows(task, head, head.prefix)
    assert rows.keys() == theirs.keys() - {"lm_head.bias"}  # which nothing reads
    for name, row in rows.items():
        expected = theirs[name].grad.numpy()
        actual = row.join({path: own[path].grad for path in row.paths})
        np.testing.assert_allclose(actual, expected, rtol=0, atol=1e-10 * max(1e-2, np.abs(expected).max()), err_msg=name)
