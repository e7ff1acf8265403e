"""Checkpoints: a resumed run is the straight run, and no file can do harm."""

import dataclasses
import tracemalloc

import numpy as np
import pytest

from tinytx.core import Layer
from tinytx.files import FileError, load_arrays, save_arrays
from tinytx.models import GPT, Bert, BertConfig, GPTConfig, Transformer, TransformerConfig
from tinytx.tasks import HiddenWords, NextToken, SequenceToSequence, TextClasses
from tinytx.training import AdamW, Trainer, WarmupCosine, load_checkpoint, save_checkpoint
from tinytx.training.checkpoint import NAME, differences, fingerprint

CONFIG = GPTConfig(vocab_size=11, max_len=7, d_model=12, n_heads=3, n_layers=2, dropout=0.2)


def new_trainer(model):
    schedule = WarmupCosine(1e-2, 5, 40, 1e-3)
    return Trainer(model, AdamW(model, schedule), threads=2, seed=3)


def new_model(dtype=np.float32, **changes):
    return NextToken.around(GPT, dataclasses.replace(CONFIG, **changes), rng=np.random.default_rng(0), dtype=dtype)


def train_until(trainer, steps):
    while trainer.optimizer.t < steps:
        rng = np.random.default_rng(trainer.optimizer.t)
        trainer.step(*rng.integers(11, size=(2, 5, 6)))


def content(trainer):
    arrays = {**trainer.model.state_dict(), **trainer.optimizer.state_dict()}
    return {name: array.tobytes() for name, array in arrays.items()}


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_train_40_is_train_20_resume_train_20(tmp_path, dtype):
    """Catches lost moments, a step counter that starts again (other masks, other rate), and weights that lose bits."""
    straight = new_trainer(new_model(dtype))
    train_until(straight, 40)

    first = new_trainer(new_model(dtype))
    train_until(first, 20)
    save_checkpoint(tmp_path, first.model, optimizer=first.optimizer)
    model, optimizer_state, _ = load_checkpoint(tmp_path)
    second = new_trainer(model)
    second.optimizer.load_state_dict(optimizer_state)
    train_until(second, 40)
    assert content(second) == content(straight)


def test_round_trip(tmp_path):
    """Catches a config field, a tied head or the caller's own meta that does not come back."""
    model = new_model(np.float64, tied_head=False, norm_order="post", activation="relu", d_ff=5)
    path = save_checkpoint(tmp_path, model, note=["any", {"thing": 1}])
    loaded, optimizer_state, meta = load_checkpoint(tmp_path)
    assert path == tmp_path / NAME
    assert loaded.config == model.config
    assert optimizer_state == {}
    assert meta["note"] == ["any", {"thing": 1}]
    assert meta["fingerprint"] == fingerprint()
    assert list(loaded.state_dict()) == list(model.state_dict())
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(loaded.state_dict()[name], array, strict=True)


def test_model_that_no_file_can_name(tmp_path):
    """Catches a StopIteration without a word, and a file that nothing could read."""
    with pytest.raises(TypeError, match="Layer.*gpt"):
        save_checkpoint(tmp_path, Layer())
    assert not list(tmp_path.iterdir())


def test_differences_name_what_changed():
    """Catches a warning without facts, and one where nothing differs."""
    old = fingerprint(threads=2)
    assert differences(old, fingerprint(threads=2)) == ""
    assert differences(old | {"numpy": "1.0"}, old) == f"numpy: 1.0 then, {np.__version__} now"
    assert "threads: 2 then, 1 now" in differences(old, fingerprint(threads=1))


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    """Arrays and meta of a sound checkpoint."""
    folder = tmp_path_factory.mktemp("good")
    model = new_model(n_layers=1)
    return load_arrays(save_checkpoint(folder, model, optimizer=AdamW(model, 1e-3)))


CONFIGS = {
    "10**12 layers": {"n_layers": 10**12},
    "10,000 layers": {"n_layers": 10_000},
    "vocabulary of 2**31": {"vocab_size": 2**31},
    "vocabulary above any integer": {"vocab_size": 2**70},
    "width 2**31": {"d_model": 3 * 2**29},
    "2**31 positions": {"max_len": 2**31},
    "feed-forward width 2**31": {"d_ff": 2**31},
    "no heads": {"n_heads": 0},
    "heads that do not divide": {"n_heads": 5},
    "fraction": {"d_model": 12.0},
    "text": {"d_model": "12"},
    "dropout 1.5": {"dropout": 1.5},
    "dropout a text": {"dropout": "0.5"},
    "dropout NaN": {"dropout": float("nan")},
    "unknown key": {"d_modle": 12},
    "activation": {"activation": "exec"},
    "activation a list": {"activation": ["relu"]},
    "other width": {"d_model": 6},
    "more layers": {"n_layers": 2},
}
METAS = {
    "no config": {"config": None},
    "config a list": {"config": [1, 2]},
    "unknown model": {"model": "skynet"},
    "model a list": {"model": ["gpt"]},
    "no model": {"model": None},
    "other format": {"format": 3},
    "unknown task": {"task": "singing"},
    "task a list": {"task": ["next_token"]},
    "no task": {"task": None},
}
ARRAYS = {
    "missing": {"model.body.norm.bias": None},
    "unexpected": {"model.extra": np.zeros(3, np.float32)},
    "misshapen": {"model.body.token.weight": np.zeros((11, 13), np.float32)},
    "integers": {"model.body.token.weight": np.zeros((11, 12), np.int64)},
    "complex": {"model.body.token.weight": np.zeros((11, 12), np.complex64)},
    "half precision": {"model.body.token.weight": np.zeros((11, 12), np.float16)},
    "two precisions": {"model.body.token.weight": np.zeros((11, 12), np.float64)},
    "stranger": {"extra.weight": np.zeros(3, np.float32)},
}
HOSTILE = {"config": CONFIGS, "meta": METAS, "arrays": ARRAYS}


def altered(good, *, config=None, meta=None, arrays=None):
    old_arrays, old_meta = good
    new = {name: array for name, array in {**old_arrays, **(arrays or {})}.items() if array is not None}
    return new, {**old_meta, "config": {**old_meta["config"], **(config or {})}, **(meta or {})}


@pytest.mark.parametrize(
    "changes",
    [{kind: change} for kind, changes in HOSTILE.items() for change in changes.values()],
    ids=[name for changes in HOSTILE.values() for name in changes],
)
def test_hostile_checkpoint_is_refused_before_it_takes_memory(tmp_path, good, monkeypatch, changes):
    """Catches allocation on a stranger's word, and tracebacks of other kinds: FileError, naming the file."""
    arrays, meta = altered(good, **changes)
    monkeypatch.setattr("tinytx.files._check_plain", lambda *_: None)  # strangers write NaN
    save_arrays(tmp_path / NAME, arrays, meta)
    tracemalloc.start()
    try:
        with pytest.raises(FileError, match=NAME) as caught:
            load_checkpoint(tmp_path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert "\n" not in str(caught.value)
    assert peak < 2**20


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("n_encoder_layers", 10_000),
        ("n_decoder_layers", 10**12),
        ("target_vocab_size", 2**31),
        ("source_vocab_size", 2**70),
        ("d_model", 3 * 2**29),
        ("d_ff", 2**31),
        ("max_len", 2**31),  # of sinusoids, which no weight in the file vouches for
        ("max_len", 2**20),
        ("positions", "learned"),
        ("final_norm", True),
        ("tied", "none"),
        ("pad_id", 11),
        ("loss_form", ["hinge"]),
        ("label_smoothing", "0.1"),
    ],
)
def test_hostile_transformer_is_refused_before_it_takes_memory(tmp_path, field, value):
    """Catches sizes that only one of two stacks or vocabularies has, and a table that is computed, not loaded."""
    config = TransformerConfig(11, 11, d_model=12, n_heads=3, d_ff=12, n_encoder_layers=1, n_decoder_layers=1)
    changed = {field: value} | ({"target_vocab_size": value} if field == "source_vocab_size" else {})
    assert_refused(tmp_path, SequenceToSequence(Transformer(config, rng=np.random.default_rng(0))), changed)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("n_layers", 10_000),
        ("vocab_size", 2**31),
        ("n_segments", 2**31),
        ("n_segments", 3),
        ("d_model", 3 * 2**29),
        ("d_ff", 2**31),
        ("max_len", 2**31),
        ("embedding_norm", False),
        ("norm_order", "pre"),
        ("head", "tied"),  # of the task, and what its weights are not
        ("next_sentence", False),
        ("pad_id", 11),
        ("eps", "0.1"),
        ("embedding_dropout", []),
        ("positions", ["learned"]),
        ("init", None),
    ],
)
def test_hostile_bert_is_refused_before_it_takes_memory(tmp_path, field, value):
    """Catches a table of segments that nothing in the file vouches for, and parts that it has no weights for."""
    config = BertConfig(11, max_len=9, d_model=12, n_heads=3, d_ff=12, n_layers=1)
    heads = {"head": "untied", "next_sentence": True}
    assert_refused(tmp_path, HiddenWords.around(Bert, config, rng=np.random.default_rng(0), settings=heads), {field: value})


def test_a_tasks_own_settings_come_back(tmp_path):
    """Catches a task that is made with another number of classes, and one that a stranger's number makes huge."""
    config = BertConfig(11, max_len=9, d_model=12, n_heads=3, d_ff=12, n_layers=1)
    model = TextClasses.around(Bert, config, rng=np.random.default_rng(0), settings={"n_classes": 5})
    path = save_checkpoint(tmp_path, model)
    loaded, _, meta = load_checkpoint(tmp_path)
    settings = {"n_classes": 5, "dropout": 0.1, "pooling": "cls", "classifier_bias": True, "pad_id": None}
    assert loaded.settings == meta["task_settings"] == settings
    assert_refused(tmp_path, model, {}, task_settings={"n_classes": 10**9})
    assert_refused(tmp_path, model, {}, task_settings=[1])
    assert_refused(tmp_path, model, {}, task_settings={"n_lasses": 5})
    assert path.is_file()


def assert_refused(tmp_path, model, changed, **meta_changed):
    """Write a model's checkpoint, then again with another config or meta: the first can be read, the second cannot."""
    path = save_checkpoint(tmp_path, model)
    assert load_checkpoint(tmp_path)[0].config == model.config
    arrays, meta = load_arrays(path)
    save_arrays(path, arrays, {**meta, "config": {**meta["config"], **changed}, **meta_changed})
    tracemalloc.start()
    try:
        with pytest.raises(FileError, match=NAME):
            load_checkpoint(tmp_path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2**20


def test_faults_are_named_all_at_once(tmp_path, good):
    """Catches a loader that stops at the first fault."""
    three, thirteen = np.zeros(3, np.float32), np.zeros(13, np.float32)
    wrong = {"model.body.norm.bias": None, "model.extra": three, "model.body.norm.weight": thirteen}
    save_arrays(tmp_path / NAME, *altered(good, arrays=wrong))
    with pytest.raises(FileError, match=r"missing body\.norm\.bias.*unexpected extra.*body\.norm\.weight has shape \(13,\)"):
        load_checkpoint(tmp_path)


def test_no_arrays(tmp_path, good):
    """Catches StopIteration or IndexError where the file holds a config and nothing else."""
    save_arrays(tmp_path / NAME, {}, good[1])
    with pytest.raises(FileError, match=NAME):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize("share", [0.0, 0.3, 0.999])
def test_truncated_file(tmp_path, good, share):
    """Catches half a checkpoint that loads."""
    save_arrays(tmp_path / NAME, *good)
    content = (tmp_path / NAME).read_bytes()
    (tmp_path / NAME).write_bytes(content[: int(share * len(content))])
    with pytest.raises(FileError, match=NAME):
        load_checkpoint(tmp_path)


def test_folder_without_checkpoint(tmp_path):
    """Catches a bare FileNotFoundError: the message names the file and the folder."""
    for folder in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(FileError, match=f"no {NAME} in {folder}"):
            load_checkpoint(folder)
