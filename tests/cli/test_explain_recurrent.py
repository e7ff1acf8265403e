"""``python -m tinytx explain`` of recurrent nets, pointers and memories: the numbers are those of the forward."""

import re

import numpy as np
import pytest

from tinytx.data import BERT_SPECIAL, WordTokenizer, copies, spelled
from tinytx.layers import LSTM
from tinytx.models import Elmo, ElmoConfig, RecurrentSeq2Seq, RecurrentSeq2SeqConfig
from tinytx.ops.recurrent import joined
from tinytx.pipelines import Translator, Writer, explain, load_run
from tinytx.pipelines.pages import BothWays, Copying, Pointing
from tinytx.pipelines.pages.states import looks, states
from tinytx.tasks import NextAndPrevious, SequenceToSequence
from tinytx.viz import attention_maps
from tinytx.viz.attention import watched


def table_of(text, header):
    """The entries, cut at two spaces, of the first table whose header begins with some words."""
    lines = text.splitlines()
    start = next(i for i, line in enumerate(lines) if line.split()[: len(header.split())] == header.split())
    table = [re.split(r"  +", line.strip()) for line in lines[start + 1 :]]
    return table[: table.index([""])] if [""] in table else table


def grid_of(text):
    """The rows of marks of a grid of weights, without their names."""
    return [line.split()[1:] for line in text.splitlines() if re.fullmatch(r" +\S+  [.#\d]( [.#\d])*", line)]


def tenths(weights):
    return [["#" if w >= 0.95 else "." if w < 0.05 else f"{np.floor(10 * w + 0.5):.0f}" for w in row] for row in weights]


def states_are_those_of(page, path, carried, names):
    """Compare the table of a layer with what it carries."""
    table = table_of(page.partition(f"\n{path}: ")[2], "position reads")
    assert [row[1] for row in table] == names
    arrays = [carried.x, *carried.states.values()]
    lengths = [[np.sqrt((array[0, t] ** 2).sum()) for array in arrays] for t in range(len(names))]
    gates = [[array[0, t].mean() for array in carried.gates.values()] for t in range(len(names))]
    n = len(arrays)
    np.testing.assert_allclose([[float(number) for number in row[2 : 2 + n]] for row in table], lengths, atol=6e-4)
    for t, row in enumerate(table):
        if carried.mask is None or carried.mask[0, t]:
            np.testing.assert_allclose([float(gate) for gate in row[2 + n : -1]], gates[t], atol=6e-4)
        else:
            assert len(row) == 3 + n  # no gates at padding
        h = next(iter(carried.states.values()))[0, t, :24]
        edges = {"=": (-1, -0.5), "-": (-0.5, -0.1), ".": (-0.1, 0.1), "+": (0.1, 0.5), "#": (0.5, 1)}
        assert len(row[-1]) == len(h) and all(edges[mark][0] <= u <= edges[mark][1] for mark, u in zip(row[-1], h))


@pytest.mark.parametrize("name, text, layers", [("char_rnn", "1 times", 1), ("awd_lstm", "1 times 1 is", 2), ("sentiment_unit", "a good film", 1)])
def test_a_recurrent_net_that_writes(trained, tinytx, name, text, layers):
    """Its states, the loss of the next tokens, what it says: catches a model that is asked for a longest text."""
    folder = trained(name)[0]
    result = tinytx("explain", folder, [text], "--tokens 3")
    assert result.code == 0, result.err
    model, tokenizer = load_run(folder, Writer)
    ids = tokenizer.encode(text)[None]
    said = watched(model, "carried", ids[:, :-1])
    assert len(said) == layers
    names = [token.replace(" ", "_") for token in tokenizer.tokens(ids[0, :-1])]
    for path, carried in said.items():
        states_are_those_of(result.out, path, carried, names)
    logits = model(ids)[0].astype(np.float64)
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    loss = -np.log(p[np.arange(ids.size - 1), ids[0, 1:]]).mean()
    assert f"Mean over {ids.size - 1} tokens: {loss:.4f} nats" in result.out
    best = table_of(result.out, "position reads 1 2")
    np.testing.assert_allclose([float(row[2].split()[1]) for row in best], p.max(axis=1), atol=1e-4)
    assert "The mask" not in result.out and len(table_of(result.out, "step ids fed")) == 3


def test_there_is_nothing_to_draw_without_attention(trained, tinytx, tmp_path):
    """Catches a page that is printed before it is known that there is no picture."""
    pytest.importorskip("matplotlib")
    result = tinytx("explain", trained("char_rnn")[0], ["1 times"], "--picture", tmp_path / "a.png")
    assert (result.code, result.out) == (2, "") and "CharRNN called no layer that has attention_weights" in result.err


@pytest.mark.parametrize("text, named", [("1", "the text has 1 token, expected at least 2"), ("Q1", "'Q'")])
def test_texts_that_a_recurrent_net_cannot_explain(refused, trained, text, named):
    assert named in refused("explain", trained("char_rnn")[0], [text])


def test_recurrent_nets_that_translate(trained, tinytx):
    """Both sides' states, each beside its own words, and where the decoder looks."""
    folder = trained("recurrent_seq2seq")[0]
    result = tinytx("explain", folder, ["one two"], "--target", ["deux un trois"])
    assert result.code == 0, result.err
    model, source, target = load_run(folder, Translator)
    sources = np.array([[*source.encode("one two"), 0, 0]])
    targets = np.array([[1, *target.encode("deux un trois"), 2, 0]])
    said = watched(model, "carried", sources, targets)
    assert {path.partition(".")[0] for path in said} == {"encoder", "decoder"} and len(said) == 3
    for path, carried in said.items():
        names = source.tokens(sources[0]) if path.startswith("encoder") else target.tokens(targets[0])
        states_are_those_of(result.out, path, carried, names)
    (weights,) = attention_maps(model, sources, targets).values()
    assert grid_of(result.out) == tenths(weights[0, 0, :4])
    assert [len(row) for row in table_of(result.out, "position reads 1 2")] == [7] * 4


def test_words_by_their_letters():
    """Two words that are unknown: each is read by its own letters, and the page says so."""
    tokenizer = WordTokenizer(["the", "walk"], BERT_SPECIAL)
    config = ElmoConfig(tokenizer.vocab_size, d_model=6, words="characters", max_characters=8, pad_id=tokenizer.pad_id)
    model = NextAndPrevious.around(Elmo, config, rng=np.random.default_rng(0), dtype=np.float64)
    explanation = explain(BothWays(model, tokenizer), "the dog walked")
    ids, letters = np.array([[2, 5, 1, 1, 3]]), spelled(["[CLS]", "the", "dog", "walked", "[SEP]"], 8)[None]
    np.testing.assert_array_equal(explanation.inputs[0], letters)
    assert "letters (B, T, C) = (1, 5, 8)" in explanation.page and explanation.names == (["[CLS]", "the", "[UNK]", "[UNK]", "[SEP]"],)
    assert f"sum of both means: {model.loss(ids, letters):.4f} nats" in explanation.page
    for path, carried in watched(model, "carried", letters).items():
        states_are_those_of(explanation.page, path, carried, explanation.names[0])


@pytest.mark.parametrize("wiring", ["after", "before", "feeding"])
def test_attention_in_the_loop(wiring):
    """The decoder's layers are called for each word by itself: catches a table for each call, and one that ends early."""
    config = RecurrentSeq2SeqConfig(9, 9, d_embedding=4, d_model=6, cell="lstm", attention="additive", wiring=wiring, n_layers=2)
    rng = np.random.default_rng(0)
    model = SequenceToSequence(RecurrentSeq2Seq(config, rng=rng, dtype=np.float64), rng=rng)
    inputs, names = (np.array([[3, 4, 5]]), np.array([[1, 6, 7, 8]])), (list("abc"), ["<start>", *"xyz"])
    page = "\n".join(states(model, inputs, names))
    paths = [line.partition(": ")[0] for line in page.splitlines() if " numbers -> a state of " in line]
    assert len(paths) == 2 * 2 + 2 and [path.partition(".")[0] for path in paths] == ["encoder"] * 4 + ["decoder"] * 2
    for path in paths[4:]:
        calls = [carried for name, carried in watched(model, "carried", *inputs).items() if name.partition(",")[0] == path]
        assert len(calls) == (1 if wiring == "after" else 4)
        states_are_those_of(page, path, joined(calls), names[1])
    drawn = "\n".join(looks(model, inputs, ["x", "y", "z", "<stop>"], names[0]))
    (weights,) = attention_maps(model, *inputs).values()
    assert weights.shape == (1, 1, 4, 3) and grid_of(drawn) == tenths(weights[0, 0])


def test_both_directions(trained, tinytx):
    folder = trained("elmo")[0]
    model, tokenizer = load_run(folder, BothWays)
    words = [name for i, name in enumerate(tokenizer.names) if i not in tokenizer.special_ids][:3]
    result = tinytx("explain", folder, [" ".join(words)])
    assert (result.code, result.err) == (0, "")
    ids = np.array([[tokenizer.cls_id, *tokenizer.encode(" ".join(words)), tokenizer.sep_id]])
    for path, carried in watched(model, "carried", ids).items():
        states_are_those_of(result.out, path, carried, tokenizer.tokens(ids[0]))
    assert f"sum of both means: {model.loss(ids):.4f} nats" in result.out
    assert [row[2] for row in table_of(result.out.partition("\n3. ")[2], "position reads is to say")] == tokenizer.tokens(ids[0])[1:]
    assert [row[2] for row in table_of(result.out.partition("\n4. ")[2], "position reads is to say")] == tokenizer.tokens(ids[0])[:-1]


def test_a_pointer(trained, tinytx, tmp_path):
    """Its weights over the elements, step by step; catches an order that is ignored, and one that is not its own."""
    pytest.importorskip("matplotlib")
    folder = trained("pointer")[0]
    result = tinytx("explain", folder, ["0.7 0.2 0.5"], "--target", ["1 2 0"], "--picture", tmp_path / "a.png")
    assert (result.code, result.err) == (0, f"Wrote {tmp_path / 'a.png'}\n")
    (model,) = load_run(folder, Pointing)
    elements, order = np.array([[[0.7], [0.2], [0.5]]], np.float32), np.array([[1, 2, 0]])
    for path, carried in watched(model, "carried", elements, order).items():
        names = ["0.7", "0.2", "0.5"] if path == "encoder" else ["<start>", "0.2", "0.5"]
        states_are_those_of(result.out, path, carried, names)
    (weights,) = attention_maps(model, elements, order).values()
    assert grid_of(result.out) == tenths(weights[0, 0])
    p = np.exp(model(elements, order)[0])
    p /= p.sum(axis=1, keepdims=True)
    table = table_of(result.out, "position reads is to say")
    assert [row[1:3] for row in table] == [["<start>", "1:0.2"], ["0.2", "2:0.5"], ["0.5", "0:0.7"]]
    np.testing.assert_allclose([float(row[3]) for row in table], p[np.arange(3), order[0]], atol=1e-4)
    assert f"Mean over 3 steps: {model.loss(elements, order):.4f} nats" in result.out
    steps = table_of(result.out, "step reads points at element")
    assert [[row[1], row[3], row[4]] for row in steps] == [["<start>", "1", "0.2"], ["0.2", "2", "0.5"], ["0.5", "0", "0.7"]]
    own = tinytx("explain", folder, ["0.7 0.2 0.5"])
    taken = [int(row[3]) for row in table_of(own.out, "step reads points at element")]
    assert taken == model.body.point(elements)[0].tolist() and "the model's own" in " ".join(own.out.split())


def test_a_memory(trained, tinytx, tmp_path):
    """Where its heads read and write; catches heads exchanged, and a loss of the steps that say nothing."""
    pytest.importorskip("matplotlib")
    folder = trained("ntm")[0]
    result = tinytx("explain", folder, ["101 011"], "--picture", tmp_path / "a.png")
    assert (result.code, result.err) == (0, f"Wrote {tmp_path / 'a.png'}\n")
    (model,) = load_run(folder, Copying)
    x, bits = copies(np.array([[[1, 0, 1], [0, 1, 1]]]))
    (carried,) = watched(model, "carried", x).values()
    states_are_those_of(result.out, "memory", carried, ["mark", "101", "011", "copy", "copy", "copy"])
    (weights,) = attention_maps(model, x).values()
    assert grid_of(result.out)[: 6 * 2] == tenths(weights[0, 0]) + tenths(weights[0, 1])
    rows = table_of(result.out, "step reads reads row writes row")
    best = [[f"{head[t].argmax()} ({head[t].max():.4f})" for head in weights[0]] for t in range(6)]
    assert [row[2:] for row in rows] == best
    (steering,) = watched(model, "steering", x).values()
    for n, name in enumerate(("reads", "writes")):
        rows = table_of(result.out.partition("\n4. ")[2].partition(f"\n{name}:\n")[2], "step reads beta by content row g -1 0 +1 gamma row")
        numbers = [np.column_stack([array[0, n]]) for array in (steering.strength, steering.gate, steering.moves, steering.sharpness)]
        shown = [[float(row[i]) for i in (2, 4, 5, 6, 7, 8)] for row in rows]
        np.testing.assert_allclose(shown, np.concatenate(numbers, axis=1), atol=6e-3)
        assert [row[3].split()[0] for row in rows] == [str(row.argmax()) for row in steering.content[0, n]]
        assert [row[9] for row in rows] == [str(row.argmax()) for row in weights[0, n]]
    read = table_of(result.out, "step x reads is to say")
    assert [row[1] for row in read] == ["00010", "10100", "01100", "00001", "00001", "00001"]
    assert [row[3] for row in read[4:]] == ["101", "011"] and f"Mean over 6 bits: {model.loss(x, bits):.4f} nats" in result.out
    says = [["".join("01"[int(z > 0)] for z in row)] for row in model(x)[0, 4:]]
    assert [row[2:3] for row in table_of(result.out, "step is to say says")] == says


@pytest.mark.parametrize(
    "name, words, named",
    [
        ("pointer", ["0.1 x"], "expected elements of 1 number, with blanks between them: could not convert string to float: 'x'"),
        ("pointer", ["0.1 2,3"], "the text has '2,3', expected elements of 1 number"),
        ("pointer", ["0.1 inf"], "not all are finite"),
        ("pointer", ["0.1 0.2", "--target", "0 2"], "expected different positions from 0 to 1"),
        ("pointer", ["0.1 0.2", "--target", "1 1"], "expected different positions from 0 to 1"),
        ("pointer", ["0.1 0.2", "--tokens", "3"], "tokens is given, and PointerNetwork has no use for it"),
        ("ntm", ["10"], "the text has '10', expected elements of 3 bits, such as '101 010'"),
        ("ntm", ["102"], "the text has '102'"),
        ("ntm", ["101", "--target", "101"], "target is given, and NTM has no use for it"),
        ("elmo", ["the", "--target", "x"], "target is given, and Elmo has no use for it"),
        ("bert", ["the cat"], "for it there is python -m tinytx fill"),
    ],
)
def test_what_has_no_explanation(refused, trained, name, words, named):
    """Catches tracebacks, and half a page."""
    assert named in refused("explain", trained(name)[0], words)


def test_other_commands_name_explain(refused, trained):
    folder = trained("ntm")[0]
    assert f"for it there is python -m tinytx explain {folder}" in refused("sample", folder)


def test_something_that_is_no_pipeline():
    with pytest.raises(TypeError, match="explain: trained is a LSTM, expected one of Translator, Writer, BothWays, Pointing, Copying"):
        explain(LSTM(2, 3, rng=np.random.default_rng(0)), "text")
