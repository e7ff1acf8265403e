"""Steps that compiled code repeats: in every bit those that Python makes, or not repeated."""

import dataclasses
import zlib

import numpy as np
import pytest

from tinytx import layers, workers
from tinytx.core import Layer
from tinytx.kernel import is_plain
from tinytx.models import GPT, Bert, BertConfig, GPTConfig, Llama, LlamaConfig
from tinytx.state import State
from tinytx.tasks import HiddenWords, NextToken
from tinytx.training import AdamW, Trainer, repeater
from tinytx.training.repeater import KINDS

pytestmark = pytest.mark.skipif(is_plain(), reason="in plain Python nothing is compiled, and nothing repeated")
SIZES = {"vocab_size": 11, "max_len": 24, "d_model": 8, "n_heads": 2, "n_layers": 2}
MODELS = {
    "GPT": (GPT, GPTConfig(**SIZES)),
    "GPT with SiLU": (GPT, GPTConfig(**SIZES, activation="silu", windows="4")),
    "GPT of other settings": (GPT, GPTConfig(**SIZES, activation="gelu", tied_head=False, windows="all,5")),
    "Llama": (Llama, LlamaConfig(**SIZES)),
    "Llama of other settings": (Llama, LlamaConfig(**SIZES | {"n_heads": 4}, n_kv_heads=2, window=5)),
}


@pytest.fixture(autouse=True)
def one_ordinary_step(monkeypatch):
    monkeypatch.setattr(repeater, "ORDINARY", 1)
    monkeypatch.setattr(workers.awake.Helpers, "may_help", lambda _: True)  # on a busy machine they rest at times, and steps without them are others


def model_of(name, dtype=np.float32, **changes):
    kind, config = MODELS[name]
    rng = np.random.default_rng(0)
    return NextToken(kind(dataclasses.replace(config, **changes), rng=rng, dtype=dtype), rng=rng)


def batch(number, n_rows=4, t=24):
    ids = np.random.default_rng(number).integers(11, size=(n_rows, t + 1))
    return ids[:, :-1].copy(), ids[:, 1:].copy()


def trainer_of(model, repeats=True, **options):
    trainer = Trainer(model, AdamW(model, 1e-2), **options)
    for each in trainer._repeaters:
        each.may &= repeats
    return trainer


def repeated(trainer):
    return [each.n_repeated for each in trainer._repeaters]


def sizes(trainer):
    return [[step.size for step in each._steps.values()] for each in trainer._repeaters]


def steps(trainer, batches):
    """All that steps come to: loss, norm and gradients of each, and the weights at the end."""
    seen = []
    for each in batches:
        seen += [trainer.step(*each), trainer.grad_norm, *(zlib.crc32(p.grad.tobytes()) for p in trainer.model.parameters())]
    return seen, [zlib.crc32(p.data.tobytes()) for p in trainer.model.parameters()]


def check(make, batches, n_repeated, **options):
    """Make steps in both ways and compare; return the trainer that repeats."""
    both, batches = [trainer_of(make(), repeats, **options) for repeats in (True, False)], list(batches)
    one, other = (steps(trainer, batches) for trainer in both)
    assert one == other
    assert repeated(both[0]) == n_repeated and not any(repeated(both[1]))
    return both[0]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", MODELS)
def test_every_bit_is_that_of_an_ordinary_step(name, dtype):
    check(lambda: model_of(name, dtype), map(batch, range(6)), [3, 3], threads=2)


def test_all_kinds_of_layers_are_in_one_of_these_models():
    """Else a kind would be believed that nobody has looked at."""
    found = {type(layer) for name in MODELS for _, layer in model_of(name).named_layers()}
    assert found == KINDS


@pytest.mark.parametrize(("options", "n_repeated"), [({"threads": 3}, [3] * 3), ({"threads": 2, "accumulate": 2}, [9, 9])], ids=str)
def test_however_a_batch_is_cut(options, n_repeated):
    check(lambda: model_of("GPT"), [batch(i, 6) for i in range(6)], n_repeated, **options)


@pytest.mark.parametrize("t", [9, 24])
@pytest.mark.parametrize("threads", [1, 2])
def test_one_shard_is_repeated_too(threads, t):
    """With the bits of a model that is trained as it is. Whether helpers may take parts changes with time, and each has a recording of its own."""
    n_rows = 4 if threads == 1 else 1
    one, other = (trainer_of(model_of("GPT"), repeats, threads=threads) for repeats in (True, False))
    batches = [batch(i, n_rows, t) for i in range(12)]
    assert steps(one, batches) == steps(other, batches)
    assert repeated(one)[0] >= (12 - 2 * 3 if n_rows * t > 16 else 0)


def test_helpers_are_woken(monkeypatch):
    """A repeated step hands out parts, but nobody in it asks for helpers, who fall asleep."""
    trainer = trainer_of(model_of("GPT", d_model=64, max_len=128), threads=2)
    for i in range(4):
        trainer.step(*batch(i, 1, 128))
    before, asked = workers.awake.words, []
    monkeypatch.setattr(workers.awake, "words", lambda wanted=True: [asked.append(wanted), before(wanted)][1])
    trainer.step(*batch(5, 1, 128))
    assert repeated(trainer)[0] == 2 and asked == [True]


def test_one_shard_of_another_model_is_trained_as_it_is():
    """Catches a copy of the model, which knows nothing of what is changed between two steps."""
    model = model_of("GPT", dropout=0.5)
    own = model.body.blocks[0].attention.f.output
    own.__class__ = OwnLinear
    trainer = trainer_of(model, threads=1)
    steps(trainer, [batch(0)])
    own.forward = lambda *inputs, **settings: 1 / 0
    with pytest.raises(ZeroDivisionError):
        trainer.step(*batch(1))


def test_batches_of_several_shapes():
    """The last batch of an epoch may be shorter; ids may be of any whole numbers."""
    batches = [batch(i, 4 if i % 3 else 6, 24 if i % 2 else 9) for i in range(20)]
    batches = [tuple(array.astype(np.uint8 if i % 2 else np.int32) for array in each) for i, each in enumerate(batches)]
    check(lambda: model_of("GPT"), batches, [20 - 4 * 3] * 2, threads=2)


def test_batches_of_as_many_words():
    """Catches shapes that are told apart by how many targets count."""
    batches = [batch(i, 4, 24) if i % 2 else batch(i, 6, 16) for i in range(12)]
    check(lambda: model_of("GPT"), batches, [12 - 2 * 3] * 2, threads=2)


def test_more_shapes_than_are_kept(monkeypatch):
    monkeypatch.setattr(repeater, "SHAPES", 2)
    batches = [batch(i, 4, t) for i, t in enumerate([20] * 5 + [21, 22, 23] + [20] * 4)]
    trainer = check(lambda: model_of("GPT"), batches, [2 + 1] * 2, threads=2)
    assert all(len(each._steps) == 2 for each in trainer._repeaters)


def test_targets_that_do_not_count():
    """The loss divides by another number then: another recording."""
    batches = [batch(i) for i in range(12)]
    for i, (_, targets) in enumerate(batches):
        targets[i % 4, : 3 + i % 2] = -100
    check(lambda: model_of("GPT"), batches, [12 - 2 * 3] * 2, threads=2)


def test_gradients_of_earlier_steps_stay_what_they_were():
    trainer = trainer_of(model_of("GPT"), threads=2)
    steps(trainer, map(batch, range(4)))
    kept = [p.grad for p in trainer.model.parameters()]
    before = [grad.copy() for grad in kept]
    trainer.step(*batch(5))
    assert repeated(trainer) == [2, 2]
    for one, other in zip(kept, before, strict=True):
        np.testing.assert_array_equal(one, other)


def test_short_runs_are_not(monkeypatch):
    """To record a step takes as long as several."""
    monkeypatch.setattr(repeater, "ORDINARY", 8)
    check(lambda: model_of("GPT"), map(batch, range(12)), [12 - 8 - 2] * 2, threads=2)


# ---------------------------------------------------------------------------------------- what changes in between


def changed_after(change, n=8, begin=lambda trainer: None):
    """Both kinds of steps, with begin(trainer) before them and change(trainer) after the fourth."""
    seen = []
    for repeats in (True, False):
        trainer = trainer_of(model_of("GPT"), repeats, threads=2)
        begin(trainer)
        first = steps(trainer, map(batch, range(4)))
        change(trainer)
        seen.append((first, steps(trainer, map(batch, range(4, n)))))
        if repeats:
            assert repeated(trainer)[0] >= 1 + 1
    assert seen[0] == seen[1]


def test_weights_in_another_array(monkeypatch):
    """The new recording has the room of the one that it replaces."""
    def change(trainer):
        monkeypatch.setattr(repeater, "MOST", sum(sizes(trainer)[0]))
        for parameter in trainer.model.parameters():
            parameter.data = parameter.data * np.float32(0.5)

    changed_after(change)


def test_weights_that_are_loaded():
    changed_after(lambda trainer: trainer.model.load_state_dict(model_of("GPT").state_dict()))


@pytest.mark.parametrize("frozen", [True, False])
def test_frozen_parameters(frozen):
    """Catches a parameter that is free again, and gets no gradient, since it got none when the step was recorded."""
    def set_to(frozen):
        def change(trainer):
            for parameter in trainer.model.body.token.parameters() + trainer.model.body.blocks[0].parameters():
                parameter.frozen = frozen

        return change

    changed_after(set_to(frozen), begin=set_to(not frozen))


@pytest.mark.parametrize(("place", "value"), [(0, 11), (0, -1), (1, 11), (1, -1)], ids=str)
def test_wrong_ids_are_refused_as_before(place, value):
    """Compiled code would read beside the table."""
    trainer, other = (trainer_of(model_of("GPT"), repeats, threads=2) for repeats in (True, False))
    for each in (trainer, other):
        steps(each, map(batch, range(5)))
    before = [p.data.tobytes() for p in trainer.model.parameters()]
    wrong = batch(9)
    wrong[place][3, 2] = value
    messages = []
    for each in (trainer, other):
        with pytest.raises(ValueError, match=str(value)) as raised:
            each.step(*wrong)
        messages.append(str(raised.value))
    assert messages[0] == messages[1]
    assert [p.data.tobytes() for p in trainer.model.parameters()] == before
    assert steps(trainer, map(batch, range(3))) == steps(other, map(batch, range(3)))


# ---------------------------------------------------------------------------------------- what is not repeated


@pytest.mark.parametrize("settings", [{"dropout": 0.3}, {"embedding_dropout": 1e-9}], ids=str)
def test_dropout_is_not(settings):
    """Not even if nothing was dropped in the steps that were looked at."""
    trainer = check(lambda: model_of("GPT", **settings), map(batch, range(6)), [0, 0], threads=2)
    assert not any(step.may for each in trainer._repeaters for step in each._steps.values())


class OwnLinear(layers.Linear):
    def backward(self, dy, tape, *, onto=None):
        return super().backward(dy, tape, onto=onto)


def with_own_kind():
    model = model_of("GPT")
    model.body.blocks[0].attention.f.output.__class__ = OwnLinear
    return model


def with_own_function():
    model = model_of("GPT")
    own = model.body.norm
    own.forward = type(own).forward.__get__(own)
    return model


@pytest.mark.parametrize("make", [with_own_kind, with_own_function])
def test_code_that_nobody_has_looked_at_is_not(make):
    check(make, map(batch, range(5)), [0, 0], threads=2)


def test_other_models_are_not():
    model = HiddenWords(Bert(BertConfig(**SIZES), rng=np.random.default_rng(0)), rng=np.random.default_rng(0))
    assert not any(each.may for each in Trainer(model, AdamW(model, 1e-2), threads=2)._repeaters)


def test_what_computes_outside_of_kernels_is_found(monkeypatch):
    """The third step shows that the recording is wrong."""
    before = layers.Residual.forward

    def forward(self, x, *others, tape=None, **settings):
        return before(self, x * 1.5, *others, tape=tape, **settings)

    monkeypatch.setattr(layers.Residual, "forward", forward)
    check(lambda: model_of("GPT"), map(batch, range(6)), [0, 0], threads=2)


def test_calls_whose_machine_code_is_not_known_are_not(monkeypatch):
    def refuse(made):
        raise LookupError

    monkeypatch.setattr(repeater, "Repeated", refuse)
    check(lambda: model_of("GPT"), map(batch, range(5)), [0, 0], threads=2)


def test_post_norm_is_not():
    """NumPy adds the two gradients in front of each part."""
    check(lambda: model_of("GPT", norm_order="post"), map(batch, range(5)), [0, 0], threads=2)


def test_few_words_are_not():
    """Few rows are multiplied by NumPy."""
    check(lambda: model_of("GPT"), [batch(i, t=3) for i in range(6)], [0, 0], threads=2)


def test_lists_are_not():
    """A batch may be lists, too, as before."""
    check(lambda: model_of("GPT"), [[part.tolist() for part in batch(i)] for i in range(4)], [0, 0], threads=2)


def test_large_steps_are_not(monkeypatch):
    """And those that would be too large together with others."""
    (one, other), _ = sizes(check(lambda: model_of("GPT"), [batch(i, 4, 24 if i % 2 else 20) for i in range(8)], [2, 2], threads=2))
    assert one != other
    for most, n_repeated, kept in ((min(one, other) - 1, 0, [0, 0]), (one + other - 1, 1, [one, 0]), (one + other, 2, [one, other])):
        monkeypatch.setattr(repeater, "MOST", most)
        trainer = check(lambda: model_of("GPT"), [batch(i, 4, 24 if i % 2 else 20) for i in range(8)], [n_repeated] * 2, threads=2)
        assert sizes(trainer)[0] == kept


def test_what_is_wrong_takes_no_memory(monkeypatch):
    monkeypatch.setattr(repeater, "bits_of", lambda call: None)
    assert sizes(check(lambda: model_of("GPT"), map(batch, range(5)), [0, 0], threads=2)) == [[0], [0]]


def test_a_loss_that_python_changes_is_found(monkeypatch):
    """Its arrays and the gradients are those that the calls make."""
    before = NextToken.loss

    def loss(self, ids, targets, tape=None, **settings):
        return before(self, ids, targets, tape, **settings) * 2

    monkeypatch.setattr(NextToken, "loss", loss)
    check(lambda: model_of("GPT"), map(batch, range(5)), [0, 0], threads=2)


def test_a_state_is_not():
    """What a model remembers grows from step to step."""
    seen = []
    for repeats in (True, False):
        trainer = trainer_of(model_of("GPT"), repeats, threads=2)
        for i in range(5):
            state = State()
            trainer.step(*batch(i, t=4), state=state)
        seen.append([p.data.tobytes() for p in trainer.model.parameters()])
        assert repeated(trainer) == [0, 0]
    assert seen[0] == seen[1]


def test_a_layer_is_no_function():
    """Layers can be called, and are attributes of other layers."""
    assert isinstance(model_of("GPT").body.norm, Layer) and all(each.may for each in trainer_of(model_of("GPT"), threads=2)._repeaters)
