"""``python -m tinytx gradients``: for each kind of model the loss is that of the right target; and what is refused."""

import json
import re

import numpy as np
import pytest
from PIL import Image

from tinytx.data import read_images
from tinytx.pipelines import Filler, Translator, Writer, load_run
from tinytx.pipelines.gradients import write_gradient_page

CASES = {  # recipe -> what is read, the target, what the page says of the loss
    "gpt": ("1 times", None, "the next token at each position"),
    "char_rnn": ("1 times", None, "the next token at each position"),
    "transformer": ("one two", "deux un", "the given translation"),
    "recurrent_seq2seq": ("one two", None, "the model's own translation"),
    "reviews": ("The cat", None, ", which the model finds likeliest"),
    "bert": ("the [MASK]", "the the", "the words of the target"),
    "xlnet": ("1 t[MASK]mes", None, "the likeliest words in the hidden places"),
    "tags": ("the cat", None, "the likeliest tag of each token"),
    "elmo": ("the cat", None, "the next and the previous word of each"),
    "pointer": ("0.7 0.2 0.5", "1 2 0", "the given order"),
    "ntm": ("101 011", None, "the copy of the bits"),
}


def data_of(path):
    return json.loads(re.search(r'<script id="data"[^>]*>(.*?)</script>', path.read_text(encoding="utf-8"), re.DOTALL)[1])


@pytest.mark.parametrize("name", CASES)
def test_a_page_of_each_kind_of_model(tinytx, trained, tmp_path, name):
    """Catches a batch that is no loss's, and layers that no gradient reaches."""
    text, target, said = CASES[name]
    folder, out = trained(name)[0], tmp_path / "a.html"
    result = tinytx("gradients", folder, [text], *(["--target", [target]] if target else []), "--out", out)
    assert (result.code, result.out) == (0, f"Wrote {out}\nTry next: python -m tinytx profile {folder}\n"), result.err
    data = data_of(out)
    assert said in out.read_text(encoding="utf-8").replace("&#x27;", "'") and np.isfinite(data["loss"])
    kinds = [step[0] for step in data["steps"]]
    assert kinds.count(0) == len(data["calls"]) and 2 in kinds and data["steps"][-1][0] == 2
    assert any(parameter[2][3] > 0 for call in data["calls"] for parameter in call["parameters"])


def test_the_targets(tinytx, trained, tmp_path):
    """The loss is that of the target: the source's translation with <stop>, the hidden word alone."""
    out = tmp_path / "a.html"
    translator = load_run(trained("transformer")[0], Translator)
    write_gradient_page(out, translator, "one two", "deux un")
    source = translator.encode("one two")[None]
    config = translator.model.config
    words = translator.target_tokenizer.encode("deux un")
    row = np.concatenate([[config.start_id], words, [config.stop_id]])[None]
    assert data_of(out)["loss"] == pytest.approx(translator.model.loss(source, row), rel=1e-5)
    filler = load_run(trained("bert")[0], Filler)
    write_gradient_page(out, filler, "the [MASK]", "the the")
    ids = filler.framed(filler.encode("the [MASK]"))
    hidden = ids == filler.tokenizer.mask_id
    word = filler.tokenizer.encode("the")[0]
    targets = np.where(hidden, word, -100)
    labels = [None, np.array([-100])] if filler.model.next_sentence else []
    assert data_of(out)["loss"] == pytest.approx(filler.model.loss(ids[None], targets[None], *labels), rel=1e-5)


def test_a_picture(tinytx, trained, pictures, tmp_path):
    images, _ = read_images(pictures)
    Image.fromarray((images[0, :, :, 0] * 255 / images.max()).astype(np.uint8)).save(tmp_path / "a.png")
    result = tinytx("gradients", trained("digits")[0], tmp_path / "a.png", "--target", "LABEL_2", "--out", tmp_path / "a.html")
    assert result.code == 0, result.err
    assert "the loss is of the class LABEL_2<" in (tmp_path / "a.html").read_text(encoding="utf-8")


def test_what_cannot_be_followed(refused, trained):
    gpt = trained("gpt")[0]
    assert "a target is given, and GPT needs none: each token" in refused("gradients", gpt, ["1"], "--target 2")
    assert "the text has 1 token, expected at least 2" in refused("gradients", gpt, ["1"])
    assert "--out is 'a.png', and the file will be HTML: name it a.html" in refused("gradients", gpt, ["1 t"], "--out a.png")
    assert "hides no word" in refused("gradients", trained("bert")[0], ["the"])
    assert "with a word for each hidden one" in refused("gradients", trained("bert")[0], ["the [MASK]"], "--target the")
    names = load_run(trained("bert")[0], Filler).tokenizer.names
    other = next(name for name in names if name.isalpha() and name != "the")  # in the place of a word that is not hidden
    assert "with a word for each hidden one" in refused("gradients", trained("bert")[0], ["the [MASK]"], "--target", [f"{other} the"])
    assert "expected one of the classes" in refused("gradients", trained("reviews")[0], ["the cat"], "--target bad-class")
    assert "Unilm is one stack" in refused("gradients", trained("unilm")[0], ["one two"])
    with pytest.raises(TypeError, match="gradients: trained is a NextToken, expected one of Classifier, Writer"):
        write_gradient_page("a.html", load_run(gpt, Writer).model, "text")
