"""Transformer-XL beside transformers' ``XLNetModel`` with causal attention, which is the same: outputs, memories, gradients."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.oracle

from published import all_in_float64  # noqa: E402

from tinytx.core import Tape  # noqa: E402
from tinytx.models import TransformerXL, TransformerXLConfig  # noqa: E402
from tinytx.state import State  # noqa: E402

V, D, H, L, F, T, M = 11, 6, 2, 3, 7, 4, 6
IN_ATTENTION = {  # ours -> theirs; their matrices are (D, H, K), also that of the output
    "query.weight": "q", "key.weight": "k", "value.weight": "v", "core.position.weight": "r", "output.weight": "o",
    "core.content_bias": "r_w_bias", "core.position_bias": "r_r_bias",
}  # fmt: skip
IN_BLOCK = {  # their linear maps are (out, in)
    "attention.norm": "rel_attn.layer_norm", "feed_forward.norm": "ff.layer_norm",
    "feed_forward.f.expand": "ff.layer_1", "feed_forward.f.contract": "ff.layer_2",
}  # fmt: skip


def in_our_shape(theirs):
    """Return {our path: an array of theirs} of a dict of their arrays."""
    arrays = {"token.weight": theirs["word_embedding.weight"]}
    for n in range(L):
        for path, name in IN_ATTENTION.items():
            array = theirs[f"layer.{n}.rel_attn.{name}"]
            array = array if "bias" in name else array.reshape(D, D)
            arrays[f"blocks.{n}.attention.f.attention.{path}"] = array.T if name == "o" else array
        for path, name in IN_BLOCK.items():
            for kind in ("weight", "bias"):
                arrays[f"blocks.{n}.{path}.{kind}"] = theirs[f"layer.{n}.{name}.{kind}"].T
    return arrays


def both():
    """Return our body and theirs, with the same random parameters."""
    config = TransformerXLConfig(V, segment=T, memory=M, d_model=D, n_heads=H, n_layers=L, d_ff=F)
    same = {"d_model": D, "n_head": H, "n_layer": L, "d_inner": F, "ff_activation": "relu", "layer_norm_eps": 1e-5}
    theirs = transformers.XLNetModel(transformers.XLNetConfig(vocab_size=V, **same, attn_type="uni", mem_len=M, dropout=0.0))
    theirs, rng = theirs.double().eval(), np.random.default_rng(1)
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.copy_(torch.tensor(rng.normal(size=parameter.shape) * 0.5))
    body = TransformerXL(config, rng=rng, dtype=np.float64)
    body.load_state_dict(in_our_shape({name: array.numpy() for name, array in theirs.state_dict().items()}))
    body.token.weight.data /= D**0.5  # theirs are not multiplied by it
    return body, theirs


def test_transformer_xl_is_theirs():
    """Three segments, the last one shorter, whose memories are of 0, 4 and 6 words; M is not T."""
    rng = np.random.default_rng(2)
    ids, dy = rng.integers(0, V, (2, 11)), rng.normal(size=(2, 11, D))
    with all_in_float64():
        body, theirs = both()
        memories, segments = None, []
        for start in range(0, 11, T):
            found = theirs(torch.tensor(ids[:, start : start + T]), mems=memories, use_mems=True)
            memories = found.mems
            segments.append(found.last_hidden_state)
        expected = torch.cat(segments, dim=1)
        expected.backward(torch.tensor(dy))
    tape, state = Tape(), State()
    y = body(ids, tape, state=state)
    body.backward(dy, tape)
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=0, atol=1e-10)
    for n in range(L):
        np.testing.assert_allclose(state.state_dict()[f"{n}.0"], memories[n].numpy().swapaxes(0, 1), rtol=0, atol=1e-10)
    gradients = {name: parameter.grad.numpy() for name, parameter in theirs.named_parameters() if parameter.grad is not None}
    gradients["word_embedding.weight"] = gradients["word_embedding.weight"] * D**0.5
    expected = in_our_shape(gradients)
    for path, parameter in body.named_parameters():
        np.testing.assert_allclose(parameter.grad, expected[path], rtol=0, atol=1e-10, err_msg=path)
