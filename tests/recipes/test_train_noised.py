"""The recipes of noised texts: what they measure, and what the commands make of marks in a text."""

import numpy as np
import pytest
from run_files import records

from tinytx.data import WordTokenizer
from tinytx.data.tokenizers.tokenizer import SPECIAL
from tinytx.pipelines.texts import encode_marked, unknown_note
from tinytx.recipes import load_recipe
from tinytx.training import load_checkpoint


@pytest.mark.parametrize(("recipe", "mark"), [("t5_text", "<extra_id_0>"), ("bart", "<mask>")])
def test_noised_texts(trained, tinytx, recipe, mark):
    """Measures are those promised, what is held out is not trained on, and marks in a text are not read as words."""
    folder, (_, out, _) = trained(recipe)
    assert {"bleu", "noised_bleu", "accuracy", "perplexity"} <= records(folder)[-1].keys()
    assert "BLEU on 3 rows: " in out and mark in out
    result = tinytx("translate", folder, [f"the cat {mark} the dog."])
    assert result.code == 0 and "not in the vocabulary" not in result.err
    state = load_checkpoint(folder)[2]["source_tokenizer"]
    ids = encode_marked(WordTokenizer.from_dict(state), f"the cat {mark} the dog", "the text")
    assert ids[2] == state["special"].index(mark) and len(ids) == 5


def noise_of(name, **changes):
    """Return (settings, tokenizer, `Noise`) of a recipe."""
    recipe = load_recipe(name)
    module = __import__(f"tinytx.recipes.{name}", fromlist=["make_noise"])
    settings = recipe.settings(**changes)
    special = module.sentinels_of(settings) if name == "t5_text" else (module.MASK,)
    tokenizer = WordTokenizer(list("abcdefghijkl"), (*SPECIAL, *special))
    return settings, tokenizer, module.make_noise(settings, tokenizer)


@pytest.mark.parametrize("name", ["t5_text", "bart"])
def test_what_is_noised_can_be_restored(name):
    """Catches sentinels in another order than T5's, and a target that is permuted too."""
    settings, tokenizer, noise = noise_of(name)
    row = [tokenizer.encode(text) for text in ("a b c d", "e f", "g h i j k l")]
    whole, noised = np.concatenate(row), set()
    for seed in range(20):
        source, target = noise.noised(row, np.random.default_rng(seed))
        np.testing.assert_array_equal(noise.restored(source, target), whole)
        assert np.isin(source, tokenizer.special_ids).any()
        noised.add(tokenizer.decode(source).replace("<mask>", "").replace(" ", ""))
    if name == "t5_text":
        assert tokenizer.tokens(source)[-1] == "<extra_id_0>" and settings.rate == 0.15
        assert len(tokenizer.special) == 4 + 3, "62 words have 9 cut out, in 3 spans"
    else:
        starts = {text[0] for text in noised if text}
        assert starts & set("ef") and starts & set("ghijk"), "another sentence can be the first"
    unpermuted = noise_of("bart", permute=False, rate=0)[2]
    assert unpermuted.noised(row, np.random.default_rng(0))[0].tolist() == whole.tolist()


def test_marks_by_name():
    tokenizer = WordTokenizer(["a", "b"], (*SPECIAL, "<mask>"))
    assert encode_marked(tokenizer, "<mask> a<mask>b <stop>", "it").tolist() == [4, 5, 4, 6, 3, 3, 3]
    assert unknown_note(tokenizer, "a <mask> b") == [] and "'c'" in unknown_note(tokenizer, "c <mask>")[0]
    assert encode_marked(WordTokenizer(["a"], SPECIAL), "a <mask>", "it").tolist() == [4, 3, 3, 3]
