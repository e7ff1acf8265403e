"""Maps are softmax(Q K^T / sqrt(K)) of what went into each layer; pictures have a panel for each, with the words."""

import math
import re
import sys

import numpy as np
import pytest

from tinytx.core import Layer, Tape
from tinytx.extras import MissingExtra
from tinytx.layers import MultiHeadAttention
from tinytx.models import GPT, GPTConfig, Transformer, TransformerConfig
from tinytx.ops.attention_patterns import CAUSAL
from tinytx.tasks import NextToken, SequenceToSequence
from tinytx.viz import alignment_picture, attention_maps, attention_picture

image = pytest.importorskip("matplotlib.image")

SOURCE = np.array([[3, 4, 5, 6, 7], [8, 9, 4, 0, 0]])
TARGET = np.array([[1, 5, 6, 7], [1, 9, 3, 0]])
WORDS, READ = ["the", "cat", "sat", "down", "."], ["<start>", "le", "chat", "dort"]
ENCODER, DECODER = "encoder.blocks.0.attention.f", "decoder.blocks.0.attention.f"
CROSS = "decoder.blocks.0.cross_attention.f"


def wide(rng, shape):
    """Weights that make attention far from even."""
    return rng.normal(0, 0.7, shape)


def transformer(**options):
    sizes = {"d_model": 12, "n_heads": 3, "n_encoder_layers": 2, "n_decoder_layers": 2, "max_len": 9}
    config = TransformerConfig(11, 11, **sizes | options)
    return SequenceToSequence(Transformer(config, rng=np.random.default_rng(0), dtype=np.float64, init=wide))


def gpt(**options):
    config = GPTConfig(vocab_size=11, d_model=12, n_heads=3, n_layers=2, max_len=9, **options)
    model = NextToken(GPT(config, rng=np.random.default_rng(0), dtype=np.float64))
    for parameter in model.parameters():
        parameter.data += np.random.default_rng(1).normal(0, 0.5, parameter.data.shape)
    return model


CASES = {
    "post-norm": (transformer(norm_order="post"), (SOURCE, TARGET)),
    "pre-norm": (transformer(norm_order="pre"), (SOURCE, TARGET)),
    "gpt": (gpt(), (SOURCE,)),
    "attention alone": (
        MultiHeadAttention(12, 3, rng=np.random.default_rng(0), dtype=np.float64),
        (np.random.default_rng(1).normal(size=(2, 5, 12)),),
    ),
}


class Witness(Tape):
    """Notes what goes into every attention."""

    def __init__(self):
        super().__init__()
        self.seen = []

    def call(self, layer, inputs, settings):
        if isinstance(layer, MultiHeadAttention):
            self.seen.append((layer, inputs, settings))
        return super().call(layer, inputs, settings)


def softmax_of_scores(layer, x, memory=None, mask=None):
    """Return softmax(Q K^T / sqrt(K)), written as the paper has it."""
    memory = x if memory is None else memory
    weights, (queries, keys) = [], (np.split(a, layer.n_heads, axis=2) for a in (layer.query(x), layer.key(memory)))
    for q, k in zip(queries, keys, strict=True):
        scores = q @ k.swapaxes(1, 2) / math.sqrt(q.shape[2])  # (B, T, S)
        if mask is not None:
            scores = np.where(mask[:, 0], scores, -np.inf)
        if layer.core.pattern is CAUSAL:
            scores = np.where(np.tri(scores.shape[1], dtype=bool), scores, -np.inf)
        exp = np.exp(scores - scores.max(axis=2, keepdims=True))
        weights.append(exp / exp.sum(axis=2, keepdims=True))
    return np.stack(weights, axis=1)


@pytest.mark.parametrize("name", CASES)
def test_maps_are_what_the_paper_computes(name):
    """Catches heads in another order, maps under another's path, a scale or a mask that is left out."""
    model, inputs = CASES[name]
    witness = Witness()
    model(*inputs, witness)
    seen = witness.seen
    maps = attention_maps(model, *inputs)
    paths = {id(layer): path for path, layer in model.named_layers()}
    assert list(maps) == [paths[id(layer)].removeprefix("body.") for layer, _, _ in seen]
    for (layer, inputs, settings), weights in zip(seen, maps.values(), strict=True):
        mask = settings.get("mask")
        np.testing.assert_allclose(weights, softmax_of_scores(layer, *inputs, mask=mask), rtol=0, atol=1e-12)
        np.testing.assert_allclose(weights.sum(axis=-1), 1, rtol=0, atol=1e-12)


def test_maps_of_a_transformer():
    """Names, shapes, and nothing at all where nobody may look: at padding, and at what comes later."""
    maps = attention_maps(CASES["pre-norm"][0], SOURCE, TARGET)
    assert {path: weights.shape for path, weights in maps.items()} == {
        path.replace(".0.", f".{i}."): (2, 3, t, s)
        for path, t, s in ((ENCODER, 5, 5), (DECODER, 4, 4), (CROSS, 4, 5))
        for i in range(2)
    }
    for path, weights in maps.items():
        if path.startswith("decoder") and "cross" not in path:
            assert (weights[..., ~np.tri(4, dtype=bool)] == 0).all() and (weights[..., np.tri(4, dtype=bool)] > 0).all()
        else:
            assert (weights[1, ..., 3:] == 0).all() and (weights[1, ..., :3] > 0).all() and (weights[0] > 0).all()


@pytest.mark.parametrize("make, inputs", [(transformer, (SOURCE, TARGET)), (gpt, (SOURCE,))])
def test_maps_are_without_dropout(make, inputs):
    with_it, without = (attention_maps(make(dropout=p), *inputs) for p in (0.5, 0.0))
    for path, weights in with_it.items():
        np.testing.assert_array_equal(weights, without[path])


class Twice(Layer):
    """One attention, called twice."""

    def __init__(self):
        self.attention = MultiHeadAttention(6, 2, rng=np.random.default_rng(0), dtype=np.float64)

    def forward(self, x, tape=None):
        return self.attention(self.attention(x, tape), tape)


def test_a_layer_that_is_called_twice_has_two_maps(tmp_path):
    model, x = Twice(), np.random.default_rng(2).normal(size=(1, 3, 6))
    maps = attention_maps(model, x)
    assert list(maps) == ["attention", "attention, call 2"]
    np.testing.assert_array_equal(maps["attention, call 2"], attention_maps(model, model.attention(x))["attention"])
    attention_picture(tmp_path / "a.png", maps, ["a", "b", "c"])


def test_a_model_without_attention():
    with pytest.raises(ValueError, match="attention_maps: Linear called no layer that has attention_weights"):
        attention_maps(CASES["gpt"][0].body.blocks[0].attention.f.query, np.ones((1, 2, 12)))


# ---------------------------------------------------------------------------------------- pictures


def labels(axis):
    return [label.get_text() for label in axis.get_ticklabels()]


def shown(axis):
    """Return the numbers that a panel shows."""
    (picture,) = axis.get_images()
    return np.asarray(picture.get_array())


def test_a_panel_for_each_layer_and_head(tmp_path, figures):
    """Encoder, decoder, cross-attention, layer by layer and head by head; catches a map that is transposed, another
    row's, or under another's words."""
    maps = attention_maps(CASES["pre-norm"][0], SOURCE, TARGET)
    attention_picture(tmp_path / "a.png", maps, WORDS[:3], READ[:3], row=1, title="Where it looks")
    assert image.imread(tmp_path / "a.png").std() > 0 and len(list(tmp_path.iterdir())) == 1
    (figure,) = figures
    *panels, scale = figure.axes
    assert len(panels) == 3 * 2 * 3
    order = [path.replace(".0.", f".{i}.") for path in (ENCODER, DECODER, CROSS) for i in range(2)]
    for axis, (path, head) in zip(panels, [(path, head) for path in order for head in range(3)], strict=True):
        np.testing.assert_array_equal(shown(axis), maps[path][1, head, :3, :3])
        assert labels(axis.yaxis) == ([] if head else READ[1:3] + ["…"] if "decoder" in path else WORDS[:3])
        below = READ[:3] if path.startswith("decoder") and "cross" not in path else WORDS[:3]
        assert labels(axis.xaxis) == (below if ".1." in path else [])
        assert axis.get_title() == (f"head {head + 1}" if ".0." in path else "")
    texts = [text.get_text() for text in figure.texts]
    assert texts[0] == "Where it looks" and texts.count("layer 1") == texts.count("layer 2") == 3
    names = ["Encoder", "down", "Decoder", "down", "Cross-attention", "down"]
    assert [text.partition(":")[0] for text in texts if ":" in text] == names
    assert scale.get_xlabel() == "attention weight" and labels(scale.xaxis) == ["0", "0.1", "0.3", "0.6", "1"]


def test_nothing_overlaps_and_everything_is_inside(tmp_path, figures):
    """Catches room for words that does not grow with them: no panel or word lies on another, or outside the picture."""
    maps = attention_maps(transformer(), SOURCE, TARGET)
    attention_picture(tmp_path / "a.png", maps, ["internationalisation"] * 5, ["<start>", "a", "b", "c" * 16])
    (figure,) = figures
    boxes = [axis.get_tightbbox() for axis in figure.axes] + [text.get_window_extent() for text in figure.texts]
    for i, box in enumerate(boxes):
        assert 0 <= box.x0 < box.x1 <= figure.bbox.x1 and 0 <= box.y0 < box.y1 <= figure.bbox.y1
        for other in boxes[:i]:
            apart = box.x1 <= other.x0 or other.x1 <= box.x0 or box.y1 <= other.y0 or other.y1 <= box.y0
            assert apart, f"{box} lies on {other}"


def test_an_alignment_is_inside(tmp_path, figures):
    alignment_picture(tmp_path / "a.png", np.ones((4, 5)), WORDS, ["chat", "b", "d", "c" * 16], "A title" * 9)
    (figure,) = figures
    for box in (*(axis.get_tightbbox() for axis in figure.axes), *(text.get_window_extent() for text in figure.texts)):
        assert 0 <= box.x0 < box.x1 <= figure.bbox.x1 and 0 <= box.y0 < box.y1 <= figure.bbox.y1


def test_a_gpt_has_one_group(tmp_path, figures):
    attention_picture(tmp_path / "a.png", attention_maps(CASES["gpt"][0], SOURCE), list("abc e"))
    (figure,) = figures
    *panels, _ = figure.axes
    assert len(panels) == 2 * 3
    assert labels(panels[0].yaxis) == ["b", "c", "␣", "e", "…"] and labels(panels[-1].xaxis) == ["a", "b", "c", "␣", "e"]


def test_a_decoder_alone_looks_at_the_source(tmp_path, figures):
    """As of recurrent nets with attention: catches rows that have the source's words because no encoder has maps."""
    maps = {"decoder.cross_attention": np.full((1, 1, 4, 5), 0.2)}
    attention_picture(tmp_path / "maps.png", maps, WORDS, READ, next_word="…")
    axis = figures[0].axes[0]
    assert labels(axis.yaxis) == [*READ[1:], "…"] and labels(axis.xaxis) == WORDS


def test_a_row_is_what_its_position_is_there_for(tmp_path, figures):
    """A position that sees only what came before writes the next word; one that sees all stands for its own."""
    causal, full = np.tril(np.ones((1, 1, 3, 3))), np.ones((1, 1, 3, 3))
    for weights, rows, across in ((causal, ["b", "c", "."], "is written"), (full, ["a", "b", "c"], "looks")):
        attention_picture(tmp_path / "a.png", {"blocks.0.attention.f": weights}, list("abc"), next_word=".")
        assert labels(figures[-1].axes[0].yaxis) == rows and labels(figures[-1].axes[0].xaxis) == ["a", "b", "c"]
        assert f"down: the word that {across}; across: what is looked at" in [t.get_text() for t in figures[-1].texts]


@pytest.mark.parametrize("n, least", [(40, 40), (150, 75), (400, 100)])
def test_long_texts_fit(tmp_path, figures, n, least):
    """A picture stays one that can be opened: words are left out where they would be too small to read."""
    maps = {"blocks.0.attention.f": np.full((1, 2, n, n), 1 / n)}
    attention_picture(tmp_path / "a.png", maps, ["w"] * n)
    height, width, _ = image.imread(tmp_path / "a.png").shape
    assert max(height, width) <= 3000
    assert least <= len(labels(figures[0].axes[0].yaxis)) <= 150


@pytest.mark.parametrize(
    "options, message",
    [
        ({"maps": {}}, "no maps, expected what attention_maps returns"),
        ({"target_words": None}, f"{DECODER} belongs to a decoder: give target_words"),
        ({"words": WORDS + ["!"]}, "for 5 positions that look at 5, and there are 6 and 6 words"),
        ({"words": []}, "there are 0 and 0 words"),
        ({"target_words": READ + ["!"]}, f"{DECODER} has weights for 4 positions that look at 4"),
        ({"row": 2}, "row is 2, expected 0..1"),
        ({"row": -1}, "row is -1, expected a whole number of at least 0"),
        ({"maps": {"blocks.0.attention.f": np.full((1, 1, 5, 5), np.nan)}}, "blocks.0.attention.f has a NaN"),
    ],
)
def test_what_does_not_fit(tmp_path, options, message):
    maps = attention_maps(CASES["pre-norm"][0], SOURCE, TARGET)
    given = {"maps": maps, "words": WORDS, "target_words": READ} | options
    with pytest.raises(ValueError, match=re.escape(message)):
        attention_picture(tmp_path / "a.png", **given)
    assert not list(tmp_path.iterdir())


def test_an_alignment(tmp_path, figures):
    weights = np.random.default_rng(0).dirichlet(np.ones(5), size=4)
    alignment_picture(tmp_path / "a.png", weights, WORDS, READ, "Alignment")
    (figure,) = figures
    axis, scale = figure.axes
    np.testing.assert_array_equal(shown(axis), weights)
    assert labels(axis.xaxis) == WORDS and labels(axis.yaxis) == READ
    assert [text.get_text() for text in figure.texts] == ["Alignment"]
    assert axis.get_xlabel() == "looks at" and axis.get_ylabel() == "writes"
    assert scale.get_xlabel() == "attention weight" and labels(scale.xaxis)[-1] == f"{weights.max():.2g}"
    pixels = image.imread(tmp_path / "a.png")
    alignment_picture(tmp_path / "b.png", weights[::-1], WORDS, READ, "Alignment")
    assert pixels.shape == image.imread(tmp_path / "b.png").shape and (pixels != image.imread(tmp_path / "b.png")).any()


@pytest.mark.parametrize("shape", [(5, 4), (4, 6), (2, 4, 5), (0, 5)])
def test_an_alignment_that_does_not_fit(tmp_path, shape):
    with pytest.raises(ValueError, match=re.escape(f"weights have shape {shape}, expected (4, 5)")):
        alignment_picture(tmp_path / "a.png", np.ones(shape), WORDS, READ)
    with pytest.raises(ValueError, match="weights have shape"):
        alignment_picture(tmp_path / "a.png", np.ones((0, 5)), WORDS, [])


def test_an_alignment_that_is_not_finite_and_one_of_zeros(tmp_path):
    with pytest.raises(ValueError, match="alignment_picture: weights has a NaN or an infinity"):
        alignment_picture(tmp_path / "a.png", np.full((4, 5), np.inf), WORDS, READ)
    alignment_picture(tmp_path / "a.png", np.zeros((4, 5)), WORDS, READ)


@pytest.mark.parametrize("text", ["$$", "$5 and $6", "$x$", "\x1b", "\ud800", "_", r"$\frac{", "%"])
def test_words_and_titles_are_drawn_as_they_are(tmp_path, figures, text):
    """Catches dollar signs that are taken for mathematics, and characters that nobody can draw."""
    words = [text, "b", "c", "d", "e"]
    alignment_picture(tmp_path / "a.png", np.ones((5, 5)), words, words, text)
    attention_picture(tmp_path / "a.png", attention_maps(CASES["gpt"][0], SOURCE), words, title=text)
    shown = {"\x1b": r"\x1b", "\ud800": r"\ud800"}.get(text, text)
    for figure, first in zip(figures, (shown.replace(" ", "␣"), "b"), strict=True):
        assert labels(figure.axes[0].yaxis)[0] == first and figure.texts[0].get_text() == shown
        assert not figure.texts[0].get_parse_math()
        assert not any(label.get_parse_math() for label in figure.axes[0].get_yticklabels())


def test_a_long_title_is_wrapped_and_no_margin_is_blank(tmp_path):
    """Catches a title that makes the picture twice as wide as what it shows, and rows and columns that are white."""
    alignment_picture(tmp_path / "a.png", np.ones((4, 5)), WORDS, READ, "Where each part of this sentence comes from")
    ink = (image.imread(tmp_path / "a.png")[..., :3] < 1).any(axis=2)
    for lines in (ink, ink.T):
        filled = np.flatnonzero(lines.any(axis=1))
        assert filled[0] <= 25 and len(lines) - filled[-1] <= 25 and np.diff(filled).max() < 60
    assert ink.shape[1] < 600


def test_without_matplotlib(tmp_path, monkeypatch):
    maps = attention_maps(CASES["gpt"][0], SOURCE)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    monkeypatch.setitem(sys.modules, "matplotlib.colors", None)
    with pytest.raises(MissingExtra, match=r'drawing attention needs matplotlib: pip install "tinytx\[train\]"'):
        attention_picture(tmp_path / "a.png", maps, WORDS)
    with pytest.raises(MissingExtra, match=r'drawing an alignment needs matplotlib: pip install "tinytx\[train\]"'):
        alignment_picture(tmp_path / "a.png", np.ones((4, 5)), WORDS, READ)


@pytest.mark.usefixtures("full_disk")
def test_a_failure_leaves_the_old_picture(tmp_path):
    path = tmp_path / "a.png"
    path.write_bytes(b"old")
    with pytest.raises(OSError, match="No space left"):
        alignment_picture(path, np.ones((4, 5)), WORDS, READ)
    assert path.read_bytes() == b"old"


def test_no_global_state(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)  # its import would raise
    attention_picture(tmp_path / "a.png", attention_maps(CASES["gpt"][0], SOURCE), WORDS)
