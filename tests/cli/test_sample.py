"""``python -m tinytx sample``: a trained model writes."""

import re

import numpy as np
import pytest

from tinytx.data import CharTokenizer
from tinytx.layers.quantized import quantized
from tinytx.models import GPT, GPTConfig
from tinytx.tasks import NextToken
from tinytx.training import load_checkpoint, save_checkpoint


@pytest.fixture(scope="module")
def save(tmp_path_factory):
    """Write a checkpoint of an untrained model, and return its folder."""

    def call(characters="abc ", vocab_size=4, **meta):
        folder = tmp_path_factory.mktemp("model")
        config = GPTConfig(vocab_size=vocab_size, max_len=6, d_model=4, n_heads=1, n_layers=1)
        meta = {"tokenizer": CharTokenizer(characters).to_dict()} | meta
        save_checkpoint(folder, NextToken(GPT(config, rng=np.random.default_rng(0))), **meta)
        return folder

    return call


@pytest.fixture(scope="module")
def folder(save):
    return save()


def test_prompt_and_as_many_characters_as_asked_for(tinytx, folder):
    """Catches a prompt that is not repeated, a character too few, and a missing line break at the end."""
    for n in (0, 1, 30):
        code, out, err = tinytx("sample", folder, "--prompt ab --tokens", n)
        assert (code, err) == (0, "")
        assert out.startswith("ab") and out.endswith("\n")
        assert len(out) == len("ab") + n + len("\n")
        assert set(out) <= set("abc \n")


def test_seed_and_temperature_0_repeat_themselves(tinytx, folder):
    """Catches a seed that goes unused, and one that fixes the text where none is given."""
    text = {options: {tinytx("sample", folder, "--prompt a --tokens 40", options).out for _ in range(2)}
            for options in ("", "--seed 1", "--seed 2", "--temperature 0", "--top-k 1")}  # fmt: skip
    assert [len(texts) for texts in text.values()] == [2, 1, 1, 1, 1]
    assert text["--seed 1"] != text["--seed 2"]
    assert text["--temperature 0"] == text["--top-k 1"]


def test_8_bits_write_what_the_rounded_model_writes(tinytx, folder, monkeypatch):
    """Catches a flag that is read and not used, and one that is used where it is not given."""
    made = []
    monkeypatch.setattr(NextToken, "quantized", lambda self: made.append(self) or quantized(self))
    assert tinytx("sample", folder, "--prompt a --tokens 5").code == 0
    assert not made
    code, out, _ = tinytx("sample", folder, "--prompt a --tokens 5 --temperature 0 --int8")
    assert (code, len(out), len(made)) == (0, 7, 1)


def test_a_draft_proposes_what_is_written(tinytx, folder, tmp_path):
    """Catches a draft that is read and not used, and a text that is another one with it."""
    plain = tinytx("sample", folder, "--prompt ab --tokens 30 --temperature 0")
    for draft, accepted in ((folder, "100% of "), (damaged(folder, tmp_path), "")):
        for more in ("", "--draft-tokens 2", "--int8"):
            code, out, err = tinytx("sample", folder, "--prompt ab --tokens 30 --temperature 0 --draft", draft, more)
            assert (code, out) == (0, plain.out)
            assert re.search(rf"{accepted or r'[0-9]+% of [0-9]'}[0-9]* proposals of the draft accepted, [1-5].[0-9]{{2}} characters for each call of the model\n$", err)
    lines = {tinytx("sample", folder, "--prompt a --tokens 30 --seed 1 --draft", folder, more).err for more in ("", "--draft-tokens 1")}
    assert len(lines) == 2 and len({tinytx("sample", folder, "--prompt a --tokens 30 --seed 1 --draft", folder).out for _ in range(2)}) == 1
    assert tinytx("sample", folder, "--tokens 1 --draft", folder).err == ""


def damaged(folder, to):
    """Return a folder with another model of the same kind."""
    model, _, meta = load_checkpoint(folder)
    for parameter in model.parameters():
        parameter.data[...] = np.random.default_rng(1).normal(size=parameter.data.shape)
    save_checkpoint(to, model, tokenizer=meta["tokenizer"])
    return to


def test_a_draft_that_does_not_fit(refused, save, folder):
    """Catches a traceback, and a text of characters that the draft has not named."""
    for characters, named in (("abcd ", "the draft has 5 tokens, and the model 4"), ("abd ", "the draft has 'd' with id 2, and the model 'c'")):
        draft = save(characters, len(characters))
        assert named in refused("sample", folder, "--prompt a --tokens 5 --draft", draft)
    assert "no checkpoint.npz in nowhere" in refused("sample", folder, "--draft nowhere")
    assert "--draft-tokens is 0" in refused("sample", folder, "--draft", folder, "--draft-tokens 0")
    assert "--draft is empty" in refused("sample", folder, ["--draft", ""])


def test_stop_and_top_p(tinytx, folder):
    """Catches a stop character that is left out or written past, and flags that are read and not used."""
    command = ("sample", folder, "--prompt a --seed 1 --tokens 200")
    free = tinytx(*command).out
    n = min(free.index("b"), free.index("c"))
    assert tinytx(*command, "--stop cb").out == free[: n + 1] + "\n"
    assert tinytx(*command, "--top-p 0.01").out == tinytx(*command, "--temperature 0").out != free


@pytest.mark.parametrize("characters, prompt", [("xyz", "x"), ("\nabc", "\n")])
def test_default_prompt_is_in_every_vocabulary(tinytx, save, characters, prompt):
    """Catches a default that fails for a text in one line: a line break, or else the first character there is."""
    code, out, err = tinytx("sample", save(characters, len(characters)), "--tokens 5")
    assert (code, err) == (0, "")
    assert out.startswith(prompt)


@pytest.mark.parametrize(
    "options, named",
    [
        (("--prompt Q",), "'Q'"),
        ((["--prompt", ""],), "--prompt is empty"),
        (("--tokens -1",), "--tokens is -1"),
        (("--seed -1",), "--seed is -1"),
        (("--temperature nan",), "--temperature is nan"),
        (("--temperature -1",), "--temperature is -1"),
        (("--temperature inf",), "--temperature is inf"),
        (("--top-k 0",), "--top-k is 0"),
        (("--top-p 0",), "--top-p is 0"),
        (("--top-p 1.5",), "--top-p is 1.5"),
        (("--stop Q",), "'Q'"),
        ((["--stop", ""],), "--stop is empty"),
    ],
)
def test_settings_that_cannot_be(refused, folder, options, named):
    """Catches tracebacks, and text that is already printed when the error comes."""
    assert named in refused("sample", folder, "--prompt a --tokens 5", *options)


def test_folder_without_a_model(refused, folder):
    """Catches a traceback for a mistyped folder."""
    assert "no checkpoint.npz in nowhere" in refused("sample nowhere")


@pytest.mark.parametrize(
    "options, named",
    [({"tokenizer": None}, "tokenizer_from_dict: None"), ({"vocab_size": 9}, "9"), ({"vocab_size": 3}, "3")],
)
def test_tokenizer_that_does_not_fit(refused, save, options, named):
    """Catches a file whose tokenizer is missing or of another vocabulary: ids without a character, half-way."""
    assert named in refused("sample", save(**options), "--prompt a --tokens 50")
