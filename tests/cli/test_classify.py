"""``python -m tinytx classify``: texts or pictures in, classes out."""

import numpy as np
import pytest
from PIL import Image

from tinytx import ops
from tinytx.data import read_images
from tinytx.pipelines import Classifier, ImageClassifier, load_run


def lines_of(labels, p, top):
    width = max(len(labels[i]) for i in np.argsort(-p, kind="stable")[:top])
    return [f"  {labels[i]:<{width}}  {p[i]:.3f}  {'#' * round(30 * p[i])}".rstrip() for i in np.argsort(-p, kind="stable")[:top]]


@pytest.fixture(scope="module")
def reviews(trained):
    return trained("reviews")[0]


@pytest.fixture(scope="module")
def digits(trained):
    return trained("digits")[0]


def test_texts(tinytx, reviews):
    """Catches another text's class, a second text that is not read, and bars of another length."""
    classifier = load_run(reviews, Classifier)
    code, out, err = tinytx("classify", reviews, ["The cat sees the dog.", "a fish"], "--top 1")
    assert code == 0 and err.startswith("Note: not in the vocabulary") and "'a'" in err
    p = [ops.softmax(classifier.logits(text))[0] for text in ("The cat sees the dog.", "a fish")]
    expected = [["The cat sees the dog.", *lines_of(classifier.labels, p[0], 1)], ["a fish", *lines_of(classifier.labels, p[1], 1)]]
    assert [block.splitlines() for block in out.split("\n\n")] == expected
    result = tinytx("classify", reviews, ["the cat"], "--pair", ["the dog"])
    assert result.code == 2 and "Bert: segments" in result.err  # the second text is handed on, to a model of single ones


def test_pictures(tinytx, digits, pictures, tmp_path):
    """A picture whose white is 255 gets the class of the same pixels in the file, whose white is 16; catches another scale."""
    images, _ = read_images(pictures, largest=16)
    model = load_run(digits, ImageClassifier).model
    for number in range(3):
        path = tmp_path / f"{number}.png"
        Image.fromarray((images[number, :, :, 0] * 255).round().astype(np.uint8)).save(path)
        code, out, err = tinytx("classify", digits, path)
        name, *lines = out.splitlines()
        assert (code, err, name, len(lines)) == (0, "", str(path), 3)
        p = ops.softmax(model(images[number : number + 1])[0])[0]
        found = {line.split()[0]: float(line.split()[1]) for line in lines}
        np.testing.assert_allclose([found[f"LABEL_{i}"] for i in range(3)], p, atol=6e-3)


def test_what_cannot_be_classified(refused, tinytx, reviews, digits, finished):
    assert "there is no file none.png" in refused("classify", digits, "none.png")
    assert "--pair is 'x', a text, and the model reads pictures" in refused("classify", digits, "none.png --pair x")
    assert "text 1 is empty" in refused("classify", reviews, [""])
    assert "the model reads at most 8" in refused("classify", reviews, ["the " * 99])
    assert "for it there is python -m tinytx sample" in refused("classify", finished[0], "x")
    assert "--top is 0" in refused("classify", digits, "none.png --top 0")
    assert f"python -m tinytx classify {digits}" in refused("fill", digits, ["the <mask>"])
