"""Folders that transformers writes, and folders that it reads: outputs and every gradient, for each published class."""

import json

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
pytest.importorskip("safetensors")
pytestmark = pytest.mark.oracle

from published import CONFIGS, READING, WITHOUT, all_in_float64, batch_of, new, outputs_of, with_precise_positions  # noqa: E402
from transformers.core_model_loading import revert_weight_conversion  # noqa: E402

from tinytx.core import Tape  # noqa: E402
from tinytx.hub import FAMILIES, load  # noqa: E402
from tinytx.hub.folder import read_config, read_tensors  # noqa: E402

RTOL = {np.float64: 1e-10, np.float32: 1e-5}
both = pytest.mark.parametrize("dtype", RTOL, ids=lambda dtype: dtype.__name__)
every = pytest.mark.parametrize("name", CONFIGS)


def assert_close(actual, expected, rtol, place, largest=0.0):
    """Equal to rtol of the largest reference value; of ``largest``, where the reference is rounding."""
    error, scale = np.abs(actual - expected).max(), max(np.abs(expected).max(), largest)
    assert actual.shape == expected.shape and error <= rtol * scale, f"{place}: off by {error:.3g} of {scale:.3g}"


def seen_in(batch, y):
    """Return which of a model's outputs stand at no padding, boolean in y's shape."""
    return np.broadcast_to(True if batch.seen is None or y.ndim < 3 else batch.seen[..., None], y.shape)


def gradients_in_their_names(model):
    """Yield (name in the file, our gradient) by the family's table."""
    published = getattr(model, "body", model).published
    family = FAMILIES[published["model_type"]]
    head, own = family.heads[published["architectures"][0]], dict(model.named_parameters())
    for name, row in family.rows(model, head, head.prefix).items():
        yield name, row.join({path: own[path].grad for path in row.paths})


@both
@every
def test_outputs_and_every_gradient_are_theirs(tmp_path, name, dtype):
    theirs, batch = new(name, dtype), batch_of(name, dtype=dtype)
    theirs.save_pretrained(tmp_path)
    model, tape = load(tmp_path), Tape()
    assert model.parameters()[0].data.dtype == dtype
    y = model(*batch.ours, tape, **batch.settings)
    dy = np.random.default_rng(1).normal(size=y.shape).astype(dtype)
    seen = seen_in(batch, y)
    dy *= seen
    model.backward(dy, tape)
    tape.check_empty()
    with all_in_float64(dtype == np.float64):
        expected = outputs_of(theirs, batch)
        expected.backward(torch.tensor(dy))
    assert_close(y[seen], expected.detach().numpy()[seen], RTOL[dtype], "outputs")
    assert_equal_gradients(model, theirs, dtype)


def assert_equal_gradients(model, theirs, dtype):
    parameters, gradients = dict(theirs.named_parameters()) | dict(theirs.named_buffers()), dict(gradients_in_their_names(model))
    expected = {path: torch.zeros_like(p) if p.grad is None else p.grad for path, p in parameters.items() if p.requires_grad}
    expected = {path: gradient.numpy() for path, gradient in revert_weight_conversion(theirs, expected).items()}  # names in files
    assert gradients.keys() == expected.keys()
    largest = max(np.abs(gradient).max() for gradient in expected.values())
    for path, gradient in expected.items():
        floor = 0.01 if dtype == np.float32 else 1e-3  # keys' biases have no gradient but rounding
        assert_close(gradients[path], gradient, RTOL[dtype], path, floor * largest)


@both
@pytest.mark.parametrize("name", WITHOUT)
def test_the_pooler_beside_a_body_is_theirs(tmp_path, name, dtype):
    """Its output, and what is written here gives the same there."""
    theirs, batch = new(name, dtype, pooled=True), batch_of(name, dtype=dtype)
    theirs.save_pretrained(tmp_path / "theirs")
    body = load(tmp_path / "theirs")
    body.save_pretrained(tmp_path / "ours")
    again = type(theirs).from_pretrained(tmp_path / "ours", attn_implementation="eager", dtype=theirs.dtype).eval()
    y = body.pooled(body(*batch.ours, **batch.settings))
    for model in (theirs, again):
        with all_in_float64(dtype == np.float64), torch.no_grad():
            assert_close(y, model(**batch.theirs).pooler_output.numpy(), RTOL[dtype], "pooler_output")


@both
def test_the_loss_of_two_heads_and_its_gradients_are_theirs(tmp_path, dtype):
    """BERT's pre-training: hidden words and pairs of sentences in one loss."""
    theirs, batch, rng = new("bert pairs", dtype), batch_of("bert pairs"), np.random.default_rng(1)
    theirs.save_pretrained(tmp_path)
    model, tape, (ids,) = load(tmp_path), Tape(), batch.ours
    targets, labels = np.where(batch.seen & (rng.random(ids.shape) < 0.5), ids, -100), rng.integers(0, 2, len(ids))
    loss = model.loss(ids, targets, batch.settings["segments"], labels, tape=tape)
    model.loss_backward(tape)
    expected = theirs(**batch.theirs, labels=torch.tensor(targets), next_sentence_label=torch.tensor(labels)).loss
    expected.backward()
    assert loss == pytest.approx(expected.item(), rel=RTOL[dtype])
    assert_equal_gradients(model, theirs, dtype)


@both
def test_the_balance_of_experts_and_its_gradients_are_theirs(tmp_path, dtype):
    """Of one text and one layer: theirs is a product of means over all texts and layers, and cannot be added up of parts."""
    theirs = new("mixtral", dtype, num_hidden_layers=1, router_aux_loss_coef=0.7, output_router_logits=True)
    theirs.save_pretrained(tmp_path)
    batch, model, tape = batch_of("mixtral", rows=1), load(tmp_path), Tape()
    (ids,) = batch.ours
    loss = model.loss(ids[:, :-1], ids[:, 1:], tape=tape)
    model.loss_backward(tape)
    with all_in_float64(dtype == np.float64):
        logits = theirs.model(torch.tensor(ids[:, :-1]), output_router_logits=True)
        balance = transformers.models.mixtral.modeling_mixtral.load_balancing_loss_func(logits.router_logits, 3, 2)
        words = torch.nn.functional.cross_entropy(theirs.lm_head(logits.last_hidden_state)[0], torch.tensor(ids[0, 1:]))
        expected = words + 0.7 * balance
        expected.backward()
    assert loss == pytest.approx(expected.item(), rel=RTOL[dtype]) and balance.item() > 1
    assert_equal_gradients(model, theirs, dtype)


@both
@every
def test_what_is_written_here_loads_there_with_the_same_outputs(tmp_path, name, dtype):
    """Catches a name, a shape or a config that only our own reader takes; and keys that get lost on the way."""
    theirs, batch = new(name, dtype), batch_of(name, dtype=dtype)
    theirs.save_pretrained(tmp_path / "theirs")
    model = load(tmp_path / "theirs")
    model.save_pretrained(tmp_path / "ours")
    before, after = (read_tensors(tmp_path / folder) for folder in ("theirs", "ours"))
    before = {path: tensor for path, tensor in before.items() if not is_fixed(name, path)}
    assert before.keys() == after.keys()
    for path, tensor in before.items():
        np.testing.assert_array_equal(tensor.read(), after[path].read(), strict=True)
    kept = read_config(tmp_path / "theirs")
    assert kept.items() <= read_config(tmp_path / "ours").items()
    with all_in_float64(dtype == np.float64):
        again, said = type(theirs).from_pretrained(
            tmp_path / "ours", dtype=torch.float64 if dtype == np.float64 else torch.float32, output_loading_info=True,
            attn_implementation="eager", **READING.get(name, {}),
        )  # fmt: skip
    assert not [path for wrong in said.values() for path in wrong if not is_fixed(name, path)], said
    with all_in_float64(dtype == np.float64), torch.no_grad():
        assert_close(outputs_of(with_precise_positions(again.eval()), batch).numpy(), outputs_of(theirs, batch).numpy(), RTOL[dtype] / 100, "outputs")


def is_fixed(name, path):
    """Marian's sinusoids: transformers writes them with the body alone, misses them, and makes them again. A Reformer's bias that is not read."""
    ends = {"marian": "embed_positions.weight", "reformer": "lm_head.bias"}
    return any(name.startswith(family) and path.endswith(end) for family, end in ends.items())


@every
def test_a_model_made_here_loads_there(tmp_path, name):
    """A config.json that transformers never saw: written from our settings alone."""
    theirs, batch = new(name), batch_of(name)
    theirs.save_pretrained(tmp_path / "theirs")
    model = load(tmp_path / "theirs")
    del getattr(model, "body", model).published
    model.save_pretrained(tmp_path / "ours")
    with all_in_float64():
        again, said = type(theirs).from_pretrained(
            tmp_path / "ours", dtype=torch.float64, output_loading_info=True, **READING.get(name, {})
        )
    assert not [path for wrong in said.values() for path in wrong if not is_fixed(name, path)], said
    with all_in_float64(), torch.no_grad():
        found, expected = (outputs_of(model, batch).numpy() for model in (again.eval(), theirs))
    seen = seen_in(batch, expected)  # a padded word of a local block sees nothing, of which eager and sdpa make different vectors
    assert_close(found[seen], expected[seen], 1e-6, "outputs")


def test_sharded_files_are_read(tmp_path):
    theirs, batch = new("gpt2"), batch_of("gpt2")
    theirs.save_pretrained(tmp_path, max_shard_size="2KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 2 and not (tmp_path / "model.safetensors").exists()
    assert_close(load(tmp_path)(*batch.ours), outputs_of(theirs, batch).detach().numpy(), 1e-10, "logits")


@pytest.mark.parametrize("kind", ["bfloat16", "float16"])
def test_short_floats_are_read(tmp_path, kind):
    """As transformers itself widens them; NumPy has no bfloat16."""
    theirs = new("gpt2", np.float32).to(getattr(torch, kind))
    theirs.save_pretrained(tmp_path)
    model = load(tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["dtype"] == kind
    for path, array in model.body.state_dict().items():
        if path == "token.weight":
            np.testing.assert_array_equal(array, theirs.transformer.wte.weight.float().detach().numpy())
    assert_close(model(*batch_of("gpt2").ours), outputs_of(theirs.float(), batch_of("gpt2")).detach().numpy(), 1e-5, "logits")


def test_t5_v1_1_with_a_matrix_of_its_own(tmp_path):
    """As it was published, and as transformers writes it again: two configs that say the same."""
    from tinytx.models import T5, T5Config
    from tinytx.tasks import SequenceToSequence

    small = {"d_model": 8, "n_heads": 2, "d_key": 6, "d_ff": 10, "n_encoder_layers": 1, "n_decoder_layers": 2}
    config = T5Config.v1_1(20, **small, max_len=20)
    model = SequenceToSequence.around(T5, config, rng=np.random.default_rng(0), dtype=np.float64)
    ours, batch, *_ = batch_of("t5")
    model.save_pretrained(tmp_path / "ours")
    theirs = transformers.T5ForConditionalGeneration.from_pretrained(tmp_path / "ours", dtype=torch.float64).eval()
    theirs.save_pretrained(tmp_path / "theirs")
    again = load(tmp_path / "theirs")
    assert again.config.tied_head is again.config.scaled_head is False
    np.testing.assert_array_equal(again(*ours), model(*ours))
    batch["attention_mask"] = (batch["input_ids"] != 0).long()
    with all_in_float64(), torch.no_grad():
        assert_close(model(*ours), theirs(**batch).logits.numpy(), 1e-10, "logits")
