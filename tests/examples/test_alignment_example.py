"""The example of alignments: what the drawn sentence has, and that its dots stand at its links."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest

FILE = Path(__file__).resolve().parents[2] / "examples" / "alignment.py"
SPEC = importlib.util.spec_from_file_location("alignment_example", FILE)
example = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(example)


@pytest.mark.parametrize("n_words", [12, 120])
def test_the_sentence_has_everything(n_words):
    """Words translated by none, one and two; a pair that changes places and one that does not; no word twice."""
    source, target, links = example.shown(example.Dictionary(n_words))
    assert len({*source.split()}) == 7 and len(target.split()) == 8
    assert sorted(s for s, _ in links) == [0, 0, 1, 2, 4, 5, 5, 6]
    assert [s for s, _ in sorted(links, key=lambda link: link[1])] == [0, 0, 2, 1, 4, 5, 5, 6]


def test_the_picture(tmp_path):
    pytest.importorskip("matplotlib")
    sentence = example.shown(example.Dictionary(12))
    example.draw(tmp_path / "map.png", sentence, dict.fromkeys(example.WAYS, np.full((9, 7), 1 / 7)))
    assert (tmp_path / "map.png").read_bytes().startswith(b"\x89PNG")
