"""T5, both versions, beside transformers' ``T5ForConditionalGeneration``: logits, loss and every gradient."""


import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
F = torch.nn.functional
pytestmark = pytest.mark.oracle

from model_cases import MODEL_CASES  # noqa: E402
from published import all_in_float64  # noqa: E402

from tinytx.core import Tape  # noqa: E402

ATTENTION = {"q": "query", "k": "key", "v": "value", "o": "output"}
FEED_FORWARD = {"wi": "expand", "wi_0": "gate", "wi_1": "expand", "wo": "contract"}


def our_path(name):
    """Return our path of a parameter of theirs: "encoder.block.0.layer.0.SelfAttention.q.weight"."""
    if name.startswith(("shared", "lm_head")):
        return "body.encoder.token.weight" if name.startswith("shared") else "head.weight"
    stack, part, *rest = name.split(".")
    if part == "final_layer_norm":
        return f"body.{stack}.norm.layers.0.weight"
    if "relative_attention_bias" in rest:
        return f"body.{stack}.relative.weight"
    number, _, layer, *inner, _ = rest
    names = {"0": "attention", "1": "feed_forward" if stack == "encoder" else "cross_attention", "2": "feed_forward"}
    block = f"body.{stack}.blocks.{number}.{names[layer]}"
    return f"{block}.norm.weight" if inner == ["layer_norm"] else f"{block}.f.{(ATTENTION | FEED_FORWARD)[inner[1]]}.weight"


def oracle_of(task):
    """Return their model with our weights, in float64, and [(our path, their parameter, whether transposed)]."""
    config = task.config
    theirs = transformers.T5Config(
        vocab_size=config.vocab_size, d_model=config.d_model, d_kv=config.d_key, d_ff=config.d_ff,
        num_heads=config.n_heads, num_layers=config.n_encoder_layers, num_decoder_layers=config.n_decoder_layers,
        relative_attention_num_buckets=config.n_buckets, relative_attention_max_distance=config.max_distance,
        feed_forward_proj="gated-gelu" if config.gated else "relu", layer_norm_epsilon=config.eps, dropout_rate=0.0,
        tie_word_embeddings=config.tied_head, pad_token_id=config.pad_id, decoder_start_token_id=config.start_id,
        eos_token_id=config.stop_id, use_cache=False,
    )  # fmt: skip
    model = transformers.T5ForConditionalGeneration(theirs).double().eval()
    if not config.tied_head:  # this version ties always, and reads the setting as "do not scale"
        model.lm_head.weight = torch.nn.Parameter(torch.empty_like(model.lm_head.weight))
    rows, ours = [], task.state_dict()
    for name, parameter in model.named_parameters():
        path = our_path(name)
        turned = parameter.ndim == 2 and not path.endswith(("token.weight", "relative.weight"))
        with torch.no_grad():
            parameter.copy_(torch.tensor(ours[path].T if turned else ours[path]))
        rows.append((path, parameter, turned))
    assert {path for path, *_ in rows} == set(ours)
    return model, rows


@pytest.mark.parametrize("name", [name for name in MODEL_CASES if name.startswith("t5")])
def test_t5_is_theirs(name):
    task, (source, target) = MODEL_CASES[name](np.float64)
    labels = torch.tensor(target[:, 1:])
    tape = Tape()
    loss = task.loss(source, target, tape)
    task.loss_backward(tape)
    with all_in_float64():
        model, rows = oracle_of(task)
        logits = model(
            input_ids=torch.tensor(source),
            attention_mask=torch.tensor(source != task.config.pad_id),
            decoder_input_ids=torch.tensor(target[:, :-1]),
        ).logits
        expected = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), ignore_index=task.config.pad_id)
        expected.backward()
    np.testing.assert_allclose(task(source, target[:, :-1]), logits.detach().numpy(), rtol=0, atol=1e-11)
    assert abs(loss - expected.item()) < 1e-11
    gradients = dict(task.named_parameters())
    for path, parameter, turned in rows:
        theirs = parameter.grad.numpy().T if turned else parameter.grad.numpy()
        scale = max(np.abs(theirs).max(), 1e-3)
        np.testing.assert_allclose(gradients[path].grad, theirs, rtol=0, atol=1e-10 * scale, err_msg=path)


def test_sizes_of_the_published_models():
    """T5 small and base, by their number of parameters; catches a matrix too many."""
    from tinytx.models import T5, T5Config

    small = T5Config(32128)
    body = T5(small, rng=np.random.default_rng(0))
    assert sum(parameter.data.size for parameter in body.parameters()) == 60_506_624
