"""``python -m tinytx explain``: the page says what the model really does."""

import math
import re
import shutil

import numpy as np
import pytest

from tinytx.data import CharTokenizer
from tinytx.decoding import greedy
from tinytx.files import load_arrays, save_arrays
from tinytx.models import GPT, GPTConfig, Llama, LlamaConfig, Transformer, TransformerConfig
from tinytx.pipelines import Translator, Writer, explain, load_run
from tinytx.pipelines.pages.layout import WIDTH, grid, weights_grid, words
from tinytx.pipelines.pages.states import looks
from tinytx.tasks import NextToken, SequenceToSequence, TextClassesNextToken
from tinytx.training.checkpoint import NAME
from tinytx.viz import attention_maps


@pytest.fixture(scope="module")
def translation(tinytx, translator):
    """The page of one pair."""
    return tinytx("explain", translator[0], ["one two"], "--target", ["deux un trois"])


@pytest.fixture(scope="module")
def writing(tinytx, finished):
    """The page of a GPT's text."""
    return tinytx("explain", finished[0], ["1 time"], "--tokens 3")


def section(page, number):
    """The text between one heading and the next."""
    return re.split(r"^\d\. .*\n-+$", page.out, flags=re.MULTILINE)[number]


def rows(page, number, header):
    """The entries, cut at two spaces, of a table whose first line begins with ``header``."""
    lines = section(page, number).splitlines()
    start = next(i for i, line in enumerate(lines) if line.split() == header.split())
    table = [re.split(r"  +", line.strip()) for line in lines[start + 1 :]]
    return table[: table.index([""])] if [""] in table else table


def ids_of(translator):
    model, source, target = load_run(translator[0], Translator)
    return model, source.encode("one two")[None], np.array([[1, *target.encode("deux un trois"), 2]])


def test_what_goes_in(translation, translator):
    """Catches words beside other words' ids, and padding at the wrong end."""
    assert (translation.code, translation.err) == (0, "")
    _, source, target = ids_of(translator)
    assert "source (B, S) = (1, 4)" in translation.out and "target (B, T + 1) = (1, 7)" in translation.out
    for number, names, ids in (
        (1, "one two <pad> <pad>", source),
        (2, "<start> deux un trois <stop> <pad> <pad>", target),
    ):
        _, word, numbers = section(translation, number).splitlines()[1:4]
        assert word.split() == ["word", *names.split()]
        assert numbers.split() == ["id", *map(str, ids[0]), "0", "0"]


def test_the_target_is_shifted_by_one(translation):
    """Catches a label beside the word that it is, instead of the one before it."""
    table = rows(translation, 2, "position reads id is to say id")
    reads, labels = "<start> deux un trois <stop> <pad>", "deux un trois <stop> <pad> <pad>"
    assert [row[1] for row in table] == reads.split() and [row[4] for row in table] == labels.split()
    ids = section(translation, 2).splitlines()[3].split()[1:]
    assert [row[2] for row in table] == ids[:-1] and [row[5] for row in table] == ids[1:]
    assert [len(row) > 6 for row in table] == [False] * 4 + [True] * 2  # padding counts for nothing


def test_the_masks_are_those_of_the_model(translation):
    """Catches a mask drawn the other way round, or without its padding."""
    page = section(translation, 3)
    assert page.count("source_mask") == 2 and page.count("(1, 1, 1, 4)") == 2
    assert "causal (T, T) = (6, 6)" in page
    marks = [line.split()[-6:] for line in page.splitlines() if re.fullmatch(r" +\S+  [x.]( [x.]){5}", line)]
    assert (np.array(marks) == "x").tolist() == np.tri(6, dtype=bool).tolist()
    each = [line.split() for line in page.splitlines() if line.split()[:1] == ["each"]]
    assert each == [["each", "x", "x", ".", "."]] * 2


def test_the_loss_is_the_models(translation, translator):
    """Catches probabilities of the word that is read, and a mean with the padding in it."""
    model, source, target = ids_of(translator)
    table = rows(translation, 4, "position reads is to say p -ln p likelier")
    assert [row[2] for row in table] == ["deux", "un", "trois", "<stop>"]
    logits = model(source, target[:, :-1])[0].astype(np.float64)
    log_probs = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
    expected = log_probs[np.arange(4), target[0, 1:]]
    np.testing.assert_allclose([float(row[4]) for row in table], -expected, atol=1e-4)
    np.testing.assert_allclose([float(row[3]) for row in table], np.exp(expected), atol=1e-4)
    assert [len(row) == 5 for row in table] == (log_probs.argmax(axis=-1) == target[0, 1:]).tolist()
    loss = model.loss(source, target)
    assert math.isclose(-expected.mean(), loss, rel_tol=1e-6)  # this run has no label smoothing
    assert f"Mean over 4 words, padding left out: {loss:.4f} nats" in translation.out
    assert "label smoothing" not in translation.out
    both = re.search(r"model.loss is (\S+) with it, and (\S+) without", translation.out).groups()
    assert abs(float(both[0]) - float(both[1])) < 2e-6 and abs(float(both[1]) - loss) < 1e-6


def test_label_smoothing_is_told_from_the_mean(tinytx, translator, tmp_path):
    """Catches a page whose mean is not the loss that the run printed, without a word about it."""
    arrays, meta = load_arrays(translator[0] / NAME)
    save_arrays(tmp_path / NAME, arrays, meta | {"config": meta["config"] | {"label_smoothing": 0.2}})
    page = tinytx("explain", tmp_path, ["one two"], "--target", ["deux un trois"])
    model, source, target = ids_of((tmp_path,))
    assert f"label smoothing 0.2 makes it a divergence of {model.loss(source, target):.4f} nats" in page.out


def test_where_it_looks(translation, translator):
    """Catches weights of another layer, of one head, or of the word that is read, and padding that is looked at."""
    model, source, target = ids_of(translator)
    maps = attention_maps(model, source, target[:, :-1])
    weights = next(weights for path, weights in maps.items() if "cross_attention" in path)[0].mean(axis=0)  # (4, 2)
    page = section(translation, 5)
    lines = [line.split() for line in page.splitlines() if re.fullmatch(r" +\S+  [.#\d]( [.#\d]){3}", line)]
    assert [line[0] for line in lines] == ["deux", "un", "trois", "<stop>"]
    assert [line[1:] for line in lines] == [[*("." if w < 0.05 else f"{10 * w:.0f}" for w in row), ".", "."] for row in weights]
    assert "weights (B, H, T, S) = (1, 2, 6, 4), the mean of its 2 heads" in page


def test_the_likeliest_words(writing, finished):
    """Catches a table that is sorted the other way round, and one that ends before the token after the text."""
    model, tokenizer = load_run(finished[0], Writer)
    logits = model(tokenizer.encode("1 time")[None])[0].astype(np.float64)
    p = np.exp(logits) / np.exp(logits).sum(axis=-1, keepdims=True)
    table = rows(writing, 3, "position reads 1 2 3 4 5")
    assert [row[1] for row in table] == list("1_time")
    for row, expected in zip(table, p, strict=True):
        says = [entry.split() for entry in row[2:]]
        np.testing.assert_allclose([float(share) for _, share in says], -np.sort(-expected)[:5], atol=1e-4)
        names = [name.replace(" ", "_").replace("\n", "\\n") for name in tokenizer.names]
        np.testing.assert_allclose([expected[names.index(name)] for name, _ in says], -np.sort(-expected)[:5], atol=1e-4)


def test_decoding_step_by_step(translation, translator):
    """Catches steps that are fed something else than was said, and an end that is not the real one."""
    model, source, _ = ids_of(translator)
    decoded = greedy(model, source, 9, trace=True)
    table = rows(translation, 6, "step ids fed fed says p so far")
    fed, says = [row[2] for row in table], [row[4] for row in table]
    assert fed == ["<start>", *says[:-1]]
    names = load_run(translator[0], Translator).target_tokenizer.tokens(decoded.ids[0])
    assert says == names
    np.testing.assert_allclose(
        [float(row[5]) for row in table], [np.exp(s.log_probs[0]) for s in decoded.steps], atol=1e-4
    )
    assert f"says <stop>, in step {len(names)}" in " ".join(translation.out.split())
    assert f"(ln p = {decoded.log_probs[0]:.3f})" in translation.out


def test_without_a_target_it_is_the_models_own(tinytx, translator):
    """Catches a target that is made up otherwise, and a page that does not say so."""
    page = tinytx("explain", translator[0], ["one two"], "--tokens 9")
    says = [row[4] for row in rows(page, 6, "step ids fed fed says p so far")]
    assert [row[2] for row in rows(page, 4, "position reads is to say p -ln p likelier")] == says
    assert "the model's own translation" in " ".join(page.out.split())


def test_decoding_that_is_cut_off(tinytx, translator):
    """Catches a page that says <stop> where there was none."""
    page = tinytx("explain", translator[0], ["one two three"], "--tokens 1 --target un")
    assert "has said 1 word, the limit" in " ".join(page.out.split()) and "says <stop>" not in page.out


def test_a_source_as_long_as_the_model_reads(tinytx, translator):
    """Catches padding that makes it longer than that."""
    page = tinytx("explain", translator[0], ["one two three four five one two three four"], "--target un")
    assert page.code == 0
    assert "source (B, S) = (1, 9)" in page.out and "What padding changes" not in page.out and "<pad>" not in page.out


def test_the_page_of_a_gpt(writing, finished):
    """Catches a shift the wrong way, a mask that is not causal, a loss that is not the model's."""
    assert (writing.code, writing.err) == (0, "")
    model, tokenizer = load_run(finished[0], Writer)
    ids = tokenizer.encode("1 time")[None]
    table = rows(writing, 1, "position reads id is to say id")
    assert [(row[1], row[4]) for row in table] == [("1", "_"), ("_", "t"), ("t", "i"), ("i", "m"), ("m", "e")]
    marks = [
        line.split()[-5:] for line in section(writing, 2).splitlines() if re.fullmatch(r" +\S+  [x.]( [x.]){4}", line)
    ]
    assert (np.array(marks) == "x").tolist() == np.tri(5, dtype=bool).tolist()
    assert f"Mean over 5 tokens: {model.loss(ids[:, :-1], ids[:, 1:]):.4f} nats" in writing.out
    steps = rows(writing, 4, "step ids fed fed says p so far")
    assert [row[1:3] for row in steps] == [
        ["(1, 6)", "the text, 6 tokens"],
        ["(1, 1)", steps[0][4]],
        ["(1, 1)", steps[1][4]],
    ]
    said = tokenizer.tokens(greedy(model, ids, 3).ids[0])
    assert steps[-1][-1] == "1_time" + "".join(said).replace(" ", "_").replace("\n", "\\n")


def test_where_the_last_of_several_layers_looks():
    config = TransformerConfig(9, 9, d_model=8, n_heads=2, n_encoder_layers=2, n_decoder_layers=2, max_len=6)
    model, inputs = SequenceToSequence(Transformer(config, rng=np.random.default_rng(0))), (np.array([[3, 4, 5]]), np.array([[1, 6]]))
    for parameter in model.parameters():
        parameter.data += np.random.default_rng(1).normal(0, 1, parameter.data.shape).astype(np.float32)
    weights = attention_maps(model, *inputs)["decoder.blocks.1.cross_attention.f"][0].mean(axis=0)
    first, *_, drawn = looks(model, inputs, ["a", "b"], ["x", "y", "z"], "cross_attention")
    assert first.startswith("the last of 2 layers, decoder.blocks.1.cross_attention.f: weights (B, H, T, S) = (1, 2, 2, 3)")
    assert drawn == weights_grid(weights, ["a", "b"], ["x", "y", "z"])


def test_a_window_is_drawn():
    """Catches a page that says that each position sees all before it, where only the last two are seen."""
    rng, tokenizer = np.random.default_rng(0), CharTokenizer("abcd")
    for window in (2, None):
        body = Llama(LlamaConfig(4, max_len=8, d_model=8, n_heads=2, n_layers=2, window=window), rng=rng)
        page = explain(Writer(NextToken(body, rng=rng), tokenizer), "abcda", tokens=1).page
        narrow = page.partition("Less is seen in blocks.0.attention.f, blocks.1.attention.f, which")[2]
        marks = [line.split()[1:] for line in narrow.splitlines() if re.fullmatch(r" +\S  [x.]( [x.]){3}", line)]
        expected = np.tri(4, dtype=bool) & ~np.tri(4, k=-2, dtype=bool)
        assert (np.array(marks) == "x").tolist() == expected.tolist() if window else marks == [] and "Less is" not in page


def test_a_model_that_also_tells_classes():
    """Catches logits of classes in the place of those of words."""
    rng, tokenizer = np.random.default_rng(0), CharTokenizer("abcd")
    body = GPT(GPTConfig(4, max_len=8, d_model=8, n_heads=1, n_layers=1), rng=rng)
    model, ids = TextClassesNextToken(body, n_classes=3, pad_id=0, rng=rng), np.array([[0, 1, 2, 0]])
    page = explain(Writer(model, tokenizer), "abca", tokens=1).page
    loss = NextToken.loss(model, ids[:, :-1], ids[:, 1:])
    assert "logits (B, T, V) = (1, 3, 4)" in page and f"Mean over 3 tokens: {loss:.4f} nats" in page


def test_unknown_words_are_noted(tinytx, translator):
    """Catches silence about a word that the page shows as <unk>."""
    page = tinytx("explain", translator[0], ["one seven"], "--target", ["un sept"])
    assert page.code == 0
    assert ["'seven' in 'one seven'" in page.err, "'sept' in 'un sept'" in page.err] == [True, True]
    assert "<unk>" in page.out


@pytest.mark.parametrize(
    "arguments, named",
    [
        (([""],), "text is empty"),
        ((["  "],), "the text holds no token"),
        ((["one", "--target", ""],), "--target is empty"),
        ((["one " * 10],), "the text has 10 tokens"),
        ((["one", "--target", "un " * 9],), "the target has 9 tokens"),
        (("one --tokens 0",), "--tokens is 0"),
        (("one --tokens 10",), "tokens is 10"),
    ],
)
def test_what_cannot_be_explained(refused, translator, arguments, named):
    """Catches tracebacks, and half a page."""
    assert named in refused("explain", translator[0], *arguments)


@pytest.mark.parametrize(
    "arguments, named",
    [
        ("1 --target 2", "target is for a translator"),
        ("1", "the text has 1 token, expected 2"),
        ("123456789", "the text has 9 tokens"),
        ("Q1", "'Q'"),
        ("12345678 --tokens 2", "tokens is 2, expected a whole number of at least 1 and at most 1, the room"),
    ],
)
def test_what_a_gpt_cannot_explain(refused, finished, arguments, named):
    """Catches tracebacks, and half a page."""
    assert named in refused("explain", finished[0], arguments)


def test_folder_without_a_model(refused):
    assert "no checkpoint.npz in nowhere" in refused("explain nowhere one")


def test_long_texts_are_cut_into_lines_and_large_masks_cut_off():
    """Catches pages wider than a terminal, and a cut that nobody is told of."""
    names, ids = ["word"] * 100, list(range(1000, 1100))
    lines = words(names, ids).splitlines()
    assert max(map(len, lines)) <= WIDTH
    assert [word for line in lines if "id" in line for word in line.split()[1:]] == list(map(str, ids))
    drawn = grid(np.tri(100, dtype=bool), names, names)
    assert max(map(len, drawn.splitlines())) <= WIDTH
    assert drawn.splitlines()[-1] == "  ... and 76 rows and 66 columns more, in the same way"


@pytest.mark.parametrize("kind", ["translator", "finished"])
def test_a_picture_of_all_heads(tinytx, request, kind, tmp_path):
    """Catches words that do not fit the maps, padding among them, and a page without its picture."""
    pytest.importorskip("tinytx.viz.attention")
    folder = shutil.copytree(request.getfixturevalue(kind)[0], tmp_path / "run")
    result = tinytx(
        "explain", folder, ["one two" if kind == "translator" else "1 time"], "--picture", tmp_path / "a.png"
    )
    assert (result.code, result.err) == (0, f"Wrote {tmp_path / 'a.png'}\n")
    assert (tmp_path / "a.png").read_bytes().startswith(b"\x89PNG")
