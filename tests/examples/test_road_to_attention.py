"""The example of three encoder-decoders: its parts, and that a copy counts if all of it is right."""

import importlib.util
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

FILE = Path(__file__).resolve().parents[2] / "examples" / "road_to_attention.py"
SPEC = importlib.util.spec_from_file_location("road_to_attention_example", FILE)
example = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(example)


def test_one_batch_and_one_answer_of_each(tmp_path):
    """The whole run is CI's, in its quick mode; here a step of copying, the alignment of a date, and the picture."""
    pytest.importorskip("matplotlib")
    tokenizers, curves = example.build_tokenizers([example.SHOWN], "characters"), {}
    for name in example.COLORS:
        model = example.make(name, [3 + example.N_LETTERS] * 2, 16)
        assert example.learn(model, example.copying_batch, 1, 1, example.progress(1)) > 0
        curves[name] = np.linspace(1, 0, len(example.LENGTHS))
    model = example.make("with attention", [tokenizer.vocab_size for tokenizer in tokenizers], 16)
    assert 0 <= example.translated(model, tokenizers, [example.SHOWN]) <= 1
    weights = example.alignment(model, tokenizers)
    np.testing.assert_allclose(weights.sum(1), np.ones(len(example.SHOWN[1]) + 1), rtol=1e-5)
    example.draw(tmp_path / "road.png", curves, weights)
    assert (tmp_path / "road.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize("wrong", [None, "letter", "too long"])
def test_a_copy_is_right_where_all_of_it_is(wrong, monkeypatch):
    def greedy(model, sources, n_tokens):
        words = [*sources.copy()]
        words[0][-1] += wrong == "letter"
        words[0] = np.append(words[0], 3) if wrong == "too long" else words[0]
        return SimpleNamespace(words=lambda: words)

    monkeypatch.setattr(example, "greedy", greedy)
    assert example.copied(None, 4) == [0.75 if wrong else 1.0] * len(example.LENGTHS)


def test_a_batch_of_copies():
    source, target = example.copying_batch(0)
    assert len(source) == example.ROWS and source.shape[1] == target.shape[1] - 2 == (source != 0).sum(1).max()
    for row, copy in zip(source, target):
        n = (row != 0).sum()
        assert copy[0] == 1 and copy[n + 1] == 2 and not copy[n + 2 :].any()
        np.testing.assert_array_equal(copy[1 : n + 1], row[:n])
