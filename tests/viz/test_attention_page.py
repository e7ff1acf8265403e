"""The page of attention: its numbers are those given, no token breaks it, and arrays that do not fit are refused.

What its script does is tested in a browser: tests/pages/test_attention_in_browser.py.
"""

import base64
import json
import re
import zlib

import numpy as np
import pytest
from test_word_page import Page

from tinytx.models import GPT, Bert, BertConfig, GPTConfig, Transformer, TransformerConfig
from tinytx.tasks import NextToken
from tinytx.viz import attention_maps, attention_page, model_attention_page
from tinytx.viz.attention import watched
from tinytx.viz.attention_page import THUMB, shown

TOKENS = ["</script><script>document.title='broken'</script>", "<!--", " {{NOTE}}", "\n", "\ud800"]


def weights_of(*shape):
    weights = np.exp(2 * np.random.default_rng(0).normal(size=shape))
    return weights / weights.sum(axis=-1, keepdims=True)


class Unpacked(Page):
    """A page and the numbers in it."""

    def __init__(self, path):
        super().__init__(path)
        self.source = path.read_text(encoding="utf-8")
        self.view = self.data["views"][0]

    @property
    def data(self):
        return json.loads(re.search(r'<script id="data"[^>]*>(.*?)</script>', self.source, re.DOTALL)[1])

    def numbers(self, name):
        packed = re.search(f'<script type="text/plain" id="{name}">(.*?)</script>', self.source)[1]
        return zlib.decompress(base64.b64decode(packed))

    def weights(self, i=0, view=None):
        """Return the weights of a layer, and the largest of each row."""
        view = view or self.view
        shape = len(view["layers"][i]["heads"]), len(view["tokens"]), len(view["keys"])
        data, rows = self.numbers(view["layers"][i]["weights"]), shape[0] * shape[1]
        largest = np.frombuffer(data, "<f4", rows).reshape(*shape[:2], 1)
        return (np.frombuffer(data, np.uint8, offset=4 * rows).reshape(shape) / 255) ** 2 * largest, largest

    def vectors(self, i=0, view=None):
        """Return the queries and keys of a layer."""
        view = view or self.view
        said, t, s = view["layers"][i]["vectors"], len(view["tokens"]), len(view["keys"])
        values, q, k = np.frombuffer(self.numbers(said["id"]), "<i2"), np.array(said["qScales"]), np.array(said["kScales"])
        queries, keys = np.split(values.astype(float), [len(q) * t * said["width"]])
        queries, keys = queries.reshape(len(q), t, -1), keys.reshape(len(k), s, -1)
        return queries * q[:, None, None], keys * k[:, None, None]


def written(tmp_path, *arguments, **options):
    attention_page(tmp_path / "page.html", *arguments, **options)
    assert [path.name for path in tmp_path.iterdir()] == ["page.html"]
    return Unpacked(tmp_path / "page.html")


def test_the_numbers_are_those_given(tmp_path):
    """Catches axes or heads that are exchanged, a scale of another row, an order of bytes."""
    weights, make = weights_of(2, 4, 5, 5), np.random.default_rng(1)
    queries, keys = make.normal(size=(2, 4, 5, 6)), make.normal(size=(2, 2, 5, 6))
    weights[0, 1, 2] = 0  # a query that sees nothing
    page = written(tmp_path, TOKENS, weights, queries, keys)
    for i in range(2):
        found, largest = page.weights(i)
        assert (np.abs(found - weights[i]) <= 1.01 * np.sqrt(weights[i] * largest) / 255 + largest / 255**2).all()
        for vectors, expected in zip(page.vectors(i), (queries[i], keys[i]), strict=True):
            np.testing.assert_allclose(vectors, expected, rtol=0, atol=np.abs(expected).max() / 60_000)
        said = page.view["layers"][i]["vectors"]
        assert (said["groups"], said["factors"], said["additive"]) == (2, [[pytest.approx(6**-0.5)]], False)
    assert page.view["tokens"] == page.view["keys"] == [shown(token) for token in TOKENS]
    assert page.data["start"] == {"query": 4, "key": int(weights[0, 0, 4].argmax())}


def test_the_small_pictures_show_the_largest_weights(tmp_path):
    weights = weights_of(2, 3, 2 * THUMB, 7)
    page = written(tmp_path, ["t"] * 2 * THUMB, weights, key_tokens=["s"] * 7)
    height, width = page.view["thumb"]
    small = np.frombuffer(page.numbers(page.view["thumbs"]), np.uint8).reshape(2, 3, height, width)
    assert (height, width) == (THUMB, 7)
    for i, layer in enumerate(page.view["layers"]):
        darkest = np.array(layer["darkest"])[:, None, None]
        largest = np.maximum(weights[i, :, ::2], weights[i, :, 1::2])
        np.testing.assert_allclose(small[i] / 255, np.sqrt(np.minimum(1, largest / darkest)), rtol=0, atol=0.002)
        assert ((weights[i] > darkest).mean(axis=(1, 2)) <= 0.02).all() and (weights[i].max(axis=(1, 2)) > darkest[:, 0, 0]).all()


def test_no_token_breaks_the_page(tmp_path):
    """Catches a token that ends the script, begins a comment, is taken for an element, or for a place to fill."""
    page = written(tmp_path, TOKENS, weights_of(1, 2, 5, 5), title="</title><script>", note="<img src=x onerror=alert(1)>")
    plain = written(tmp_path, list("abcde"), weights_of(1, 2, 5, 5))
    assert page.elements == plain.elements
    raw = page.source.partition('id="data"')[2].partition("</script>")[0]
    assert "<" not in raw.partition(">")[2] and page.view["tokens"] == ["</script><script>document.title='broken'</script>", "<!--", "␣{{NOTE}}", "↵", r"\ud800"]


def test_it_loads_nothing(tmp_path):
    page = written(tmp_path, ["a"], np.ones((1, 1, 1)))
    assert not {"src", "href", "action", "srcset"} & dict(page.attributes).keys() and "link" not in page.elements
    policy = next(value for _, value in page.attributes if value and "default-src" in value)
    assert policy.startswith("default-src 'none'")
    assert not re.search(r"https?://|@import|url\(|fetch\(|XMLHttp|innerHTML|insertAdjacent|document\.write|eval\(", page.source)


def test_ways_to_give_weights(tmp_path):
    """One layer; a list, as PyTorch's models return it, with an axis for the batch; a dict, whose keys are names."""
    weights = weights_of(2, 3, 4, 5)
    names = {"key_tokens": list("vwxyz")}
    expected = written(tmp_path, list("abcd"), weights, **names).view
    for given in (list(weights), tuple(weights[:, None]), {"layer 1": weights[0], "layer 2": weights[1][None]}):
        assert written(tmp_path, list("abcd"), given, **names).view.items() == expected.items()
    assert len(written(tmp_path, list("abcd"), weights[0], **names).view["layers"]) == 1
    view = written(tmp_path, list("abcd"), {"a": weights[0]}, **names, heads=["x", "y", "z"]).view
    assert view["layers"][0]["name"] == "a" and view["layers"][0]["heads"] == ["x", "y", "z"]
    assert written(tmp_path, list("abcd"), weights, **names, layers=["one", "two"]).view["layers"][1]["name"] == "two"


def test_weights_need_not_add_up_to_one(tmp_path):
    """Those of sigmoids may be larger than 1 together; whole numbers will do."""
    found, _ = written(tmp_path, ["a", "b"], np.array([[[1, 1], [0, 3]]])).weights()
    np.testing.assert_allclose(found, [[[1, 1], [0, 3]]], rtol=1e-6)


def test_additive_scores(tmp_path):
    """w . tanh(q + k), with w for each element of each head; 1 if nothing is said of it."""
    w = np.arange(8.0).reshape(2, 4)
    for options, factors in (({"scale": w}, w.tolist()), ({}, [[1.0]]), ({"scale": 2}, [[2.0]])):
        view = written(tmp_path, list("abc"), GOOD, QUERIES, QUERIES, additive=True, **options).view
        said = view["layers"][0]["vectors"]
        assert said["additive"] is True and said["factors"] == factors


GOOD, QUERIES = np.full((1, 2, 3, 3), 1 / 3), np.ones((1, 2, 3, 4))


@pytest.mark.parametrize(
    ("arguments", "options", "error", "said"),
    [
        (["abc", GOOD], {}, TypeError, "tokens is a str, 'abc', expected a list of str"),
        ([[], GOOD], {}, ValueError, "tokens is empty"),
        ([[1, 2, 3], GOOD], {}, TypeError, "attention_page: tokens"),
        ([list("ab"), GOOD], {}, ValueError, r"weights of layer 1 have shape \(2, 3, 3\), expected \(2, 2, 2\) from 2 tokens"),
        ([list("abc"), GOOD > 0], {}, TypeError, "weights of layer 1 have dtype bool, expected numbers"),
        ([list("abc"), [[["x"]]]], {}, TypeError, "weights of layer 1 have dtype <U1, expected numbers"),
        ([list("abc"), [[[1], [1, 2]]]], {}, ValueError, "attention_page: weights of layer 1 are no array: rows of different lengths"),
        ([list("abc"), GOOD[0, 0]], {}, ValueError, r"weights have shape \(3, 3\), expected \(heads, T, S\)"),
        ([list("abc"), []], {}, ValueError, "weights are empty"),
        ([list("abc"), [np.ones((2, 2, 3, 3))]], {}, ValueError, "a batch of 2: give one row"),
        ([list("abc"), np.where(np.eye(3), np.nan, GOOD)], {}, ValueError, r"weights of layer 1 have nan at \(0, 0, 0\)"),
        ([list("abc"), GOOD - np.eye(3)], {}, ValueError, "expected at least 0: give what softmax or sigmoid makes"),
        ([list("abc"), GOOD, QUERIES], {}, ValueError, "queries without keys: give both"),
        ([list("abc"), GOOD, None, QUERIES], {}, ValueError, "keys without queries: give both"),
        ([list("abc"), GOOD, QUERIES, np.ones((1, 2, 4, 4))], {}, ValueError, r"keys of layer 1 have shape \(2, 4, 4\)"),
        ([list("abc"), GOOD, QUERIES, np.ones((1, 2, 3, 5))], {}, ValueError, r"keys of layer 1 have shape \(2, 3, 5\)"),
        ([list("abc"), GOOD, np.ones((1, 3, 3, 4)), QUERIES], {}, ValueError, r"queries of layer 1 have shape \(3, 3, 4\)"),
        ([list("abc"), GOOD, QUERIES, np.ones((1, 3, 3, 4))], {}, ValueError, "G divides 2"),
        ([list("abc"), GOOD, QUERIES, np.inf * QUERIES], {}, ValueError, "keys of layer 1 have inf"),
        ([list("abc"), GOOD, [QUERIES[0]] * 2, [QUERIES[0]] * 2], {}, ValueError, "queries of 2 layers and weights of 1"),
        ([list("abc"), GOOD, QUERIES, QUERIES], {"scale": np.ones(3)}, ValueError, r"scale of layer 1 has shape \(3,\)"),
        ([list("abc"), GOOD, QUERIES, QUERIES], {"scale": "x"}, TypeError, "scale is 'x'"),
        ([list("abc"), GOOD], {"layers": ["a", "b"]}, ValueError, "layers are 2 names, and there are 1 layer"),
        ([list("abc"), GOOD], {"heads": ["a"]}, ValueError, "heads are 1 name, and there are 2 heads"),
    ],
)
def test_what_does_not_fit_is_refused(tmp_path, arguments, options, error, said):
    with pytest.raises(error, match=said):
        attention_page(tmp_path / "page.html", *arguments, **options)
    assert not list(tmp_path.iterdir())


# ---------------------------------------------------------------------------------------- models


def test_a_gpt(tmp_path):
    config = GPTConfig(vocab_size=11, d_model=12, n_heads=3, n_layers=2, max_len=9)
    model, ids = NextToken(GPT(config, rng=np.random.default_rng(0))), np.array([[3, 4, 5, 6]])
    model_attention_page(tmp_path / "page.html", model, (ids,), list("abc") + [" d"], next_word="e")
    page = Unpacked(tmp_path / "page.html")
    assert len(page.data["views"]) == 1 and page.view["name"] == "Attention" and page.view["writes"] == ["b", "c", "␣d", "e"]
    compared = watched(model, "queries_and_keys", ids)
    for i, (path, weights) in enumerate(attention_maps(model, ids).items()):
        found, largest = page.weights(i)
        assert (np.abs(found - weights[0]) <= 1.01 * largest / 255).all()
        np.testing.assert_allclose(page.vectors(i)[1], compared[path].keys[0], rtol=0, atol=1e-3)
        assert page.view["layers"][i]["name"] == f"layer {i + 1}"


def test_a_transformer_has_three_parts(tmp_path):
    """Catches words of the other side, layers of one part among those of another."""
    sizes = {"d_model": 12, "n_heads": 3, "n_encoder_layers": 1, "n_decoder_layers": 2, "max_len": 9}
    model = Transformer(TransformerConfig(11, 11, **sizes), rng=np.random.default_rng(0))
    inputs = np.array([[3, 4, 5, 6, 7]]), np.array([[1, 5, 6]])
    model_attention_page(tmp_path / "page.html", model, inputs, list("abcde"), ["<s>", "x", "y"], next_word="z")
    page = Unpacked(tmp_path / "page.html")
    texts = [("".join(view["tokens"]), "".join(view["keys"]), view["writes"], len(view["layers"])) for view in page.data["views"]]
    assert texts == [("abcde", "abcde", None, 1), ("<s>xy", "<s>xy", ["x", "y", "z"], 2), ("<s>xy", "abcde", ["x", "y", "z"], 2)]
    maps = attention_maps(model, *inputs)
    found, largest = page.weights(1, page.data["views"][2])
    assert (np.abs(found - maps["decoder.blocks.1.cross_attention.f"][0]) <= 1.01 * largest / 255).all()
    with pytest.raises(ValueError, match="model_attention_page: decoder.blocks.0.* belongs to a decoder: give target_words"):
        model_attention_page(tmp_path / "page.html", model, inputs, list("abcde"))


def test_settings_reach_the_model(tmp_path):
    """Segments of a BERT change its weights."""
    model = Bert(BertConfig(11, max_len=9, d_model=12, n_heads=3, n_layers=1, d_ff=8), rng=np.random.default_rng(0))
    for parameter in model.parameters():
        parameter.data += np.random.default_rng(1).normal(0, 0.5, parameter.data.shape).astype(np.float32)
    ids, found = np.array([[3, 4, 5, 6]]), []
    for segments in ([[0, 0, 1, 1]], [[0, 0, 0, 0]]):
        settings = {"segments": np.array(segments)}
        model_attention_page(tmp_path / "page.html", model, (ids,), list("abcd"), settings=settings)
        weights, largest = Unpacked(tmp_path / "page.html").weights()
        (expected,) = attention_maps(model, ids, **settings).values()
        assert (np.abs(weights - expected[0]) <= 1.01 * largest / 255).all()
        found.append(weights)
    assert np.abs(found[0] - found[1]).max() > 0.05


def test_an_image(tmp_path):
    class Model(GPT):
        """Stands for a model of images: what is tested is what becomes of the image."""

    model = Model(GPTConfig(vocab_size=11, d_model=12, n_heads=3, n_layers=1, max_len=9), rng=np.random.default_rng(0))
    image, ids = np.arange(24.0).reshape(4, 6, 1), np.arange(7)[None]
    model_attention_page(tmp_path / "page.html", model, (ids,), ["class", *"abcdef"], image=image, patch_size=2)
    page = Unpacked(tmp_path / "page.html")
    said = page.view["image"]
    pixels = np.frombuffer(page.numbers(said["id"]), np.uint8).reshape(4, 6, 4)
    assert (said["height"], said["width"], said["rows"], said["columns"]) == (4, 6, 2, 3)
    np.testing.assert_array_equal(pixels[..., 0], np.round(image[..., 0] / 23 * 255))
    assert (pixels[..., 3] == 255).all() and page.data["start"]["query"] == 0  # the class token
    for wrong, said in (({"patch_size": 5}, "divisible by patch_size 5"), ({"patch_size": 1}, "4 x 6 patches, and the model looks at 7")):
        with pytest.raises(ValueError, match=said):
            model_attention_page(tmp_path / "page.html", model, (ids,), list("abcdefg"), image=image, **wrong)
