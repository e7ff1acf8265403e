"""What cannot be read again is not written, and what a stranger writes costs no more than it holds."""

import enum
import subprocess
import sys
import tracemalloc

import numpy as np
import pytest
from model_cases import MODEL_CASES

from tinytx.files import FileError, load_arrays, save_arrays
from tinytx.layers import Linear
from tinytx.models import (
    GPT,
    Bert,
    BertConfig,
    CharRNN,
    CharRNNConfig,
    GPTConfig,
    Transformer,
    TransformerConfig,
)
from tinytx.tasks import HiddenWords, NextToken, SequenceToSequence
from tinytx.training import SGD, AdamW, Lookahead, load_checkpoint, save_checkpoint
from tinytx.training.checkpoint import NAME, fingerprint

CONFIG = GPTConfig(vocab_size=5, max_len=4, d_model=8, n_heads=2, n_layers=2)


def gpt(dtype=np.float32):
    return NextToken(GPT(CONFIG, rng=np.random.default_rng(0), dtype=dtype))


def assert_refused(folder, model, message, error=ValueError, **options):
    """Saving fails, and the checkpoint of before can still be read."""
    before = save_checkpoint(folder, gpt(), step=7).read_bytes()
    with pytest.raises(error, match=message):
        save_checkpoint(folder, model, **options)
    assert (folder / NAME).read_bytes() == before and [each.name for each in folder.iterdir()] == [NAME]
    assert load_checkpoint(folder)[2]["step"] == 7


# ------------------------------------------------------------------------------------------------ saving


@pytest.mark.parametrize("name, value", [("config", {"dataset": "tales"}), ("format", "npz"), ("config", None)])
def test_names_of_the_checkpoints_own(tmp_path, name, value):
    """Catches a file that its own program refuses, in place of a good one."""
    assert_refused(tmp_path, gpt(), f"save_checkpoint: {name} is a name of the checkpoint's own", **{name: value})


def test_a_fingerprint_may_be_given(tmp_path):
    save_checkpoint(tmp_path, gpt(), fingerprint=fingerprint(threads=3))
    assert load_checkpoint(tmp_path)[2]["fingerprint"]["threads"] == 3


class Colour(enum.IntEnum):
    RED = 1


class Text(str):
    pass


@pytest.mark.parametrize(
    "meta, message",
    [
        ({"itos": {0: "a"}}, r"meta\.itos has the key 0, a int, which would be read back as a str"),
        ({"counts": {"1": "str", 1: "int"}}, r"meta\.counts has the key 1"),
        ({"deep": [{"x": {None: 1}}]}, r"meta\.deep\[0\]\.x has the key None"),
        ({"flags": {True: 1}}, "has the key True, a bool"),
        ({"names": {Text("a"): 1}}, "has the key 'a', a Text"),
        ({"betas": (0.9, 0.99)}, r"meta\.betas is a tuple, which would not be read back as one"),
        ({"colour": Colour.RED}, r"meta\.colour is a Colour"),
        ({"text": Text("a")}, r"meta\.text is a Text"),
        ({"loss": np.float64(1.5)}, r"meta\.loss is a float64"),
        ({"loss": np.float32(1.5)}, r"meta\.loss is a float32"),
        ({"ids": np.arange(3)}, r"meta\.ids is a ndarray"),
        ({"thing": {1, 2}}, r"meta\.thing is a set"),
        ({"loss": [1.0, float("nan")]}, r"meta\.loss\[1\] is nan, which JSON cannot store"),
        ({"loss": float("inf")}, r"meta\.loss is inf"),
    ],
)
def test_meta_that_would_come_back_as_something_else(tmp_path, meta, message):
    """Catches what ``json.dumps`` bends: keys become texts, and two of them one; tuples become lists."""
    assert_refused(tmp_path, gpt(), message, (TypeError, ValueError), **meta)
    with pytest.raises((TypeError, ValueError), match=message):
        save_arrays(tmp_path / "other.npz", {}, meta)


def test_meta_that_contains_itself(tmp_path):
    loop = []
    loop.append(loop)
    assert_refused(tmp_path, gpt(), "nested too deeply, or contains itself", loop=loop)


def test_meta_that_json_can_say_comes_back_as_it_was(tmp_path):
    meta = {"a": [1, 2.5, None, True, "é\ud800", {}, [], {"": {"1": 10**30}}], "b": -0.0}
    save_checkpoint(tmp_path, gpt(), **meta)
    loaded = load_checkpoint(tmp_path)[2]
    assert {name: loaded[name] for name in meta} == meta


def test_a_model_that_is_not_what_its_config_says(tmp_path):
    """Catches weights that no model of the saved config has a place for."""
    wider, mixed, fewer, more = gpt(), gpt(), gpt(), gpt()
    wider.head = Linear(8, 9, rng=np.random.default_rng(0))
    mixed.body.norm.weight.data = mixed.body.norm.weight.data.astype(np.float64)
    fewer.body.blocks = fewer.body.blocks[:1]
    more.extra = {"w": more.body.token}
    more.extra["v"] = Linear(2, 2, rng=np.random.default_rng(0))
    assert_refused(tmp_path, wider, "not what its config says.*unexpected head.weight")
    assert_refused(tmp_path, mixed, r"not what its config says.*\['float32', 'float64'\]")
    assert_refused(tmp_path, fewer, "not what its config says.*missing body.blocks.1.attention.norm.weight")
    assert_refused(tmp_path, more, r"unexpected extra\.v\.weight \(2, 2\)")


@pytest.mark.parametrize("wrap", [lambda optimizer: optimizer, Lookahead])
def test_an_optimizer_of_another_model(tmp_path, wrap):
    """Catches a state that the model's own optimiser will not take when the run goes on."""
    assert_refused(tmp_path, gpt(), "was made for another model", optimizer=wrap(AdamW(gpt(), 0.1)))
    model = gpt()
    assert_refused(tmp_path, model, "was made for another model", optimizer=SGD(model.body.token, 0.1))
    save_checkpoint(tmp_path, model, optimizer=wrap(AdamW(model, 0.1)))


# ------------------------------------------------------------------------------------------------ loading


def others():
    rng, size = np.random.default_rng(0), {"d_model": 12, "n_heads": 3, "d_ff": 12}
    yield SequenceToSequence(Transformer(TransformerConfig(11, 11, n_encoder_layers=3, n_decoder_layers=1, **size), rng=rng))
    yield SequenceToSequence.around(
        Transformer, TransformerConfig(11, 11, n_encoder_layers=1, n_decoder_layers=2, tied="none", **size), rng=rng
    )
    yield HiddenWords.around(Bert, BertConfig(11, max_len=9, n_layers=3, **size), rng=rng, settings={"next_sentence": True})
    yield HiddenWords.around(Bert, BertConfig(11, max_len=9, n_layers=1, norm_order="pre", **size), rng=rng)
    yield gpt(np.float64)


@pytest.mark.parametrize("model", list(others()), ids=lambda model: type(model).__name__)
def test_every_model_comes_back(tmp_path, model):
    """Catches a comparison before the model is made that knows one kind of stack."""
    save_checkpoint(tmp_path, model)
    loaded = load_checkpoint(tmp_path)[0]
    assert loaded.config == model.config
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(loaded.state_dict()[name], array, strict=True)


def stranger(folder, model, arrays, **config):
    """A checkpoint whose arrays have nothing to do with its config."""
    meta = load_arrays(save_checkpoint(folder, model))[1]
    save_arrays(folder / NAME, arrays, {**meta, "config": {**meta["config"], **config}})


SMALL = {"d_model": 1, "n_heads": 1, "d_ff": 1}
ONE_LAYER = TransformerConfig(11, 11, n_encoder_layers=1, n_decoder_layers=1, **SMALL)
TRANSFORMER = SequenceToSequence(Transformer(ONE_LAYER, rng=np.random.default_rng(0)))
DEEP = {"n_encoder_layers": 10_000, "n_decoder_layers": 10_000}


@pytest.mark.parametrize(
    "arrays",
    [
        {"model.x": np.zeros(200_000, np.float32)},
        {"model.x": np.zeros(200_000, np.float32), "model.body.encoder.blocks.9999.x": np.zeros(1, np.float32)},
    ],
)
def test_one_array_does_not_vouch_for_layers(tmp_path, arrays):
    """Catches 322 MB and four seconds for a file of 322 kB: twenty thousand layers, made before names are compared."""
    stranger(tmp_path, TRANSFORMER, arrays, **DEEP)
    tracemalloc.start()
    try:
        with pytest.raises(FileError, match=r"the config has 20,000 layers, and there are [12] arrays of weights"):
            load_checkpoint(tmp_path)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2**21


@pytest.mark.parametrize("n", [300, 3000])
def test_layers_must_be_whole(tmp_path, n):
    """Catches a layer of one array that vouches for a whole one, and many of them that take memory."""
    arrays = {f"model.{name}": array for name, array in TRANSFORMER.state_dict().items()}
    arrays |= {f"model.body.encoder.blocks.{i}.x": np.zeros(1, np.float32) for i in range(1, n)}
    stranger(tmp_path, TRANSFORMER, arrays | {"model.y": np.zeros(10_000, np.float32)}, n_encoder_layers=n)
    missing = r"missing body\.encoder\.blocks\.\d+\.attention.*; \.\.\. \(\d,?\d+ in all\)"
    with pytest.raises(FileError, match=missing if n == 300 else "at most 1,024"):
        load_checkpoint(tmp_path)


@pytest.mark.parametrize(
    "change",
    [
        lambda arrays, meta: arrays.update({f"model.unexpected{i}": np.zeros(1, np.float32) for i in range(3000)}),
        lambda arrays, meta: arrays.update({"model." + "x" * 60_000: np.zeros(1, np.float32)}),
        lambda arrays, meta: arrays.update({"y" * 60_000: np.zeros(1, np.float32)}),
        lambda arrays, meta: meta["config"].update({"z" * 100_000: 1}),
        lambda arrays, meta: meta["config"].update({"activation": "a" * 100_000}),
        lambda arrays, meta: meta["config"].update({"max_len": "7" * 100_000}),
        lambda arrays, meta: meta.update({"model": "gpt" * 100_000}),
        lambda arrays, meta: meta.update({"format": [1] * 100_000}),
    ],
)
def test_messages_are_of_a_length_that_can_be_read(tmp_path, change):
    """Catches megabytes of a stranger's words on one line."""
    arrays, meta = load_arrays(save_checkpoint(tmp_path, gpt()))
    change(arrays, meta)
    save_arrays(tmp_path / NAME, arrays, meta)
    with pytest.raises(FileError, match=NAME) as caught:
        load_checkpoint(tmp_path)
    assert len(str(caught.value)) < 4000


# ------------------------------------------------------------------------------------------------ fingerprint


def test_a_fingerprint_does_not_depend_on_when_it_is_asked():
    """Catches a note on every resume: scipy brings a BLAS of its own, which Numba loads with the first kernel."""
    pytest.importorskip("scipy")
    code = (
        "from tinytx.training.checkpoint import fingerprint; before = fingerprint();"
        "import scipy.linalg, scipy.linalg.cython_blas; after = fingerprint();"
        "assert before == after, (before, after); assert before['blas'] and before['simd'], before"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_list_that_does_not_grow_with_the_layers_is_no_stack(tmp_path):
    """Catches T5's parts behind its last block, a list of their own, that are counted among the layers."""
    for name in ("t5", "char_rnn"):
        task, batch = MODEL_CASES[name](np.float64)
        save_checkpoint(tmp_path, task)
        assert load_checkpoint(tmp_path)[0].loss(*batch) == task.loss(*batch)


def test_a_second_layer_may_be_larger_than_the_first(tmp_path):
    """Catches a model of one layer that is refused for the size of a second one, which it does not have."""
    model = NextToken.around(CharRNN, CharRNNConfig(65, d_embedding=2), rng=np.random.default_rng(0))
    save_checkpoint(tmp_path, model)
    loaded = load_checkpoint(tmp_path)[0]
    assert loaded.config == model.config and (loaded.body.token.weight.data == model.body.token.weight.data).all()
