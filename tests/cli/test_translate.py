"""``python -m tinytx translate``: sentences in, translations out, line by line."""

import io
import sys

import numpy as np
import pytest

from tinytx.decoding import beam_search, greedy
from tinytx.files import load_arrays, save_arrays
from tinytx.pipelines import Translator, load_run
from tinytx.pipelines.translate import AT_A_TIME
from tinytx.training.checkpoint import NAME


@pytest.fixture(scope="module")
def folder(translator):
    return translator[0]


@pytest.fixture(scope="module")
def run(folder):
    """Model and tokenizers of the run."""
    return load_run(folder, Translator)


def greedily(run, text):
    """What the model says by itself, sentence by sentence."""
    model, source, target = run
    return target.decode(greedy(model, source.encode(text)[None], model.config.max_len).ids[0])


@pytest.fixture
def typed(monkeypatch):
    """Put a text on standard input."""
    return lambda text: monkeypatch.setattr(sys, "stdin", io.StringIO(text))


def test_sentences_are_translated_in_their_order(tinytx, folder, run):
    """Catches translations that change places, and padding of the shorter one that changes what is said."""
    texts = ["one two three", "five", "two two"]
    code, out, err = tinytx("translate", folder, texts)
    assert code == 0 and "<unk>" not in err
    assert out.splitlines() == [greedily(run, text) for text in texts]
    assert tinytx("translate", folder, texts, "--greedy").out == out


def test_8_bits(tinytx, folder, run):
    """They say what the rounded model says."""
    code, out, _ = tinytx("translate", folder, ["one two three"], "--int8")
    assert (code, out.splitlines()) == (0, [greedily(run._replace(model=run.model.quantized()), "one two three")])


def test_standard_input_line_by_line(tinytx, folder, run, typed):
    """Catches an empty line that shifts all after it, and a last line without its end that is lost."""
    typed("one\n\n two one\nthree")
    code, out, err = tinytx("translate", folder, ["four", "-"])
    assert code == 0
    assert out.splitlines() == [greedily(run, text) if text else "" for text in ("four", "one", "", "two one", "three")]
    notes = [line for line in err.splitlines() if "cut off" not in line]  # a model of 20 steps may not stop
    assert notes == ["Note: line 2 of standard input is empty, and so is its translation"]


def test_many_lines(tinytx, folder, run, typed, numbers):
    """Catches lines lost between two batches."""
    texts = [source for source, _ in numbers][: AT_A_TIME + 3]
    typed("\n".join(texts))
    assert tinytx("translate", folder, "-").out.splitlines() == [greedily(run, text) for text in texts]


def test_many_texts_keep_their_order(run, numbers):
    """Catches translations of sentences sorted by length that are not put back."""
    texts = [source for source, _ in numbers][::-3]
    assert run.translate(texts) == [greedily(run, text) for text in texts]


def test_beam_search_and_its_n_best(tinytx, folder, run):
    """Catches flags that do not reach the search, and scores beside other translations than theirs."""
    model, source, target = run
    code, out, _ = tinytx("translate", folder, ["one two"], "--beam 4 --n-best 3 --length-penalty 0.9")
    assert code == 0
    found = beam_search(model, source.encode("one two")[None], 9, beam_size=4, alpha=0.9, n_best=3)
    expected = [f"  {s:8.3f}  {target.decode(ids)}" for s, ids in zip(found.scores[0], found.ids[0], strict=True)]
    assert out.splitlines() == ["one two", *expected]
    assert (
        tinytx("translate", folder, ["one two"], "--beam 4 --length-penalty 0.9").out.strip()
        == expected[0][10:].strip()
    )


def test_places_that_nothing_fills_are_left_out(run):
    """Catches empty translations among the n best, where the model cannot say so many."""
    model, source, _ = run
    (found,) = run.decode([source.encode("one")], 1, {"beam_size": 20, "alpha": 0.0, "n_best": 20})
    assert 1 < len(found) <= model.config.target_vocab_size
    assert all(len(one.ids) == 1 and np.isfinite(one.score) for one in found)
    assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)


def test_an_empty_source(run):
    """Catches an array without a token that reaches the model."""
    source = run.source_tokenizer
    found = run.decode([source.encode(text) for text in ("", "one", "")], 5)
    assert [len(one) for one in found] == [1, 1, 1]
    assert found[0][0].text == "" and len(found[0][0].ids) == 0 and len(found[1][0].ids) > 0


def test_unknown_words_are_noted_and_read_as_unk(tinytx, folder, run):
    """Catches silence about words that the model never saw, and a hint where there is none to give."""
    result = tinytx("translate", folder, ["one seven seven eleven"])
    assert result.code == 0
    model, source, target = run
    ids = np.array([[*source.encode("one"), source.unk_id, source.unk_id, source.unk_id]])
    assert result.out == target.decode(greedy(model, ids, 9).ids[0]) + "\n"
    note = "Note: not in the vocabulary, read as <unk>: 'seven', 'eleven' in 'one seven seven eleven'"
    assert result.err.splitlines()[0] == note
    assert (
        "'One'" in (err := tinytx("translate", folder, ["One two"]).err) and "in lower case, all of it is known" in err
    )


def test_a_translation_that_is_cut_off_is_noted(tinytx, folder):
    """Catches half a sentence that looks like a whole one."""
    code, out, err = tinytx("translate", folder, ["one two three"], "--max-tokens 1")
    assert code == 0 and len(out.split()) <= 1
    assert err == "Note: sentence 1: no <stop> in 1 token, where it was cut off\n"


@pytest.mark.parametrize(
    "arguments, named",
    [
        (([""],), "sentence 1 is empty"),
        ((["one", "  "],), "sentence 2 is empty"),
        ((["one", "one two three four five one two three four five"],), "sentence 2 has 10 tokens"),
        (("- -",), "can be read once"),
        (("one --n-best 2",), "--n-best is for a beam search"),
        (("one --length-penalty 1",), "--length-penalty is for a beam search"),
        (("one --beam 0",), "--beam is 0"),
        (("one --beam 2 --n-best 3",), "n_best is 3"),
        (("one --beam 2 --n-best 0",), "--n-best is 0"),
        (("one --beam 2 --length-penalty -1",), "--length-penalty is -1"),
        (("one --beam 2 --length-penalty nan",), "--length-penalty is nan"),
        (("one --max-tokens 0",), "--max-tokens is 0"),
        (("one --max-tokens 10",), "max_len, 9"),
        (("one two --picture x.png",), "--picture draws one sentence, and there are 2"),
    ],
)
def test_what_cannot_be_translated(refused, folder, arguments, named):
    """Catches tracebacks, and translations that are already printed when the error comes."""
    assert named in refused("translate", folder, *arguments)


def test_nothing_on_standard_input(refused, folder, typed):
    """Catches silence where somebody's pipe is empty."""
    typed("\n \n")
    assert "standard input holds no sentence" in refused("translate", folder, "-")


def test_a_long_line_stops_before_anything_is_said(refused, folder, typed):
    """Catches half of the translations, and a message that does not say which line."""
    typed("one\n" + "one " * 30)
    assert "line 2 of standard input has 30 tokens" in refused("translate", folder, "-")


def test_folders_that_hold_no_transformer(refused, tinytx, finished, folder):
    """Catches a GPT asked to translate; the message says what it can do."""
    assert "no checkpoint.npz in nowhere" in refused("translate nowhere one")
    assert f"python -m tinytx sample {finished[0]}" in refused("translate", finished[0], "one")
    assert f"python -m tinytx translate {folder}" in refused("sample", folder)


@pytest.mark.parametrize("side", ["source", "target"])
def test_tokenizers_that_do_not_fit(refused, folder, tmp_path_factory, side):
    """Catches ids outside the model's tables, or words without an id."""
    arrays, meta = load_arrays(folder / NAME)
    strange = tmp_path_factory.mktemp("strange")
    state = meta[f"{side}_tokenizer"]
    save_arrays(strange / NAME, arrays, meta | {f"{side}_tokenizer": state | {"words": state["words"][:-1]}})
    assert f"the {side}'s tokenizer has 8 tokens, expected 9" in refused("translate", strange, "one")


def test_a_picture_of_the_alignment(tinytx, folder, run, tmp_path, monkeypatch):
    """Catches rows of the words that were read instead of those that were said, and weights of another attention."""
    viz = pytest.importorskip("tinytx.viz.attention")
    drawn = []
    monkeypatch.setattr("tinytx.viz.alignment_picture", lambda path, *rest: drawn.append(rest) or path)
    result = tinytx("translate", folder, ["one two"], "--picture", tmp_path / "a.png")
    assert result.code == 0 and result.err.splitlines()[-1] == f"Wrote {tmp_path / 'a.png'}"
    model, source, target = run
    ids = greedy(model, source.encode("one two")[None], 9).ids
    fed = np.concatenate([[[model.config.start_id]], ids[:, :-1]], axis=1)
    (weights, source_words, target_words, _title) = drawn[0]
    maps = viz.attention_maps(model, source.encode("one two")[None], fed)
    np.testing.assert_allclose(weights, maps["decoder.blocks.0.cross_attention.f"][0].mean(axis=0))
    assert source_words == ["one", "two"] and target_words == target.tokens(ids[0])
