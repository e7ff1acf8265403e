"""XLNet beside transformers' ``XLNetLMHeadModel``: logits, memories and every gradient, with orders, segments and memory."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytestmark = pytest.mark.oracle

from published import all_in_float64  # noqa: E402

from tinytx.core import Tape  # noqa: E402
from tinytx.layers import permutation_masks  # noqa: E402
from tinytx.models import XLNet, XLNetConfig  # noqa: E402
from tinytx.state import State  # noqa: E402
from tinytx.tasks import PermutedWords  # noqa: E402

V, D, H, L, F, B, T, M = 11, 6, 2, 3, 7, 2, 6, 4
IN_ATTENTION = {  # ours -> theirs; their matrices are (D, H, K), also that of the output
    "query.weight": "q", "key.weight": "k", "value.weight": "v", "core.position.weight": "r", "output.weight": "o",
    "core.content_bias": "r_w_bias", "core.position_bias": "r_r_bias", "core.kind_bias": "r_s_bias", "core.kind": "seg_embed",
}  # fmt: skip
IN_BLOCK = {  # their linear maps are (out, in)
    "attention.norm": "rel_attn.layer_norm", "feed_forward.norm": "ff.layer_norm",
    "feed_forward.f.expand": "ff.layer_1", "feed_forward.f.contract": "ff.layer_2",
}  # fmt: skip


def in_our_shape(theirs):
    """Return {our path: an array of theirs} of a dict of their arrays."""
    arrays = {"body.token.weight": theirs["transformer.word_embedding.weight"], "body.query": theirs["transformer.mask_emb"].reshape(D)}
    arrays["head.bias"] = theirs["lm_loss.bias"]
    for n in range(L):
        block = f"transformer.layer.{n}."
        for path, name in IN_ATTENTION.items():
            array = theirs[f"{block}rel_attn.{name}"]
            array = array if "bias" in name or name == "seg_embed" else array.reshape(D, D)
            arrays[f"body.blocks.{n}.attention.f.attention.{path}"] = array.T if name == "o" else array
        for path, name in IN_BLOCK.items():
            for kind in ("weight", "bias"):
                arrays[f"body.blocks.{n}.{path}.{kind}"] = theirs[f"{block}{name}.{kind}"].T
    return arrays


def both():
    """Return our task and their model, with the same random parameters."""
    config = XLNetConfig(V, segment=T, memory=M, d_model=D, n_heads=H, n_layers=L, d_ff=F)
    same = {"d_model": D, "n_head": H, "n_layer": L, "d_inner": F}
    theirs = transformers.XLNetLMHeadModel(transformers.XLNetConfig(vocab_size=V, **same, mem_len=M, dropout=0.0))
    theirs, rng = theirs.double().eval(), np.random.default_rng(1)
    with torch.no_grad():
        for parameter in theirs.parameters():
            parameter.copy_(torch.tensor(rng.normal(size=parameter.shape) * 0.5))
    task = PermutedWords.around(XLNet, config, rng=rng, dtype=np.float64, settings={"one_in": 2})
    task.load_state_dict(in_our_shape({name: array.numpy() for name, array in theirs.state_dict().items()}))
    return task, theirs


def test_the_loss_is_theirs():
    """Two rows of words one after the other, the second with a memory of the first; the last three words of each order count.

    Their one mask serves both streams: it hides nothing from the context, and a word's own content is added. So their
    query stream differs at the context, which nothing reads.
    """
    rng = np.random.default_rng(2)
    ids, segments = rng.integers(0, V, (2, B, T)), np.sort(rng.integers(0, 3, (2, B, T)))
    order = rng.permuted(np.tile(np.arange(T), (2, B, 1)), axis=2)
    with all_in_float64():
        task, theirs = both()
        memories, losses, logits = None, [], []
        for row in range(2):
            content, query = permutation_masks(order[row], 3)
            context = np.zeros((B, T), bool)
            np.put_along_axis(context, order[row, :, :3], True, axis=1)
            hidden = ~(query[:, 0] | (context[:, :, None] & context[:, None]))
            targets = np.zeros((B, 3, T))
            np.put_along_axis(targets, order[row, :, 3:, None], 1.0, axis=2)
            found = theirs(
                torch.tensor(ids[row]), mems=memories, perm_mask=torch.tensor(hidden * 1.0), target_mapping=torch.tensor(targets),
                token_type_ids=torch.tensor(segments[row]), use_mems=True,
                labels=torch.tensor(np.take_along_axis(ids[row], order[row, :, 3:], axis=1)),
            )  # fmt: skip
            memories = found.mems
            losses.append(found.loss)
            logits.append(found.logits.detach().numpy())
        sum(losses).backward()
    state = State()
    for row in range(2):
        before = State()
        before.load_state_dict(state.state_dict())
        loss_tape = Tape()
        loss = task.loss(ids[row], order[row], segments[row], loss_tape, state=state)
        np.testing.assert_allclose(loss, losses[row].item(), rtol=0, atol=1e-10)
        task.loss_backward(loss_tape)
        y = task(ids[row], order=order[row], n_context=3, segments=segments[row], state=before)
        np.testing.assert_allclose(np.take_along_axis(y, order[row, :, 3:, None], axis=1), logits[row], rtol=0, atol=1e-10)
    for n in range(L):
        np.testing.assert_allclose(state.state_dict()[f"{n}.0"], memories[n].detach().numpy().swapaxes(0, 1), rtol=0, atol=1e-10)
    expected = in_our_shape({name: parameter.grad.numpy() for name, parameter in theirs.named_parameters()})
    for path, parameter in task.named_parameters():
        np.testing.assert_allclose(parameter.grad, expected[path], rtol=0, atol=1e-10, err_msg=path)


def test_the_content_alone_is_theirs():
    """Without an order: the whole row is seen, distances have both signs."""
    rng = np.random.default_rng(3)
    ids, segments, dy = rng.integers(0, V, (B, T)), np.sort(rng.integers(0, 3, (B, T))), rng.normal(size=(B, T, D))
    with all_in_float64():
        task, theirs = both()
        expected = theirs.transformer(torch.tensor(ids), token_type_ids=torch.tensor(segments)).last_hidden_state
        expected.backward(torch.tensor(dy))
    tape = Tape()
    y = task.body(ids, tape, segments=segments)
    task.body.backward(dy, tape)
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=0, atol=1e-10)
    gradients = {name: parameter.grad for name, parameter in theirs.named_parameters()}
    gradients = {name: np.zeros(dict(theirs.named_parameters())[name].shape) if g is None else g.numpy() for name, g in gradients.items()}
    expected = in_our_shape(gradients)
    for path, parameter in task.body.named_parameters():
        if path != "query":
            np.testing.assert_allclose(parameter.grad, expected[f"body.{path}"], rtol=0, atol=1e-10, err_msg=path)
