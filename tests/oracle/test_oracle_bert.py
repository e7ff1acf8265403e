"""BERT beside transformers' ``BertForPreTraining``, and the tutorial's configuration beside plain PyTorch."""

import sys
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")
F = torch.nn.functional
pytestmark = pytest.mark.oracle
sys.path.append(str(Path(__file__).parents[2] / "benchmarks"))

from cases import Seeded  # noqa: E402
from torch_bert import Tutorial  # noqa: E402

from tinytx.core import Tape  # noqa: E402
from tinytx.models import Bert, BertConfig  # noqa: E402
from tinytx.tasks import HiddenWords  # noqa: E402

RTOL = {np.float32: 2e-5, np.float64: 1e-10}  # in float32, of 30 draws: median 2.5e-6, largest 9e-6 for our side alone
V, T, PAD = 23, 10, 4
NAMES = {  # transformers' name of a part -> ours; {} is the layer's number
    "bert.embeddings.word_embeddings": "body.encoder.token",
    "bert.embeddings.token_type_embeddings": "body.encoder.segment",
    "bert.embeddings.position_embeddings": "body.encoder.position",
    "bert.embeddings.LayerNorm": "body.encoder.embedding_norm",
    "bert.encoder.layer.{}.attention.self.query": "body.encoder.blocks.{}.attention.f.query",
    "bert.encoder.layer.{}.attention.self.key": "body.encoder.blocks.{}.attention.f.key",
    "bert.encoder.layer.{}.attention.self.value": "body.encoder.blocks.{}.attention.f.value",
    "bert.encoder.layer.{}.attention.output.dense": "body.encoder.blocks.{}.attention.f.output",
    "bert.encoder.layer.{}.attention.output.LayerNorm": "body.encoder.blocks.{}.attention.norm",
    "bert.encoder.layer.{}.intermediate.dense": "body.encoder.blocks.{}.feed_forward.f.expand",
    "bert.encoder.layer.{}.output.dense": "body.encoder.blocks.{}.feed_forward.f.contract",
    "bert.encoder.layer.{}.output.LayerNorm": "body.encoder.blocks.{}.feed_forward.norm",
    "bert.pooler.dense": "next_sentence.pooler",
    "cls.predictions.transform.dense": "transform.linear",
    "cls.predictions.transform.LayerNorm": "transform.norm",
    "cls.predictions": "head",  # its bias; its weight is the table of embeddings
    "cls.seq_relationship": "next_sentence.classifier",
}
TUTORIAL = {  # the same for `Tutorial`
    "embeddings": "body.encoder.token",
    "layers.{}.out": "body.encoder.blocks.{}.attention.f.output",
    "layers.{}.norm1": "body.encoder.blocks.{}.attention.norm",
    "layers.{}.linear1": "body.encoder.blocks.{}.feed_forward.f.expand",
    "layers.{}.linear2": "body.encoder.blocks.{}.feed_forward.f.contract",
    "layers.{}.norm2": "body.encoder.blocks.{}.feed_forward.norm",
    "norm": "body.encoder.norm",
    "head": "head",
}


def pairs(module, names, n_layers):
    """Yield (their parameter, our path) of every parameter of a module; a linear map's weight is transposed in one."""
    known = {theirs.format(i): ours.format(i) for i in range(n_layers) for theirs, ours in names.items()}
    for path, parameter in module.named_parameters():
        part, _, kind = path.rpartition(".")
        if part in known:
            yield path, parameter, f"{known[part]}.{kind}"
        else:
            assert part.endswith("qkv"), path
            yield path, parameter, None


def ours_in_their_shape(arrays, path, parameter, our_path):
    """Return what we have in the place of their parameter: transposed for a linear map, stacked for q, k and v."""
    if our_path is None:
        block, kind = path.split(".")[1], path.rpartition(".")[2]
        three = [arrays[f"body.encoder.blocks.{block}.attention.f.{name}.{kind}"] for name in ("query", "key", "value")]
        return np.concatenate([array.T for array in three])
    table = our_path.startswith("body.encoder.") and our_path.split(".")[2] in ("token", "segment", "position")
    return arrays[our_path] if table or parameter.ndim == 1 else arrays[our_path].T


def new_task(config, dtype, **settings):
    return HiddenWords.around(Bert, config, rng=np.random.default_rng(0), settings=settings, dtype=dtype)


def randomised(model, seed=0):
    """Random values everywhere, gains and biases too; returns the model."""
    make = Seeded(seed)
    for parameter in model.parameters():
        parameter.data[...] = make.array(*parameter.data.shape, scale=0.4)
    return model


def batch_of(b=5, seed=0):
    """Ids, targets, segments and labels: padded to several lengths, a third hidden, row 1 with nothing hidden."""
    rng = np.random.default_rng(seed)
    ids = rng.choice(np.setdiff1d(np.arange(V), [PAD]), (b, T))
    targets = np.where(rng.random((b, T)) < 0.3, ids, -100)
    targets[:, 1], targets[1] = ids[:, 1], -100
    for row in range(b):
        ids[row, T - row :], targets[row, T - row :] = PAD, -100
    ids[targets >= 0] = 6
    return ids, targets, np.sort(rng.integers(0, 2, (b, T)), axis=1), rng.integers(0, 2, b)


def assert_close(actual, expected, rtol, what, largest=0.0):
    """Equal to rtol of the largest reference value; of ``largest``, where the reference is rounding."""
    error, scale = np.abs(actual - expected).max(), max(np.abs(expected).max(), largest)
    assert actual.shape == expected.shape and error <= rtol * scale, f"{what}: off by {error:.3g} of {scale:.3g}"


def assert_equal_gradients(model, module, names, rtol):
    """Every parameter's gradient, by name and relative to its own size.

    The keys' biases, which softmax does not see, relative to the largest of all. In float32 both sides are rounded: a
    gradient a hundred times smaller than the largest is a small difference of what is, and judged as if it were larger.
    """
    rows = list(pairs(module, names, model.config.n_layers))
    ours = {path: parameter.grad for path, parameter in model.named_parameters()}
    largest = max(float(parameter.grad.abs().max()) for _, parameter, _ in rows)
    for path, parameter, our_path in rows:
        actual, expected = ours_in_their_shape(ours, path, parameter, our_path), parameter.grad.numpy()
        if path.endswith("qkv.bias"):
            d = model.config.d_model
            assert_close(actual[d : 2 * d], expected[d : 2 * d], rtol, path, largest)
            actual, expected = (np.delete(array, np.s_[d : 2 * d]) for array in (actual, expected))
        floor = 1 if path.endswith("key.bias") else 0.01 if actual.dtype == np.float32 else 0
        assert_close(actual, expected, rtol, path, floor * largest)
    n_ours = sum(1 if our_path else 3 for _, _, our_path in rows)
    assert n_ours == len(ours)


def take_weights(module, model, names):
    with torch.no_grad():
        for path, parameter, our_path in pairs(module, names, model.config.n_layers):
            parameter.copy_(torch.tensor(ours_in_their_shape(model.state_dict(), path, parameter, our_path)))


# ---------------------------------------------------------------------------------------- transformers


@pytest.mark.parametrize("dtype", RTOL, ids=lambda dtype: dtype.__name__)
@pytest.mark.parametrize("n_layers", [1, 3])
def test_bert_equals_transformers(n_layers, dtype):
    """Losses and every gradient, weights moved by name: distinct sizes, padding, two segments, eps 1e-12, erf GELU."""
    config = BertConfig(V, max_len=14, d_model=12, n_heads=3, n_layers=n_layers, d_ff=20, dropout=0.0, pad_id=PAD)
    model = randomised(new_task(config, dtype, next_sentence=True))
    theirs = transformers.BertConfig(
        vocab_size=V, hidden_size=12, num_hidden_layers=n_layers, num_attention_heads=3, intermediate_size=20,
        max_position_embeddings=14, type_vocab_size=2, hidden_act="gelu", layer_norm_eps=1e-12, pad_token_id=PAD,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, attn_implementation="eager",
    )  # fmt: skip
    oracle = transformers.BertForPreTraining(theirs).to(torch.float64 if dtype == np.float64 else torch.float32)
    take_weights(oracle, model, NAMES)
    ids, targets, segments, labels = batch_of()
    out = oracle(
        input_ids=torch.tensor(ids),
        attention_mask=torch.tensor(ids != PAD).long(),
        token_type_ids=torch.tensor(segments),
    )
    masked_loss = F.cross_entropy(out.prediction_logits.flatten(0, 1), torch.tensor(targets).flatten())
    sentence_loss = F.cross_entropy(out.seq_relationship_logits, torch.tensor(labels))
    (masked_loss + sentence_loss).backward()

    rtol, hidden = RTOL[dtype], model.body(ids, segments=segments)
    words = model.word_logits(hidden)
    seen = ids != PAD  # what stands at a padded position, nobody asks
    assert_close(words[seen], out.prediction_logits.detach().numpy()[seen], rtol, "logits of words")
    assert_close(
        model.text_logits(hidden), out.seq_relationship_logits.detach().numpy(), rtol, "logits of texts"
    )
    unlabelled = np.full_like(labels, -100)
    only_words = model.loss(ids, targets, segments, unlabelled)
    only_texts = model.loss(ids, np.full_like(targets, -100), segments, labels)
    assert only_words == pytest.approx(masked_loss.item(), rel=rtol)
    assert only_texts == pytest.approx(sentence_loss.item(), rel=rtol)
    tape = Tape()
    loss = model.loss(ids, targets, segments, labels, tape=tape)
    model.loss_backward(tape)
    tape.check_empty()
    assert loss == pytest.approx((masked_loss + sentence_loss).item(), rel=rtol)
    assert_equal_gradients(model, oracle, NAMES, rtol)
    probabilities = torch.softmax(out.prediction_logits[:, [2, 5]], -1).detach().numpy()
    filled, seen = model.fill(ids, [2, 5], segments=segments), seen[:, [2, 5]]
    assert_close(filled[seen], probabilities[seen], rtol, "fill")


def test_missing_segments_are_those_of_transformers():
    """Catches segments left out of the sum where none are given: both take segment 0."""
    config = BertConfig(V, max_len=14, d_model=12, n_heads=3, n_layers=1, d_ff=20, dropout=0.0, pad_id=PAD)
    model, ids = randomised(new_task(config, np.float64, next_sentence=True)), batch_of()[0]
    theirs = transformers.BertConfig(
        vocab_size=V, hidden_size=12, num_hidden_layers=1, num_attention_heads=3, intermediate_size=20,
        max_position_embeddings=14, pad_token_id=PAD, attn_implementation="eager",
    )  # fmt: skip
    oracle = transformers.BertForPreTraining(theirs).double().eval()
    take_weights(oracle, model, NAMES)
    with torch.no_grad():
        expected = oracle.bert(torch.tensor(ids), attention_mask=torch.tensor(ids != PAD).long()).last_hidden_state
    assert_close(model.body(ids)[ids != PAD], expected.numpy()[ids != PAD], 1e-10, "hidden")


# ---------------------------------------------------------------------------------------- the tutorial


@pytest.mark.parametrize("dtype", RTOL, ids=lambda dtype: dtype.__name__)
def test_the_tutorials_configuration_equals_a_model_in_plain_pytorch(dtype):
    sizes = {"d_model": 12, "n_heads": 3, "d_ff": 20, "n_layers": 2, "max_len": T}
    config = BertConfig.tutorial(V, dropout=0.0, feed_forward_dropout=0.0, pad_id=PAD, **sizes)
    model = randomised(new_task(config, dtype, head="untied"))
    oracle = Tutorial(config).to(torch.float64 if dtype == np.float64 else torch.float32)
    take_weights(oracle, model, TUTORIAL)
    ids, targets, _, _ = batch_of()
    targets[2, -1] = PAD  # the tutorial hides padding, too, and then asks for it
    logits = oracle(torch.tensor(ids))
    expected = F.cross_entropy(logits.flatten(0, 1), torch.tensor(targets).flatten())
    expected.backward()
    tape = Tape()
    loss = model.loss(ids, targets, tape=tape)
    model.loss_backward(tape)
    tape.check_empty()
    assert_close(model(ids), logits.detach().numpy(), RTOL[dtype], "logits")
    assert loss == pytest.approx(expected.item(), rel=RTOL[dtype])
    assert_equal_gradients(model, oracle, TUTORIAL, RTOL[dtype])


def test_the_tutorials_size_and_initial_values():
    """Catches biases that start at 0, another fan and another count: 11,827,200 parameters at 40,003 words."""
    config = BertConfig.tutorial(40_003)
    model, oracle = new_task(config, np.float32, head="untied"), Tutorial(config)
    assert sum(parameter.data.size for parameter in model.parameters()) == 11_827_200
    assert sum(parameter.numel() for parameter in oracle.parameters()) == 11_827_200
    for path, parameter, our_path in pairs(oracle, TUTORIAL, config.n_layers):
        ours, theirs = ours_in_their_shape(model.state_dict(), path, parameter, our_path), parameter.detach().numpy()
        assert ours.shape == theirs.shape and ours.dtype == theirs.dtype, path
        few = 5 * np.sqrt(2 / theirs.size)  # standard errors of a difference between two means of as many values
        assert abs(ours.mean() - theirs.mean()) <= few * theirs.std(), path
        assert abs(ours.std() - theirs.std()) <= few * theirs.std(), path
        if "embeddings" not in path:
            assert abs(np.abs(ours).max() - np.abs(theirs).max()) <= 0.1 * np.abs(theirs).max(), path
